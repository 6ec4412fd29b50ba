// Tests the page of the demo in Chromium, without compression.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { bytes as bytesOn, checkLayout, eventually, lines as linesOn, startChromium, startCounter, startServer } from "./common.mjs";

let demo, counter, context, page, origin;
const requested = [];
const errors = [];

before(async () => {
  demo = await startServer(process.env.DEMO);
  counter = await startCounter(demo.port);
  origin = `http://127.0.0.1:${counter.port}`;
  context = await startChromium({ viewport: { width: 1280, height: 900 }, colorScheme: "light" });
  context.on("request", (request) => requested.push(request.url()));
  page = await open();
});

after(async () => {
  await context?.close();
  counter?.server.close();
  demo?.server.kill();
});

async function open(at = origin) {
  const page = await context.newPage();
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => errors.push(message.text()));
  await page.goto(`${at}/`);
  await page.waitForSelector('#log [data-end=browser][data-event=message]');
  return page;
}

/** The lines of one end in the log since `clear`. */
const lines = (end, on = page) => linesOn(on, end);
const clear = () => page.click("#clear");
const until = (end, line, on = page) =>
  on.waitForFunction(
    ([end, line]) => [...document.querySelectorAll(`#log [data-end=${end}] .what`)].some((node) =>
      [...node.childNodes].map((part) => part.textContent).join(" ").includes(line)),
    [end, line]);
const logs = (end, expected, on = page) => eventually(async () => assert.deepEqual(await lines(end, on), expected));
const state = (end, on = page) => on.locator(`#${end}-state [aria-current]`).innerText();
const bytes = (card, group) => bytesOn(page, card, group);

/** Whether the newest line of the log is in the window, without scrolling the page. */
const newestInView = () => page.evaluate(() => {
  const line = document.querySelector("#log li:last-child").getBoundingClientRect();
  const list = document.querySelector("#log").getBoundingClientRect();
  return scrollY === 0 && line.top >= list.top && line.bottom <= Math.min(list.bottom, innerHeight);
});

async function reconnect() {
  await clear();
  await page.click("#connect");
  await until("browser", "open");
  await clear();
}

test("the page opens a WebSocket and sends Hello; both ends log the events in order", async () => {
  await logs("browser", ["new WebSocket(url)", "open", 'send("Hello")', "message “Hello”"]);
  await logs("server", ["request GET /talk", "accept(request.accept())", "open", "message “Hello”"]);
  const wire = await lines("wire");
  assert.equal(wire.length, 4);
  assert.match(wire[0], /^→ GET \/talk HTTP\/1.1 HTTP$/);
  assert.match(wire[1], /^← HTTP\/1.1 101 Switching Protocols HTTP$/);
  assert.match(wire[2], /^→ 8185[0-9a-f]{18} text 5 B$/);
  assert.equal(wire[3], "← 810548656c6c6f text 5 B");
  assert.deepEqual([await state("browser"), await state("server")], ["open", "open"]);
});

test("the first lines say what the crate is, with links to its documentation and its source", async () => {
  const text = await page.locator("header .lead").innerText();
  for (const word of ["WebSocket", "Rust", "sans-IO", "no_std", "no heap", "no unsafe"]) assert.ok(text.includes(word), text);
  const links = await page.$$eval("header nav a", (links) => links.map(({ href }) => href));
  assert.deepEqual(links, ["https://docs.rs/sansocket", "https://crates.io/crates/sansocket"]);
});

