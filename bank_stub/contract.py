"""The bank's contract: requests, stored states, and responses."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from bank_stub.fields import Fields

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"

KEY_CHARACTERS_MAX = 255


class Kind(StrEnum):
    """The kind of a statement line."""

    EXECUTION = "execution"  # money paid out
    RETURN = "return"  # money paid out (or collected) that came back later
    COLLECTION = "collection"  # money pulled in


class State(StrEnum):
    """The status of a key."""

    EXECUTED = "executed"  # final
    FAILED = "failed"  # final
    PENDING = "pending"  # taken, not decided


class Purpose(StrEnum):
    """The purpose of a call."""

    PAY = "pay"
    COLLECT = "collect"
    ASK_PAYOUT = "ask payout"
    ASK_COLLECTION = "ask collection"
    READ_LEDGER = "read ledger"

    @property
    def posts(self) -> bool:
        """Whether the call asks for money to move."""
        return self in {Purpose.PAY, Purpose.COLLECT}

    @property
    def asks(self) -> bool:
        """Whether the call asks for the status of a key."""
        return self in {Purpose.ASK_PAYOUT, Purpose.ASK_COLLECTION}

    @property
    def kind(self) -> Kind:
        """The kind of execution the call is about."""
        return Kind.COLLECTION if self in {Purpose.COLLECT, Purpose.ASK_COLLECTION} else Kind.EXECUTION


@dataclass(frozen=True, slots=True)
class Terms:
    """What a key is bound to: a repeat with other terms is a conflict. Amounts are minor units."""

    amount_minor: int
    currency: str
    account: str


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it arrived; the body is unparsed."""

    purpose: Purpose
    path: str
    key: str | None = None
    body: bytes = b""
    after: int = 0
    limit: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response; a body of bytes is sent unchanged."""

    status: int
    body: Mapping[str, Json] | bytes
    headers: tuple[tuple[str, str], ...] = ()

    def body_bytes(self) -> bytes:
        """Return the body as bytes."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class Manner(StrEnum):
    """How a response is sent."""

    PLAIN = "plain"
    SILENT = "silent"  # never; the connection stays open
    TWICE = "twice"
    HALF = "half"  # the head promises more than the body keeps
    TRICKLE = "trickle"  # byte by byte
    RESET = "reset"  # never; the connection is torn down


@dataclass(frozen=True, slots=True)
class Delivery:
    """A response, how it is sent, and the seconds between bytes or of silence."""

    answer: Answer
    manner: Manner = Manner.PLAIN
    interval_s: float = 0.0


FAILED_FOR_NOW = Answer(200, {"data": "failed", "status": 503})
CONFLICT = Answer(409, {"data": "conflict", "status": 409})
PENDING = Answer(202, {"data": "pending", "status": 202})
NO_STATUS = Answer(501, {"data": "no status here", "status": 501})
UNKNOWN_PATH = Answer(404, {"data": "unknown path", "status": 404})


def success(reference: str) -> Answer:
    """Return success."""
    return Answer(200, {"data": "success", "status": 200, "reference": reference})


def rejected(reason: str) -> Answer:
    """Return a hard decline: only the body has it."""
    return Answer(200, {"data": "rejected", "status": 422, "reason": reason})


def refused(status: int, reason: str) -> Answer:
    """Return an error for an invalid call."""
    return Answer(status, {"data": "rejected", "status": status, "reason": reason})


def parse_terms(body: bytes) -> Terms:
    """Parse the body of a POST; unknown fields are ignored."""
    fields = Fields.parse(body)
    return Terms(
        amount_minor=fields.integer("amount", at_least=1),
        currency=fields.text("currency", at_least=1, at_most=16),
        account=fields.text("account", ""),
    )
