// The browser's end: the WebSocket that the page shows, and the one that carries the server's log
// to the page.

import * as log from "./log.js";
import { Race } from "./race.js";
import { element } from "./frame.js";

const $ = (selector) => document.querySelector(selector);
const url = (path) => `${location.origin.replace("http", "ws")}${path}`;
const now = () => performance.timeOrigin + performance.now();

// Light or dark: the system's setting, until the user chooses.
const dark = matchMedia("(prefers-color-scheme: dark)");
const setTheme = (theme) => {
  document.documentElement.dataset.theme = theme;
  $("#theme").textContent = theme === "dark" ? "Light" : "Dark";
};
setTheme(localStorage.theme ?? (dark.matches ? "dark" : "light"));
dark.addEventListener("change", () => localStorage.theme ?? setTheme(dark.matches ? "dark" : "light"));
$("#theme").addEventListener("click", () => {
  localStorage.theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  setTheme(localStorage.theme);
});

// The state of both ends.
const STATES = ["connecting", "open", "closing", "closed"];
for (const end of ["browser", "server"]) {
  for (const state of STATES) {
    const item = element("li", "", state);
    item.dataset.state = state;
    $(`#${end}-state`).append(item);
  }
}
/** Shows the state of an end; none if it is not known. */
function setState(end, state) {
  for (const item of $(`#${end}-state`).children) {
    item.toggleAttribute("aria-current", item.dataset.state === state);
  }
}

// The offset of the server's clock: the fastest round trip gives the best estimate.
const clock = { offset: 0, error: Infinity };
const CLOCK_ROUNDS = 12;
let rounds = 0;
let asked = 0;
let awaited = false;
function askClock() {
  asked = now();
  awaited = true;
  watch.send(`clock ${rounds}`);
}
function compareClocks(serverMicros) {
  const received = now();
  awaited = false;
  if (document.body.classList.contains("dead")) {
    document.body.classList.remove("dead");
    warn("");
  }
  const error = (received - asked) / 2;
  if (error < clock.error) Object.assign(clock, { error, offset: asked + error - serverMicros / 1000 });
  rounds += 1;
  if (rounds % CLOCK_ROUNDS !== 0) return askClock();
  $("#clock").textContent = `now accurate to ${clock.error.toFixed(2)} ms`;
  if (rounds === CLOCK_ROUNDS) connect(true);
}
const pageTime = (serverMicros) => serverMicros / 1000 + clock.offset;

// The connection that the page shows.
let session;
let socket;
let talks = 0;
let sentBytes = new Uint8Array();
function connect(greet) {
  talks += 1;
  log.begin(now());
  log.add({ at: now(), end: "browser", call: "new WebSocket(url)" });
  const option = $("#compress:enabled:not(:checked)") ? "&compress=no" : "";
  const ws = (socket = new WebSocket(url(`/talk?session=${session}${option}`)));
  ws.binaryType = "arraybuffer";
  const event = (name, fields = {}) => {
    log.add({ at: now(), end: "browser", event: name, ...fields });
    if (ws === socket) reflect();
  };
  ws.onopen = () => {
    event("open", { detail: ws.extensions });
    if (greet) sendText("Hello");
  };
  ws.onmessage = ({ data }) => event("message", typeof data === "string"
    ? { kind: "text", text: data, length: new TextEncoder().encode(data).length }
    : { kind: "binary", length: data.byteLength, same: isSent(new Uint8Array(data)) });
  ws.onerror = () => event("error");
  ws.onclose = ({ code, reason, wasClean }) => event("close", {
    unclean: !wasClean, detail: `${code}${reason && ` ${reason}`} (${wasClean ? "clean" : "not clean"})`,
  });
  setState("server", "connecting");
  reflect();
}

/** Shows the state of this end, and enables the buttons that work in it. */
function reflect() {
  setState("browser", STATES[socket.readyState]);
  const open = socket.readyState === WebSocket.OPEN && watch.readyState === WebSocket.OPEN;
  for (const button of document.querySelectorAll(".end button:not(#connect)")) button.disabled = !open;
  $("#connect").hidden = socket.readyState !== WebSocket.CLOSED;
  $("#connect").disabled = watch.readyState !== WebSocket.OPEN;
  $("#close").hidden = socket.readyState === WebSocket.CLOSED;
}

function call(text, act) {
  log.add({ at: now(), end: "browser", call: text });
  try {
    act();
  } catch (error) {
    log.add({ at: now(), end: "browser", call: String(error.message) });
  }
  reflect();
}

