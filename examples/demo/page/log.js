// The log: the calls and events of both ends and the frames between them, in order of time; and the
// two frame cards.

import { element, fromHex, parse, showFrame, showHead, showNothing, size, summary } from "./frame.js";

const KEPT = 400;
const list = document.querySelector("#log");
const cards = { in: document.querySelector("#frame-in"), out: document.querySelector("#frame-out") };
let entries = [];
let start = 0;
let pinned = null;

/** The latest event of each end stands beside its buttons. */
const latest = { browser: null, server: null };
function showLast(entry) {
  if (latest[entry.end]?.at > entry.at) return;
  latest[entry.end] = entry;
  const line = document.querySelector(`#${entry.end}-last`);
  line.className = `last is-${entry.unclean ? "unclean" : entry.event}`;
  line.replaceChildren(element("b", "", entry.event), " ", element("span", "", detail(entry)));
  line.title = line.textContent;
}

/** Starts a new connection: the log shows times relative to `at`. */
export function begin(at) {
  start = at;
  for (const end of ["browser", "server"]) {
    latest[end] = null;
    document.querySelector(`#${end}-last`).replaceChildren();
  }
  if (entries.length > 0) add({ at, end: "browser", rule: true });
  for (const wire of ["in", "out"]) showNothing(cards[wire], wire);
  unpin();
}

export function clear() {
  entries = [];
  list.replaceChildren();
}

/** Adds an entry. `at` is in milliseconds of this page's clock; `end` is browser, server or wire. */
export function add(entry) {
  const follows = list.scrollTop + list.clientHeight > list.scrollHeight - 40;
  entry.node = element("li", "", element("span", "time", entry.rule ? "" : (entry.at - start).toFixed(1)), content(entry));
  entry.node.dataset.end = entry.end;
  if (entry.event) entry.node.dataset.event = entry.event;
  // The server's entries arrive late, so sort them in.
  let place = entries.length;
  while (place > 0 && entries[place - 1].at > entry.at) place -= 1;
  list.insertBefore(entry.node, entries[place]?.node ?? null);
  if (entry.event) showLast(entry);
  entries.splice(place, 0, entry);
  while (entries.length > KEPT) entries.shift().node.remove();
  if (follows) list.scrollTop = list.scrollHeight;
  if (entry.end === "wire" && pinned?.wire !== entry.wire) show(entry);
}

function content(entry) {
  if (entry.rule) return element("span", "what rule");
  if (entry.call) return element("span", "what call", entry.call);
  if (entry.end === "wire") return wireButton(entry);
  const made = element("span", `what is-${entry.unclean ? "unclean" : entry.event}`);
  made.append(element("b", "", entry.event), element("span", "", detail(entry)));
  made.title = made.textContent;
  return made;
}

function detail(entry) {
  if (entry.event !== "message") return entry.detail ?? "";
  if (entry.kind === "text" && entry.length < 100) return `“${entry.text}”`;
  return `${entry.kind}, ${size(entry.length)}${entry.same ? ", as it was sent" : ""}`;
}

function wireButton(entry) {
  const hex = element("span", "hex");
  const part = (kind, text) => text && hex.append(element("i", kind, text));
  let kind;
  if (entry.head) {
    kind = "HTTP";
    part("", entry.head.split("\r\n")[0].replace(/\?\S*/, ""));
  } else {
    const frame = parse(entry);
    kind = summary(frame);
    part("flags", entry.header.slice(0, 2));
    part("length", entry.header.slice(2, 4 + 2 * frame.extended));
    part("key", frame.key && entry.header.slice(-8));
    part("data", fromHex(entry.payload).length > 0 && entry.payload.slice(0, 24));
  }
  const arrow = element("span", "arrow", entry.wire === "in" ? "→" : "←");
  const button = element("button", "what", arrow, hex, element("span", "kind", kind));
  if (kind.endsWith("…")) button.title = "To be continued in the next frame";
  button.type = "button";
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", () => (pinned === entry ? unpin() : pin(entry)));
  return button;
}

function show(entry) {
  if (entry.head) showHead(cards[entry.wire], entry);
  else showFrame(cards[entry.wire], parse(entry));
}

/** Keeps a frame in its card until it is unpinned or another one is pinned. */
function pin(entry) {
  unpin();
  pinned = entry;
  entry.node.querySelector("button").setAttribute("aria-pressed", "true");
  show(entry);
}

function unpin() {
  pinned?.node.querySelector("button").setAttribute("aria-pressed", "false");
  pinned = null;
}
