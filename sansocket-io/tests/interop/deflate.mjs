// Peers that compress: npm `ws` as client and as server, and `undici` as client.
//
// deflate.mjs ws|undici client URL [WINDOW TAKEOVER]
// deflate.mjs ws server [WINDOW TAKEOVER]
//
// As deflate.py; undici sends no Pings, and has no options.
import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(process.env.SANSOCKET_PEERS, "package.json"));
const [library, role, ...rest] = process.argv.slice(2);
const url = role === "client" ? rest.shift() : undefined;
const [window, takeover] = rest;
const MESSAGES = 1000;

function* messages() {
  for (let number = 0; number < MESSAGES; number++) {
    const kind = number % 10;
    if (number === 507) yield randomBytes(70_000);
    else if (kind === 7) yield randomBytes(number % 300);
    else if (kind === 8) yield "grün, 値段, 😀 ".repeat(number % 400);
    else if (number === 509) yield JSON.stringify(Array.from({ length: 10_000 }, (_, i) => i));
    else if (kind === 9) yield "";
    else yield JSON.stringify({ sensor: number % 20, temperature: Math.sin(number) * 40, number });
  }
}

async function exchange(socket, extensions) {
  if (!/deflate/.test(extensions)) throw new Error(`no compression: ${extensions}`);
  let number = 0, pings = 0, pongs = 0, total = 0;
  socket.on?.("pong", () => pongs++);
  for (const message of messages()) {
    if (number++ % 16 === 0 && socket.ping) {
      socket.ping("ping");
      pings++;
    }
    const echo = await new Promise((resolve, reject) => {
      socket.onmessage = (event) => resolve(event.data);
      socket.onclose = () => reject(new Error("closed"));
      socket.send(message);
    });
    const same = typeof echo === "string" ? echo === message : Buffer.from(echo).equals(message);
    if (!same) throw new Error(`${message.slice(0, 80)}: ${echo.slice(0, 80)}`);
    total += Buffer.byteLength(message);
  }
  if (pongs !== pings) throw new Error(`${pongs} Pongs for ${pings} Pings`);
  console.log(`${MESSAGES} messages, ${total} bytes`);
}

const own = { threshold: 0 };
if (window) Object.assign(own, { serverMaxWindowBits: +window, clientMaxWindowBits: +window });
if (takeover === "no") Object.assign(own, { serverNoContextTakeover: true, clientNoContextTakeover: true });

if (role === "client") {
  const { WebSocket } = require(library);
  const socket = library === "ws" ? new WebSocket(url, { perMessageDeflate: own }) : new WebSocket(url);
  socket.binaryType = "arraybuffer";
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = (event) => reject(event.error ?? new Error("error"));
  });
  await exchange(socket, socket.extensions);
  socket.close();
} else {
  const { WebSocketServer } = require("ws");
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: own });
  server.on("listening", () => console.log(`listening on 127.0.0.1:${server.address().port}`));
  server.on("connection", async (socket, request) => {
    if (request.url.includes("getCaseCount")) socket.send("1");
    else if (request.url.includes("runCase")) await exchange(socket, socket.extensions);
    socket.close();
  });
}
