// Tests the example `http2` in Chromium and in Firefox: the page and its WebSocket over one connection of HTTP/2, and a
// WebSocket over HTTP/1.1 on the same port.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import https from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { eventually, startChromium, startFirefox, startRecorder, startServer } from "./common.mjs";

const { CHROMIUM, FIREFOX, EXAMPLES } = process.env;
const BROWSERS = [
  ["Chromium", CHROMIUM && (() => startChromium({ ignoreHTTPSErrors: true }))],
  ["Firefox", FIREFOX && (() => startFirefox({ acceptInsecureCerts: true }))],
];

let files, example, proxy, origin;
before(async () => {
  files = mkdtempSync(join(tmpdir(), "sansocket-http2-"));
  const [certificate, key] = ["certificate.pem", "key.pem"].map((name) => join(files, name));
  execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate], { stdio: "ignore" });
  example = await startServer(`${EXAMPLES}/http2`, certificate, key);
  proxy = await startRecorder(example.port);
  origin = `https://localhost:${proxy.port}`;
});
after(() => {
  proxy?.server.close();
  example?.server.kill();
  rmSync(files, { recursive: true, force: true });
});

/** Runs in the page: opens, echoes, closes. Returns what the page saw. */
async function exchange(offered) {
  const socket = new WebSocket(`wss://${location.host}/echo`, offered);
  socket.binaryType = "arraybuffer";
  const seen = [];
  await new Promise((resolve) => {
    socket.onopen = () => {
      seen.push(`open ${socket.protocol}`);
      socket.send("grün 😀");
      socket.send(Uint8Array.from({ length: 100_000 }, (_, at) => at * 7));
    };
    socket.onmessage = ({ data }) => {
      if (typeof data === "string") return seen.push(data);
      const same = new Uint8Array(data).every((byte, at) => byte === ((at * 7) & 0xff));
      seen.push(`${data.byteLength} bytes, ${same}`);
      socket.close(1000);
    };
    socket.onerror = () => seen.push("error");
    socket.onclose = ({ code, wasClean }) => {
      seen.push(`close ${code} ${wasClean}`);
      resolve();
    };
  });
  return seen;
}

for (const [name, start] of BROWSERS) {
  describe(name, { skip: !start && "not installed" }, () => {
    let browser, page;
    before(async () => {
      browser = await start();
      page = await browser.newPage();
      await page.goto(`${origin}/`);
    });
    after(() => browser?.close());

    test("the page and its socket work over HTTP/2", () =>
      eventually(async () => assert.equal(await page.$eval("pre", (pre) => pre.textContent),
        "page over h2\necho: Hello\nclosed: 1000\n")));

    test("a subprotocol is selected, 100,000 bytes are echoed, and the end is clean", async () => {
      const echoed = ["grün 😀", "100000 bytes, true", "close 1000 true"];
      assert.deepEqual(await page.evaluate(exchange, ["other", "echo"]), ["open echo", ...echoed]);
      assert.deepEqual(await page.evaluate(exchange, []), ["open ", ...echoed]);
    });

    test("eight sockets at once open no other connection than that of the page", async () => {
      const before = proxy.connections.length;
      const seen = await page.evaluate(`(Promise.all(Array.from({ length: 8 }, () => (${exchange})(["echo"]))))`);
      for (const one of seen) assert.equal(one.at(-1), "close 1000 true");
      assert.equal(proxy.connections.length, before);
    });
  });
}

test("a client with HTTP/1.1 is upgraded on the same port", async () => {
  const request = https.get(`${origin}/echo`, {
    rejectUnauthorized: false,
    headers: { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": 13, "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==" },
  });
  const response = await new Promise((resolve, reject) => {
    request.on("upgrade", (response, socket) => {
      socket.destroy();
      resolve(response);
    });
    request.on("response", (response) => reject(new Error(`status ${response.statusCode}`)));
    request.on("error", reject);
  });
  assert.equal(response.headers["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
});