test("the frames are shown byte by byte, with the masking key and the unmasked payload", async () => {
  assert.deepEqual(await bytes("#frame-in", "flags"), [0x81]);
  assert.deepEqual(await bytes("#frame-in", "length"), [0x85]);
  const key = await bytes("#frame-in", "key");
  const masked = await bytes("#frame-in", "data");
  assert.equal(key.length, 4);
  assert.equal(String.fromCharCode(...masked.map((byte, at) => byte ^ key[at % 4])), "Hello");
  assert.equal((await page.locator("#frame-in .payload .char").allInnerTexts()).join(""), "Hello");
  assert.deepEqual(await page.locator("#frame-in .fields dt").allInnerTexts(),
    ["FIN", "RSV1–3", "opcode", "MASK", "length", "key"]);
  assert.deepEqual((await page.locator("#frame-in .fields .bits").allInnerTexts()).slice(0, 5),
    ["1", "000", "0001", "1", "0000101"]);
  assert.deepEqual(await bytes("#frame-out", "flags"), [0x81]);
  assert.deepEqual(await bytes("#frame-out", "length"), [0x05]);
  assert.deepEqual(await bytes("#frame-out", "key"), []);
  assert.equal(String.fromCharCode(...(await bytes("#frame-out", "data"))), "Hello");
});

test("a frame that was selected in the log stays until it is deselected", async () => {
  const first = page.locator("#log [data-end=wire] button").first();
  await first.click();
  assert.match(await page.locator("#frame-in pre").innerText(), /^GET \/talk\?session=[\s\S]*Sec-WebSocket-Key/m);
  await page.click("#send button");
  await page.waitForFunction(() => document.querySelectorAll("#log [data-end=browser][data-event=message]").length === 2);
  assert.match(await page.locator("#frame-in pre").innerText(), /^GET/);
  await first.click();
  await page.click("#send button");
  await page.waitForSelector("#frame-in .fields");
});

test("text with characters of several bytes, from the server", async () => {
  await clear();
  await page.click("#server-send button");
  await until("browser", "message “Grüße”");
  await logs("server", ['send("Grüße")']);
  assert.deepEqual(await lines("wire"), ["← 81074772c3bcc39f65 text 7 B"]);
  const chars = await page.locator("#frame-out .payload .char").allInnerTexts();
  assert.deepEqual(chars, ["G", "r", "ü", "", "ß", "", "e"]);
});

test("16 bytes of binary are echoed", async () => {
  await clear();
  await page.click("#send-binary");
  await until("browser", "message");
  await logs("browser", ["send(16 bytes)", "message binary, 16 bytes, as it was sent"]);
  await logs("server", ["message binary, 16 bytes"]);
});

test("1 MiB is echoed, in any number of frames", async () => {
  await clear();
  await page.click("#send-large");
  await until("browser", "message");
  await logs("browser", ["send(1 MiB)", "message binary, 1 MiB, as it was sent"]);
  await logs("server", ["message binary, 1 MiB"]);
  const wire = await lines("wire");
  const payload = wire.filter((line) => line.startsWith("→")).map((line) => {
    const [, short, extended] = /^→ ..(..)(\w*)/.exec(line);
    const length = parseInt(short, 16) & 0x7f;
    return length < 126 ? length : parseInt(extended.slice(0, length === 126 ? 4 : 16), 16);
  });
  assert.equal(payload.reduce((sum, length) => sum + length), 1 << 20);
  assert.deepEqual(wire.filter((line) => line.startsWith("←")).map((line) => line.slice(0, 22)), ["← 827f0000000000100000"]);
  assert.equal(await page.locator("#frame-out .from span").innerText(), "1 MiB (1,048,586 bytes) on the wire");
});

test("the browser answers a Ping without an event", async () => {
  await clear();
  await page.click("#server-ping");
  await until("server", "pong are you there?");
  await logs("browser", []);
  const [ping, pong] = await lines("wire");
  assert.match(ping, /^← 890e/);
  assert.match(pong, /^→ 8a8e/);
});

test("the browser closes with a code and a reason", async () => {
  await clear();
  await page.click("#close button");
  await until("browser", "close 1000");
  await logs("browser", ['close(1000, "that is all")', "close 1000 (clean)"]);
  await logs("server", ["close 1000 that is all (clean)"]);
  const [theirs, ours] = await lines("wire");
  assert.match(theirs, /^→ 888d.* close 13 B$/);
  assert.equal(ours, "← 880203e8 close 2 B");
  await page.waitForSelector("#server-state [data-state=closed][aria-current]");
  assert.equal(await state("browser"), "closed");
});

