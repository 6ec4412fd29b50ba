// REST against WebSocket: runs the race and shows the results.

import { Chart } from "./chart.js";
import { count, element, size } from "./frame.js";

const $ = (selector) => document.querySelector(selector);
const TRANSPORTS = [
  { id: "poll", className: "poll", name: "Polling" },
  { id: "longPoll", className: "long-poll", name: "Long polling" },
  { id: "push", className: "push", name: "WebSocket" },
];
/** The interval between drawings of counters and charts, in milliseconds. */
const DRAW = 200;
/** How long to wait for the last updates, beyond the polling interval, in milliseconds. */
const PATIENCE = 3000;

const short = (bytes) => size(bytes, "B");
const ms = (delay) => delay >= 995 ? `${+(delay / 1000).toPrecision(3)} s` : `${+Math.max(delay, 0).toPrecision(2)} ms`;
/** The quantile of sorted values, by the nearest rank. */
const quantile = (sorted, share) => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];

export class Race {
  constructor(send, pageTime, askClock) {
    Object.assign(this, { send, pageTime, askClock, phase: "idle" });
    this.bytes = new Chart($("#chart-bytes"), TRANSPORTS, { kind: "line", label: short });
    this.delay = new Chart($("#chart-delay"), TRANSPORTS, { kind: "dots", label: ms });
    this.cells = {};
    for (const { id, className, name } of TRANSPORTS) {
      const cells = ["main", "second", "second", "", "", "", ""].map((kind) => element("td", kind, "–"));
      const title = element("th", "", name);
      title.scope = "row";
      $("#results tbody").append(element("tr", className, title, ...cells));
      this.cells[id] = cells;
    }
    $("#race-form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.phase === "idle") this.start(new FormData(event.target));
      else this.finish("Stopped.");
    });
  }

  start(form) {
    const value = (name) => Number(form.get(name));
    Object.assign(this, { rate: value("rate"), interval: value("interval"), seconds: value("seconds"), phase: "starting" });
    this.samples = { poll: [], longPoll: [], push: [] };
    this.totals = { poll: [], longPoll: [], push: [] };
    this.began = this.counters = null;
    this.least = 0;
    for (const chart of [this.bytes, this.delay]) chart.begin(this.seconds);
    $("#race-button").textContent = "Stop";
    $("#verdict").textContent = "Running …";
    this.askClock();
    this.send("race");
  }

  /** Handles the server's messages: that it is ready, and later its counters. */
  receive(message, session) {
    if (message.race === "ready" && this.phase === "starting") {
      this.worker = new Worker("/racer.js");
      this.worker.onmessage = ({ data }) => this.take(data);
      this.worker.postMessage({ begin: true, session, interval: this.interval });
      this.timer = setInterval(() => this.draw(), DRAW);
    } else if (message.counters && this.phase !== "idle") {
      this.counters = message;
      const elapsed = this.began ? (this.pageTime(message.at) - this.began) / 1000 : 0;
      if (elapsed > 0) {
        for (const { id } of TRANSPORTS) {
          const { received, sent } = message.counters[id];
          this.totals[id].push([elapsed, received + sent]);
        }
      }
      if (this.phase === "ending") this.end();
    }
  }

  /** Handles the worker's messages. */
  take({ ready, failed, samples, least }) {
    if (failed) return this.finish(`Failed: ${failed}`);
    if (ready) {
      this.phase = "running";
      this.began = performance.timeOrigin + performance.now();
      this.send(`go ${this.rate} ${this.seconds}`);
    }
    for (const { transport, at, got } of samples ?? []) {
      const made = this.pageTime(at);
      this.samples[transport].push([(made - this.began) / 1000, got - made]);
    }
    this.least = least ?? this.least;
    const elapsed = performance.timeOrigin + performance.now() - this.began;
    if (this.phase === "running" && (this.least === this.rate * this.seconds || elapsed > this.seconds * 1000 + this.interval + PATIENCE)) {
      this.finish();
    }
  }

  /** Ends the race after the server's last counters have arrived. */
  finish(message) {
    this.message = message;
    this.phase = "ending";
    this.worker?.postMessage({ stop: true });
    this.send("stop");
    if (!this.worker) this.end();
  }

  end() {
    this.draw();
    clearInterval(this.timer);
    this.worker?.terminate();
    Object.assign(this, { phase: "idle", worker: null });
    $("#race-button").textContent = "Start again";
    if (this.message) $("#verdict").textContent = this.message;
    $("#race").dataset.finished = String(Number($("#race").dataset.finished ?? 0) + 1);
  }

  draw() {
    this.bytes.draw(this.totals);
    this.delay.draw(this.samples);
    if (!this.counters) return;
    const results = {};
    for (const { id } of TRANSPORTS) {
      const { requests, received, sent } = this.counters.counters[id];
      const delays = this.samples[id].map(([, delay]) => delay).sort((a, b) => a - b);
      const each = delays.length > 0 ? (received + sent) / delays.length : null;
      results[id] = { each, median: quantile(delays, 0.5) };
      const texts = [
        each === null ? "–" : count(Math.round(each)),
        delays.length > 0 ? ms(results[id].median) : "–",
        delays.length > 0 ? ms(quantile(delays, 0.99)) : "–",
        count(requests), short(received), short(sent), count(delays.length),
      ];
      texts.forEach((text, at) => (this.cells[id][at].textContent = text));
      [received, sent].forEach((bytes, at) => (this.cells[id][4 + at].title = `${count(bytes)} bytes`));
    }
    this.showVerdict(results);
  }

  showVerdict({ poll, longPoll, push }) {
    if (!(poll.each && longPoll.each && push.each)) return;
    const bold = (text) => element("b", "", text);
    const bytes = (each) => bold(`${count(Math.round(each))} bytes`);
    const times = (each) => ` (${+(each / push.each).toPrecision(2)} times that)`;
    $("#verdict").replaceChildren(
      "An update takes ", bytes(push.each), " over the WebSocket, ", bytes(longPoll.each), times(longPoll.each), " by long polling, ",
      bytes(poll.each), times(poll.each), " by polling. The median delay is ", bold(ms(push.median)), " over the WebSocket and ",
      bold(ms(poll.median)), " by polling.");
  }
}
