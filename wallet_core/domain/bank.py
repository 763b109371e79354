"""What the bank can be asked, and the few things its answers can mean."""

from dataclasses import dataclass
from enum import StrEnum

from wallet_core.domain.money import Money


class AnswerKind(StrEnum):
    """What the answer to "pay this" means."""

    ACCEPTED = "ACCEPTED"
    """The bank paid. Always final."""
    NO_FOR_NOW = "NO_FOR_NOW"
    """Not paid; ask again later with the same key."""
    NO_FOR_GOOD = "NO_FOR_GOOD"
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
