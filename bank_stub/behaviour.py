"""The bank's rules: what it executes, what it remembers, and which ordered fault a call runs into.

Independent of HTTP and of waiting. A call is first received (recorded, and its fault chosen), then executed; before
and after the execution the caller pauses as the plan says.
"""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace

from bank_stub.book import Book, Line, Record
from bank_stub.contract import (
    CONFLICT,
    FAILED_FOR_NOW,
    NO_STATUS,
    PENDING,
    Answer,
    Call,
    Delivery,
    Json,
    Kind,
    Manner,
    State,
    Terms,
    parse_terms,
    refused,
    rejected,
    success,
)
from bank_stub.faults import Fault, FaultList, FaultName
from bank_stub.fields import RefusalError

GARBAGE_BODY = b"\x00\xff<html>the bank is being painted"

MANNERS: Mapping[FaultName, Manner] = {
    FaultName.EXECUTE_THEN_SILENCE: Manner.SILENT,
    FaultName.ANSWER_TWICE: Manner.TWICE,
    FaultName.HALF_BODY: Manner.HALF,
    FaultName.TRICKLE: Manner.TRICKLE,
    FaultName.RESET: Manner.RESET,
}


@dataclass(frozen=True, slots=True)
class Wait:
    """A pause: a number of seconds, or until released."""

    delay_s: float = 0.0
    held: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan for a call: the pauses around executing it, and the fault that it meets."""

    call: Call
    terms: Terms | None = None  # of a POST that could be read
    refusal: Answer | None = None  # settles the call: nothing else happens
    fault: Fault | None = None

    @property
    def before(self) -> Wait:
        """The pause before the bank does anything."""
        return self._wait() if self.fault is not None and self.fault.flag("before") else Wait()

    @property
    def after(self) -> Wait:
        """The pause between executing and responding."""
        return Wait() if self.fault is None or self.fault.flag("before") else self._wait()

    def _wait(self) -> Wait:
        if self.fault is not None and self.fault.name is FaultName.DELAY:
            return Wait(delay_s=self.fault.seconds("seconds"))
        return Wait(held=self.fault is not None and self.fault.name is FaultName.HOLD)


@dataclass(frozen=True, slots=True)
class Mode:
    """The bank's features: idempotency keys, and a status per key."""

    idempotent: bool
    status: bool

    def as_json(self) -> dict[str, Json]:
        """Return the mode as JSON."""
        return {"idempotent": self.idempotent, "status": self.status}


