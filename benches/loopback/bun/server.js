// Sends every message back, and prints the port that it listens on.
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch: (request, server) => (server.upgrade(request) ? undefined : new Response(null, { status: 400 })),
  websocket: {
    // By default, replies to a slow reader beyond 16 MiB are dropped.
    backpressureLimit: 256 << 20,
    idleTimeout: 0,
    maxPayloadLength: 16 << 20,
    perMessageDeflate: false,
    message(socket, message) {
      socket.send(message);
    },
  },
});
console.log(server.port);