function sendText(text, what = JSON.stringify(text)) {
  call(`send(${what})`, () => socket.send(text));
}
function sendBytes(length, what) {
  const bytes = Uint8Array.from({ length }, (_, at) => at * 7 + 1);
  call(`send(${what})`, () => socket.send(bytes));
  sentBytes = bytes;
}
let number = 0;
/** Sends a message that is much like the one before it, which is what compression is good at. */
function sendReading() {
  number += 1;
  const temperature = Math.round(600 + 50 * Math.sin(number)) / 10;
  const reading = { sensor: "boiler 3", number, temperature, heating: temperature < 60 };
  sendText(JSON.stringify(reading), "JSON.stringify(reading)");
}
function isSent(bytes) {
  return bytes.length === sentBytes.length && bytes.every((byte, at) => byte === sentBytes[at]);
}

$("#send").addEventListener("submit", (event) => {
  event.preventDefault();
  sendText(event.target.text.value);
});
$("#send-json").addEventListener("click", sendReading);
$("#send-binary").addEventListener("click", () => sendBytes(16, "16 bytes"));
$("#send-large").addEventListener("click", () => sendBytes(1 << 20, "1 MiB"));
$("#send-too-large").addEventListener("click", () => sendBytes((1 << 20) + 1, "1 MiB + 1"));
$("#close").addEventListener("submit", (event) => {
  event.preventDefault();
  const { code, reason } = event.target;
  call(`close(${code.value}, ${JSON.stringify(reason.value)})`, () => socket.close(Number(code.value), reason.value));
});
$("#connect").addEventListener("click", () => connect(false));
$("#clear").addEventListener("click", log.clear);

$("#server-send").addEventListener("submit", (event) => {
  event.preventDefault();
  watch.send(`send ${event.target.text.value}`);
});
$("#server-close").addEventListener("submit", (event) => {
  event.preventDefault();
  watch.send(`close ${event.target.code.value} ${event.target.reason.value}`);
});
$("#server-ping").addEventListener("click", () => watch.send("ping"));
$("#server-break").addEventListener("click", () => watch.send("break"));
$("#server-cut").addEventListener("click", () => watch.send("cut"));
// Compression is decided in the opening handshake, so it takes a new connection.
$("#compress").addEventListener("change", () => {
  if (socket.readyState !== WebSocket.OPEN) return;
  socket.addEventListener("close", () => connect(true));
  call("close(1000)", () => socket.close(1000));
});

function warn(text) {
  $("#gone").textContent = text;
  $("#gone").hidden = !text;
}

// A server that does not answer for a while is stopped, or the network is gone. TCP would tell much later.
const BEAT = 3000;
const heartbeat = setInterval(() => {
  if (!session || race.phase !== "idle") return;
  if (!awaited) return askClock();
  if (now() - asked < BEAT / 2) return;
  warn("The server does not answer.");
  document.body.classList.add("dead");
}, BEAT);

// The connection that carries the server's log.
const watch = new WebSocket(url("/watch"));
const race = new Race((line) => watch.send(line), pageTime, askClock);
watch.onmessage = ({ data }) => {
  const entry = JSON.parse(data);
  if (entry.session) {
    session = entry.session;
    $("#compress").disabled = !entry.deflate;
    $("#compress").checked = entry.deflate;
    if (!entry.deflate) $("#compress-says").textContent = "Compression needs cargo run --features deflate";
    askClock();
  } else if (entry.clock !== undefined) {
    compareClocks(entry.clock);
  } else if (entry.missed) {
    log.add({ at: now(), end: "server", call: `(${entry.missed} entries were dropped)` });
  } else if (entry.race || entry.counters) {
    race.receive(entry, session);
  } else if (entry.state) {
    if (entry.talk === talks) setState("server", entry.state);
  } else {
    const unclean = entry.event === "close" && entry.detail.endsWith("(not clean)");
    log.add({ ...entry, at: pageTime(entry.at), end: entry.wire ? "wire" : "server", unclean });
  }
};
watch.onclose = () => {
  clearInterval(heartbeat);
  warn(session
    ? "The server is gone. Start it again, then reload this page."
    : "The server refused this page: it has too many of them, or does not know this address (see its option --host).");
  document.body.classList.add("dead");
  for (const what of document.querySelectorAll(".end .what")) what.textContent = session ? "The server is gone." : "No connection.";
  setState("server", null);
  for (const control of document.querySelectorAll(".end button, #compress, #race-button")) control.disabled = true;
};
