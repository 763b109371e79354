"""The model's records: wallets, holds, transactions, rules, payment orders and requests as plain values."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

MOST, LEAST = 2**63 - 1, -(2**63)
SOURCE, DESTINATION = "SOURCE", "DESTINATION"
WITHDRAWAL, SCHEDULED_DEPOSIT = "withdrawals", "scheduledDeposits"
ACTIVE, FROZEN, CLOSED = "ACTIVE", "FROZEN", "CLOSED"
SCHEDULED, PROCESSING, IN_DOUBT = "SCHEDULED", "PROCESSING", "IN_DOUBT"
OPEN = {SCHEDULED, PROCESSING, IN_DOUBT}

Facts = dict[str, Any]
"""A resource's facts as plain values: the product's answers are brought into the same form."""


class Refused(Exception):
    """A refusal of the ledger, with what it is about."""

    def __init__(self, reason: str, **about: str | int) -> None:
        super().__init__(reason, about)
        self.reason = reason
        self.about = about
        self.replayed = False

    def copied(self) -> "Refused":
        """Return the same refusal for a repeat."""
        repeated = Refused(self.reason, **self.about)
        repeated.replayed = True
        return repeated

    @property
    def facts(self) -> Facts:
        """The answer to the caller."""
        return {"refused": self.reason, "replayed": self.replayed, **self.about}


@dataclass(slots=True, kw_only=True)
class WalletRecord:
    """A wallet."""

    currency: str
    state: str = ACTIVE
    balance: int = 0
    limit: int = 0
    labels: dict[str, str] = field(default_factory=dict)
    title: str = ""
    etag: str | None = None
    """As it was last read; None from a change until it is read again."""


@dataclass(slots=True, kw_only=True)
class Hold:
    """Reserved money."""

    wallet: str
    amount: int
    expires: int
    """From which hour on it may expire."""
    captured: int = 0
    state: str = ACTIVE
    overdue: bool = False
    """Whether its time is over by the database's own clock."""
    fence: int = 0
    lease: int | None = None

    @property
    def left(self) -> int:
        """What it still holds."""
        return self.amount - self.captured if self.state == ACTIVE else 0


@dataclass(slots=True, kw_only=True)
class Fee:
    """A commission."""

    amount: int
    payer: str
    rule: UUID


@dataclass(slots=True, kw_only=True)
class TransactionRecord:
    """A transaction."""

    id: UUID
    kind: str
    source: str
    destination: str
    amount: int
    fee: Fee | None = None
    legs: dict[str, int]
    after: dict[str, int] = field(default_factory=dict)
    cause: UUID | None = None
    returned: int = 0
    """How much of the amount was given back by reversals."""
    fee_returned: int = 0
    fee_kept: int = 0
    """What would have gone back of the commission, had it not been kept."""


@dataclass(slots=True, kw_only=True)
class RuleRecord:
    """A commission rule."""

    currency: str
    threshold: int
    rate: int
    fixed: int
    least: int
    most: int | None
    payer: str
    wallet: str | None
    label: tuple[str, str] | None
    started: int | None
    """The position of its start among all rule changes; None while that is yet to come."""
    end: int | None
    """The hour of its end, if it has one; ``over`` is whether that has come."""
    over: bool = False


@dataclass(slots=True)
class Attempt:
    """One call to the bank."""

    hour: int
    answer: str | None = None
    is_resend: bool = False


@dataclass(slots=True, kw_only=True)
class PaymentOrder:
    """A withdrawal or a scheduled deposit."""

    kind: str
    wallet: str
    amount: int
    reserve: bool = False
    collect: bool = False
    next: int
    """From which hour on it is looked at."""
    state: str = SCHEDULED
    fence: int = 0
    lease: int | None = None
    attempts: list[Attempt] = field(default_factory=list)
    reason: str | None = None
    credit: UUID | None = None
    unapplied: bool = False
    """Whether the bank gave money for it that found no room."""
    noted: bool = True
    """Whether no later execution by the bank of a failed order waits for an operator."""
    found_out: list[str] = field(default_factory=list)
    """The operators' resolutions."""

    @property
    def held(self) -> int:
        """What is held for it."""
        return self.amount if self.reserve and self.state == SCHEDULED else 0


@dataclass(slots=True, kw_only=True)
class Record:
    """A request id's content and its outcome."""

    method: str
    content: object
    subject: str = ""
    available: int | None = None
    refused: Refused | None = None
