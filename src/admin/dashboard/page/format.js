// How figures are written: pure functions from numbers to short text.
//
// What is not known is an en dash, so that a table keeps its shape. All of it is English
// with a point and thousands commas, as the API's own numbers are.

export const NOTHING = "–";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export function isKnown(value) {
  return typeof value === "number" && Number.isFinite(value);
}

/** A count: `12,345`. */
export function count(value) {
  return isKnown(value) ? whole.format(value) : NOTHING;
}

/** A count that may be large, in little room: `1.2 M`. */
export function shortCount(value) {
  if (!isKnown(value)) {
    return NOTHING;
  }
  for (const [size, unit] of [[1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
    if (Math.abs(value) >= size) {
      return `${digits(value / (size === 1e4 ? 1e3 : size))} ${unit}`;
    }
  }
  return whole.format(value);
}

/** Something per second: two digits while it is small, `0` for nothing at all. */
export function rate(value) {
  if (!isKnown(value)) {
    return NOTHING;
  }
  if (value === 0) {
    return "0";
  }
  if (value < 0.01) {
    return "<0.01";
  }
  return value < 10 ? value.toFixed(value < 1 ? 2 : 1) : whole.format(value);
}

/** Seconds as a duration: `85 µs`, `1.24 ms`, `3.10 s`. */
export function duration(seconds) {
  if (!isKnown(seconds)) {
    return NOTHING;
  }
  if (seconds < 1e-3) {
    return `${digits(seconds * 1e6)} µs`;
  }
  return seconds < 1 ? `${digits(seconds * 1e3)} ms` : `${digits(seconds)} s`;
}

/** Bytes: `512 B`, `3.4 MiB`. */
export function bytes(value) {
  if (!isKnown(value)) {
    return NOTHING;
  }
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  let rest = value;
  while (rest >= 1024 && unit < units.length - 1) {
    rest /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? whole.format(rest) : digits(rest)} ${units[unit]}`;
}

/** A share of one as a percentage. */
export function share(value) {
  if (!isKnown(value)) {
    return NOTHING;
  }
  const percent = value * 100;
  return `${percent >= 10 || percent === 0 ? Math.round(percent) : percent.toFixed(1)} %`;
}

/** A long time in its two largest units: `3 d 4 h`. */
export function age(seconds) {
  if (!isKnown(seconds)) {
    return NOTHING;
  }
  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  let at = units.findIndex(([size]) => seconds >= size);
  at = at < 0 ? units.length - 1 : at;
  const parts = [];
  let rest = Math.floor(seconds);
  for (const [size, unit] of units.slice(at, at + 2)) {
    parts.push(`${Math.floor(rest / size)} ${unit}`);
    rest %= size;
  }
  return parts.join(" ");
}

/** An RFC 3339 moment as date and time of this browser's zone, or as it came. */
export function moment(text) {
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? String(text ?? NOTHING) : `${dayOf(at)} ${timeOf(at)}`;
}

/** The same without its date. */
export function timeOfDay(text) {
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? String(text ?? NOTHING) : timeOf(at);
}

/** Decimal text with commas between thousands; the digits stay as they came. */
export function money(text) {
  if (typeof text !== "string") {
    return NOTHING;
  }
  const parts = /^(-?)(\d+)(\.\d+)?$/.exec(text);
  if (!parts) {
    return text;
  }
  const grouped = parts[2].replace(/\B(?=(\d{3})+$)/g, ",");
  return `${parts[1] ? "−" : ""}${grouped}${parts[3] ?? ""}`;
}

/** Whether decimal text says nothing but zero. */
export function isZero(text) {
  return typeof text === "string" && /^-?0+(\.0+)?$/.test(text);
}

/** `HouseStakes` as people write it: `House stakes`. */
export function words(name) {
  const text = String(name).replace(/([a-z])([A-Z])/g, (_, end, start) => `${end} ${start.toLowerCase()}`);
  return text.charAt(0).toUpperCase() + text.slice(1).replaceAll("_", " ");
}

// Three digits that count, whatever the size.
function digits(value) {
  const size = Math.abs(value);
  if (size >= 100 || Number.isInteger(value)) {
    return whole.format(value);
  }
  return value.toFixed(size >= 10 ? 1 : 2);
}

function dayOf(at) {
  return [at.getFullYear(), at.getMonth() + 1, at.getDate()].map(twoDigits).join("-");
}

function timeOf(at) {
  const time = [at.getHours(), at.getMinutes(), at.getSeconds()].map(twoDigits).join(":");
  return `${time}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}

function twoDigits(number) {
  return String(number).padStart(2, "0");
}
