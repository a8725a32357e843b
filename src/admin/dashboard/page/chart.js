// A chart of lines over the last two minutes, as SVG.
//
// Lines differ by their dashes and not by colour alone. The legend says the newest values
// in text, or those under the cursor, which the pointer or the arrow keys move. The
// picture's label says in a sentence what there is to see.

import { announce, el, fill, setText, svg } from "./dom.js";
import { isKnown } from "./format.js";
import { HISTORY_SECONDS } from "./model.js";

const HEIGHT = 148;
const MARGIN = { top: 8, right: 8, bottom: 20, left: 58 };

/** Seconds without a point that are a gap and not a line. */
const GAP_SECONDS = 3.5;

/** What a logarithmic scale shows when there is nothing to show: 10 µs to 10 ms. */
const IDLE_DECADES = [-5, -2];

export class LineChart {
  /**
   * `lines`: `{ key, label, style }`, where `style` is `a`, `b` or `c` of the style sheet.
   * `scale`: `linear` from zero, or `log` in decades.
   */
  constructor(figure, { title, lines, scale, format }) {
    Object.assign(this, { title, lines, scale, format, points: [], cursor: null });
    this.when = el("span", { class: "when" });
    this.values = new Map();
    const legend = lines.map((line) => {
      const value = el("b");
      this.values.set(line.key, value);
      const swatch = svg(
        "svg",
        { class: "swatch", viewBox: "0 0 22 8", "aria-hidden": "true" },
        svg("line", { x1: 0, y1: 4, x2: 22, y2: 4, class: `line ${line.style}` }),
      );
      return el("li", {}, swatch, ` ${line.label} `, value);
    });
    this.picture = svg("svg", { class: "picture", role: "img", tabindex: "0", height: HEIGHT });
    fill(
      figure,
      el("figcaption", {}, el("h3", {}, title), this.when, el("ul", { class: "legend" }, ...legend)),
      this.picture,
    );
    this.grid = svg("g", { class: "grid" });
    this.paths = new Map(lines.map((line) => [line.key, svg("path", { class: `line ${line.style}` })]));
    this.mark = svg("line", { class: "cursor", y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom, visibility: "hidden" });
    fill(this.picture, this.grid, ...this.paths.values(), this.mark);
    this.picture.addEventListener("pointermove", (event) => this.point(event));
    this.picture.addEventListener("pointerleave", () => this.move(null));
    this.picture.addEventListener("blur", () => this.move(null));
    this.picture.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.redraw()).observe(this.picture);
  }

  /** Shows points of the model, oldest first. */
  draw(points) {
    this.points = points;
    this.redraw();
    this.picture.setAttribute("aria-label", this.sentence());
  }

  redraw() {
    const width = this.picture.clientWidth;
    if (width === 0) {
      return;
    }
    this.right = width - MARGIN.right;
    this.now = this.points[this.points.length - 1]?.at ?? 0;
    const scale = this.vertical();
    this.drawGrid(scale.ticks, scale.y);
    for (const line of this.lines) {
      this.paths.get(line.key).setAttribute("d", this.path(line.key, scale.y));
    }
    this.drawCursor();
  }

  x(at) {
    const from = this.now - HISTORY_SECONDS;
    return MARGIN.left + ((at - from) / HISTORY_SECONDS) * (this.right - MARGIN.left);
  }

  /** The vertical scale: its ticks, and where a value is. */
  vertical() {
    const values = this.points.flatMap((point) => this.lines.map((line) => point[line.key]).filter(isKnown));
    const bottom = HEIGHT - MARGIN.bottom;
    const height = bottom - MARGIN.top;
    if (this.scale === "log") {
      const above = values.filter((value) => value > 0).map(Math.log10);
      let [from, to] = IDLE_DECADES;
      if (above.length > 0) {
        from = Math.floor(Math.min(...above));
        to = Math.max(from + 1, Math.ceil(Math.max(...above)));
      }
      const ticks = Array.from({ length: to - from + 1 }, (_, at) => 10 ** (from + at));
      return { ticks, y: (value) => bottom - ((Math.log10(Math.max(value, 10 ** from)) - from) / (to - from)) * height };
    }
    const top = roundUp(Math.max(1, ...values));
    return { ticks: [0, top / 2, top], y: (value) => bottom - (value / top) * height };
  }

  drawGrid(ticks, y) {
    const lines = ticks.flatMap((tick) => {
      const at = Math.round(y(tick)) + 0.5;
      return [
        svg("line", { x1: MARGIN.left, y1: at, x2: this.right, y2: at }),
        svg("text", { x: MARGIN.left - 8, y: at + 4, "text-anchor": "end" }, this.format(tick)),
      ];
    });
    const times = [
      [HISTORY_SECONDS, "2 min ago", "start"],
      [HISTORY_SECONDS / 2, "1 min ago", "middle"],
      [0, "now", "end"],
    ].map(([ago, text, anchor]) =>
      svg("text", { x: this.x(this.now - ago), y: HEIGHT - 5, "text-anchor": anchor }, text),
    );
    fill(this.grid, ...lines, ...times);
  }

  path(key, y) {
    let path = "";
    let last = null;
    for (const point of this.points) {
      const value = point[key];
      if (!isKnown(value) || point.at < this.now - HISTORY_SECONDS) {
        last = null;
        continue;
      }
      const joins = last !== null && point.at - last <= GAP_SECONDS;
      path += `${joins ? "L" : "M"}${this.x(point.at).toFixed(1)} ${y(value).toFixed(1)}`;
      last = point.at;
    }
    return path;
  }

  drawCursor() {
    const isAway = this.cursor === null || this.points.length === 0;
    const at = isAway ? this.points.length - 1 : nearest(this.points, this.now - this.cursor);
    const point = this.points[at];
    this.mark.setAttribute("visibility", isAway ? "hidden" : "visible");
    if (!isAway) {
      this.mark.setAttribute("x1", this.x(point.at));
      this.mark.setAttribute("x2", this.x(point.at));
    }
    setText(this.when, isAway ? "" : `${Math.round(this.now - point.at)} s ago`);
    for (const line of this.lines) {
      setText(this.values.get(line.key), this.format(point?.[line.key]));
    }
  }

  /** Moves the cursor to so many seconds ago, or away. */
  move(ago) {
    this.cursor = ago;
    this.drawCursor();
  }

  point(event) {
    const from = this.picture.getBoundingClientRect().left;
    const share = (event.clientX - from - MARGIN.left) / (this.right - MARGIN.left);
    this.move(share < 0 || share > 1 ? null : (1 - share) * HISTORY_SECONDS);
  }

  key(event) {
    const step = { ArrowLeft: 1, ArrowRight: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (event.key === "Escape") {
      this.move(null);
    } else if (event.key === "Home" || event.key === "End") {
      this.move(event.key === "Home" ? HISTORY_SECONDS : 0);
    } else if (step) {
      this.move(Math.min(HISTORY_SECONDS, Math.max(0, (this.cursor ?? 0) + step)));
    } else {
      return;
    }
    event.preventDefault();
    if (this.cursor !== null) {
      const values = this.lines.map((line) => `${line.label} ${this.values.get(line.key).textContent}`);
      announce(`${this.when.textContent}: ${values.join(", ")}`);
    }
  }

  sentence() {
    const parts = this.lines.map((line) => {
      const values = this.points.map((point) => point[line.key]).filter(isKnown);
      if (values.length === 0) {
        return `${line.label}: nothing yet`;
      }
      const [least, most] = [Math.min(...values), Math.max(...values)].map(this.format);
      return `${line.label}: now ${this.format(values[values.length - 1])}, from ${least} to ${most}`;
    });
    return `${this.title}, the last two minutes. ${parts.join(". ")}. Arrow keys read single seconds.`;
  }
}

function nearest(points, at) {
  let best = points.length - 1;
  points.forEach((point, index) => {
    if (Math.abs(point.at - at) < Math.abs(points[best].at - at)) {
      best = index;
    }
  });
  return best;
}

/** The next of 1, 2, 4, 6, 8 times a power of ten: half of it is a short number, too. */
function roundUp(value) {
  const size = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 6, 8, 10].map((step) => step * size).find((step) => step >= value) ?? value;
}
