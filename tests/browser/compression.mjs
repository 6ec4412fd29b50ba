// Tests compression in Chromium and in Firefox: the page of the demo, and messages that a page exchanges with the examples.

import assert from "node:assert/strict";
import http from "node:http";
import { after, before, describe, test } from "node:test";
import { bytes, checkLayout, eventually, lines, startChromium, startFirefox, startRecorder, startServer } from "./common.mjs";

const { CHROMIUM, FIREFOX, EXAMPLES } = process.env;
const BROWSERS = [["Chromium", CHROMIUM && startChromium], ["Firefox", FIREFOX && startFirefox]];
const MESSAGES = 1000;

for (const [name, start] of BROWSERS) {
  describe(name, { skip: !start && "not installed" }, () => {
    let browser;
    const errors = [];
    before(async () => (browser = await start()));
    after(() => browser?.close());

    async function open(url) {
      const page = await browser.newPage();
      page.on("pageerror", (error) => errors.push(error.message));
      page.on("console", (message) => errors.push(message.text()));
      await page.goto(url);
      return page;
    }

    describe("the demo", () => {
      let demo, recorder, page;
      before(async () => {
        demo = await startServer(`${EXAMPLES}/demo`);
        recorder = await startRecorder(demo.port);
        page = await open(`http://127.0.0.1:${recorder.port}/`);
      });
      after(() => {
        recorder?.server.close();
        demo?.server.kill();
      });
      const logs = (end, expected) => eventually(async () => assert.deepEqual(await lines(page, end), expected));
      /** What the connection that the page shows has transferred. */
      const talk = () => recorder.connections.findLast(({ up }) => up.head.startsWith("GET /talk"));
      /** The texts of a part of a frame's card. */
      const texts = (card, part) => page.$$eval(`${card} ${part}`, (nodes) => nodes.map((node) => node.textContent));
      const data = async (card) =>
        Buffer.from((await texts(card, ".payload .byte.data.result")).map((hex) => parseInt(hex, 16)));

      test("both ends agree on compression, and log the events in order", async () => {
        await logs("browser", ["new WebSocket(url)", "open permessage-deflate", 'send("Hello")', "message “Hello”"]);
        await logs("server", ["request GET /talk", "accept(request.accept())", "open with compression", "message “Hello”"]);
        const wire = await lines(page, "wire");
        assert.match(wire[2], /^→ c187[0-9a-f]{22} text 5 B in 7 B$/);
        assert.equal(wire[3], "← c107f248cdc9c90700 text 5 B in 7 B");
        assert.match(talk().down.head, /^Sec-WebSocket-Extensions: permessage-deflate$/m);
      });

      test("a frame shows RSV1, its bytes as they are on the wire, and the message that they stand for", async () => {
        for (const [card, way] of [["#frame-in", "up"], ["#frame-out", "down"]]) {
          assert.deepEqual(await bytes(page, card, "flags"), [0xc1]);
          assert.deepEqual((await texts(card, ".fields .flags.bits")), ["1", "100", "0001"]);
          assert.match((await texts(card, ".fields .says"))[1], /compressed/);
          const [frame] = talk()[way].frames;
          assert.deepEqual(await data(card), frame.payload);
          assert.equal((await texts(card, ".payload .byte.message")).map((hex) => String.fromCharCode(parseInt(hex, 16))).join(""), "Hello");
          assert.equal((await texts(card, ".payload .char")).join(""), "Hello");
          assert.match((await texts(card, ".inflated"))[0], /^7 bytes stand for 5 bytes of the message: 2 bytes more/);
        }
      });

      test("messages that are alike get short, and zlib inflates what is on the wire to the same", async () => {
        for (let number = 1; number <= 5; number += 1) {
          await page.click("#send-json");
          await eventually(async () => assert.equal((await lines(page, "browser")).filter((line) => line.startsWith("message")).length, number + 1));
        }
        for (const [card, way] of [["#frame-in", "up"], ["#frame-out", "down"]]) {
          const [, stands, of, saved] = /^(\d+) bytes stand for (\d+) bytes of the message: (\d+) bytes saved/
            .exec(await eventually(async () => (await texts(card, ".inflated"))[0])).map(Number);
          const frames = talk()[way].frames;
          assert.ok(frames.every(({ rsv1 }) => rsv1));
          assert.equal(stands, frames.at(-1).payload.length);
          assert.equal(of - stands, saved);
          // The log says it too.
          const arrow = way === "up" ? "→" : "←";
          const line = (await lines(page, "wire")).filter((line) => line.startsWith(arrow)).at(-1);
          assert.ok(line.endsWith(` text ${of} B in ${stands} B, −${Math.floor((100 * saved) / of)} %`), line);
          assert.ok(stands < of / 3, `${stands} of ${of}`);
          const sent = (await lines(page, "server")).filter((line) => line.startsWith("message"));
          assert.equal(talk()[way].inflated().toString(), sent.map((line) => /“(.*)”/.exec(line)[1]).join(""));
        }
      });

      test("1 MiB is echoed, in less than 16 KiB", async () => {
        await page.click("#clear");
        await page.click("#send-large");
        await logs("browser", ["send(1 MiB)", "message binary, 1 MiB, as it was sent"]);
        await eventually(async () => {
          const wire = await lines(page, "wire");
          assert.equal(wire.length, 2);
          for (const line of wire) {
            const [, length] = / binary 1 MiB in ([\d.]+) KiB, −9[89] %$/.exec(line);
            assert.ok(Number(length) < 16, line);
          }
        });
      });

      test("the switch opens a connection without compression, and one with it", async () => {
        for (const [calls, opened, wire] of [[["decline_deflate()"], "", "← 810548656c6c6f text 5 B"],
          [[], " permessage-deflate", "← c107f248cdc9c90700 text 5 B in 7 B"]]) {
          await page.click("#clear");
          await page.click("#compress");
          await logs("browser", ["close(1000)", "close 1000 (clean)", "new WebSocket(url)", `open${opened}`, 'send("Hello")', "message “Hello”"]);
          await logs("server", ["close 1000 (clean)", "request GET /talk", ...calls, "accept(request.accept())",
            `open${opened && " with compression"}`, "message “Hello”"]);
          assert.equal((await lines(page, "wire")).at(-1), wire);
          assert.equal(talk().up.frames.length, 1);
          assert.equal(/permessage-deflate/.test(talk().down.head), opened !== "");
        }
      });

      test("a message that inflates to more than the limit is closed with 1009", async () => {
        await page.click("#clear");
        const before = errors.length;
        await page.click("#send-too-large");
        // For Firefox it is not clean if it sees the end of the stream before its own Close frame is sent.
        await eventually(async () => assert.match((await lines(page, "browser")).at(-1), /^close 1009 /));
        errors.splice(before);
        await logs("server", ["error a message is over the limit (close code 1009)", "close 1006 (not clean)"]);
        const [sent] = talk().up.frames.slice(-1);
        assert.ok(sent.rsv1 && sent.payload.length < 16384);
      });

      test("the other connections are not compressed", () => {
        const watch = recorder.connections.find(({ up }) => up.head.startsWith("GET /watch"));
        assert.match(watch.up.head, /permessage-deflate/);
        assert.doesNotMatch(watch.down.head, /permessage-deflate/);
      });

      test("an invalid frame is an error of the browser", async () => {
        await page.click("#connect");
        await eventually(async () => assert.equal((await lines(page, "browser")).at(-1), "open permessage-deflate"));
        const before = errors.length;
        await page.click("#server-break");
        await eventually(async () => assert.deepEqual((await lines(page, "browser")).slice(-2), ["error", "close 1006 (not clean)"]));
        errors.splice(before);
      });

      if (name === "Chromium") {
        test("screenshots are taken, the page is not wider than the window, and nothing is cut", async () => {
          await page.click("#connect");
          for (let number = 1; number <= 3; number += 1) {
            await page.click("#send-json");
            await page.waitForTimeout(100);
          }
          await checkLayout(page, "compressed-");
        });
      }
    });

    describe(`${MESSAGES} messages of 0 to 70,000 bytes, both ways`, () => {
      let site, origin;
      before(async () => {
        site = http.createServer((_, response) => response.setHeader("Content-Type", "text/html").end("<title>.</title>"));
        await new Promise((resolve) => site.listen(0, "127.0.0.1", resolve));
        origin = `http://127.0.0.1:${site.address().port}/`;
      });
      after(() => site.close());

      for (const [program, ...options] of [
        ["echo_server", "--deflate"],
        ["echo_server", "--window", "9", "--level", "codes"],
        ["echo_server", "--no-takeover", "--level", "better"],
        ["echo_server", "--deflate", "--pieces"],
        ["tokio_echo", "--deflate"],
      ]) {
        test([program, ...options].join(" "), async () => {
          const echo = await startServer(`${EXAMPLES}/${program}`, ...options);
          const recorder = await startRecorder(echo.port);
          try {
            const page = await open(origin);
            const { bytes, extensions } = await page.evaluate(exchange, { url: `ws://127.0.0.1:${recorder.port}/`, count: MESSAGES });
            await page.close();
            assert.match(extensions, /permessage-deflate/);
            const [connection] = recorder.connections;
            const wire = {};
            for (const way of ["up", "down"]) {
              const compressed = connection[way].frames.filter(({ opcode, rsv1 }) => opcode !== 0 && rsv1).length;
              const length = connection[way].frames.reduce((sum, { payload }) => sum + payload.length, 0);
              // What does not get shorter is sent as it is.
              assert.ok(compressed > MESSAGES / 3, `${compressed} compressed, ${way}`);
              assert.ok(length < bytes * 0.75, `${length} of ${bytes}, ${way}`);
              wire[way] = `${compressed} compressed, ${length} bytes ${way}`;
            }
            console.log(`${name}, ${program} ${options.join(" ")}: ${bytes} bytes of messages; ${wire.up}; ${wire.down}; ${extensions}`);
          } finally {
            recorder.server.close();
            echo.server.kill();
          }
        });
      }
    });

    test("there were no errors", () => assert.deepEqual(errors, []));
  });
}

