#!/usr/bin/env python3
"""Overload: what a server still does when more is asked of it than it can.

Starts a `purser serve --demo` of its own with a part of one CPU, finds by a closed loop
what it can, and then offers multiples of that by an open loop of whole rounds, in turns.
Prints a table and, with --picture, draws it. After each run `loadtest` audits the money:
nothing that was refused or given up may be half done.

The part of a CPU is a quota of the kernel (cgroup, version 1 or 2), so this needs root;
with --share 1 it does not, but then one generator can hardly offer ten times as much.

    cargo build --release --workspace
    sudo python3 loadtest/overload.py --picture overload.svg
"""

import argparse
import json
import math
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

QUOTA_US = 1_000
"""The least that the kernel takes: a quota that is used up then stops the server for as
short as can be, 9 ms at a tenth of a CPU."""


SETTLE_S = 5
"""Longer than any connection of a run that has ended can still have a request to do."""


class Quota:
    """A cgroup that allows a part of one CPU; removed at the end."""

    def __init__(self, share):
        name = f"purser-overload-{os.getpid()}"
        period_us = int(QUOTA_US / share)
        root = pathlib.Path("/sys/fs/cgroup")
        if (root / "cgroup.controllers").exists():
            self.folder = root / name
            self.folder.mkdir()
            (self.folder / "cpu.max").write_text(f"{QUOTA_US} {period_us}")
        else:
            self.folder = root / "cpu" / name
            self.folder.mkdir()
            (self.folder / "cpu.cfs_period_us").write_text(str(period_us))
            (self.folder / "cpu.cfs_quota_us").write_text(str(QUOTA_US))

    def take(self, pid):
        (self.folder / "cgroup.procs").write_text(str(pid))

    def remove(self):
        """The kernel lets go of the last thread some time after it ended."""
        for _ in range(300):
            try:
                self.folder.rmdir()
                return
            except OSError:
                time.sleep(0.1)
        print(f"remove {self.folder} by hand: rmdir {self.folder}", file=sys.stderr)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start(options, home):
    wallet, admin = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    command = [options.purser, "serve", "--demo", "--shards", "1", "--listen", wallet,
               "--admin-listen", admin, "--data-dir", f"{home}/data"]
    log = open(f"{home}/server.log", "w")
    limit = {"PURSER_LIMITS__MAX_IN_FLIGHT": str(options.max_in_flight)}
    server = subprocess.Popen(["taskset", "-c", str(options.server_cpu), *command],
                              stdout=log, stderr=log,
                              env=os.environ | limit)
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"http://{admin}/readyz", timeout=1) as answer:
                if answer.status == 200:
                    return server, wallet, admin
        except OSError:
            time.sleep(0.1)
    sys.exit(f"the server did not start: {pathlib.Path(log.name).read_text()}")


def metrics(admin):
    with urllib.request.urlopen(f"http://{admin}/metrics", timeout=30) as answer:
        return answer.read().decode()


def refused(text):
    found = re.findall(r"^purser_http_requests_refused_total\S* (\d+)", text, re.M)
    return sum(map(int, found))


def buckets(text):
    """How many requests took at most so long, by the server's own clock."""
    counts = {}
    pattern = r'^purser_http_request_duration_seconds_bucket\{.*le="([^"]+)"\} (\d+)'
    for bound, count in re.findall(pattern, text, re.M):
        counts[float(bound)] = counts.get(float(bound), 0) + int(count)
    return counts


def percentile_ms(before, after, part):
    """Within the bucket, as if it were filled evenly."""
    counts = sorted((bound, after[bound] - before.get(bound, 0)) for bound in after)
    wanted = part * counts[-1][1]
    below, below_count = 0.0, 0
    for bound, count in counts:
        if count >= wanted and count > below_count:
            if bound == float("inf"):
                return below * 1e3
            inside = (wanted - below_count) / (count - below_count)
            return (below + (bound - below) * inside) * 1e3
        below, below_count = bound, count
    return float("nan")


