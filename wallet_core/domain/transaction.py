"""Transactions: money that moved, as immutable entries that sum to zero."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from wallet_core.domain.money import Money
from wallet_core.domain.wallet import Wallet, WalletId


class TransactionType(StrEnum):
    """Why money moved."""

    DEPOSIT = "DEPOSIT"
    """From outside into a wallet."""
    TRANSFER = "TRANSFER"
    """From one wallet to another."""
    WITHDRAWAL = "WITHDRAWAL"
    """From a wallet onto its way to the bank."""
    WITHDRAWAL_SETTLEMENT = "WITHDRAWAL_SETTLEMENT"
    """From the way to the bank to the outside: the bank paid."""
    WITHDRAWAL_RELEASE = "WITHDRAWAL_RELEASE"
    """From the way to the bank back to the wallet: the bank did not pay, and will not."""


def transaction_name(transaction: UUID) -> str:
    """Return the resource name of a transaction."""
    return f"transactions/{transaction}"


@dataclass(frozen=True, slots=True)
class Leg:
    """What a decision adds to one locked wallet, in minor units; negative where it takes."""

    wallet: Wallet
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """Money that a decision moves: the transaction-to-be."""

    id: UUID
    type: TransactionType
    amount: Money
    source: WalletId
    destination: WalletId
    legs: tuple[Leg, ...]
    description: str = ""
    external_reference: str = ""
    withdrawal: UUID | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One leg as stored."""

    wallet: WalletId
    wallet_key: int
    sequence: int
    amount: int
    balance_after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """Money that moved."""

    id: UUID
    type: TransactionType
    amount: Money
    source: WalletId
    destination: WalletId
    entries: tuple[Entry, ...]
    description: str
    external_reference: str
    withdrawal: UUID | None
    time: datetime

    @property
    def name(self) -> str:
        """The resource name."""
        return transaction_name(self.id)
