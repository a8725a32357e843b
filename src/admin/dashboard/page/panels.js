// Everything that is drawn from the stream: figures, charts, endpoints, shards, stages,
// memory and threads. A metric that this server does not have leaves a dash or a word.

import { LineChart } from "./chart.js";
import { Table, byId, el, fill, setText } from "./dom.js";
import * as format from "./format.js";
import { mean, quantile } from "./model.js";

const REQUESTS = "purser_http_requests_total";
const DURATION = "purser_http_request_duration_seconds";
const FLUSH = "purser_commit_duration_seconds";
const STAGES = "purser_http_stage_duration_seconds";
const BUSY = "purser_executor_busy_seconds_total";
const MEMORY = "purser_memory_bytes";
const THREADS = "purser_threads";

// Order of a request's way; what is not named follows in the server's order.
const STAGE_ORDER = ["read", "parse", "queue", "hop", "apply", "commit", "write"];

const CHARTS = [
  {
    id: "chart-requests",
    title: "Requests per second",
    scale: "linear",
    format: format.rate,
    lines: [
      { key: "requests", label: "answered", style: "a" },
      { key: "refused", label: "of these refused", style: "c" },
    ],
  },
  {
    id: "chart-durations",
    title: "Time to answer",
    scale: "log",
    format: format.duration,
    lines: [
      { key: "p50", label: "p50", style: "a" },
      { key: "p95", label: "p95", style: "b" },
      { key: "p99", label: "p99", style: "c" },
    ],
  },
  {
    id: "chart-flush",
    title: "Flush time",
    scale: "log",
    format: format.duration,
    lines: [
      { key: "flushP50", label: "p50", style: "a" },
      { key: "flushP99", label: "p99", style: "c" },
    ],
  },
  {
    id: "chart-hops",
    title: "Commands per second",
    scale: "linear",
    format: format.rate,
    lines: [
      { key: "own", label: "own shard", style: "a" },
      { key: "hops", label: "with a hop", style: "b" },
    ],
  },
];

const TILES = [
  {
    label: "Requests",
    value: (model) => `${format.rate(model.rate(REQUESTS))} /s`,
    note: (model) => `${format.count(model.value("purser_http_requests_in_flight"))} in flight`,
  },
  {
    label: "Time to answer, p99",
    value: (model) => format.duration(quantile(model.observed(DURATION), 0.99)),
    note: (model) => `p50 ${format.duration(quantile(model.observed(DURATION), 0.5))}`,
  },
  {
    label: "Answered 503",
    value: (model) => `${format.rate(unavailableRate(model))} /s`,
    note: unavailableReasons,
    mood: (model) => (unavailableRate(model) > 0 ? "bad" : null),
  },
  {
    label: "Connections",
    value: (model) => format.count(model.value("purser_http_connections")),
    note: (model) => `${format.rate(model.rate("purser_http_connections_refused_total"))} /s refused`,
    mood: (model) => (model.rate("purser_http_connections_refused_total") > 0 ? "warn" : null),
  },
  {
    label: "Postings",
    value: (model) => `${format.rate(model.rate("purser_postings_total"))} /s`,
    note: (model) => `${format.rate(batchSize(model))} a batch`,
  },
  {
    label: "Flush, p99",
    value: (model) => format.duration(quantile(model.observed(FLUSH), 0.99)),
    note: (model) => `p50 ${format.duration(quantile(model.observed(FLUSH), 0.5))}`,
  },
  {
    label: "Not durable yet",
    value: (model) => format.count(model.value("purser_durable_lag_postings")),
    note: () => "postings",
  },
  {
    label: "Open rounds",
    value: (model) => format.shortCount(model.value("purser_rounds_open")),
    note: (model) => `${format.shortCount(model.value("purser_accounts"))} accounts`,
  },
  {
    label: "Books",
    value: (model) => (imbalance(model) > 0 ? "Out of balance" : "In balance"),
    note: (model) =>
      imbalance(model) > 0 ? `off by ${format.count(imbalance(model))} minor units` : "all of them sum to zero",
    mood: (model) => (imbalance(model) > 0 ? "bad" : "good"),
  },
  {
    label: "Stored data",
    value: (model) => storedData(model).text,
    note: (model) =>
      model.value("purser_checkpoint_bytes") > 0
        ? `checkpoint ${format.age(model.largest("purser_checkpoint_age_seconds"))} old`
        : "no checkpoint yet",
    mood: (model) => storedData(model).mood,
  },
];