def load(options, home, wallet, admin, more):
    result = f"{home}/result.json"
    command = [options.loadtest, "run", "--scenario", "full", "--url", f"http://{wallet}",
               "--admin-url", f"http://{admin}", "--accounts", f"{home}/data/demo-accounts.json",
               "--cpus", str(options.client_cpu), "--duration", f"{options.seconds}s",
               "--threshold", "http_reqs:count>0", "--repeats", "0", "--reorderings", "0",
               "--quiet", "--json", result, *more]
    before = metrics(admin)
    done = subprocess.run(command, capture_output=True, text=True)
    after = metrics(admin)
    if done.returncode not in (0, 99):
        sys.exit(f"{' '.join(command)}: status {done.returncode}\n{done.stdout}{done.stderr}")
    summary = json.loads(pathlib.Path(result).read_text())
    seconds = summary["run"]["seconds"]
    good = summary["metrics"]["http_req_duration{expected_response:true}"]
    return {
        "answered": good["count"] / seconds,
        "refused": (refused(after) - refused(before)) / seconds,
        "client_p95": good["p(95)"],
        "p50": percentile_ms(buckets(before), buckets(after), 0.5),
        "p95": percentile_ms(buckets(before), buckets(after), 0.95),
        "generator": summary["generator"]["cpus"],
        "audit": (summary.get("audit") or {}),
    }


STYLE = """
svg { --paper: #ffffff; --ink: #1f2328; --faint: #6e7781; --grid: #d8dee4;
      --answered: #0a63b0; --refused: #8a5a00; --p50: #2a7d2a; --p95: #b3400e; }
@media (prefers-color-scheme: dark) {
  svg { --paper: #0d1117; --ink: #e6edf3; --faint: #9198a1; --grid: #30363d;
        --answered: #6cb6ff; --refused: #e3b341; --p50: #6bc46d; --p95: #ff9c66; } }
text { font: 13px system-ui, sans-serif; fill: var(--ink); }
.title { font-weight: 600; font-size: 15px; }
.faint { fill: var(--faint); }
"""

WIDTH, LEFT, RIGHT = 720, 64, 110
PANEL_TOPS, PANEL_HEIGHT = (70, 300), 150


def nice_top(value):
    """The next round number, so that the grid has round ones too."""
    power = 10 ** math.floor(math.log10(max(value, 1e-9)))
    steps = (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 5, 6, 8, 10)
    return next(step * power for step in steps if step * power >= value)


def panel(rows, top, title, unit, lines, reference=None):
    """One picture in the picture: lines over the multiples, each named at its end."""
    bottom = top + PANEL_HEIGHT
    values = [row[name] for row in rows for name, _, _ in lines]
    most = nice_top(max(values + [reference[0] if reference else 0]) * 1.05)

    def x_of(index):
        return LEFT + (index + 0.5) * (WIDTH - LEFT - RIGHT) / len(rows)

    def y_of(value):
        return bottom - value / most * PANEL_HEIGHT

    parts = [f'<text class="title" x="{LEFT}" y="{top - 14}">{title}</text>']
    for quarter in range(5):
        y = y_of(most * quarter / 4)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="var(--grid)"/>'
                     f'<text class="faint" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">'
                     f'{most * quarter / 4:,g}</text>')
    if reference:
        y = y_of(reference[0])
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="var(--faint)" '
                     f'stroke-dasharray="3 5"/><text class="faint" x="{WIDTH - RIGHT + 8}" '
                     f'y="{y + 4:.1f}">{reference[1]}</text>')
    taken = [y_of(reference[0])] if reference else []
    for name, label, colour in lines:
        points = [(x_of(index), y_of(row[name])) for index, row in enumerate(rows)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="var(--{colour})" '
                     'stroke-width="2.5" stroke-linejoin="round"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="var(--{colour})"/>'
                  for x, y in points]
        label_y = points[-1][1]
        away = -4 if any(label_y <= other < label_y + 16 for other in taken) else 4
        while any(abs(label_y - other) < 16 for other in taken):
            label_y += away
        taken.append(label_y)
        parts.append(f'<text x="{WIDTH - RIGHT + 8}" y="{label_y + 4:.1f}" '
                     f'style="fill: var(--{colour})">{label}</text>')
        if len(lines) == 1 or name in ("answered", "p95"):
            parts += [f'<text x="{x:.1f}" y="{y - 9:.1f}" text-anchor="middle" '
                      f'style="fill: var(--{colour})">{row[name]:{unit}}</text>'
                      for (x, y), row in zip(points, rows)]
    return parts, x_of