test("the server closes with a code and a reason", async () => {
  await reconnect();
  await page.click("#server-close button");
  await until("browser", "close 4001");
  await logs("browser", ["close 4001 going home (clean)"]);
  await logs("server", ['close(4001, "going home")', "close 4001 going home (clean)"]);
  assert.equal((await page.locator("#frame-out .payload .char").allInnerTexts()).join(""), "4001going home");
  await page.waitForSelector("#server-state [data-state=closed][aria-current]");
});

test("a connection that is cut ends with 1006", async () => {
  await reconnect();
  await page.click("#server-cut");
  await until("browser", "close 1006");
  assert.ok(await newestInView());
  await logs("browser", ["close 1006 (not clean)"]);
  assert.deepEqual(await lines("wire"), []);
  await eventually(async () => assert.deepEqual([await state("browser"), await state("server")], ["closed", "closed"]));
});

test("a message over the limit is an error of the server, which closes with 1009", async () => {
  await reconnect();
  await page.click("#send-too-large");
  await until("browser", "close");
  await logs("browser", ["send(1 MiB + 1)", "close 1009 (clean)"]);
  await logs("server", ["error a message is over the limit (close code 1009)", "close 1006 (not clean)"]);
  assert.ok(await newestInView());
});

test("an invalid frame is an error of the browser, which closes with 1002", async () => {
  await reconnect();
  const before = errors.length;
  await page.click("#server-break");
  await until("browser", "close");
  await logs("browser", ["error", "close 1006 (not clean)"]);
  await eventually(async () => assert.match((await lines("server"))[1], /^close 1002 .*\(clean\)$/));
  assert.equal(errors.length, before + 1);
  assert.match(errors.pop(), /reserved bits/);
});

test("the last event of each end stands beside its buttons", async () => {
  const last = (end) => page.locator(`#${end}-last`);
  await reconnect();
  await page.click("#send button");
  for (const end of ["browser", "server"]) await eventually(async () => assert.equal(await last(end).innerText(), "message “Hello”"));
  await page.click("#server-ping");
  await eventually(async () => assert.equal(await last("server").innerText(), "pong are you there?"));
  assert.equal(await last("browser").innerText(), "message “Hello”");
  await page.click("#server-cut");
  await eventually(async () => assert.equal(await last("browser").innerText(), "close 1006 (not clean)"));
  await reconnect();
  await eventually(async () => assert.equal(await last("browser").innerText(), "open"));
  // Both are in view with the buttons.
  for (const width of [1280, 390]) {
    await page.setViewportSize({ width, height: 900 });
    for (const end of ["browser", "server"]) {
      const [event, panel] = [await last(end).boundingBox(), await page.locator(`.end[data-end=${end}]`).boundingBox()];
      assert.ok(event.y > panel.y && event.y + event.height < panel.y + panel.height && event.x + event.width < width);
    }
  }
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.click("#close button");
  await eventually(async () => assert.equal(await state("browser"), "closed"));
});

test("two tabs are independent", async () => {
  await reconnect();
  const other = await open();
  await other.fill("#send input", "only here");
  await other.click("#send button");
  await until("browser", "message “only here”", other);
  await other.click("#server-cut");
  await until("browser", "close 1006", other);
  await logs("browser", []);
  await logs("server", []);
  assert.equal(await state("server"), "open");
  await other.close();
});

