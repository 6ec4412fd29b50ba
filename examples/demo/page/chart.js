// A chart over time that is redrawn as data arrives: lines on a linear scale, or dots on a
// logarithmic scale.

const NS = "http://www.w3.org/2000/svg";
const MARGIN = { left: 58, right: 88, top: 10, bottom: 26 };
const HEIGHT = 240;

function svg(name, attributes, text) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

export class Chart {
  constructor(node, series, { kind, label }) {
    Object.assign(this, { node, series, kind, label, seconds: 20, data: {} });
    new ResizeObserver(() => this.draw(this.data)).observe(node);
  }

  begin(seconds) {
    this.seconds = seconds;
    this.draw({});
  }

  draw(data) {
    this.data = data;
    const width = this.node.clientWidth || 400;
    const [left, right] = [MARGIN.left, width - MARGIN.right];
    const [top, bottom] = [MARGIN.top, HEIGHT - MARGIN.bottom];
    const x = (seconds) => left + (right - left) * Math.min(Math.max(seconds / this.seconds, 0), 1);
    const { y, ticks } = this.scale(top, bottom);
    const parts = [];
    for (const tick of ticks) {
      parts.push(svg("line", { class: "grid", x1: left, x2: right, y1: y(tick), y2: y(tick) }));
      parts.push(svg("text", { x: left - 8, y: y(tick) + 4, "text-anchor": "end" }, this.label(tick)));
    }
    for (let seconds = 0; seconds <= this.seconds; seconds += this.seconds > 5 ? this.seconds / 4 : 1) {
      parts.push(svg("text", { x: x(seconds), y: HEIGHT - 6, "text-anchor": "middle" }, `${seconds} s`));
    }
    const names = [];
    for (const { id, className, name } of this.series) {
      const points = data[id] ?? [];
      if (points.length === 0) continue;
      const group = svg("g", { class: className });
      const step = this.kind === "line"
        ? ([at, value], index) => `${index ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`
        : ([at, value]) => `M${x(at).toFixed(1)} ${y(value).toFixed(1)}h0`;
      group.append(svg("path", { class: this.kind === "line" ? "line" : "dots", d: points.map(step).join("") }));
      parts.push(group);
      names.push({ className, name, y: this.nameHeight(points, y) });
    }
    this.node.replaceChildren(...parts, ...placeNames(names, right + 8, top, bottom));
    this.node.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  }

  scale(top, bottom) {
    const values = Object.values(this.data).flatMap((points) => points.map(([, value]) => value));
    if (this.kind === "line") {
      const most = Math.max(10 << 10, ...values);
      const step = niceBinaryStep(most / 4);
      const end = Math.ceil(most / step) * step;
      const ticks = Array.from({ length: end / step + 1 }, (_, index) => index * step);
      return { ticks, y: (value) => bottom - ((bottom - top) * value) / end };
    }
    const least = -1;
    const most = Math.max(2, Math.ceil(Math.log10(Math.max(1, ...values))));
    const ticks = Array.from({ length: most - least + 1 }, (_, index) => 10 ** (least + index));
    const part = (value) => (Math.log10(Math.max(value, 0.1)) - least) / (most - least);
    return { ticks, y: (value) => bottom - (bottom - top) * part(value) };
  }

  /** The height of a series' name: at the end of a line, or at the median of the latest dots. */
  nameHeight(points, y) {
    if (this.kind === "line") return y(points.at(-1)[1]);
    const recent = points.slice(-30).map(([, value]) => value).sort((a, b) => a - b);
    return y(recent[recent.length >> 1]);
  }
}

/** The next step of 1, 2, 5 or 10 times a power of ten, in bytes, KiB or MiB. */
function niceBinaryStep(rough) {
  const unit = rough >= 1 << 20 ? 1 << 20 : rough >= 1024 ? 1024 : 1;
  const power = 10 ** Math.floor(Math.log10(rough / unit));
  return unit * power * ([1, 2, 5, 10].find((step) => step * power * unit >= rough) ?? 10);
}

/** Moves overlapping names apart, starting with the lowest, and keeps them inside the chart. */
function placeNames(names, x, top, bottom) {
  names.sort((a, b) => b.y - a.y);
  let below = bottom + 14;
  const placed = names.map((name) => {
    below = Math.min(name.y + 4, below - 14);
    return { ...name, y: below };
  });
  const over = Math.max(0, top + 8 - below);
  return placed.map(({ className, name, y }) => {
    const group = svg("g", { class: className });
    group.append(svg("text", { class: "name", x, y: y + over }, name));
    return group;
  });
}
