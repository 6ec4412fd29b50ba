// Starts servers, browsers, and proxies between them that read along.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { constants, inflateRawSync } from "node:zlib";

const require = createRequire(`${process.env.LIBRARIES}/`);

/** Starts an example that is a server; returns its process and its port. */
export async function startServer(program, ...options) {
  const server = spawn(program, ["127.0.0.1:0", ...options], { stdio: ["ignore", "pipe", "inherit"] });
  const line = await new Promise((resolve) => server.stdout.once("data", (data) => resolve(String(data))));
  return { server, port: Number(/listening on .*:(\d+)/.exec(line)[1]) };
}

/** Starts Chromium with a new profile. */
export async function startChromium(options) {
  const profile = mkdtempSync(join(tmpdir(), "sansocket-browser-"));
  const context = await require("playwright-core").chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM,
    headless: true,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync"],
    ...options,
  });
  const close = context.close.bind(context);
  context.close = async () => {
    await close();
    rmSync(profile, { recursive: true, force: true });
  };
  return context;
}

/** Starts Firefox with a new profile. */
export async function startFirefox(options) {
  return require("puppeteer-core").launch({ browser: "firefox", executablePath: process.env.FIREFOX, headless: true, ...options });
}

/** Starts a proxy for the port `target`. Each connection has an observer, which gets the bytes and their way, up or down. */
async function startProxy(target, observe) {
  const server = net.createServer({ allowHalfOpen: true }, (browser) => {
    const upstream = net.connect({ port: target, host: "127.0.0.1", allowHalfOpen: true });
    const observer = observe();
    const pass = (from, to, way) => {
      from.on("data", (data) => {
        observer(data, way);
        to.write(data);
      });
      from.on("end", () => to.end());
      from.on("error", () => to.destroy());
    };
    pass(browser, upstream, "up");
    pass(upstream, browser, "down");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, port: server.address().port };
}

/**
 * Starts a proxy for the port `target` that counts the bytes of each path. A browser does not pipeline, so all bytes up to
 * the next request line, in both directions, belong to the request before it.
 */
export async function startCounter(target) {
  const counted = {};
  const proxy = await startProxy(target, () => {
    let current;
    return (data, way) => {
      const path = way === "up" && /^GET (\/[^? ]*)/.exec(data.toString("latin1"))?.[1];
      if (path) {
        current = counted[path] ??= { requests: 0, up: 0, down: 0 };
        current.requests += 1;
      }
      current[way] += data.length;
    };
  });
  return { ...proxy, counted };
}

/** Starts a proxy for the port `target` that keeps what each connection transfers, up and down. */
export async function startRecorder(target) {
  const connections = [];
  const proxy = await startProxy(target, () => {
    const connection = { up: new Recording(), down: new Recording() };
    connections.push(connection);
    return (data, way) => connection[way].chunks.push(data);
  });
  return { ...proxy, connections };
}

/** One direction of a connection. */
class Recording {
  chunks = [];

  /** The first HTTP head. */
  get head() {
    return Buffer.concat(this.chunks).toString("latin1").split("\r\n\r\n")[0];
  }

  /** The data frames after the head, unmasked. */
  get frames() {
    const frames = [];
    let bytes = Buffer.concat(this.chunks);
    bytes = bytes.subarray(bytes.indexOf("\r\n\r\n") + 4);
    while (bytes.length > 0) {
      const short = bytes[1] & 0x7f;
      const masked = bytes[1] >= 0x80;
      const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
      const start = 2 + (short === 126 ? 2 : short === 127 ? 8 : 0) + (masked ? 4 : 0);
      const key = bytes.subarray(start - 4, start);
      const payload = Buffer.from(bytes.subarray(start, start + length));
      if (masked) payload.forEach((byte, at) => (payload[at] = byte ^ key[at % 4]));
      if ((bytes[0] & 0x0f) < 8) frames.push({ fin: bytes[0] >= 0x80, rsv1: (bytes[0] & 0x40) !== 0, opcode: bytes[0] & 0x0f, payload });
      bytes = bytes.subarray(start + length);
    }
    return frames;
  }

  /** The compressed messages, inflated by zlib and joined. */
  inflated() {
    const data = [];
    let compressed = false;
    for (const { fin, rsv1, opcode, payload } of this.frames) {
      if (opcode !== 0) compressed = rsv1;
      if (compressed) data.push(payload);
      if (compressed && fin) data.push(Buffer.from([0, 0, 0xff, 0xff]));
    }
    return inflateRawSync(Buffer.concat(data), { finishFlush: constants.Z_SYNC_FLUSH });
  }
}

/** Repeats a check until it passes: the reports of the server arrive a little later. */
export async function eventually(check) {
  for (const end = Date.now() + 10_000; ; ) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** The lines of one end in the log of the demo: events, calls or frames. */
export const lines = (page, end) =>
  page.$$eval(`#log [data-end=${end}] .what:not(.rule)`, (nodes) =>
    nodes.map((node) => [...node.childNodes].map((part) => part.textContent).join(" ").replace(/\s+/g, " ").trim()));

/** The bytes of a frame of the demo: its flags, length, key or data. */
export const bytes = (page, card, group) =>
  page.$$eval(`${card} .bytes .${group} .byte`, (nodes) => nodes.map((node) => parseInt(node.textContent, 16)));

/** Takes screenshots of the demo in Chromium. The page must not be wider than the window, and nothing may be cut. */
export async function checkLayout(page, name) {
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: scheme });
    for (const width of [1280, 768, 390]) {
      await page.setViewportSize({ width, height: 900 });
      await page.waitForTimeout(100);
      const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wider <= 0, `${width}: ${wider} pixels too wide`);
      // Wide windows show the beginning of a frame's bytes in the log.
      const cut = await page.evaluate((bytes) => [...document.querySelectorAll(`.log .what, .log .kind, ${bytes} .table-box, th, td, .end *, .frame *`)]
        .filter((node) => node.offsetParent && node.scrollWidth > node.clientWidth + 1 && getComputedStyle(node).display !== "inline" && !node.matches("input"))
        .map((node) => `${node.className}: ${node.textContent.slice(0, 60)}`), width < 720 ? ".log .hex, .log .hex i," : "");
      assert.deepEqual(cut, [], `${width}: cut`);
      await page.screenshot({ path: `target/browser/${name}${scheme}-${width}.png`, fullPage: true });
    }
  }
}