test("REST against WebSocket: each update arrives in three ways, and the proxy counts the same bytes", async () => {
  for (const path of Object.keys(counter.counted)) delete counter.counted[path];
  await page.check("input[name=seconds][value='5']", { force: true });
  await page.click("#race-button");
  await page.waitForSelector("#race[data-finished]", { timeout: 30_000 });
  const rows = await page.$$eval("#results tbody tr", (rows) => rows.map((row) =>
    [...row.querySelectorAll("td")].map((cell) => cell.title || cell.textContent)));
  const shown = await page.locator("#results tbody").innerText();
  assert.ok(/\d KiB/.test(shown) && !/\d{4}/.test(shown), shown);
  for (const [index, path] of ["/race/poll", "/race/long-poll", "/race/push"].entries()) {
    const [each, median, tail, requests, up, down, updates] = rows[index];
    const number = (text) => Number(text.replace(" bytes", "").replaceAll(",", ""));
    const seen = counter.counted[path];
    console.log(`${path}: ${each} bytes an update, ${median}, ${tail}; ${requests} requests, ${up} up, ${down} down; by the proxy: ${JSON.stringify(seen)}`);
    assert.equal(updates, "50");
    assert.equal(number(requests), seen.requests);
    // A long poll and the Close frames can still be in flight when the server reports its last
    // figures.
    assert.ok(seen.up - number(up) >= 0 && seen.up - number(up) <= 8, `${path} up`);
    assert.ok(seen.down - number(down) >= 0 && seen.down - number(down) <= 4, `${path} down`);
    assert.equal(number(each), Math.round((number(up) + number(down)) / 50));
  }
  assert.ok((await page.locator("#chart-bytes path.line").count()) === 3);
  assert.ok((await page.locator("#chart-delay path.dots").count()) === 3);
});

test("sizes are rounded to readable units", async () => {
  const sizes = await page.evaluate(async () => {
    const { size, summary } = await import("/frame.js");
    const text = (length) => summary({ name: "binary", fin: 1, length });
    return [size(0), size(1), size(1023), size(1024), size(1536), size(123_456), size((1 << 20) - 1), size((1 << 20) + 1), size(3 << 19), text(70_000)];
  });
  assert.deepEqual(sizes, ["0 bytes", "1 byte", "1,023 bytes", "1 KiB", "1.5 KiB", "121 KiB", "1 MiB", "1 MiB", "1.5 MiB",
    "binary 68.4 KiB"]);
});

test("after the server is gone, both panels say so", async () => {
  const second = await startServer(process.env.DEMO);
  const other = await open(`http://localhost:${second.port}`);
  second.server.kill("SIGKILL");
  await other.waitForSelector("#gone:not([hidden])");
  assert.deepEqual(await other.locator(".end .what").allInnerTexts(), ["The server is gone.", "The server is gone."]);
  await eventually(async () => assert.equal(await state("browser", other), "closed"));
  assert.equal(await other.locator("#server-state [aria-current]").count(), 0);
  assert.equal(await other.locator(".end button:enabled, #race-button:enabled").count(), 0);
  await other.close();
});

test("a server that does not answer is shown as dead until it does", async () => {
  const second = await startServer(process.env.DEMO);
  const other = await open(`http://localhost:${second.port}`);
  second.server.kill("SIGSTOP");
  await other.waitForSelector("#gone:not([hidden])");
  assert.match(await other.locator("#gone").innerText(), /does not answer/);
  assert.equal(await other.locator("body.dead").count(), 1);
  second.server.kill("SIGCONT");
  await other.waitForSelector("#gone", { state: "hidden" });
  assert.equal(await other.locator("body.dead").count(), 0);
  await other.close();
  second.server.kill();
});

test("a page under a name that the server does not know is told so", async () => {
  const other = await context.newPage();
  await other.goto(`http://evil.localhost:${demo.port}/`);
  await other.waitForSelector("#gone:not([hidden])");
  assert.match(await other.locator("#gone").innerText(), /refused.*--host/);
  await other.close();
});

test("nothing was loaded from other origins, and there were no errors", () => {
  assert.ok(requested.length > 0);
  const own = (url) => url.startsWith("data:") || /^http:\/\/(127\.0\.0\.1|localhost|evil\.localhost):/.test(url);
  assert.deepEqual(requested.filter((url) => !own(url)), []);
  assert.deepEqual(errors, []);
});

test("without the feature, the page says how to get compression", async () => {
  assert.ok(await page.locator("#compress").isDisabled());
  assert.match(await page.locator("#compress-says").innerText(), /--features deflate/);
});

test("screenshots are taken, the page is not wider than the window, and nothing is cut", () => checkLayout(page, ""));