const ENDPOINT_COLUMNS = [
  { key: "op", label: "Endpoint", isText: true, isHead: true },
  { key: "rate", label: "Per second" },
  { key: "p50", label: "p50" },
  { key: "p95", label: "p95" },
  { key: "p99", label: "p99" },
  { key: "refused", label: "Refused/s" },
  { key: "total", label: "Since start" },
];

const SHARD_COLUMNS = [
  { key: "shard", label: "Shard", isText: true, isHead: true },
  { key: "busy", label: "Busy" },
  { key: "requests", label: "Requests/s" },
  { key: "hops", label: "Hops/s" },
  { key: "hopShare", label: "Hop share" },
  { key: "mailbox", label: "Mailbox" },
  { key: "postings", label: "Postings/s" },
  { key: "batch", label: "Batch" },
  { key: "flush", label: "Flush p99" },
  { key: "lag", label: "Not durable" },
  { key: "accounts", label: "Accounts" },
  { key: "connections", label: "Connections" },
];

const STAGE_COLUMNS = [
  { key: "stage", label: "Stage", isText: true, isHead: true },
  { key: "share", label: "Share of time" },
  { key: "mean", label: "Mean" },
  { key: "p50", label: "p50" },
  { key: "p99", label: "p99" },
];

const MEMORY_COLUMNS = [
  { key: "owner", label: "Owner", isText: true, isHead: true },
  { key: "bytes", label: "Bytes" },
];

const THREAD_COLUMNS = [
  { key: "state", label: "State", isText: true, isHead: true },
  { key: "count", label: "Threads" },
];

export class Panels {
  constructor() {
    this.charts = CHARTS.map((chart) => new LineChart(byId(chart.id), chart));
    this.tiles = TILES.map((tile) => {
      const shown = { value: el("dd", { class: "value" }), note: el("dd", { class: "note" }) };
      shown.element = el("div", { class: "tile" }, el("dt", {}, tile.label), shown.value, shown.note);
      return shown;
    });
    fill(byId("tiles"), ...this.tiles.map((tile) => tile.element));
    this.endpoints = new Table(byId("endpoints"), "Requests by endpoint, over the last 5 seconds", ENDPOINT_COLUMNS);
    this.shards = new Table(byId("shards"), "Shards, over the last 5 seconds", SHARD_COLUMNS);
    this.stages = new Table(byId("stages"), "Where the time of requests goes, over the last 5 seconds", STAGE_COLUMNS);
    this.memory = new Table(byId("memory"), "Memory by owner, all shards", MEMORY_COLUMNS);
    this.threads = new Table(byId("threads"), "Threads of the process by state", THREAD_COLUMNS);
  }

  draw(model) {
    drawState(model);
    TILES.forEach((tile, at) => drawTile(this.tiles[at], tile, model));
    for (const chart of this.charts) {
      chart.draw(model.points);
    }
    this.endpoints.draw(endpointRows(model));
    this.shards.draw(shardRows(model));
    drawOptional("stages", this.stages, stageRows(model));
    drawOptional("memory", this.memory, memoryRows(model));
    drawOptional("threads", this.threads, threadRows(model));
  }
}

function drawState(model) {
  const state = byId("state");
  const [text, mood] =
    model.value("purser_draining") > 0
      ? ["Stopping", "warn"]
      : model.value("purser_ready") > 0
        ? ["Ready", "good"]
        : ["Not ready", "bad"];
  setText(state, text);
  state.dataset.mood = mood;
  const version = model.labels("purser_build_info", "version")[0] ?? "";
  setText(byId("version"), `${version} · up ${format.age(model.newest().UptimeSeconds)}`);
}

function drawTile(shown, tile, model) {
  const mood = tile.mood?.(model);
  setText(shown.value, tile.value(model));
  setText(shown.note, tile.note(model));
  if (mood) {
    shown.element.dataset.mood = mood;
  } else {
    delete shown.element.dataset.mood;
  }
}

/** A table of a metric that this server may not have. */
function drawOptional(id, table, rows) {
  byId(id).hidden = rows.length === 0;
  byId(`${id}-absent`).hidden = rows.length > 0;
  table.draw(rows);
}

function endpointRows(model) {
  const rates = model.labels(REQUESTS, "op").map((op) => [op, model.rate(REQUESTS, { op })]);
  const busiest = Math.max(1e-9, ...rates.map(([, rate]) => rate ?? 0));
  return rates.map(([op, rate]) => {
    const observed = model.observed(DURATION, { op });
    const refused = model.refusedRate({ op });
    return {
      key: op,
      isQuiet: !rate,
      cells: {
        op,
        rate: { text: format.rate(rate), share: (rate ?? 0) / busiest },
        p50: format.duration(quantile(observed, 0.5)),
        p95: format.duration(quantile(observed, 0.95)),
        p99: format.duration(quantile(observed, 0.99)),
        refused: { text: format.rate(refused), mood: refused > 0 ? "warn" : null },
        total: format.shortCount(model.value(REQUESTS, { op })),
      },
    };
  });
}

