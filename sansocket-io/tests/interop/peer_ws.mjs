// A peer of the interop tests: npm `ws`.
//
//   peer_ws.mjs client URL [echo|pieces|limit|origin]   runs the checks against our server
//   peer_ws.mjs server                                  scenarios for our client, by path
//   peer_ws.mjs version
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { text as bodyOf } from 'node:stream/consumers';

const peers = process.env.SANSOCKET_PEERS;
const require = createRequire(peers ? path.resolve(peers, 'package.json') : import.meta.url);
const { Sender, WebSocket, WebSocketServer } = require('ws');

const SIZES = [0, 125, 126, 65535, 65536, 1 << 20];
const MIXED = 'aé€😀'; // characters of one, two, three and four bytes
const FRAGMENTED = MIXED.repeat(3);
const SUBPROTOCOL = 'beta';
const GLUED = ['glued', Buffer.from([0x00, 0xff])];
const DEADLINE = 25_000;

const text = (size) => MIXED.repeat(Math.floor(size / 10)) + 'x'.repeat(size % 10);
const binary = (size) => Buffer.from(Uint8Array.from({ length: size }, (_, i) => i % 251));

// A connection with a queue of events.
class Connection {
  #events = [];
  #wake = () => {};

  constructor(ws) {
    this.ws = ws;
    const push = (...event) => {
      this.#events.push(event);
      this.#wake();
    };
    ws.on('message', (data, isBinary) => push('message', isBinary ? data : data.toString()));
    ws.on('ping', (payload) => push('ping', payload.toString()));
    ws.on('pong', (payload) => push('pong', payload.toString()));
    ws.on('close', (code, reason) => push('close', code, reason.toString()));
  }

