"""Give back what a transaction moved, in whole or in part."""

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
    """Move money back from where a transaction brought it; all reversals together never give back more than moved."""

    method: ClassVar[str] = "ReverseTransaction"
    form: ClassVar[Form] = always("transaction", "amount", "keep_commission", "details")

    id: UUID
    transaction: UUID
    amount: Money | None
    """None means all that is left, and stays None in the fingerprint."""
    keep_commission: bool
    details: TransactionDetails = field(default_factory=TransactionDetails)

    def lock_set(self) -> LockSet:
        """Lock all that the transaction touched, which is what decides between two reversals."""
        return LockSet(transactions=frozenset({self.transaction}))

    def authorize(self) -> None:
        """Refuse an amount that moves nothing."""
        if self.amount is not None:
            require_positive(self.amount)

    def wallets_to_authorize(self, ledger: LedgerState) -> Iterable[Wallet | None]:
        """Touch the wallet that gives it back."""
        found = ledger.transactions.get(self.transaction)
        return (ledger.wallets.get(found.movement.destination) if found is not None else None,)

    def decide(self, ledger: LedgerState) -> Decision:
        """Take from an active wallet what it has, up to what is left to give back; the giver may not be closed.

        Operations may take it from a frozen wallet as well: thawed for it, it would be free for its owner to empty.
        """
        transaction = ledger.transaction(self.transaction)
        original = transaction.movement
        if original.type is TransactionType.DEPOSIT:
            self.access.require_right(Right.DEPOSIT)
        currency = self.amount.currency if self.amount is not None else original.amount.currency
        payer = ledger.debit_wallet(original.destination, currency, or_frozen=self.access.may(Right.OPERATIONS))
        payee = ledger.credit_wallet(original.source, currency)
        amount = self._amount(transaction)
        movement = Movement(
            id=self.id,
            type=TransactionType.REVERSAL,
            amount=amount,
            source=payer.id,
            destination=payee.id,
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
    """Return the commission that goes back with *amount*, so that all shares together are the whole, rounded down."""
    commission = original.movement.commission
    if commission is None:
        return None
    whole = original.movement.amount.minor
    before = original.reversals.amount
    share = share_of(commission.amount.minor, before + amount.minor, whole) - share_of(
        commission.amount.minor, before, whole
    )
    return Commission(Money(amount.currency, -share), commission.rule, commission.payer.other)