function shardRows(model) {
  return model.labels("purser_hops_total", "shard").map((shard) => {
    const hops = model.rate("purser_hops_total", { shard });
    const own = model.rate("purser_own_commands_total", { shard });
    const busy = model.rate(BUSY, { shard });
    return {
      key: shard,
      cells: {
        shard,
        busy: busy === undefined ? format.NOTHING : { text: format.share(busy), share: busy },
        requests: format.rate(model.rate("purser_http_service_requests_total", { shard })),
        hops: format.rate(hops),
        hopShare: format.share(hops + own > 0 ? hops / (hops + own) : undefined),
        mailbox: format.count(model.value("purser_mailbox_depth", { shard })),
        postings: format.rate(model.rate("purser_postings_total", { shard })),
        batch: format.rate(batchSize(model, { shard })),
        flush: format.duration(quantile(model.observed(FLUSH, { shard }), 0.99)),
        lag: format.count(model.value("purser_durable_lag_postings", { shard })),
        accounts: format.shortCount(model.value("purser_accounts", { shard })),
        connections: format.count(model.value("purser_http_connections", { shard })),
      },
    };
  });
}

function stageRows(model) {
  const stages = model.labels(STAGES, "stage");
  const place = (stage) => (STAGE_ORDER.indexOf(stage) + STAGE_ORDER.length + 1) % (STAGE_ORDER.length + 1);
  stages.sort((one, other) => place(one) - place(other));
  const observed = stages.map((stage) => model.observed(STAGES, { stage }));
  const all = observed.reduce((sum, one) => sum + (one?.sum ?? 0), 0);
  return stages.map((stage, at) => {
    const part = all > 0 ? observed[at].sum / all : undefined;
    return {
      key: stage,
      isQuiet: !(observed[at]?.total > 0),
      cells: {
        stage,
        share: { text: format.share(part), share: part ?? 0 },
        mean: format.duration(mean(observed[at])),
        p50: format.duration(quantile(observed[at], 0.5)),
        p99: format.duration(quantile(observed[at], 0.99)),
      },
    };
  });
}

function memoryRows(model) {
  const owners = model.labels(MEMORY, "owner").map((owner) => [owner, model.value(MEMORY, { owner })]);
  const most = Math.max(1, ...owners.map(([, size]) => size));
  const rows = owners
    .sort(([, one], [, other]) => other - one)
    .map(([owner, size]) => ({
      key: owner,
      cells: { owner: format.words(owner), bytes: { text: format.bytes(size), share: size / most } },
    }));
  const resident = model.value("process_resident_memory_bytes");
  if (resident !== undefined) {
    rows.push({ key: " resident", cells: { owner: "Whole process, resident", bytes: format.bytes(resident) } });
  }
  return rows;
}

function threadRows(model) {
  return model.labels(THREADS, "state").map((state) => ({
    key: state,
    isQuiet: !model.value(THREADS, { state }),
    cells: { state: format.words(state), count: format.count(model.value(THREADS, { state })) },
  }));
}

function batchSize(model, labels = {}) {
  const batches = model.rate("purser_commit_batches_total", labels);
  return batches > 0 ? model.rate("purser_postings_total", labels) / batches : undefined;
}

function unavailableRate(model) {
  const full = model.rate("purser_http_requests_refused_total");
  const answered = model.rate("purser_http_unavailable_total");
  return full === undefined && answered === undefined ? undefined : (full ?? 0) + (answered ?? 0);
}

function unavailableReasons(model) {
  const reasons = model
    .labels("purser_http_unavailable_total", "reason")
    .filter((reason) => model.rate("purser_http_unavailable_total", { reason }) > 0)
    .map(format.words);
  if (model.rate("purser_http_requests_refused_total") > 0) {
    reasons.push("Too many in flight");
  }
  return reasons.length > 0 ? reasons.join(", ") : "every request was taken";
}

function imbalance(model) {
  return model.value("purser_money_imbalance_minor_units");
}

function storedData(model) {
  const damaged = model.value("purser_scrub_damaged_files") ?? 0;
  if (damaged > 0 || model.value("purser_checkpoint_damaged") > 0) {
    return { text: damaged > 0 ? `${format.count(damaged)} damaged` : "Damaged", mood: "bad" };
  }
  if (model.value("purser_disk_full") > 0) {
    return { text: "Disk full", mood: "bad" };
  }
  return { text: "Sound", mood: "good" };
}
