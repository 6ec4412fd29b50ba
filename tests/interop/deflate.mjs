// Peers that compress: npm `ws` as client and as server, and `undici` as client.
//
// deflate.mjs ws|undici client URL [WINDOW TAKEOVER]
// deflate.mjs ws server
//
// As deflate.py.
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(process.env.SANSOCKET_PEERS, "package.json"));
const [library, role, url, window, takeover] = process.argv.slice(2);
const MESSAGES = 1000;

function* messages() {
  for (let number = 0; number < MESSAGES; number++) {
    const kind = number % 10;
    if (kind === 7) yield Buffer.from(Array.from({ length: number % 300 }, (_, i) => (i * i * 31 + number * 17) & 255));
    else if (kind === 8) yield "grün, 値段, 😀 ".repeat(number % 40);
    else if (number === 509) yield JSON.stringify(Array.from({ length: 20000 }, (_, i) => i));
    else if (kind === 9) yield "";
    else yield JSON.stringify({ sensor: number % 20, temperature: Math.sin(number) * 40, number });
  }
}

async function exchange(socket, extensions) {
  if (!/deflate/.test(extensions)) throw new Error(`no compression: ${extensions}`);
  for (const message of messages()) {
    const echo = await new Promise((resolve, reject) => {
      socket.onmessage = (event) => resolve(event.data);
      socket.onclose = () => reject(new Error("closed"));
      socket.send(message);
    });
    const same = typeof echo === "string" ? echo === message : Buffer.from(echo).equals(message);
    if (!same) throw new Error(`${message.slice(0, 80)}: ${echo.slice(0, 80)}`);
  }
  console.log(`${MESSAGES} messages`);
}

if (role === "client") {
  const { WebSocket } = require(library);
  const own = { threshold: 0 };
  if (window) Object.assign(own, { serverMaxWindowBits: +window, clientMaxWindowBits: +window });
  if (takeover === "no") Object.assign(own, { serverNoContextTakeover: true, clientNoContextTakeover: true });
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
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: { threshold: 0 } });
  server.on("listening", () => console.log(`listening on 127.0.0.1:${server.address().port}`));
  server.on("connection", async (socket, request) => {
    if (request.url.includes("getCaseCount")) socket.send("1");
    else if (request.url.includes("runCase")) await exchange(socket, socket.extensions);
    socket.close();
  });
}
