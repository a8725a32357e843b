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


def picture(rows, path):
    """Goodput and p95 over what was offered, each as a share of its greatest."""
    width, height, left, bottom = 640, 300, 60, 40
    greatest = max(row["offered"] for row in rows)
    top_rate = max(max(row["answered"] for row in rows), 1)
    top_p95 = max(max(row["p95"] for row in rows), 0.001)

    def at(offered, share):
        x = left + offered / greatest * (width - left - 70)
        return f"{x:.1f},{height - bottom - share * (height - bottom - 40):.1f}"

    def line(name, top, colour, dash):
        points = " ".join(at(row["offered"], row[name] / top) for row in rows)
        return (f'<polyline points="{points}" fill="none" stroke="{colour}" '
                f'stroke-width="2" stroke-dasharray="{dash}"/>')

    marks = "".join(
        f'<text x="{at(row["offered"], 0).split(",")[0]}" y="{height - 22}" '
        f'text-anchor="middle">{row["multiple"]:g}×</text>' for row in rows)
    pathlib.Path(path).write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12" fill="#444">'
        f'<rect width="{width}" height="{height}" fill="#fff"/>'
        f'<path d="M{left} 40V{height - bottom}H{width - 70}" stroke="#888" fill="none"/>'
        + line("answered", top_rate, "#0072b2", "none")
        + line("p95", top_p95, "#d55e00", "6 4")
        + marks
        + f'<text x="{width / 2}" y="{height - 6}" text-anchor="middle">offered, in '
        'multiples of what a closed loop gets</text>'
        f'<text x="{left}" y="18" fill="#0072b2">answered with 0: at most '
        f'{top_rate:,.0f}/s</text>'
        f'<text x="{left}" y="34" fill="#d55e00">p95 in the server (dashed): at most '
        f'{top_p95:.1f} ms</text></svg>\n')


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
                # What the run before gave up may still be booked: a connection that was
                # refused is looked at again only after its rest. The next run's audit must
                # not begin before that.
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
        picture(rows, options.picture)


if __name__ == "__main__":
    main()
