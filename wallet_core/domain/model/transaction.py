"""Transactions: money that moved, in immutable entries that sum to zero."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from wallet_core.domain.model.commission_rule import Commission, Payer
from wallet_core.domain.model.errors import InvalidField
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.wallet import Labels, Role, WalletId, system_wallet


class TransactionType(StrEnum):
    """Why money moved."""

    DEPOSIT = "DEPOSIT"
    """From the external wallet to a wallet."""
    TRANSFER = "TRANSFER"
    """From one wallet to another."""
    WITHDRAWAL = "WITHDRAWAL"
    """From a wallet to the in-transit wallet: the bank is about to be called."""
    WITHDRAWAL_SETTLEMENT = "WITHDRAWAL_SETTLEMENT"
    """From the in-transit wallet to the external one: the bank paid."""
    WITHDRAWAL_RELEASE = "WITHDRAWAL_RELEASE"
    """From the in-transit wallet back to the wallet: the bank did not pay, and will not."""
    WITHDRAWAL_RETURN = "WITHDRAWAL_RETURN"
    """From the external wallet back to the wallet: the bank paid and later returned the money."""
    COLLECTION = "COLLECTION"
    """From the external wallet to a wallet: the bank has collected the money."""
    HOLD_CAPTURE = "HOLD_CAPTURE"
    """From the wallet of a hold to another one."""
    REVERSAL = "REVERSAL"
    """From the destination of a transaction back to its source."""
    RETURN_APPLICATION = "RETURN_APPLICATION"
    """From the in-transit wallet to one that an operator named: the returned money could not be credited."""
    COLLECTION_APPLICATION = "COLLECTION_APPLICATION"
    """From the in-transit wallet to one that an operator named: the collected money could not be credited."""


class TransactionState(StrEnum):
    """How much of a transaction was reversed. Follows from its reversals: a transaction itself never changes."""

    POSTED = "POSTED"
    """Nothing was reversed."""
    PARTIALLY_REVERSED = "PARTIALLY_REVERSED"
    """A part of the amount was reversed."""
    REVERSED = "REVERSED"
    """The whole amount was reversed."""


# Payouts and collections are undone by the payment machine, holds by voiding them.
REVERSIBLE = frozenset({TransactionType.TRANSFER, TransactionType.DEPOSIT})


def transaction_name(transaction: UUID) -> str:
    """Return the resource name of a transaction."""
    return f"transactions/{transaction}"


def batch_name(batch: UUID) -> str:
    """Return the name of an atomic batch of transfers in idempotency records; callers see its transactions."""
    return f"batches/{batch}"


@dataclass(frozen=True, slots=True)
class Leg:
    """What a movement adds to one wallet, in minor units; negative where it debits."""

    wallet: WalletId
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionDetails:
    """What a caller writes on a transaction. It decides nothing, and travels as one value from the call to the row."""

    description: str = ""
    external_reference: str = ""
    labels: Labels = field(default_factory=dict)


def require_reference(external_reference: str, *, unique: bool) -> None:
    """Refuse an empty reference where it must be unique."""
    if unique and not external_reference:
        raise InvalidField("external_reference", "is required where it must be unique")


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """Money that a decision moves."""

    id: UUID
    """Of the transaction that it becomes."""
    type: TransactionType
    amount: Money
    source: WalletId
    destination: WalletId
    commission: Commission | None = None
    details: TransactionDetails = field(default_factory=TransactionDetails)
    cause: UUID | None = None
    """The order, hold or transaction that it came from; the type says which of them."""
    batch: UUID | None = None
    batch_item: int | None = None
    legs: tuple[Leg, ...] = field(init=False)
    """What it adds to each wallet; the amounts sum to zero, and none is zero."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "legs", self._legs())

    def _legs(self) -> tuple[Leg, ...]:
        debit = credit = self.amount.minor
        if self.commission is None or not self.commission.amount.minor:
            return Leg(self.source, -debit), Leg(self.destination, credit)
        commission = self.commission.amount.minor
        if self.commission.payer is Payer.SOURCE:
            debit += commission
        else:
            credit -= commission
        earner = system_wallet(Role.COMMISSION, self.amount.currency)
        legs = Leg(self.source, -debit), Leg(self.destination, credit), Leg(earner, commission)
        return tuple(leg for leg in legs if leg.amount)


@dataclass(frozen=True, slots=True)
class Entry:
    """One leg as it was posted."""

    wallet: WalletId
    wallet_key: int
    sequence: int
    amount: int
    balance_after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversals:
    """The reversals of a transaction so far."""

    ids: tuple[UUID, ...] = ()
    amount: int = 0
    """In minor units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """A movement as it was posted."""

    movement: Movement
    entries: tuple[Entry, ...]
    time: datetime
    caller: str = ""
    """The calling system whose request moved it; empty where a job of the service did."""
    reversals: Reversals = field(default_factory=Reversals)
    """Empty for a transaction that was just posted."""

    @property
    def id(self) -> UUID:
        """The transaction's id."""
        return self.movement.id

    @property
    def name(self) -> str:
        """The resource name."""
        return transaction_name(self.movement.id)

    @property
    def wallets(self) -> tuple[WalletId, ...]:
        """Source and destination, even without an entry, then the commission wallet if it has one."""
        ends = self.movement.source, self.movement.destination
        return tuple(dict.fromkeys((*ends, *(entry.wallet for entry in self.entries))))

    @property
    def state(self) -> TransactionState:
        """How much of it was reversed."""
        if self.reversals.amount == 0:
            return TransactionState.POSTED
        left = self.movement.amount.minor - self.reversals.amount
        return TransactionState.PARTIALLY_REVERSED if left else TransactionState.REVERSED

    def added_to(self, wallet: WalletId) -> int:
        """Return what it added to a wallet, in minor units; negative where it was debited."""
        return sum(entry.amount for entry in self.entries if entry.wallet == wallet)
