"""Payments at the bank, the meanings of its answers, and its statement."""

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from wallet_core.domain.model.access import NOBODY, Person
from wallet_core.domain.model.money import Money

# Characters of an account that are stored, if it is much longer.
_SHOWN = 4


def masked(account: str) -> str:
    """Return the last characters of an account, enough to distinguish it from others of the same owner."""
    return f"…{account[-_SHOWN:]}" if len(account) > 2 * _SHOWN else "…" if account else ""


class AnswerKind(StrEnum):
    """The meaning of an answer to a payment request."""

    ACCEPTED = "ACCEPTED"
    """The bank paid. Always final."""
    DECLINED_RETRYABLE = "DECLINED_RETRYABLE"
    """Not paid; may be requested again later with the same key."""
    DECLINED = "DECLINED"
    """Not paid, and never under this key."""
    NOT_SENT = "NOT_SENT"
    """The bank did not get the request."""
    UNKNOWN = "UNKNOWN"
    """Any other answer, or none: the bank may have paid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A payment that is requested from the bank; a repeat has the same key."""

    key: str
    amount: Money
    account: str
    owner: str
    collect: bool = False
    """Whether the money is to be collected from the account instead of paid to it."""

    @property
    def stored_form(self) -> str:
        """The request as it is stored: of the account only the last characters."""
        request = {"amount": self.amount.minor, "currency": self.amount.currency, "owner": self.owner}
        return json.dumps({**request, "account": masked(self.account)}, ensure_ascii=False)

    def without_account(self, text: str) -> str:
        """Return a text of the bank without the account, which it may repeat."""
        return text.replace(self.account, masked(self.account)) if self.account else text


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The bank's answer to a payment."""

    kind: AnswerKind
    reference: str = ""
    detail: str = ""
    retry_after_s: float | None = None


class StatusKind(StrEnum):
    """The bank's status of a payment."""

    EXECUTED = "EXECUTED"
    """It paid."""
    FAILED = "FAILED"
    """Not paid, and will not be."""
    PENDING = "PENDING"
    """Not decided yet."""
    NOT_FOUND = "NOT_FOUND"
    """The bank does not know the key: the request never arrived, is in flight, or the key was dropped."""
    SILENT = "SILENT"
    """The bank cannot be reached, or its answer cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The bank's answer to a status request."""

    kind: StatusKind
    amount: Money | None = None
    reference: str = ""
    detail: str = ""


class LineKind(StrEnum):
    """The kind of a bank statement line."""

    EXECUTION = "EXECUTION"
    """It paid."""
    COLLECTION = "COLLECTION"
    """It collected."""
    RETURN = "RETURN"
    """It returned what it had paid."""
    OTHER = "OTHER"
    """A kind that this release does not know."""


class MatchResult(StrEnum):
    """What a bank statement line was matched with."""

    ORDER = "ORDER"
    """An order with the same amount, in a state that fits."""
    NOTHING = "NOTHING"
    """A discrepancy: no order, or one that differs."""


class LineState(StrEnum):
    """The state of a bank statement line."""

    WAITING = "WAITING"
    """Its order is in progress."""
    MET = "MET"
    """An order with the same amount, in a state that fits."""
    DISCREPANCY = "DISCREPANCY"
    """A discrepancy that is open."""
    RESOLVED = "RESOLVED"
    """A discrepancy that an operator has resolved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BankStatementLine:
    """A line of the bank statement, and what it was matched with."""

    number: int
    """The bank's number; once stored, numbered on from the statement before, if there was one."""
    kind: LineKind
    key: str
    amount: Money
    reference: str
    time: datetime | None = None
    """When it was read; None until it is stored."""
    match_result: MatchResult | None = None
    """None while its order is in progress."""
    explanation: str = ""
    """Why it is a discrepancy."""
    resolution: str = ""
    """An operator's finding about a discrepancy; empty while it is open."""
    resolved_by: str = ""
    """The system that made the call."""
    person: Person = NOBODY

    @property
    def name(self) -> str:
        """The resource name."""
        return line_name(self.number)

    @property
    def state(self) -> LineState:
        """The state."""
        match self.match_result:
            case None:
                return LineState.WAITING
            case MatchResult.ORDER:
                return LineState.MET
            case MatchResult.NOTHING:
                return LineState.RESOLVED if self.resolution else LineState.DISCREPANCY


# The error of a bank statement that may go away by itself.
UNREADABLE = "it cannot be read"


@dataclass(frozen=True, slots=True, kw_only=True)
class BankStatement:
    """A bank statement that is or was read. Each but the first was accepted in place of the one before."""

    number: int
    """Counted from 1."""
    error: str = ""
    """Why it cannot be read, if it is the one that is read now; empty where it can."""
    reason: str = ""
    """Why an operator accepted it; empty for the first one."""
    accepted_by: str = ""
    """The system that made the call."""
    person: Person = NOBODY
    time: datetime | None = None
    """When it was accepted; None where that was not read."""

    @property
    def name(self) -> str:
        """The resource name."""
        return statement_name(self.number)

    @property
    def is_replaced(self) -> bool:
        """Whether the bank shows another statement in its place."""
        return self.error not in {"", UNREADABLE}


@dataclass(frozen=True, slots=True)
class BankStatementPage:
    """Lines of the bank statement, in order, and the number of its last one."""

    lines: tuple[BankStatementLine, ...]
    last: int


def statement_name(number: int) -> str:
    """Return the resource name of a bank statement."""
    return f"bankStatements/{number}"


def line_name(number: int) -> str:
    """Return the resource name of a bank statement line."""
    return f"bankStatementLines/{number}"
