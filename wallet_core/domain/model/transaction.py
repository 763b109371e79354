"""Transactions: money that moved, as immutable entries that sum to zero."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from wallet_core.domain.model.commission_rule import Commission, Payer
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.wallet import Labels, Role, WalletId, system_wallet


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
    WITHDRAWAL_RETURN = "WITHDRAWAL_RETURN"
    """From outside back into the wallet: the bank paid and later gave it back."""
    COLLECTION = "COLLECTION"
    """From outside into a wallet: the bank has collected it."""
    HOLD_CAPTURE = "HOLD_CAPTURE"
    """From a wallet that held it to another."""
    REVERSAL = "REVERSAL"
    """Back from where a transaction brought it."""
    RETURN_APPLICATION = "RETURN_APPLICATION"
    """From its way into a wallet that an operator named: what the bank gave back had found no room."""
    COLLECTION_APPLICATION = "COLLECTION_APPLICATION"
    """From its way into a wallet that an operator named: what the bank collected had found no room."""


class TransactionState(StrEnum):
    """What has become of a transaction. Told by its reversals: nothing in it ever changes."""

    POSTED = "POSTED"
    """The money moved."""
    PARTIALLY_REVERSED = "PARTIALLY_REVERSED"
    """Some of it has been given back."""
    REVERSED = "REVERSED"
    """All of it has been given back."""


# What may be reversed; payouts and collections are undone by their own machine, holds by voiding them.
REVERSIBLE = frozenset({TransactionType.TRANSFER, TransactionType.DEPOSIT})


def transaction_name(transaction: UUID) -> str:
    """Return the resource name of a transaction."""
    return f"transactions/{transaction}"


def batch_name(batch: UUID) -> str:
    """Return how the requests' records name an atomic batch of transfers; callers see its transactions."""
    return f"batches/{batch}"


@dataclass(frozen=True, slots=True)
class Leg:
    """What a decision adds to one locked wallet, in minor units; negative where it takes."""

    wallet: WalletId
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """Money that a decision moves: the transaction-to-be."""

    id: UUID
    type: TransactionType
    amount: Money
    source: WalletId
    destination: WalletId
    commission: Commission | None = None
    description: str = ""
    external_reference: str = ""
    labels: Labels = field(default_factory=dict)
    cause: UUID | None = None
    """The order, hold or transaction that it came from; which of them is told by the type."""
    batch: UUID | None = None
    batch_item: int | None = None
    legs: tuple[Leg, ...] = field(init=False)
    """What it adds to whom; the amounts sum to zero, and none is zero."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "legs", self._legs())

    def _legs(self) -> tuple[Leg, ...]:
        taken = self.commission.amount.minor if self.commission is not None else 0
        given = gotten = self.amount.minor
        if self.commission is not None and self.commission.payer is Payer.SOURCE:
            given += taken
        else:
            gotten -= taken
        if not taken:
            return Leg(self.source, -given), Leg(self.destination, gotten)
        earner = system_wallet(Role.COMMISSION, self.amount.currency)
        legs = Leg(self.source, -given), Leg(self.destination, gotten), Leg(earner, taken)
        return tuple(leg for leg in legs if leg.amount)


@dataclass(frozen=True, slots=True)
class Entry:
    """One leg as stored."""

    wallet: WalletId
    wallet_key: int
    sequence: int
    amount: int
    balance_after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversals:
    """What has been given back of a transaction so far."""

    ids: tuple[UUID, ...] = ()
    amount: int = 0
    """In minor units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """Money that moved."""

    id: UUID
    type: TransactionType
    amount: Money
    source: WalletId
    destination: WalletId
    entries: tuple[Entry, ...]
    commission: Commission | None = None
    description: str = ""
    external_reference: str = ""
    labels: Labels = field(default_factory=dict)
    cause: UUID | None = None
    batch: UUID | None = None
    batch_item: int | None = None
    time: datetime
    reversals: Reversals = field(default_factory=Reversals)
    """As far as it has been looked for: what was just booked has none."""

    @property
    def name(self) -> str:
        """The resource name."""
        return transaction_name(self.id)

    @property
    def wallets(self) -> tuple[WalletId, ...]:
        """All that it concerns: its two ends, also where nothing was left for one of them, and who earned by it."""
        return tuple(dict.fromkeys((self.source, self.destination, *(entry.wallet for entry in self.entries))))

    @property
    def state(self) -> TransactionState:
        """What has become of it."""
        if self.reversals.amount == 0:
            return TransactionState.POSTED
        left = self.amount.minor - self.reversals.amount
        return TransactionState.PARTIALLY_REVERSED if left else TransactionState.REVERSED

    def added_to(self, wallet: WalletId) -> int:
        """Return what a wallet gained by it, in minor units; negative where it gave."""
        return sum(entry.amount for entry in self.entries if entry.wallet == wallet)
