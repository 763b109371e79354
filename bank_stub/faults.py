"""Faults that tests order: their names, parameters, matching calls, and counts."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from bank_stub.book import Record
from bank_stub.contract import Call, Json, State
from bank_stub.fields import Fields, RefusalError

Parameter: TypeAlias = bool | int | float | str

FAULTS_MAX = 1000
SECONDS_MAX = 3600.0
STATUS_MIN, STATUS_MAX, NOT_MODIFIED = 300, 599, 304


class FaultName(StrEnum):
    """The name of a fault."""

    DECLINED_RETRYABLE = "declined_retryable"
    DECLINED = "declined"
    DELAY = "delay"
    EXECUTE_THEN_SILENCE = "execute_then_silence"
    HOLD = "hold"
    ANSWER_TWICE = "answer_twice"
    TOO_MANY = "too_many"
    HTTP_ERROR = "http_error"
    GARBAGE = "garbage"
    HALF_BODY = "half_body"
    TRICKLE = "trickle"
    RESET = "reset"
    PENDING = "pending"
    WRONG_AMOUNT = "wrong_amount"


# Each fault's parameters with their defaults; a value must have the default's type.
PARAMETERS: Mapping[FaultName, Mapping[str, Parameter]] = {
    FaultName.DECLINED_RETRYABLE: {},
    FaultName.DECLINED: {"reason": "account closed"},
    FaultName.DELAY: {"seconds": 1.0, "before": False},
    FaultName.EXECUTE_THEN_SILENCE: {"seconds": 60.0},
    FaultName.HOLD: {"before": False},
    FaultName.ANSWER_TWICE: {},
    FaultName.TOO_MANY: {"seconds": 1.0},
    FaultName.HTTP_ERROR: {"status": 500, "location": "/elsewhere", "execute": False},
    FaultName.GARBAGE: {"execute": True},
    FaultName.HALF_BODY: {"execute": True},
    FaultName.TRICKLE: {"execute": True, "interval": 1.0},
    FaultName.RESET: {"execute": False},
    FaultName.PENDING: {},
    FaultName.WRONG_AMOUNT: {},
}


@dataclass(frozen=True, slots=True)
class Match:
    """Which calls a fault matches: every given condition must hold. Without a path it matches POSTs only."""

    key: str | None = None
    account: str | None = None
    path: str | None = None
    method: str | None = None

    def as_json(self) -> dict[str, Json]:
        """Return the given conditions."""
        given = {"key": self.key, "account": self.account, "path": self.path, "method": self.method}
        return {name: value for name, value in given.items() if value is not None}

    def fits(self, call: Call, account: str | None) -> bool:
        """Return whether *call*, concerning *account* if known, meets every condition."""
        method = "POST" if call.purpose.posts else "GET"
        return (
            self.key in {None, call.key}
            and self.account in {None, account}
            and self.method in {None, method}
            and (self.path is None or _leads_to(self.path, call.path))
        )


@dataclass(frozen=True, slots=True)
class Fault:
    """One ordered fault. Times: how often it fires, None: always. Fired: how often it has."""

    name: FaultName
    match: Match
    times: int | None
    probability: float
    parameters: Mapping[str, Parameter]
    id: int = 0
    fired: int = 0

    def flag(self, name: str) -> bool:
        """Return a parameter; one that this fault lacks is false."""
        return bool(self.parameters.get(name, False))

    def seconds(self, name: str) -> float:
        """Return a parameter in seconds."""
        return float(self.parameters[name])

    def hits(self, call: Call, account: str | None, record: Record | None) -> bool:
        """Return whether this fault applies to *call*, given the records of its key."""
        if not self.match.fits(call, account):
            return False
        if self.name is FaultName.WRONG_AMOUNT:
            return call.purpose.asks and record is not None and record.state is State.EXECUTED
        if self.name is FaultName.PENDING:
            # A key settled by a person at the bank is no longer pending, whatever was ordered before.
            if not (call.purpose.posts or call.purpose.asks) or (record is not None and record.settled):
                return False
            named_and_known = self.match.key is not None and record is not None
            return call.purpose.posts or self.match.path is not None or named_and_known
        return call.purpose.posts or self.match.path is not None

    def as_json(self) -> dict[str, Json]:
        """Return the fault as ordered, its number, and how often it fired."""
        return {
            "id": self.id,
            "fault": self.name,
            "match": self.match.as_json(),
            "times": self.times,
            "probability": self.probability,
            "fired": self.fired,
            **self.parameters,
        }


def parse_fault(fields: Fields) -> Fault:
    """Parse an ordered fault; unknown fields are refused."""
    try:
        name = FaultName(fields.text("fault"))
    except ValueError:
        raise RefusalError(400, f"no such fault; there are {', '.join(FaultName)}") from None
    defaults = PARAMETERS[name]
    fields.only({"fault", "match", "times", "probability", *defaults})
    match = fields.within("match")
    match.only({"key", "account", "path", "method"})
    fault = Fault(
        name=name,
        match=Match(**{part: match.optional_text(part) for part in ("key", "account", "path", "method")}),
        times=fields.integer("times", at_least=1) if "times" in fields else None,
        probability=fields.number("probability", 1.0, at_most=1.0),
        parameters={parameter: _read(fields, parameter, default) for parameter, default in defaults.items()},
    )
    status = int(fault.parameters.get("status", STATUS_MAX))
    if not STATUS_MIN <= status <= STATUS_MAX or status == NOT_MODIFIED:
        raise RefusalError(400, "status must be an HTTP error or redirect")
    if fault.match.method not in {None, "GET", "POST"}:
        raise RefusalError(400, "method must be GET or POST")
    if fault.match.path is not None and not fault.match.path.startswith("/"):
        raise RefusalError(400, "path must start with a slash")
    return fault


class FaultList:
    """The ordered faults, oldest first, stored in the book; use inside its transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __iter__(self) -> Iterator[Fault]:
        rows = self._connection.execute(
            """
            SELECT id, name, match, times, probability, parameters, fired
            FROM faults
            ORDER BY id
            """
        ).fetchall()
        for number, name, match, times, probability, parameters, fired in rows:
            yield Fault(
                FaultName(name), Match(**json.loads(match)), times, probability, json.loads(parameters), number, fired
            )

    def add(self, fault: Fault) -> int:
        """Store *fault* after earlier ones and return its number, which is never reused."""
        count = self._connection.execute("SELECT COUNT(*) FROM faults").fetchone()[0]
        if count >= FAULTS_MAX:
            raise RefusalError(409, f"there are {FAULTS_MAX} faults already")
        cursor = self._connection.execute(
            """
            INSERT INTO faults (name, match, times, probability, parameters, fired)
            VALUES (?, ?, ?, ?, ?, 0)
            """,
            (
                fault.name,
                json.dumps(fault.match.as_json()),
                fault.times,
                fault.probability,
                json.dumps(dict(fault.parameters)),
            ),
        )
        return int(cursor.lastrowid or 0)

    def mark_fired(self, fault: Fault) -> None:
        """Count one more firing of *fault*."""
        self._connection.execute("UPDATE faults SET fired = fired + 1 WHERE id = ?", (fault.id,))

    def remove(self, number: int | None) -> int:
        """Delete one fault, or all, and return their number."""
        return self._connection.execute("DELETE FROM faults WHERE ?1 IS NULL OR id = ?1", (number,)).rowcount


def _leads_to(path: str, called: str) -> bool:
    """``/transfers`` matches ``/transfers/wd-1`` too; ``/`` matches only the payout endpoint."""
    return called == path or (path != "/" and called.startswith(path.rstrip("/") + "/"))


def _read(fields: Fields, name: str, default: Parameter) -> Parameter:
    if isinstance(default, bool):
        return fields.flag(name, default=default)
    if isinstance(default, int):
        return fields.integer(name, default)
    if isinstance(default, float):
        return fields.number(name, default, at_most=SECONDS_MAX)
    return fields.text(name, default)
