"""What the bank can be asked, and the few things its answers can mean."""

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from wallet_core.domain.model.access import NOBODY, Person
from wallet_core.domain.model.money import Money

# So many characters of an account are kept of it, and only of one that is much longer.
_SHOWN = 4


def masked(account: str) -> str:
    """Return as much of an account as tells it from others of the same owner, and no more."""
    return f"…{account[-_SHOWN:]}" if len(account) > 2 * _SHOWN else "…" if account else ""


class AnswerKind(StrEnum):
    """What the answer to "pay this" means."""

    ACCEPTED = "ACCEPTED"
    """The bank paid. Always final."""
    DECLINED_RETRYABLE = "DECLINED_RETRYABLE"
    """Not paid; ask again later with the same key."""
    DECLINED = "DECLINED"
    """Not paid, and never will be under this key."""
    NOT_SENT = "NOT_SENT"
    """The bank never heard of it."""
    UNKNOWN = "UNKNOWN"
    """Anything else: the bank may have paid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """What the bank is asked to pay; a repeat carries the same key."""

    key: str
    amount: Money
    account: str
    owner: str
    collect: bool = False
    """Whether the money is to be pulled from the account instead of paid to it."""

    @property
    def told(self) -> str:
        """What is asked, to be kept: of the account only its last characters."""
        asked = {"amount": self.amount.minor, "currency": self.amount.currency, "owner": self.owner}
        return json.dumps({**asked, "account": masked(self.account)}, ensure_ascii=False)

    def without_account(self, text: str) -> str:
        """Return what the bank said, to be kept: it may repeat the account."""
        return text.replace(self.account, masked(self.account)) if self.account else text


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The bank's answer to a payment."""

    kind: AnswerKind
    reference: str = ""
    detail: str = ""
    retry_after_s: float | None = None


class StatusKind(StrEnum):
    """What the bank says has become of a payment."""

    EXECUTED = "EXECUTED"
    """It paid."""
    FAILED = "FAILED"
    """It has not paid and will not."""
    PENDING = "PENDING"
    """It has not made up its mind."""
    NOT_FOUND = "NOT_FOUND"
    """It does not know the key: never arrived, forgotten, or still on the way."""
    SILENT = "SILENT"
    """It cannot be asked, or what it says cannot be understood."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The bank's word on a payment."""

    kind: StatusKind
    amount: Money | None = None
    reference: str = ""
    detail: str = ""


class LineKind(StrEnum):
    """What the bank wrote into its ledger."""

    EXECUTION = "EXECUTION"
    """It paid."""
    COLLECTION = "COLLECTION"
    """It collected."""
    RETURN = "RETURN"
    """It gave back what it had paid."""
    OTHER = "OTHER"
    """Something that we do not know."""


class MatchResult(StrEnum):
    """What became of a line of the bank's ledger here."""

    ORDER = "ORDER"
    """It says what our books say."""
    NOTHING = "NOTHING"
    """A discrepancy: our books say otherwise, or nothing at all."""


class LineState(StrEnum):
    """Where a line of the bank's ledger is in its life."""

    WAITING = "WAITING"
    """Its order is under way."""
    MET = "MET"
    """It says what our books say."""
    DISCREPANCY = "DISCREPANCY"
    """It does not, and nobody has looked into it."""
    RESOLVED = "RESOLVED"
    """It does not, and somebody has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BankStatementLine:
    """One line of the bank's own ledger, as it was followed up."""

    number: int
    """As the bank counts; once kept, numbered on from the ledger that was followed before, if there was one."""
    kind: LineKind
    key: str
    amount: Money
    reference: str
    time: datetime | None = None
    """When it was read here; None until it is kept."""
    match_result: MatchResult | None = None
    """None for as long as the order that it is about is under way."""
    explanation: str = ""
    """What is wrong, of a discrepancy."""
    resolution: str = ""
    """What a person found out about a discrepancy; empty while it is open."""
    resolved_by: str = ""
    """The system."""
    person: Person = NOBODY

    @property
    def name(self) -> str:
        """The resource name."""
        return line_name(self.number)

    @property
    def state(self) -> LineState:
        """Where it is in its life."""
        match self.match_result:
            case None:
                return LineState.WAITING
            case MatchResult.ORDER:
                return LineState.MET
            case MatchResult.NOTHING:
                return LineState.RESOLVED if self.resolution else LineState.DISCREPANCY


# Why the bank's ledger cannot be followed where that may pass by itself.
UNREADABLE = "it cannot be read"


@dataclass(frozen=True, slots=True, kw_only=True)
class BankStatement:
    """A ledger of the bank that was followed, of several the one in whose place the next was accepted."""

    number: int
    """Counted from 1."""
    error: str = ""
    """Why it cannot be followed, of the one that is; empty while it can."""
    reason: str = ""
    """Why it was accepted, by an operator; the first one was not."""
    accepted_by: str = ""
    """The system."""
    person: Person = NOBODY
    time: datetime | None = None
    """When it was accepted; None until it is."""

    @property
    def name(self) -> str:
        """The resource name."""
        return statement_name(self.number)

    @property
    def is_replaced(self) -> bool:
        """Whether the bank shows another one in its place."""
        return self.error not in {"", UNREADABLE}


@dataclass(frozen=True, slots=True)
class BankStatementPage:
    """Some lines of the bank's ledger, in order, and the number of its last one."""

    lines: tuple[BankStatementLine, ...]
    last: int


def statement_name(number: int) -> str:
    """Return the resource name of a ledger of the bank."""
    return f"bankStatements/{number}"


def line_name(number: int) -> str:
    """Return the resource name of a line of the bank's ledger."""
    return f"bankStatementLines/{number}"
