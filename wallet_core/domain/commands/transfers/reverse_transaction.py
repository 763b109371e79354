"""Reverse a transaction, in whole or in part."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar
from uuid import UUID

from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decision import Decision, LockSet
from wallet_core.domain.deciding.fingerprint import Form, always
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.access import Right
from wallet_core.domain.model.commission_rule import Commission, share_of
from wallet_core.domain.model.errors import Because, LimitExceeded, StateTransitionForbidden
from wallet_core.domain.model.money import Money, require_positive
from wallet_core.domain.model.transaction import (
    REVERSIBLE,
    Movement,
    Transaction,
    TransactionDetails,
    TransactionType,
    transaction_name,
)
from wallet_core.domain.model.wallet import Wallet


@dataclass(frozen=True, slots=True, kw_only=True)
class ReverseTransaction(Command):
    """Move money back to the source of a transaction; all its reversals together move no more than it did."""

    method: ClassVar[str] = "ReverseTransaction"
    form: ClassVar[Form] = always("transaction", "amount", "keep_commission", "details")

    id: UUID
    transaction: UUID
    amount: Money | None
    """None means the rest, and stays None in the fingerprint."""
    keep_commission: bool
    details: TransactionDetails = field(default_factory=TransactionDetails)

    def lock_set(self) -> LockSet:
        """Lock all wallets of the transaction, which decides between two reversals."""
        return LockSet(transactions=frozenset({self.transaction}))

    def authorize(self) -> None:
        """Refuse an amount that is not positive."""
        if self.amount is not None:
            require_positive(self.amount)

    def wallets_to_authorize(self, ledger: LedgerState) -> Iterable[Wallet | None]:
        """Debit the destination."""
        found = ledger.transactions.get(self.transaction)
        return (ledger.wallets.get(found.movement.destination) if found is not None else None,)

    def decide(self, ledger: LedgerState) -> Decision:
        """Debit the destination, up to what is not reversed yet, and credit the source, unless that is closed.

        Operations may debit a frozen wallet too: unfrozen for that, its owner could empty it first.
        """
        transaction = ledger.transaction(self.transaction)
        original = transaction.movement
        if original.type is TransactionType.DEPOSIT:
            self.access.require_right(Right.DEPOSIT)
        currency = self.amount.currency if self.amount is not None else original.amount.currency
        debited = ledger.debit_wallet(original.destination, currency, or_frozen=self.access.may(Right.OPERATIONS))
        credited = ledger.credit_wallet(original.source, currency)
        amount = self._amount(transaction)
        movement = Movement(
            id=self.id,
            type=TransactionType.REVERSAL,
            amount=amount,
            source=debited.id,
            destination=credited.id,
            commission=None if self.keep_commission else _given_back(transaction, amount),
            details=self.details,
            cause=original.id,
        )
        return Decision(subject=transaction_name(self.id), movements=(movement,))

    def _amount(self, original: Transaction) -> Money:
        if original.movement.type not in REVERSIBLE:
            raise StateTransitionForbidden(original.name, original.state, Because.NOT_REVERSIBLE)
        left = original.movement.amount.minor - original.reversals.amount
        if left == 0:
            raise StateTransitionForbidden(original.name, original.state, Because.NOTHING_LEFT)
        if self.amount is None:
            return Money(original.movement.amount.currency, left)
        if self.amount.minor > left:
            raise LimitExceeded(original.name, left)
        return self.amount


def _given_back(original: Transaction, amount: Money) -> Commission | None:
    """Return the commission to give back with *amount*: rounded down, so that all shares add up to the commission."""
    commission = original.movement.commission
    if commission is None:
        return None
    whole = original.movement.amount.minor
    before = original.reversals.amount
    share = share_of(commission.amount.minor, before + amount.minor, whole) - share_of(
        commission.amount.minor, before, whole
    )
    return Commission(Money(amount.currency, -share), commission.rule, commission.payer.other)
