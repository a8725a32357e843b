"""What Schemathesis must know of a wallet: its players, its money, and its answers.

Requests that the document allows are given a player of the demo, a live session and a
time of now, or nearly all of them would end at the first check of the wallet. Requests
that the document forbids stay as they were made up.
"""

import json
import os
import random
import time

import requests
import schemathesis

PLAYERS = json.load(open(os.environ["PURSER_DEMO_ACCOUNTS"], encoding="utf-8"))

# Reasons for -6 that no schema can express; tests/common/contract.rs has the same.
UNSAID = (
    "Not authorised",
    "used before with other contents",
    "of a rollback must",
    "older than",
    "ahead of the wallet's clock",
    "in the future",
    "fraction digits",
    # 1e999999 is a number.
    "too large",
    # Days that are in no calendar, and more than 64 bits.
    "YYYY-MM-DDThh:mm:ss",
    # Integers that stand for a text: their digits count; and 1e2 is one to JSON Schema.
    "got the number",
    "characters, got",
)


def is_wallets(case):
    return case.operation.path.startswith("/v1.0/")


def is_allowed(case):
    return case.meta is not None and case.meta.generation.mode.is_positive


def is_body_forbidden(case):
    location = schemathesis.core.parameters.ParameterLocation.BODY
    return case.meta is not None and case.meta.is_negative_at(location)


@schemathesis.serializer("application/x-ndjson")
def ndjson(ctx, value):
    """Lines are a text already."""
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.hook
def before_call(ctx, case, kwargs):
    if not is_allowed(case):
        return
    player = random.choice(PLAYERS)
    domain, name = player["OperatorAccountID"].split("/", 1)
    parts = case.path_parameters or {}
    for parameter, value in (("domain", domain), ("player", name), ("key", player["SessionKey"])):
        if parameter in parts and random.random() < 0.75:
            parts[parameter] = value
    # Domain and player together have at most 50 characters. They stand here percent-encoded,
    # and what a hook has touched is judged once more as it stands.
    if len(f"{parts.get('domain')}/{parts.get('player')}") > 50:
        parts["player"] = name
    # Any text is a cursor to the document; only the server makes those that lead somewhere.
    (case.query or {}).pop("before", None)
    body = case.body
    if case.operation.path == "/admin/v1/import":
        lines = [{"OperatorAccountID": f"demo/import-{random.randrange(10**6)}", "CountryCode": "DE",
                  "CashFunds": "1.00", "OpenSession": True} for _ in range(random.randrange(4))]
        case.body = "".join(json.dumps(line) + "\n" for line in lines)
    if not isinstance(body, dict):
        return
    known = {
        "OperatorAccountID": player["OperatorAccountID"],
        "GatewaySessionToken": player["SessionKey"],
        "SessionToken": f"{player['SessionKey']}-{int(time.time() * 1000):x}",
        "Timestamp": int(time.time() * 1000),
        "PlatformKey": "demo",
        "CurrencyCode": "EUR",
    }
    for member, value in known.items():
        if member in body and random.random() < 0.75:
            body[member] = value
    # How many fraction digits an amount may have is the currency's to say.
    for member in ("Amount", "FreeBetCost", "LossDaily", "LossWeekly", "LossMonthly"):
        if isinstance(body.get(member), str):
            body[member] = random.choice(("0.01", "1", "2.50", "10.00"))


@schemathesis.check
def the_wallet_refuses_what_the_document_forbids(ctx, response, case):
    """A body that breaks the schema is -6, whatever else is wrong with the request."""
    if is_wallets(case) and is_body_forbidden(case) and response.status_code == 200:
        code = response.json()["ErrorCode"]
        assert code == -6, f"the document forbids this body, and the wallet says {code}"


@schemathesis.check
def the_wallet_understands_what_the_document_allows(ctx, response, case):
    """A body that fits the schema is -6 for a reason only that no schema can express."""
    if not is_wallets(case) or not is_allowed(case) or response.status_code != 200:
        return
    answer = response.json()
    if answer["ErrorCode"] == -6:
        why = answer["ErrorDescription"]
        assert any(part in why for part in UNSAID), f"the document allows this body: {why}"


@schemathesis.check
def the_wallet_asks_for_credentials(ctx, response, case):
    """The same request without credentials, or with others, is refused."""
    if not is_wallets(case) or response.status_code != 200 or response.json()["ErrorCode"] != 0:
        return
    sent = response.request
    for authorization in (None, "Basic ZGVtbzp3cm9uZw=="):
        headers = {name: value for name, value in sent.headers.items()
                   if name.lower() != "authorization"}
        if authorization:
            headers["Authorization"] = authorization
        again = requests.post(sent.url, data=sent.body, headers=headers, timeout=10)
        assert again.json()["ErrorCode"] == -6, f"{authorization}: {again.text}"
