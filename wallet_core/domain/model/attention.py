"""What a person must look at."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from wallet_core.domain.model.money import Money


class AttentionKind(StrEnum):
    """Why something is listed for a person."""

    IN_DOUBT = "IN_DOUBT"
    """Nobody knows whether the bank did it, for long or for a reason that time will not mend."""
    OVERDUE = "OVERDUE"
    """Due for long, and nobody works on it."""
    UNAPPLIED_FUNDS = "UNAPPLIED_FUNDS"
    """It has ended, but its money found no room and is still on its way."""
    DISCREPANCY = "DISCREPANCY"
    """The bank's ledger says what ours does not."""
    RECONCILIATION_STALLED = "RECONCILIATION_STALLED"
    """The bank's ledger cannot be followed."""
    MISSING_AT_BANK = "MISSING_AT_BANK"
    """Done, as the bank or an operator said, and the bank's ledger has no line of it."""
    CLOCK_BEHIND = "CLOCK_BEHIND"
    """The database's clock is so far behind the books that no money moves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionPolicy:
    """When something is listed for a person. Values come from the settings, which explain them."""

    after: timedelta
    bank_provides_statement: bool
    bank_statement_line_due: timedelta
    clock_behind_max: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What tells, beside whether the database answers, that something is wrong: read every moment, as metrics."""

    bank_statement_read_time: datetime | None
    """When the bank's ledger was last read to its end; None where it never was."""
    clock_behind: timedelta
    """How far the database's clock is behind the last time of one of the service's own wallets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionItem:
    """Something that a person must look at."""

    kind: AttentionKind
    name: str
    """The resource name."""
    explanation: str
    amount: Money
    wallet: str
    """Empty where none is known."""
    bank_key: str
    since: datetime