class Behaviour:
    """The bank at work on its book.

    *fail_rate* is the share of new POSTs, from 0 to 1, that are declined for now; *seed* makes that and the faults'
    probabilities repeatable for the same calls in the same order.
    """

    def __init__(self, book: Book, *, fail_rate: float = 0.1, seed: int | None = None) -> None:
        self.book = book
        self.faults = FaultList(book.connection)
        self._fail_rate = fail_rate
        # Two random streams, so that ordering a fault does not change which other calls fail.
        self._whims = _stream(seed, 0)
        self._chances = _stream(seed, 1)
        with book.transaction():
            # References are unique, also when a bank starts again with an empty book.
            prefix = f"{_stream(seed, 2).getrandbits(24):06x}"
            book.set_setting("reference_prefix", book.setting("reference_prefix", prefix))

    def receive(self, call: Call) -> Plan:
        """Record *call* and choose its fault, whose count of firings is raised."""
        with self.book.transaction():
            if call.purpose.posts or call.purpose.asks:
                self.book.note_call("POST" if call.purpose.posts else "GET", call.path, call.key, call.body)
            if call.purpose.asks and not self.mode().status:
                return Plan(call, refusal=NO_STATUS)
            terms = None
            if call.purpose.posts:
                try:
                    terms = parse_terms(call.body)
                except RefusalError as refusal:
                    return Plan(call, refusal=refused(refusal.status, refusal.reason))
            return Plan(call, terms, fault=self._choose_fault(call, terms))

    def act(self, plan: Plan) -> Delivery:
        """Execute *plan*; on return all its effects are in the file."""
        fault = plan.fault
        if plan.refusal is not None:
            return Delivery(plan.refusal)
        with self.book.transaction():
            if fault is None:
                return Delivery(self._answer(plan))
            if fault.name in MANNERS or fault.name is FaultName.GARBAGE:
                return self._act_ugly(plan, fault)
            return Delivery(self._act_contrary(plan, fault))

    def mode(self) -> Mode:
        """Read the mode; use inside a transaction."""
        return Mode(self.book.setting("idempotent", "1") == "1", self.book.setting("status", "1") == "1")

    def set_mode(self, mode: Mode) -> None:
        """Keep the mode; use inside a transaction."""
        self.book.set_setting("idempotent", str(int(mode.idempotent)))
        self.book.set_setting("status", str(int(mode.status)))

    def execute(self, kind: Kind, key: str | None, terms: Terms, *, settled: bool = False) -> Line:
        """Move money regardless of what is stored for *key*; use inside a transaction."""
        line = self.book.append_line(kind, key, terms)
        if key is not None:
            self.book.remember(Record(kind, key, State.EXECUTED, terms, line.reference, settled=settled))
        return line

    def settle(self, record: Record, outcome: State) -> Record:
        """Settle a pending payment as executed or failed; use inside a transaction."""
        if record.state is State.PENDING and outcome is State.EXECUTED:
            self.execute(record.kind, record.key, record.terms, settled=True)
        elif record.state is State.PENDING or record.state is outcome:
            reason = record.reason or ("settled" if outcome is State.FAILED else "")
            self.book.remember(replace(record, state=outcome, reason=reason, settled=True))
        else:
            raise RefusalError(409, f"the key is {record.state} already")
        return self.book.record(record.kind, record.key) or record

    def _choose_fault(self, call: Call, terms: Terms | None) -> Fault | None:
        record = None if call.key is None else self.book.record(call.purpose.kind, call.key)
        known_terms = terms or (record.terms if record else None)
        account = known_terms.account if known_terms else None
        for fault in self.faults:
            if fault.times is not None and fault.fired >= fault.times:
                continue
            if fault.hits(call, account, record) and self._chances.random() < fault.probability:
                self.faults.mark_fired(fault)
                return fault
        return None

    def _act_ugly(self, plan: Plan, fault: Fault) -> Delivery:
        """Return the response that the fault distorts; without `execute` the call never reaches the bank."""
        executes = fault.name in {FaultName.EXECUTE_THEN_SILENCE, FaultName.ANSWER_TWICE} or fault.flag("execute")
        answer = self._answer(plan, surely=True) if executes or not plan.call.purpose.posts else FAILED_FOR_NOW
        if fault.name is FaultName.GARBAGE:
            return Delivery(Answer(200, GARBAGE_BODY))
        parameter = {FaultName.EXECUTE_THEN_SILENCE: "seconds", FaultName.TRICKLE: "interval"}.get(fault.name)
        return Delivery(answer, MANNERS[fault.name], fault.seconds(parameter) if parameter else 0.0)

    def _act_contrary(self, plan: Plan, fault: Fault) -> Answer:
        """Return the response of a fault that is sent undistorted."""
        answer: Answer
        match fault.name:
            case FaultName.DECLINED_RETRYABLE:
                answer = FAILED_FOR_NOW
            case FaultName.DECLINED:
                reason = str(fault.parameters["reason"])
                self._remember_new(plan, State.FAILED, reason)
                answer = rejected(reason)
            case FaultName.PENDING if plan.call.purpose.posts:
                self._remember_new(plan, State.PENDING)
                answer = PENDING
            case FaultName.PENDING | FaultName.WRONG_AMOUNT:
                answer = self._status(plan.call, masked_by=fault.name)
            case FaultName.TOO_MANY:
                retry_after = ("Retry-After", str(math.ceil(fault.seconds("seconds"))))
                answer = Answer(429, {"data": "too many requests", "status": 429}, (retry_after,))
            case FaultName.HTTP_ERROR:
                answer = self._http_error(plan, fault)
            case _:  # delay and hold: an ordinary response, only late; a held one is held because it was executed
                answer = self._answer(plan, surely=fault.name is FaultName.HOLD)
        return answer

    def _http_error(self, plan: Plan, fault: Fault) -> Answer:
        if fault.flag("execute"):
            self._answer(plan, surely=True)
        status = int(fault.parameters["status"])
        redirects = status < 400  # noqa: PLR2004  # the border between redirects and errors is HTTP's own
        headers = (("Location", str(fault.parameters["location"])),) if redirects else ()
        return Answer(status, {"data": "error", "status": status}, headers)

    def _answer(self, plan: Plan, *, surely: bool = False) -> Answer:
        """Respond by the contract; *surely* disables the random failures."""
        call = plan.call
        if plan.terms is not None:
            return self._post(call, plan.terms, surely=surely)
        if call.purpose.asks:
            return self._status(call)
        lines = [line.as_json() for line in self.book.lines(call.after, call.limit)]
        return Answer(200, {"lines": lines, "last": self.book.last_number()})

    def _post(self, call: Call, terms: Terms, *, surely: bool) -> Answer:
        """Move money once per key, or repeat the key's first response."""
        record = None
        if call.key is not None and self.mode().idempotent:
            record = self.book.record(call.purpose.kind, call.key)
        if record is not None:
            return _repeat(record) if record.terms == terms else CONFLICT
        if not surely and self._whims.random() < self._fail_rate:
            return FAILED_FOR_NOW
        return success(self.execute(call.purpose.kind, call.key, terms).reference)

    def _remember_new(self, plan: Plan, state: State, reason: str = "") -> None:
        """Store a state for an unknown key; a fault does not change a known one."""
        call, terms = plan.call, plan.terms
        if terms is not None and call.key is not None and self.book.record(call.purpose.kind, call.key) is None:
            self.book.remember(Record(call.purpose.kind, call.key, state, terms, reason=reason))

    def _status(self, call: Call, masked_by: FaultName | None = None) -> Answer:
        record = None if call.key is None else self.book.record(call.purpose.kind, call.key)
        if masked_by is FaultName.PENDING:
            pending = replace(record, state=State.PENDING, reference=None) if record else None
            unknown: dict[str, Json] = {"key": call.key, "state": "pending", "amount": None, "currency": None}
            return Answer(200, status_json(pending) if pending else unknown)
        if record is None:
            return Answer(404, {"key": call.key, "state": "not_found"})
        if masked_by is FaultName.WRONG_AMOUNT:
            record = replace(record, terms=replace(record.terms, amount_minor=record.terms.amount_minor + 1))
        return Answer(200, status_json(record))


def status_json(record: Record) -> dict[str, Json]:
    """Return the status of a known key."""
    shown: dict[str, Json] = {
        "key": record.key,
        "state": record.state,
        "amount": record.terms.amount_minor,
        "currency": record.terms.currency,
    }
    return shown if record.reference is None else {**shown, "reference": record.reference}


def _repeat(record: Record) -> Answer:
    """Return the response that a key got when it was first decided."""
    if record.reference is not None:
        return success(record.reference)
    return PENDING if record.state is State.PENDING else rejected(record.reason)


def _stream(seed: int | None, number: int) -> random.Random:
    return random.Random(None if seed is None else f"{seed}/{number}")  # noqa: S311  # chance, not secrets
