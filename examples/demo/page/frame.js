// Shows a frame field by field (RFC 6455 section 5.2), from the bytes on the server's socket.

const OPCODES = { 0: "continuation", 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong" };
const COLUMNS = 12;
const ROWS = 2;

export const fromHex = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
const hex = (byte) => byte.toString(16).padStart(2, "0");
const bits = (value, count) => value.toString(2).padStart(count, "0");
export const count = (n) => n.toLocaleString("en");
const bytesOf = (n) => `${count(n)} ${n === 1 ? "byte" : "bytes"}`;

export function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

/**
 * Parses a frame. `payload` has the first bytes of the payload, masked as on the wire. `inflated` is what a compressed
 * payload stands for: its first bytes, and its length.
 */
export function parse({ wire, header, payload, length, inflated }) {
  const bytes = fromHex(header);
  const masked = (bytes[1] & 0x80) !== 0;
  const short = bytes[1] & 0x7f;
  const extended = short === 126 ? 2 : short === 127 ? 8 : 0;
  const key = masked ? bytes.slice(2 + extended, 6 + extended) : null;
  const raw = fromHex(payload);
  const data = key ? raw.map((byte, at) => byte ^ key[at % 4]) : raw;
  const opcode = bytes[0] & 0x0f;
  return {
    wire, bytes, masked, short, extended, key, raw, data, length, opcode,
    inflated: inflated && { data: fromHex(inflated.data), length: inflated.length },
    fin: bytes[0] >> 7, rsv: (bytes[0] >> 4) & 7, name: OPCODES[opcode] ?? "reserved",
  };
}

/** A size, rounded to three digits of a unit that fits. */
export function size(n, unit = n === 1 ? "byte" : "bytes") {
  if (n < 1024) return `${count(n)} ${unit}`;
  // 1,023.9 KiB is 1 MiB.
  const [scale, name] = n < 1023.5 * 1024 ? [1024, "KiB"] : [1 << 20, "MiB"];
  return `${count(+(n / scale).toPrecision(3))} ${name}`;
}

/** As `size`, with all digits behind it if they say more. */
const exactSize = (n) => n < 1024 ? bytesOf(n) : `${size(n)} (${bytesOf(n)})`;

/** A short description for the log. */
export function summary(frame) {
  const more = frame.fin ? "" : " …";
  if (!frame.inflated) return `${frame.name} ${size(frame.length, "B")}${more}`;
  const { length } = frame.inflated;
  const saved = length > frame.length ? `, −${Math.floor((100 * (length - frame.length)) / length)} %` : "";
  return `${frame.name} ${size(length, "B")} in ${size(frame.length, "B")}${saved}${more}`;
}

/** Fills a card with a frame. */
export function showFrame(card, frame) {
  const total = frame.bytes.length + frame.length;
  card.replaceChildren(
    from(frame.wire, `${exactSize(total)} on the wire`),
    element("p", "summary", `${frame.name}, ${bytesOf(frame.bytes.length)} of header and ${size(frame.length)} of payload${frame.inflated ? ", compressed" : ""}`),
    byteGroups(frame),
    fields(frame),
    payload(frame),
    ...rest(frame.length, frame.raw),
    ...inflated(frame),
  );
}

/** Fills a card with an HTTP head. */
export function showHead(card, { wire, head }) {
  const lines = head.trimEnd().split("\r\n");
  const pre = element("pre");
  for (const line of lines) {
    const matters = /^(GET|HTTP|Upgrade|Connection|Sec-WebSocket)/i.test(line);
    pre.append(matters ? element("b", "", line) : line, "\n");
  }
  const what = wire === "in" ? "The opening handshake: a request to upgrade" : "The opening handshake: frames follow";
  card.replaceChildren(from(wire, `${bytesOf(head.length)} on the wire`), element("p", "summary", what), pre);
}

export function showNothing(card, wire) {
  card.replaceChildren(from(wire, ""), element("p", "none", "Nothing yet."));
}

function from(wire, size) {
  const way = wire === "in" ? "Browser → server" : "Server → browser";
  return element("div", "from", element("b", "", way), element("span", "", size));
}

function byteGroups(frame) {
  const { bytes, extended, masked } = frame;
  const groups = element("div", "bytes");
  const group = (kind, name, bytes) => {
    if (bytes.length === 0) return;
    const cells = [...bytes].map((byte) => element("span", "byte", hex(byte)));
    groups.append(element("div", `group ${kind}`, element("div", "", ...cells), element("small", "", name)));
  };
  group("flags", "FIN, opcode", bytes.slice(0, 1));
  group("length", "MASK, length", bytes.slice(1, 2));
  group("length", "extended length", bytes.slice(2, 2 + extended));
  if (masked) group("key", "masking key", bytes.slice(2 + extended, 6 + extended));
  // The table below shows the rest.
  const shown = frame.raw.slice(0, extended ? 0 : masked ? 5 : 8);
  group("data", frame.length > shown.length ? "payload …" : "payload", shown);
  return groups;
}

function fields(frame) {
  const { fin, rsv, opcode, name, masked, short, extended, length, key, wire } = frame;
  const list = element("dl", "fields");
  const field = (kind, term, value, says) => list.append(
    element("dt", kind, term), element("dd", `bits ${kind}`, value), element("dd", "says", says));
  field("flags", "FIN", bits(fin, 1), fin ? "the last frame of its message" : "more frames of this message follow");
  field("flags", "RSV1–3", bits(rsv, 3), reserved(frame));
  field("flags", "opcode", bits(opcode, 4), `0x${opcode.toString(16).toUpperCase()}, ${name}`);
  field("length", "MASK", bits(Number(masked), 1), wire === "in" ? "a client masks every frame" : "a server masks no frame");
  const says = { 0: bytesOf(length), 2: `126: the length is in the next 16 bits: ${count(length)}`, 8: `127: the length is in the next 64 bits: ${count(length)}` };
  field("length", "length", bits(short, 7), says[extended]);
  if (key) field("key", "key", [...key].map(hex).join(" "), "new for each frame, XORed over the payload");
  else field("key", "key", "–", "none: the payload is not masked");
  return list;
}

function reserved({ rsv, inflated }) {
  if (inflated) return rsv ? "RSV1: the message is compressed" : "RSV1 is set in the first frame of the message";
  return rsv ? "not allowed: no extension uses it" : "no extension in use";
}

/** The payload: the bytes on the wire, the repeated key, and the unmasked bytes. */
function payload(frame) {
  const lines = frame.key
    ? [["wire", "data", frame.raw], ["⊕ key", "key", frame.raw.map((_, at) => frame.key[at % 4])], ["= data", "data result", frame.data]]
    : [["data", "data result", frame.data]];
  // The characters of a compressed message are shown below.
  return rows(lines, frame.inflated ? null : frame.name);
}

/** What a compressed payload stands for. */
function inflated({ inflated, length, name }) {
  if (!inflated) return [];
  const saved = inflated.length - length;
  const says = saved > 0 ? `${size(saved)} saved, ${Math.floor((100 * saved) / inflated.length)} %`
    : saved < 0 ? `${bytesOf(-saved)} more, but later messages can refer to them` : "nothing saved, but later messages can refer to it";
  const title = element("p", "inflated", element("b", "", `${size(length)} stand for ${size(inflated.length)}`), ` of the message: ${says}`);
  if (inflated.length === 0) return [title];
  return [title, rows([[name === "continuation" ? "…" : name, "message result", inflated.data]], name), ...rest(inflated.length, inflated.data)];
}

/** Rows of bytes, one line under another: each has a label, a kind, and its bytes. Under the last one stand the characters of `name`. */
function rows(lines, name) {
  const grid = element("div", "payload");
  grid.style.setProperty("--columns", COLUMNS);
  const bytes = lines.at(-1)[2];
  const shown = Math.min(bytes.length, COLUMNS * ROWS);
  const chars = name && characters(bytes, name, shown);
  for (let start = 0; start < shown; start += COLUMNS) {
    const end = Math.min(start + COLUMNS, shown);
    const row = (label, cell) => {
      grid.append(element("span", "label", label));
      for (let at = start; at < start + COLUMNS; at += 1) grid.append(at < end ? cell(at) ?? "" : element("span"));
    };
    if (start > 0) grid.append(element("span", "gap"));
    for (const [label, kind, bytes] of lines) row(label, (at) => element("span", `byte ${kind}`, hex(bytes[at])));
    // A close code has the width of two bytes.
    if (chars) row(name === "close" ? "says" : "", (at) => chars[at] && element("span", `char ${chars[at].code ? "code" : ""}`, chars[at].text));
  }
  return grid;
}

/** The label under each byte: a character under its first byte; a close code under its two bytes. */
function characters(bytes, name, shown) {
  const under = Array.from({ length: shown }, () => ({ text: "" }));
  let at = 0;
  if (name === "close" && shown >= 2) {
    under[0] = { text: String((bytes[0] << 8) | bytes[1]), code: true };
    under[1] = null;
    at = 2;
  } else if (!["text", "ping", "pong"].includes(name)) {
    return under;
  }
  for (const char of new TextDecoder().decode(bytes.slice(at))) {
    if (at >= shown) break;
    under[at] = { text: char < " " ? "·" : char };
    at += new TextEncoder().encode(char).length;
  }
  return under;
}

/** How many bytes are not shown. */
function rest(length, bytes) {
  const rest = length - Math.min(bytes.length, COLUMNS * ROWS);
  return rest > 0 ? [element("p", "note", `and ${size(rest)} more`)] : [];
}
