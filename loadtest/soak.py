#!/usr/bin/env python3
"""Soak: many clients with bad manners, for as long as you like.

Knows only the wire. Clients connect, ask for balances, redeem tokens (which are booked),
and leave in every way there is: politely, by a half-close, by a reset while answers are
still to come, in the middle of a request, or not at all until the server sends them away.
Every complete answer is checked, and every connection must come to its end in time.

With --pid the server's memory, files and threads are printed as the run goes on. Once the
last client has gone the run fails unless the server is as it was before the first one: no
connection open, no request in flight, no more files and threads than before, and memory
that has not grown since a quarter of the run but by what the bookings are worth.

    purser serve --demo &
    python3 loadtest/soak.py --seconds 600 --pid $!
"""

import argparse
import asyncio
import base64
import json
import os
import random
import re
import socket
import struct
import sys
import time
import urllib.request

BALANCE = "balance"
CREATE_TOKEN = "session/createtoken"
REDEEM_TOKEN = "session/redeemtoken"

WARM_PART = 0.25
"""Of the run: by then every pool and buffer has the size that this load asks for."""

GROWTH_MAX_KIB = 16 * 1024
"""What memory may grow by from there to the end. A task that is never freed is some 6 KiB,
so half an hour shows it when one connection in fifty leaves one behind."""

BOOKING_MAX_BYTES = 256
"""What a booking may take on top: the server has to remember it (tuning.md, "Results")."""

SETTLE_S = 60
"""For what lingers, for deadlines that clients ran into on purpose, and for a fold of the
log that may just be under way."""

COUNTS = {"requests": 0, "bookings": 0, "connections": 0, "resets": 0, "half_closes": 0,
          "torn": 0, "slow": 0, "cut": 0}
LONGEST = {"answer_ms": 0.0}
WRONG = []


