"""Figures of the whole service at one moment, for operators."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from wallet_core.domain.model.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrencyFigures:
    """The money of one currency."""

    in_wallets: Money
    held: Money | None
    """None where there are too many holds to add up."""
    in_transit: Money
    commission: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFigures:
    """Payment orders of one kind that are not final; counts stop at a limit."""

    scheduled: int
    due: int
    due_since: datetime | None
    processing: int
    processing_since: datetime | None
    in_doubt: int
    in_doubt_since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What ``Vitals`` and ``WebhookVitals`` do not have."""

    time: datetime
    currencies: Sequence[CurrencyFigures]
    withdrawals: OrderFigures
    scheduled_deposits: OrderFigures
    transactions_per_second: float
    bank_statement_end: int
    bank_statement_unmatched: int
    discrepancies: int
    processes: Mapping[str, int]
    """The connections to the database, by the name of those that hold them."""
