#!/usr/bin/env python3
"""Soak: many clients with bad manners, for as long as you like.

Knows only the wire. Clients connect, ask for balances, and leave in every way there is:
politely, by a half-close, by a reset in the middle of an answer, or in the middle of a
request. Every complete answer is checked. With --pid the server's memory and open files
are printed as the run goes on, and the run fails when files stay open after the last
client has gone.

    purser serve --demo &
    python3 loadtest/soak.py --seconds 600 --pid $!
"""

import argparse
import asyncio
import base64
import json
import os
import random
import socket
import struct
import sys
import time

COUNTS = {"requests": 0, "connections": 0, "resets": 0, "half_closes": 0, "torn": 0}
WRONG = []


def request(account):
    body = json.dumps({
        "PlatformKey": "demo",
        "Sequence": str(random.getrandbits(48)),
        "Timestamp": int(time.time() * 1000),
        "OperatorAccountID": account,
    }).encode()
    credentials = base64.b64encode(b"demo:demo").decode()
    head = (
        "POST /v1.0/balance HTTP/1.1\r\nHost: soak\r\nContent-Type: application/json\r\n"
        f"Authorization: Basic {credentials}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def read_answer(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = next(int(line.split(":")[1]) for line in head.split("\r\n")
                  if line.lower().startswith("content-length:"))
    answer = json.loads(await reader.readexactly(length))
    if not head.startswith("HTTP/1.1 200 ") or answer["ErrorCode"] != 0:
        WRONG.append((head, answer))
    COUNTS["requests"] += 1


async def connection(host, port):
    """One connection from its start to one of its possible ends."""
    reader, writer = await asyncio.open_connection(host, port)
    COUNTS["connections"] += 1
    account = f"demo/player-{random.randint(1, 1000)}"
    for _ in range(random.randint(0, 30)):
        pipelined = random.choice([1, 1, 1, 5])
        writer.write(request(account) * pipelined)
        for _ in range(pipelined):
            await read_answer(reader)
    end = random.choice(["polite", "half-close", "reset", "torn"])
    if end == "half-close":
        COUNTS["half_closes"] += 1
        writer.write(request(account))
        writer.write_eof()
        await read_answer(reader)
        if await reader.read():
            WRONG.append(("bytes behind the last answer", account))
    elif end == "reset":
        COUNTS["resets"] += 1
        writer.write(request(account) * 20)
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    elif end == "torn":
        COUNTS["torn"] += 1
        whole = request(account)
        writer.write(whole[: random.randint(1, len(whole) - 1)])
        await writer.drain()
    writer.close()
    try:
        await writer.wait_closed()
    except (ConnectionResetError, BrokenPipeError):
        pass


async def client(host, port, until):
    while time.monotonic() < until:
        await connection(host, port)


def server_state(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        resident = next(line.split()[1] for line in status if line.startswith("VmRSS"))
    return int(resident), len(os.listdir(f"/proc/{pid}/fd"))


async def report(options, until):
    while True:
        await asyncio.sleep(min(options.every, max(0.1, until - time.monotonic())))
        line = " ".join(f"{name}={count}" for name, count in COUNTS.items())
        if options.pid:
            resident, files = server_state(options.pid)
            line += f" server_resident_kib={resident} server_files={files}"
        print(line, flush=True)
        if time.monotonic() >= until:
            return


async def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9816)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--every", type=float, default=60, help="seconds between reports")
    parser.add_argument("--pid", type=int, help="the server's, to watch its memory and files")
    options = parser.parse_args()
    files_before = server_state(options.pid)[1] if options.pid else 0
    until = time.monotonic() + options.seconds
    clients = [client(options.host, options.port, until) for _ in range(options.clients)]
    await asyncio.gather(report(options, until), *clients)
    for wrong in WRONG[:5]:
        print("wrong:", *wrong, file=sys.stderr)
    if options.pid:
        # Lingering connections have their two seconds.
        await asyncio.sleep(5)
        resident, files = server_state(options.pid)
        print(f"after: server_resident_kib={resident} server_files={files} (before: {files_before})")
        if files > files_before:
            sys.exit("files stayed open after the last client had gone")
    if WRONG:
        sys.exit(f"{len(WRONG)} wrong answers")


asyncio.run(main())
