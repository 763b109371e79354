"""The attention list: what operators must look at."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from wallet_core.domain.model.money import Money


class AttentionKind(StrEnum):
    """Why an item is on the attention list."""

    IN_DOUBT = "IN_DOUBT"
    """It is unknown whether the bank executed it, for long or for a reason that does not go away by itself."""
    OVERDUE = "OVERDUE"
    """Due for long, and no worker has claimed it."""
    UNAPPLIED_FUNDS = "UNAPPLIED_FUNDS"
    """It has ended, but its money could not be credited and is in transit."""
    DISCREPANCY = "DISCREPANCY"
    """The bank statement and our records differ."""
    RECONCILIATION_STALLED = "RECONCILIATION_STALLED"
    """The bank statement cannot be read."""
    MISSING_AT_BANK = "MISSING_AT_BANK"
    """Executed, by the bank's answer or an operator's finding, and the bank statement has no line of it."""
    EVENTS_STALLED = "EVENTS_STALLED"
    """Committed events have waited for long for the journal."""
    CHECKPOINTS_STALLED = "CHECKPOINTS_STALLED"
    """Checkpoints were signed, and none was for long although there are new records."""
    CLOCK_BEHIND = "CLOCK_BEHIND"
    """The database's clock is so far behind the last entries that no money moves."""
    WEBHOOK_DISABLED = "WEBHOOK_DISABLED"
    """The service has disabled a webhook."""
    WEBHOOK_DEAD_LETTERS = "WEBHOOK_DEAD_LETTERS"
    """Events could not be delivered in all attempts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionPolicy:
    """When an item is listed. Values come from the settings, which explain them."""

    after: timedelta
    bank_provides_statement: bool
    bank_statement_line_due: timedelta
    clock_behind_max: timedelta
    events_after: timedelta
    checkpoints_after: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """Measurements for metrics, read at intervals, that show that something is wrong."""

    bank_statement_read_time: datetime | None
    """When the bank statement was last read to its end; None where it never was."""
    clock_behind: timedelta
    """How far the database's clock is behind the last time of a service wallet."""
    unpublished: int
    """Events that are not yet in the journal, counted up to a limit."""
    unpublished_for: timedelta
    """How long the oldest of them has waited."""
    journal_end: int
    """The number of the last journal record."""
    checkpoint_time: datetime | None
    """When the last checkpoint was signed; None where none was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionItem:
    """An item of the attention list."""

    kind: AttentionKind
    name: str
    """The resource name."""
    explanation: str
    amount: Money
    wallet: str
    """Empty where none is known."""
    bank_key: str
    since: datetime