def request(path, **members):
    body = json.dumps({
        "PlatformKey": "demo",
        "Sequence": str(random.getrandbits(48)),
        "Timestamp": int(time.time() * 1000),
        **members,
    }).encode()
    credentials = base64.b64encode(b"demo:demo").decode()
    head = (
        f"POST /v1.0/{path} HTTP/1.1\r\nHost: soak\r\nContent-Type: application/json\r\n"
        f"Authorization: Basic {credentials}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def balance(account):
    return request(BALANCE, OperatorAccountID=account)


async def read_answer(reader):
    """One complete answer, which must be a success."""
    asked_at = time.monotonic()
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = next(int(line.split(":")[1]) for line in head.split("\r\n")
                  if line.lower().startswith("content-length:"))
    answer = json.loads(await reader.readexactly(length))
    if not head.startswith("HTTP/1.1 200 ") or answer["ErrorCode"] != 0:
        WRONG.append((head, answer))
    COUNTS["requests"] += 1
    LONGEST["answer_ms"] = max(LONGEST["answer_ms"], (time.monotonic() - asked_at) * 1e3)
    return answer


async def token(reader, writer, account):
    """A token of the account, as the request that redeems it."""
    writer.write(request(CREATE_TOKEN, OperatorAccountID=account, GameID="soak"))
    answer = await read_answer(reader)
    made = (answer.get("Result") or {}).get("SessionToken", "none")
    return request(REDEEM_TOKEN, SessionToken=made, IPAddress="203.0.113.7")


async def half_close(reader, writer, last):
    """Says that nothing follows; the answers come all the same, and then the end."""
    COUNTS["half_closes"] += 1
    writer.write(last)
    writer.write_eof()
    await read_answer(reader)
    if await reader.read():
        WRONG.append(("bytes behind the last answer", ""))


async def reset(_, writer, last):
    """Goes without reading what it asked for."""
    COUNTS["resets"] += 1
    writer.write(last)
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


async def torn(_, writer, last):
    """Goes in the middle of a request."""
    COUNTS["torn"] += 1
    writer.write(last[: random.randint(1, len(last) - 1)])
    await writer.drain()


async def slow(reader, writer, last):
    """Stays in the middle of a request until the server has had enough."""
    COUNTS["slow"] += 1
    writer.write(last[: random.randint(1, len(last) - 1)])
    answer = await reader.read()
    if not answer.startswith(b"HTTP/1.1 408 "):
        WRONG.append(("no 408 to half a request", answer))


async def polite(*_):
    """Closes when everything is answered."""


ENDS = {polite: 250, half_close: 250, reset: 250, torn: 250, slow: 1}
"""Few are slow: each costs a client ten seconds."""


async def connection(host, port):
    """One connection from its start to one of its possible ends."""
    reader, writer = await asyncio.open_connection(host, port)
    COUNTS["connections"] += 1
    account = f"demo/player-{random.randint(1, 1000)}"
    try:
        for _ in range(random.randint(0, 30)):
            pipelined = random.choice([1, 1, 1, 5])
            writer.write(balance(account) * pipelined)
            for _ in range(pipelined):
                await read_answer(reader)
        end = random.choices(list(ENDS), ENDS.values())[0]
        last = balance(account)
        if random.random() < 0.25:
            last = await token(reader, writer, account)
            COUNTS["bookings"] += 1
        elif end is reset:
            last *= 20
        await end(reader, writer, last)
    finally:
        writer.close()
    try:
        await writer.wait_closed()
    except (ConnectionResetError, BrokenPipeError):
        pass


async def client(options, until):
    while time.monotonic() < until:
        try:
            await asyncio.wait_for(connection(options.host, options.port), options.patience)
        except TimeoutError:
            WRONG.append((f"a connection was stuck for {options.patience} s", ""))
        except (OSError, asyncio.IncompleteReadError) as error:
            # Nobody was cut before it asked for that: the server never resets.
            COUNTS["cut"] += 1
            WRONG.append(("a connection was cut", repr(error)))


class Server:
    """What can be seen of the server from beside it."""

    def __init__(self, pid, admin):
        self.pid = pid
        self.metrics_url = f"http://{admin}/metrics"

    def state(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            fields = dict(line.split(":", 1) for line in status)
        return {
            "resident_kib": int(fields["VmRSS"].split()[0]),
            "threads": int(fields["Threads"]),
            "files": len(os.listdir(f"/proc/{self.pid}/fd")),
        }

    def gauges(self):
        with urllib.request.urlopen(self.metrics_url, timeout=30) as answer:
            text = answer.read().decode()
        gauges = {}
        for name in ["http_connections", "http_requests_in_flight"]:
            found = re.findall(rf"^purser_{name}(?:\{{.*\}})? (\d+)", text, re.M)
            if not found:
                sys.exit(f"no purser_{name} at {self.metrics_url}")
            gauges[name] = sum(map(int, found))
        return gauges

    def settle(self, before):
        """Waits until nothing is left of the clients: what is, if it never happens."""
        for _ in range(SETTLE_S):
            time.sleep(1)
            gauges = self.gauges()
            now = self.state()
            left = [f"{name}={value}" for name, value in gauges.items() if value]
            left += [f"{name}={now[name]}, {before[name]} before"
                     for name in ["files", "threads"] if now[name] > before[name]]
            if not left:
                break
        return now, gauges, left


def words(state, prefix=""):
    return " ".join(f"{prefix}{name}={value}" for name, value in state.items())


async def report(options, server, until):
    """Prints how it goes, and gives the state of the server when it was warm."""
    began_at = time.monotonic()
    warm = None
    while True:
        await asyncio.sleep(min(options.every, max(0.1, until - time.monotonic())))
        now = time.monotonic()
        line = f"{now - began_at:.0f}s {words(COUNTS)} longest_answer_ms={LONGEST['answer_ms']:.0f}"
        if server:
            state = server.state()
            line += " " + words(state, "server_")
            if warm is None and now >= until - (1 - WARM_PART) * options.seconds:
                warm = state | {"bookings": COUNTS["bookings"]}
        print(line, flush=True)
        if now >= until:
            return warm


async def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9816)
    parser.add_argument("--admin", default="127.0.0.1:9817", help="the server's; with --pid")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--every", type=float, default=60, help="seconds between reports")
    parser.add_argument("--patience", type=float, default=60,
                        help="seconds that a connection may take, its timeouts included")
    parser.add_argument("--pid", type=int, help="the server's, to watch what it takes")
    options = parser.parse_args()
    server = Server(options.pid, options.admin) if options.pid else None
    # The first scrape makes what every later one has.
    before = (server.gauges(), server.state())[1] if server else None
    until = time.monotonic() + options.seconds
    clients = [client(options, until) for _ in range(options.clients)]
    warm, *_ = await asyncio.gather(report(options, server, until), *clients)
    failures = [f"{len(WRONG)} wrong answers or ends"] if WRONG else []
    for wrong in WRONG[:5]:
        print("wrong:", *wrong, file=sys.stderr)
    if server:
        after, gauges, left = server.settle(before)
        print(f"before: {words(before)}\nwarm: {words(warm)}\nafter: {words(after)} "
              f"{words(gauges)}")
        failures += [f"left behind: {thing}" for thing in left]
        grown_kib = after["resident_kib"] - warm["resident_kib"]
        booked = COUNTS["bookings"] - warm["bookings"]
        if grown_kib > GROWTH_MAX_KIB + booked * BOOKING_MAX_BYTES // 1024:
            failures.append(f"memory grew by {grown_kib} KiB with {booked} bookings")
    if failures:
        sys.exit("; ".join(failures))
    print("nothing wrong, nothing left behind")


asyncio.run(main())
