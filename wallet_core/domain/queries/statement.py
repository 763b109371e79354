"""Statements: the entries of a wallet between two instants."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from wallet_core.domain.model.transaction import TransactionType
from wallet_core.domain.model.wallet import WalletId


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The entries of a wallet between two instants, by their sequence."""

    wallet: WalletId
    wallet_key: int
    currency: str
    first: int
    """The sequence of its first entry; equal to *after* where there is none."""
    after: int
    """One more than the sequence of its last entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementTotal:
    """The totals of all entries of one type, in minor units."""

    type: TransactionType
    count: int
    credited: int
    debited: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementEntry:
    """One entry, with details of its transaction. Amounts are in minor units."""

    sequence: int
    transaction: UUID
    type: TransactionType
    counterparty: WalletId
    amount: int
    balance_after: int
    time: datetime
    description: str
    external_reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A page of a statement; balances and totals are of the whole statement."""

    span: Span
    opening_balance: int
    closing_balance: int
    totals: tuple[StatementTotal, ...]
    entries: tuple[StatementEntry, ...]
    provisional: bool
    """Whether a transaction in progress may still add an entry to it."""
    next: int | None
    """The sequence that the next page begins with; None on the last."""
