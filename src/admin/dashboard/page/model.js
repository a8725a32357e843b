// From samples to figures: rates and quantiles between one event of the stream and a later
// one, and the last two minutes of those that are drawn. No element of the page is known
// here.

/** What the tables and tiles look back over, in seconds. */
export const WINDOW_SECONDS = 5;

/** What the charts show, in seconds. */
export const HISTORY_SECONDS = 120;

export class Model {
  constructor() {
    this.clear();
  }

  clear() {
    /** Events of the window, oldest first. */
    this.events = [];
    /** A point for each event of the history, oldest first: `at` in seconds and figures. */
    this.points = [];
  }

  /** Takes an event of the stream. */
  push(event) {
    const newest = this.newest();
    // Another process counts from zero.
    if (newest && event.UptimeSeconds <= newest.UptimeSeconds) {
      this.clear();
    }
    this.events.push(event);
    const from = event.UptimeSeconds - WINDOW_SECONDS - 0.5;
    // One event from before the window stays: after a gap there must be two.
    while (this.events.length > 2 && this.events[0].UptimeSeconds < from) {
      this.events.shift();
    }
    if (this.events.length > 1) {
      this.points.push(this.point());
    }
    const since = event.UptimeSeconds - HISTORY_SECONDS - 1;
    while (this.points.length > 0 && this.points[0].at < since) {
      this.points.shift();
    }
  }

  newest() {
    return this.events[this.events.length - 1];
  }

  /** Whether rates can be told: there are two events. */
  isWarm() {
    return this.events.length > 1;
  }

  has(name) {
    return (this.newest()?.Metrics[name]?.Samples.length ?? 0) > 0;
  }

  /** The values of a label that a metric has, in the server's order. */
  labels(name, label) {
    const samples = this.newest()?.Metrics[name]?.Samples ?? [];
    return [...new Set(samples.map((sample) => sample.Labels[label]).filter((value) => value !== undefined))];
  }

  /** The sum of a metric's samples with these labels; `undefined` if there is none. */
  value(name, labels = {}) {
    return valueOf(this.newest(), name, labels);
  }

  /** The largest of a metric's samples. */
  largest(name) {
    const samples = this.newest()?.Metrics[name]?.Samples ?? [];
    return samples.length > 0 ? Math.max(...samples.map((sample) => sample.Value)) : undefined;
  }

  /** How fast a counter grew over the window, per second. */
  rate(name, labels = {}) {
    return rateBetween(this.events[0], this.newest(), name, labels);
  }

  /** What histograms with these labels saw over the window, as one. */
  observed(name, labels = {}) {
    return observedBetween(this.events[0], this.newest(), name, labels);
  }

  /** How fast requests were refused over the window, per second, for one endpoint or all. */
  refusedRate(labels = {}) {
    return this.isWarm() ? refusedBetween(this.events[0], this.newest(), labels) : undefined;
  }

  point() {
    const [before, now] = this.events.slice(-2);
    const answers = this.observed("purser_http_request_duration_seconds");
    const flushes = this.observed("purser_commit_duration_seconds");
    return {
      at: now.UptimeSeconds,
      requests: rateBetween(before, now, "purser_http_requests_total", {}),
      refused: refusedBetween(before, now, {}),
      p50: quantile(answers, 0.5),
      p95: quantile(answers, 0.95),
      p99: quantile(answers, 0.99),
      flushP50: quantile(flushes, 0.5),
      flushP99: quantile(flushes, 0.99),
      hops: rateBetween(before, now, "purser_hops_total", {}),
      own: rateBetween(before, now, "purser_own_commands_total", {}),
    };
  }
}

/** Whether a sample has all of these labels. */
function matches(sample, labels) {
  return Object.entries(labels).every(([name, value]) => sample.Labels[name] === value);
}

function valueOf(event, name, labels) {
  const samples = event?.Metrics[name]?.Samples.filter((sample) => matches(sample, labels)) ?? [];
  return samples.length > 0 ? samples.reduce((sum, sample) => sum + sample.Value, 0) : undefined;
}

/** The growth of a counter from one event to a later one, per second. */
export function rateBetween(before, now, name, labels) {
  if (!before || before === now) {
    return undefined;
  }
  const to = valueOf(now, name, labels);
  if (to === undefined) {
    return undefined;
  }
  const grown = to - (valueOf(before, name, labels) ?? 0);
  return Math.max(0, grown) / (now.UptimeSeconds - before.UptimeSeconds);
}

function refusedBetween(before, now, labels) {
  const all = rateBetween(before, now, "purser_http_requests_total", labels);
  const done = rateBetween(before, now, "purser_http_requests_total", { ...labels, outcome: "0" });
  return all === undefined || done === undefined ? undefined : Math.max(0, all - done);
}

/** What histograms saw from one event to a later one: the sum of all that fit. */
export function observedBetween(before, now, name, labels) {
  const metric = now?.Metrics[name];
  if (!metric?.Bounds || !before || before === now) {
    return undefined;
  }
  const counts = new Array(metric.Bounds.length + 1).fill(0);
  let sum = 0;
  const add = (event, sign) => {
    for (const sample of event.Metrics[name]?.Samples ?? []) {
      if (matches(sample, labels)) {
        sample.Counts.forEach((observed, bucket) => {
          counts[bucket] += sign * observed;
        });
        sum += sign * (sample.Sum ?? 0);
      }
    }
  };
  add(now, 1);
  add(before, -1);
  const total = counts.reduce((all, one) => all + one, 0);
  return { bounds: metric.Bounds, counts, total, sum };
}

/**
 * A quantile of what was observed: in its bucket it is taken to lie where it would if the
 * bucket were evenly filled. Beyond the last bound only the bound is known.
 */
export function quantile(observed, share) {
  if (!observed || observed.total <= 0) {
    return undefined;
  }
  const rank = share * observed.total;
  let below = 0;
  for (let bucket = 0; bucket < observed.bounds.length; bucket += 1) {
    const inside = observed.counts[bucket];
    if (inside > 0 && below + inside >= rank) {
      const from = bucket === 0 ? 0 : observed.bounds[bucket - 1];
      return from + (observed.bounds[bucket] - from) * ((rank - below) / inside);
    }
    below += inside;
  }
  return observed.bounds[observed.bounds.length - 1];
}

/** The mean of what was observed. */
export function mean(observed) {
  return observed && observed.total > 0 ? observed.sum / observed.total : undefined;
}
