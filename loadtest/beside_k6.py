#!/usr/bin/env python3
"""k6 and loadtest on the same server, in turns, with the CPU time of both sides.

    target/release/purser serve --demo                # one terminal; pin it with taskset
    python3 loadtest/beside_k6.py --cpus 1            # another, in the same directory

Each round runs both generators with the same scenario, users and seconds, every other round
the other way about, and a line says what each saw: the rate, percentiles, how many CPUs it
took itself and what a request cost the server. k6 is taken from the PATH. The full mixes are
not the same requests in the same shares (README.md), the reference's are.

Needs Python 3.9 and Linux; exits with 1 when a check failed or a run was not clean.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
COLUMNS = "{:9} {:>9} {:>9} {:>9} {:>9} {:>10} {:>12} {:>11} {:>7}"


def main() -> int:
    options = parsed()
    k6 = shutil.which("k6")
    if k6 is None:
        sys.exit("beside_k6: k6 is not in the PATH; README.md says where it comes from")
    if not options.loadtest.is_file():
        sys.exit(f"beside_k6: no {options.loadtest}: cargo build --release -p loadtest")
    print(COLUMNS.format("generator", "req/s", "p50 ms", "p95 ms", "max ms", "checks",
                         "own CPUs", "server CPUs", "us/req"))
    is_clean = True
    with tempfile.TemporaryDirectory() as home:
        result = Path(home) / "result.json"
        # Also warms the server, and says which process it is.
        server = run_loadtest(options, result, seconds=2)[1]["server"]["pid"]
        for number in range(options.rounds):
            runs = [("loadtest", run_loadtest), ("k6", lambda o, r: run_k6(k6, server, o, r))]
            for name, run in runs if number % 2 == 0 else reversed(runs):
                line, _ = run(options, result)
                is_clean &= line["checks"] == 1.0
                print(COLUMNS.format(
                    name, f"{line['rate']:,.0f}", f"{line['p50']:.2f}", f"{line['p95']:.2f}",
                    f"{line['max']:.2f}", f"{line['checks']:.4%}", f"{line['own']:.2f}",
                    f"{line['server']:.2f}", f"{line['us']:.1f}"), flush=True)
    return 0 if is_clean else 1


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="k6 and loadtest on the same server, in turns.",
        epilog="Example: beside_k6.py --scenario full --cpus 1 --seconds 30 --rounds 3")
    parser.add_argument("--scenario", choices=["reference", "full"], default="reference")
    parser.add_argument("--vus", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--cpus", help="keep both generators on these, as taskset has it")
    parser.add_argument("--loadtest", type=Path, default=Path("target/release/loadtest"))
    return parser.parse_args()


def run_loadtest(options, result, seconds=None):
    command = [options.loadtest.resolve(), "run", "--quiet", "--scenario", options.scenario,
               "--vus", str(options.vus), "--duration", f"{seconds or options.seconds}s",
               "--json", result]
    if options.cpus:
        command += ["--cpus", options.cpus]
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode != 0:
        sys.exit(f"beside_k6: loadtest ended with {ended.returncode}:\n"
                 f"{ended.stdout}{ended.stderr}")
    said = json.loads(result.read_text())
    if "server" not in said or said["server"] is None:
        sys.exit("beside_k6: the server is not on this machine, or not ours to look at")
    duration, metrics = said["metrics"]["http_req_duration"], said["metrics"]
    return {
        "rate": metrics["http_reqs"]["rate"],
        "p50": duration["med"], "p95": duration["p(95)"], "max": duration["max"],
        "checks": metrics["checks"]["rate"], "own": said["generator"]["cpus"],
        "server": said["server"]["cpus"], "us": said["server"]["us_per_request"],
    }, said


def run_k6(k6, server, options, result):
    command = [k6, "run", "--quiet", "--summary-export", result,
               HERE / "k6" / f"{options.scenario}.js"]
    if options.cpus:
        command = ["taskset", "-c", options.cpus, *command]
    environment = {**os.environ, "VUS": str(options.vus), "DURATION": f"{options.seconds}s"}
    own, theirs = children_cpu_s(), process_cpu_s(server)
    ended = subprocess.run(command, capture_output=True, text=True, env=environment)
    own, theirs = children_cpu_s() - own, process_cpu_s(server) - theirs
    # 99 is a threshold of the script, which the table shows as well.
    if ended.returncode not in (0, 99):
        sys.exit(f"beside_k6: k6 ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
    metrics = json.loads(result.read_text())["metrics"]
    duration, requests = metrics["http_req_duration"], metrics["http_reqs"]
    # Its start and end are in its CPU time, but not in the time that its rate is by.
    seconds = requests["count"] / requests["rate"]
    return {
        "rate": requests["rate"], "p50": duration["med"], "p95": duration["p(95)"],
        "max": duration["max"], "checks": metrics["checks"]["value"], "own": own / seconds,
        "server": theirs / seconds, "us": theirs * 1e6 / requests["count"],
    }, metrics


def children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def process_cpu_s(pid: int) -> float:
    # Behind the name, which may have spaces and brackets: user time is the 12th, system the 13th.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


if __name__ == "__main__":
    sys.exit(main())
