// The slow requests that the server remembers, newest first, with the stages of each.

import { ApiError, get } from "./api.js";
import { Table, byId, el, setText } from "./dom.js";
import * as format from "./format.js";

/** Rows shown: the newest; the server remembers more. */
const ROWS = 10;

const COLUMNS = [
  { key: "at", label: "Time", isText: true },
  { key: "op", label: "Endpoint", isText: true },
  { key: "duration", label: "Took" },
  { key: "stages", label: "Stages", isText: true },
  { key: "shard", label: "Shard" },
  { key: "code", label: "ErrorCode" },
  { key: "account", label: "Account", isText: true },
  { key: "sequence", label: "Sequence", isText: true },
];

export class SlowRequests {
  /** `show` is called with the id of an account that somebody picks. */
  constructor(show) {
    this.show = show;
    this.isOffered = true;
    this.table = new Table(byId("slow"), "Slow requests, newest first", COLUMNS);
  }

  async refresh(signal) {
    if (!this.isOffered) {
      return;
    }
    try {
      const answer = await get("slow-requests", signal);
      this.draw(answer.SlowRequests ?? []);
    } catch (error) {
      if (!(error instanceof ApiError)) {
        throw error;
      }
      // A server that does not know the path will not learn it.
      this.isOffered = error.status !== 404;
      setText(byId("slow-note"), this.isOffered ? error.message : "This server does not list slow requests.");
    }
  }

  draw(requests) {
    const none = "No request was slow since the server started.";
    const shown = `The newest ${Math.min(ROWS, requests.length)} of ${requests.length} that are remembered.`;
    setText(byId("slow-note"), requests.length > 0 ? shown : none);
    byId("slow").hidden = requests.length === 0;
    this.table.draw(requests.slice(0, ROWS).map((request) => this.row(request)));
  }

  row(request) {
    const key = [request.At, request.Op, request.Sequence, request.OperatorAccountID].join("\n");
    const code = request.ErrorCode;
    return {
      key,
      cells: {
        at: format.timeOfDay(request.At),
        op: request.Op,
        duration: format.duration(request.DurationMicros / 1e6),
        stages: this.kept(key, "stages", () => stages(request)),
        shard: `${request.Shard}${request.Hopped ? " (hop)" : ""}`,
        code: { text: String(code ?? format.NOTHING), mood: code ? "warn" : null },
        account: this.kept(key, "account", () => this.account(request.OperatorAccountID)),
        sequence: request.Sequence ?? "",
      },
    };
  }

  // A request that was slow stays as it was, and so do its elements.
  kept(key, part, make) {
    const row = this.table.rows.get(key);
    const at = COLUMNS.findIndex((column) => column.key === part);
    return row?.cells[at].firstElementChild ?? make();
  }

  account(id) {
    if (!id) {
      return el("span", {}, format.NOTHING);
    }
    const button = el("button", { type: "button", class: "link" }, id);
    button.addEventListener("click", () => this.show(id));
    return button;
  }
}

/** A bar of the stages' shares, and behind it what they took in words. */
function stages(request) {
  const known = Object.entries(request.Stages ?? {}).filter(([, micros]) => micros > 0);
  const longest = Math.max(1, ...known.map(([, micros]) => micros));
  const all = Math.max(1, known.reduce((sum, [, micros]) => sum + micros, 0));
  const bar = el("span", { class: "stages", "aria-hidden": "true" });
  for (const [stage, micros] of known) {
    const part = el("span", { class: micros === longest ? "longest" : null, title: stage });
    part.style.flexGrow = String(micros / all);
    bar.append(part);
  }
  const words = known.map(([stage, micros]) => `${stage} ${format.duration(micros / 1e6)}`);
  return el("span", {}, bar, el("span", { class: "small" }, words.join(" · ")));
}
