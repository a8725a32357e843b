#!/usr/bin/env python3
"""Plays one round against a purser wallet, with retries the right way.

Needs Python 3.9 and nothing else. Against `purser serve --demo`:

    python3 examples/round.py

What matters here is what happens when an answer does not come:

* A request is sent again exactly as it was, with the same transaction id. The wallet
  books an id once and answers every copy with success, so a copy never costs twice.
* The pause doubles and has chance in it, or all workers come back at the same moment.
* A bet whose fate stays unknown is rolled back. The rollback settles it in any case:
  0 means that the bet was booked and is reversed, -8 that it was never booked, and that
  the wallet will refuse it if it still arrives.
* Winnings, rollbacks and the end of a round are owed. They are never given up: a real
  platform keeps them in its own storage and goes on sending them.
"""

import base64
import datetime
import http.client
import json
import os
import random
import sys
import time
import urllib.parse
import uuid

BASE_URL = os.environ.get("BASE_URL", "http://127.0.0.1:9816")
USERNAME = os.environ.get("USERNAME", "demo")
PASSWORD = os.environ.get("PASSWORD", "demo")
ACCOUNT = os.environ.get("ACCOUNT", "demo/player-1")

STAKE = "2.00"
WINNINGS = "5.00"
GAME = "roulette"

# How long one answer may take; the wallet itself gives up after 30 s.
TIMEOUT_S = 35
# A player waits for a bet, so it is tried for a few seconds only.
BET_ATTEMPTS = 5
# What is owed is tried for minutes here; a real platform would never stop.
OWED_ATTEMPTS = 12
PAUSE_FIRST_S = 0.1
PAUSE_MAX_S = 10

SUCCESS = 0
UNKNOWN_ERROR = -1
TRANSACTION_NOT_FOUND = -8


class Unknown(Exception):
    """No attempt brought an answer: the request may have been booked, or not."""


class Refused(Exception):
    """The wallet said no, and will say it again until something is mended."""


class Wallet:
    """One kept-alive connection. A pool of these serves many players."""

    def __init__(self, base_url, username, password):
        self.host = urllib.parse.urlsplit(base_url).netloc
        credentials = base64.b64encode(f"{username}:{password}".encode()).decode()
        self.headers = {
            "Authorization": f"Basic {credentials}",
            "Content-Type": "application/json",
        }
        self.connection = None

    def call(self, path, members, attempts):
        """Sends one request until it is answered, and gives the answer."""
        # Made once: every copy has the same bytes, the same id and the same Timestamp.
        now = datetime.datetime.now(datetime.timezone.utc)
        body = json.dumps(
            {
                "PlatformKey": "demo",
                "Sequence": str(uuid.uuid4()),
                "Timestamp": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
                **members,
            }
        )
        pause = PAUSE_FIRST_S
        for attempt in range(attempts):
            if attempt > 0:
                time.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(2 * pause, PAUSE_MAX_S)
            status, answer = self.try_once(path, body)
            if status == 200 and answer["ErrorCode"] != UNKNOWN_ERROR:
                return answer
            if status not in (None, 200, 408, 503):
                # The request itself is wrong: sent again, it would be just as wrong.
                raise Refused(f"{path}: HTTP {status}: {answer}")
            print(f"  no answer to {path} in attempt {attempt + 1}", file=sys.stderr)
        raise Unknown(path)

    def try_once(self, path, body):
        """The HTTP status and the body, or nothing if no whole answer came."""
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(self.host, timeout=TIMEOUT_S)
            self.connection.request("POST", path, body, self.headers)
            response = self.connection.getresponse()
            return response.status, json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError):
            # Whatever was still on its way on this connection must not be taken for the
            # answer to the next request.
            if self.connection is not None:
                self.connection.close()
            self.connection = None
            return None, None


def expect_success(answer):
    if answer["ErrorCode"] != SUCCESS:
        raise Refused(f"{answer['ErrorCode']}: {answer['ErrorDescription']}")
    return answer


def play(wallet):
    # The player opens the game: a token, and with it the session.
    player = {"OperatorAccountID": ACCOUNT, "GameID": GAME}
    created = expect_success(
        wallet.call("/v1.0/session/createtoken", player, BET_ATTEMPTS)
    )
    redeemed = expect_success(
        wallet.call(
            "/v1.0/session/redeemtoken",
            {
                "SessionToken": created["Result"]["SessionToken"],
                "IPAddress": "203.0.113.7",
            },
            BET_ATTEMPTS,
        )
    )["Result"]

    # Ids come from us and are written down before anything is sent.
    round_id = str(uuid.uuid4())
    game_round = {
        **player,
        "GameRoundID": round_id,
        "CurrencyCode": redeemed["CurrencyCode"],
        "GatewaySessionToken": redeemed["GatewaySessionToken"],
    }

    bet_id = str(uuid.uuid4())
    bet = {
        **game_round,
        "GameRoundTransactionID": bet_id,
        "Amount": STAKE,
        "StartRound": True,
        "EndRound": False,
    }
    try:
        answer = wallet.call("/v1.0/gameround/placebet", bet, BET_ATTEMPTS)
    except Unknown:
        roll_back(wallet, game_round, bet_id)
        print("the fate of the bet was unknown: rolled back, the round is not played")
        return
    expect_success(answer)
    print(f"bet {STAKE}, cash now {answer['Balance']['CashFunds']}")

    award = {
        **game_round,
        "GameRoundTransactionID": str(uuid.uuid4()),
        "Amount": WINNINGS,
        "StartRound": False,
        "EndRound": False,
    }
    answer = expect_success(
        wallet.call("/v1.0/gameround/awardwinnings", award, OWED_ATTEMPTS)
    )
    print(f"won {WINNINGS}, cash now {answer['Balance']['CashFunds']}")

    # Repeating an end is success as well.
    expect_success(wallet.call("/v1.0/gameround/end", game_round, OWED_ATTEMPTS))
    print("the round is over")


def roll_back(wallet, game_round, bet_id):
    rollback = {
        **game_round,
        "GameRoundTransactionID": str(uuid.uuid4()),
        "OriginalBetGameRoundTransactionID": bet_id,
        "Amount": STAKE,
        "EndRound": True,
    }
    answer = wallet.call("/v1.0/gameround/rollbackbet", rollback, OWED_ATTEMPTS)
    if answer["ErrorCode"] != TRANSACTION_NOT_FOUND:
        expect_success(answer)


if __name__ == "__main__":
    try:
        play(Wallet(BASE_URL, USERNAME, PASSWORD))
    except Refused as refused:
        sys.exit(f"refused: {refused}")
    except Unknown as unknown:
        sys.exit(f"still owed, keep it and send it again: {unknown}")
