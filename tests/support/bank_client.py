"""Calls to the bank stub as its HTTP clients make them."""

import json
import socket
from collections.abc import Callable
from threading import Event
from time import monotonic

import httpx

from bank_stub.server import BankServer

BODY = {"amount": 1005, "currency": "USD", "account": "DE02", "owner": "Ada"}


def order_fault(bank_client: httpx.Client, fault: str, **parameters: object) -> int:
    """Order a fault and return its number."""
    answer = bank_client.post("/orders/faults", json={"fault": fault, **parameters})
    assert answer.status_code == 200, answer.text
    return int(answer.json()["id"])


def pay(client: httpx.Client, key: str | None = None, path: str = "/", **changes: object) -> httpx.Response:
    """POST a payout, or what *path* is for, with *changes* to the usual body."""
    return client.post(path, json=BODY | changes, headers={} if key is None else {"Idempotency-Key": key})


def ledger_keys(bank_client: httpx.Client) -> list[str]:
    """Read the keys of all ledger lines."""
    return [line["key"] for line in bank_client.get("/ledger").json()["lines"]]


def state_of(bank_client: httpx.Client, key: str) -> str:
    """Return the state of a payout, by the bank's status call."""
    return str(bank_client.get(f"/transfers/{key}").json()["state"])


def wait_until(true: Callable[[], bool], within_s: float = 5.0) -> None:
    """Wait until *true* holds, or fail."""
    deadline, pause = monotonic() + within_s, Event()
    while not true():
        assert monotonic() < deadline, "it did not become true in time"
        pause.wait(0.01)


def raw_payout(bank: BankServer, key: str) -> bytes:
    """Send a payout over a socket of its own and read until the bank closes it."""
    body = json.dumps(BODY).encode()
    head = f"POST / HTTP/1.1\r\nHost: bank\r\nIdempotency-Key: {key}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((bank.host, bank.port), timeout=5) as line, line.makefile("rb") as answer:
        line.sendall(head.encode() + body)
        return answer.read()