/** Runs in the page: sends messages, and compares each echo. Returns the bytes of all messages, and the extensions. */
async function exchange({ url, count }) {
  let state = 12345;
  const random = (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const edges = [0, 1, 2, 125, 126, 127, 65535, 65536, 70000];
  const words = ["temperature", "grün", "値段", "😀", '{"id":', "0", "7,", " ", "\n"];
  const earlier = crypto.getRandomValues(new Uint8Array(40000));
  const kinds = [
    (length) => {
      let text = "";
      while (text.length < length) text += words[random(words.length)];
      return text.slice(0, length).toWellFormed?.() ?? "";
    },
    (length) => crypto.getRandomValues(new Uint8Array(length % 65537)),
    (length) => Uint8Array.from({ length }, (_, at) => (at * at) >> 8),
    (length) => earlier.slice(0, length),
    (length) => JSON.stringify(Array.from({ length: length / 20 }, () => ({ number: random(1000) }))),
  ];
  const sent = [];
  let bytes = 0;
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  const same = (echo, message) => typeof message === "string" ? echo === message
    : echo.byteLength === message.length && new Uint8Array(echo).every((byte, at) => byte === message[at]);
  await new Promise((resolve, reject) => {
    let [next, received] = [0, 0];
    const fill = () => {
      for (; next < count && next < received + 8; next += 1) {
        const length = next < 45 ? edges[next % 9] : random(4) ? random(2000) : random(70001);
        const message = kinds[next % 5](length);
        sent.push(message);
        bytes += typeof message === "string" ? new TextEncoder().encode(message).length : message.length;
        socket.send(message);
      }
    };
    socket.onopen = fill;
    socket.onclose = (event) => reject(new Error(`closed with ${event.code} after ${received} messages`));
    socket.onmessage = ({ data }) => {
      if (!same(data, sent[received])) return reject(new Error(`message ${received} differs`));
      sent[received] = null;
      received += 1;
      if (received === count) resolve();
      else fill();
    };
  });
  const { extensions } = socket;
  await new Promise((resolve) => {
    socket.onclose = resolve;
    socket.close();
  });
  return { bytes, extensions };
}