def picture(rows, calm, share, path):
    """What was answered, and how quickly, over what was offered."""
    goodput, x_of = panel(
        rows, PANEL_TOPS[0], "answered with success, per second", ",.0f",
        [("answered", "answered", "answered"), ("refused", "refused 503", "refused")],
        (calm["answered"], "closed loop"))
    times, _ = panel(rows, PANEL_TOPS[1], "time in the server, ms", ".1f",
                     [("p95", "p95", "p95"), ("p50", "p50", "p50")])
    bottom = PANEL_TOPS[1] + PANEL_HEIGHT
    axis = []
    for index, row in enumerate(rows):
        axis.append(f'<text class="title" x="{x_of(index):.1f}" y="{bottom + 24}" '
                    f'text-anchor="middle">{row["multiple"]:g}×</text>'
                    f'<text class="faint" x="{x_of(index):.1f}" y="{bottom + 42}" '
                    f'text-anchor="middle">{row["offered"]:,.0f}/s</text>')
    cpu = "one whole CPU" if share >= 1 else f"{share:g} of a CPU"
    height = bottom + 76
    pathlib.Path(path).write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img" aria-label="Goodput and time in the '
        f'server under overload"><style>{STYLE}</style>'
        f'<rect width="{WIDTH}" height="{height}" fill="var(--paper)"/>'
        f'<text class="faint" x="{LEFT}" y="26">purser, one shard on {cpu}: what is done of '
        'what is offered</text>'
        + "\n".join(goodput + times + axis)
        + f'<text class="faint" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{bottom + 64}" '
        'text-anchor="middle">offered, in multiples of what a closed loop of 100 users gets'
        '</text></svg>\n')


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--purser", default="target/release/purser")
    parser.add_argument("--loadtest", default="target/release/loadtest")
    parser.add_argument("--server-cpu", type=int, default=0)
    parser.add_argument("--client-cpu", type=int, default=1)
    parser.add_argument("--share", type=float, default=0.1, help="of one CPU, for the server")
    parser.add_argument("--max-in-flight", type=int,
                        help="[limits] of the server; by default so much less as its CPU is")
    parser.add_argument("--seconds", type=int, default=10, help="a run")
    parser.add_argument("--connections", type=int, default=2_000, help="of the open loops")
    parser.add_argument("--multiples", default="0.5,1,2,5,10")
    parser.add_argument("--picture", help="an SVG to write")
    options = parser.parse_args()
    options.max_in_flight = options.max_in_flight or max(16, int(1_024 * options.share))
    quota = Quota(options.share) if options.share < 1 else None
    rows = []
    with tempfile.TemporaryDirectory() as home:
        server = None
        try:
            server, wallet, admin = start(options, home)
            if quota:
                quota.take(server.pid)
            calm = load(options, home, wallet, admin, ["--vus", "100"])
            print(f"closed loop, 100 users: {calm['answered']:,.0f}/s\n")
            print("| offered | answered 0 | of a closed loop | refused 503 | p50 in the server "
                  "| p95 | p95 from due | generator CPU |")
            print("|---|---:|---:|---:|---:|---:|---:|---:|")
            for multiple in map(float, options.multiples.split(",")):
                # What the run before gave up may still be booked: a connection may queue
                # with a request in its socket. The next run's audit must not begin before
                # that.
                time.sleep(SETTLE_S)
                offered = calm["answered"] * multiple
                row = load(options, home, wallet, admin,
                           ["--vus", str(options.connections), "--rate", str(int(offered))])
                row |= {"offered": offered, "multiple": multiple}
                rows.append(row)
                print(f"| {multiple:g}×, {offered:,.0f}/s | {row['answered']:,.0f} "
                      f"| {row['answered'] / calm['answered']:.2f} | {row['refused']:,.0f} "
                      f"| {row['p50']:.1f} ms | {row['p95']:.1f} ms | {row['client_p95']:.0f} ms "
                      f"| {row['generator'] * 100:.0f} % |", flush=True)
        finally:
            if server:
                server.send_signal(signal.SIGTERM)
                server.wait(60)
            if quota:
                quota.remove()
    if options.picture:
        picture(rows, calm, options.share, options.picture)


if __name__ == "__main__":
    main()
