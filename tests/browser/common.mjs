// Starts the demo, a browser, and a proxy between them that counts bytes.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const { chromium } = createRequire(`${process.env.PLAYWRIGHT}/`)("playwright-core");

/** Starts the demo; returns its process and its port. */
export async function startDemo() {
  const demo = spawn(process.env.DEMO, ["127.0.0.1:0"], { stdio: ["ignore", "pipe", "inherit"] });
  const line = await new Promise((resolve) => demo.stdout.once("data", (data) => resolve(String(data))));
  return { demo, port: Number(/listening on .*:(\d+)/.exec(line)[1]) };
}

/** Starts a browser with a new profile. */
export async function startBrowser(options) {
  const profile = mkdtempSync(join(tmpdir(), "sansocket-browser-"));
  const context = await chromium.launchPersistentContext(profile, {
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

/**
 * Starts a proxy for the port `target` that counts the bytes of each path. A browser does not pipeline, so all bytes up to
 * the next request line, in both directions, belong to the request before it.
 */
export async function startCounter(target) {
  const counted = {};
  const server = net.createServer({ allowHalfOpen: true }, (browser) => {
    const demo = net.connect({ port: target, host: "127.0.0.1", allowHalfOpen: true });
    let current;
    const pass = (from, to, way) => {
      from.on("data", (data) => {
        const path = way === "up" && /^GET (\/[^? ]*)/.exec(data.toString("latin1"))?.[1];
        if (path) {
          current = counted[path] ??= { requests: 0, up: 0, down: 0 };
          current.requests += 1;
        }
        current[way] += data.length;
        to.write(data);
      });
      from.on("end", () => to.end());
      from.on("error", () => to.destroy());
    };
    pass(browser, demo, "up");
    pass(demo, browser, "down");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, counted, port: server.address().port };
}