  async next() {
    while (this.#events.length === 0) await new Promise((wake) => (this.#wake = wake));
    return this.#events.shift();
  }

  async expect(...event) {
    const got = await this.next();
    // The messages can have megabytes, so only their beginnings are shown.
    const show = (value) => String(value).slice(0, 200);
    assert(equal(got, event), `${got.map(show)} instead of ${event.map(show)}`);
  }

  // Sends one message in fragments, cut within characters too, and a ping after the first fragment.
  sendFragments(message, ping) {
    const isBinary = typeof message !== 'string';
    const data = Buffer.from(message);
    const size = Math.max(3, data.length >> 2);
    for (let at = 0; at < data.length; at += size) {
      this.ws.send(data.subarray(at, at + size), { binary: isBinary, fin: at + size >= data.length });
      if (at === 0 && ping) this.ws.ping(ping);
    }
  }

  async echoes(message) {
    this.ws.send(message);
    await this.expect('message', message);
  }

  async closes(code, reason) {
    this.ws.close(code, reason);
    // A reply echoes the code (RFC 6455 section 5.5.1); our replies have no reason.
    await this.expect('close', code ?? 1005, '');
  }
}

function equal(got, expected) {
  if (Array.isArray(got)) return got.length === expected.length && got.every((v, i) => equal(v, expected[i]));
  return Buffer.isBuffer(got) ? Buffer.isBuffer(expected) && got.equals(expected) : got === expected;
}

async function connect(url, protocols = [], options = {}) {
  const connection = new Connection(new WebSocket(url, protocols, options));
  await once(connection.ws, 'open');
  return connection;
}

// Writes the request and the first frames together.
function glue(request) {
  request.on('socket', (socket) => {
    socket.cork();
    setImmediate(() => {
      const sender = new Sender(socket);
      for (const message of GLUED) {
        sender.send(message, { binary: typeof message !== 'string', fin: true, mask: true });
      }
      socket.uncork();
    });
  });
  request.end();
}

async function check(name, run) {
  try {
    await run();
  } catch (error) {
    console.log(`FAILED ${name}`);
    throw error;
  }
  console.log(`ok ${name}`);
}

async function checkSizes(connection, sizes) {
  for (const size of sizes) {
    await check(`text of ${size} bytes`, () => connection.echoes(text(size)));
    await check(`binary of ${size} bytes`, () => connection.echoes(binary(size)));
  }
}

const checks = {
  // Against `echo_server --protocol beta --protocol alpha --bye bye`.
  async echo(url) {
    const connection = await connect(url);
    await check('no subprotocol', () => assert.equal(connection.ws.protocol, ''));
    await checkSizes(connection, SIZES);
    for (const message of [FRAGMENTED, Buffer.from(FRAGMENTED)]) {
      await check(`fragments of ${typeof message} around a ping`, async () => {
        connection.sendFragments(message, 'between');
        await connection.expect('pong', 'between');
        await connection.expect('message', message);
      });
    }
    await check('ping', async () => {
      for (const payload of ['ours', 'x'.repeat(125), '']) {
        connection.ws.ping(payload);
        await connection.expect('pong', payload);
      }
    });
    await check('close with code and reason', () => connection.closes(4001, 'theirs'));
    await check('close without a code', async () => (await connect(url)).closes());
    await check('close by the server', async () => {
      const connection = await connect(url);
      connection.ws.send('bye');
      await connection.expect('close', 1000, 'bye');
    });
    await check('subprotocol', async () => {
      const connection = await connect(url, ['gamma', 'alpha', SUBPROTOCOL]);
      assert.equal(connection.ws.protocol, SUBPROTOCOL);
      await connection.echoes('spoken');
      await connection.closes(1000, '');
    });
    await check('frames glued to the handshake', async () => {
      const connection = await connect(url, [], { finishRequest: glue });
      for (const message of GLUED) await connection.expect('message', message);
      await connection.closes(1000, '');
    });
  },

  // Against `echo_server --pieces`.
  async pieces(url) {
    const connection = await connect(url);
    await checkSizes(connection, SIZES);
    for (const message of [FRAGMENTED, Buffer.from(FRAGMENTED)]) {
      await check(`fragments of ${typeof message}`, async () => {
        connection.sendFragments(message);
        await connection.expect('message', message);
      });
    }
    await check('close', () => connection.closes(4001, 'theirs'));
  },

  // Against `echo_server --max-message 4096`.
  async limit(url) {
    const connection = await connect(url);
    await checkSizes(connection, [0, 125, 126, 4096]);
    const closed1009 = async (connection) => {
      assert.deepEqual((await connection.next()).slice(0, 2), ['close', 1009]);
    };
    await check('message too big', async () => {
      connection.ws.send(binary(4097));
      await closed1009(connection);
    });
    await check('message too big in fragments', async () => {
      const connection = await connect(url);
      connection.sendFragments(binary(4097));
      await closed1009(connection);
    });
  },

  // Against `echo_server --origin http://good.example`.
  async origin(url) {
    await check('allowed origin', async () => {
      const connection = await connect(url, [], { origin: 'http://good.example' });
      await connection.echoes('hello');
      await connection.closes(1000, '');
    });
    for (const origin of [undefined, 'http://bad.example', 'http://good.example.evil']) {
      await check(`refused origin ${origin}`, async () => {
        const ws = new WebSocket(url, [], { origin });
        ws.on('open', () => assert.fail('not refused'));
        const [, response] = await once(ws, 'unexpected-response');
        assert.equal(response.statusCode, 403);
        assert.notEqual(await bodyOf(response), '');
      });
    }
  },
};

async function converse(connection, request) {
  const { ws } = connection;
  switch (request.url) {
    case '/headers':
      ws.send(request.headers['x-interop'] ?? '');
      break;
    case '/ping':
      ws.ping('theirs');
      await connection.expect('pong', 'theirs');
      ws.send('pong theirs');
      break;
    case '/fragments':
      connection.sendFragments(FRAGMENTED, 'between');
      await connection.expect('pong', 'between');
      break;
    case '/glued':
      GLUED.forEach((message) => ws.send(message));
      break;
    case '/close':
      ws.close(1001, 'going');
      break;
    case '/drop':
      ws.terminate();
      return;
  }
  for (;;) {
    const [event, ...values] = await connection.next();
    if (event === 'message') ws.send(values[0]);
    if (event === 'close') return console.log('closed', ...values);
  }
}

function serve() {
  const server = http.createServer();
  const upgrades = new WebSocketServer({
    noServer: true,
    verifyClient: ({ req }, answer) => answer(req.url !== '/refuse', 403, 'no'),
    handleProtocols: (offered) => offered.has(SUBPROTOCOL) && SUBPROTOCOL,
  });
  server.on('upgrade', (request, socket, head) => {
    // Writes the response and the first frames together.
    if (request.url === '/glued') socket.cork();
    upgrades.handleUpgrade(request, socket, head, (ws) => converse(new Connection(ws), request));
    socket.uncork();
  });
  server.listen(0, '127.0.0.1', () => console.log(`listening on 127.0.0.1:${server.address().port}`));
}

const [command, url, set = 'echo'] = process.argv.slice(2);
if (command === 'version') {
  console.log(`ws ${require('ws/package.json').version}`);
} else if (command === 'server') {
  serve();
} else if (command === 'client' && url && checks[set]) {
  setTimeout(() => {
    console.error('deadline missed');
    process.exit(1);
  }, DEADLINE).unref();
  await checks[set](url);
} else {
  console.error('usage: peer_ws.mjs client URL [echo|pieces|limit|origin] | server | version');
  process.exit(2);
}
