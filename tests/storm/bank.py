"""The bank in the storm: the faults that are ordered, its own records, and the operator who works there."""

from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.payouts import Bank

# Each with its probability at every call; the first that strikes is the one. Together about every second payment.
_PAYMENT: tuple[tuple[float, str, dict[str, Any]], ...] = (
    (0.07, "declined_retryable", {}),
    (0.09, "declined", {}),
    (0.06, "execute_then_silence", {}),
    (0.04, "reset", {"execute": True}),
    (0.03, "reset", {"execute": False}),
    (0.03, "http_error", {"status": 502, "execute": True}),
    (0.02, "http_error", {"status": 504, "execute": False}),
    (0.03, "half_body", {"execute": True}),
    (0.02, "half_body", {"execute": False}),
    (0.03, "trickle", {"interval": 0.1}),
    (0.03, "garbage", {"execute": True}),
    (0.02, "garbage", {"execute": False}),
    # Executed long after we have hung up, but before "not found" is believed.
    (0.06, "delay", {"seconds": 1.1, "before": True}),
    (0.04, "delay", {"seconds": 0.3}),
    (0.03, "too_many", {"seconds": 1.0}),
    (0.02, "answer_twice", {}),
    (0.03, "pending", {}),
)
_STATUS: tuple[tuple[float, str, dict[str, Any]], ...] = (
    (0.06, "http_error", {"status": 500}),
    (0.05, "pending", {}),
    (0.04, "garbage", {}),
    (0.04, "delay", {"seconds": 1.0}),
    (0.03, "reset", {}),
)
_STATUS_PATHS = ("/transfers", "/collections")
_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the bank statement."""

    number: int
    kind: str
    key: str
    amount: int
    currency: str
    reference: str


class StormyBank(Bank):
    """The bank stub by its URL."""

    def inject(self) -> None:
        """Order all faults."""
        for probability, fault, parameters in _PAYMENT:
            self.order(fault, probability=probability, **parameters)
        for path in _STATUS_PATHS:
            for probability, fault, parameters in _STATUS:
                self.order(fault, probability=probability, match={"path": path, "method": "GET"}, **parameters)

    def faults(self) -> dict[str, int]:
        """Return how often each fault has struck."""
        struck: dict[str, int] = {}
        for fault in self._get("/orders/faults")["faults"]:
            struck[fault["fault"]] = struck.get(fault["fault"], 0) + int(fault["fired"])
        return struck

    def lines(self) -> list[Line]:
        """Return its whole ledger."""
        return [
            Line(*(line[part] for part in ("number", "kind", "key", "amount", "currency", "reference")))  # type: ignore[arg-type]  # JSON
            for line in self.ledger()
        ]

    def asked(self) -> dict[str, int]:
        """Return the number of calls to pay or to collect, by key."""
        return self.stats()["posts"]

    def state(self, key: str) -> str:
        """Return its status of a key."""
        path = "collections" if key.startswith("sd-") else "transfers"
        answer = httpx.get(f"{self._url}/{path}/{key}", trust_env=False, verify=False)
        if answer.status_code != _NOT_FOUND:
            answer.raise_for_status()
        result: dict[str, Any] = answer.json()
        return str(result["state"])

    def decide(self, key: str, *, execute: bool) -> None:
        """Decide on what pends, as a person at the bank does."""
        self._post("/orders/settle", {"key": key, "outcome": "executed" if execute else "failed"})

    def execute_by_hand(self, key: str, amount: int, currency: str) -> None:
        """Execute under its key what never arrived, as an operator of the bank after a phone call."""
        kind = "collection" if key.startswith("sd-") else "execution"
        self._post("/orders/execute", {"key": key, "amount": amount, "currency": currency, "kind": kind})
