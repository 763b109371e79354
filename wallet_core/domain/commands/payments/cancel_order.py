"""Cancel a payment order that is not due yet."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar
from uuid import UUID

from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decision import Decision, LockSet
from wallet_core.domain.deciding.fingerprint import Form, HashedField, always
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.access import Right
from wallet_core.domain.model.errors import Because, StateTransitionForbidden
from wallet_core.domain.model.payment_order import OrderKind, OrderState, event_of
from wallet_core.domain.model.wallet import Wallet, is_system


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOrder(Command):
    """Cancel an order that has not started. A claim alone does not prevent it."""

    kind: ClassVar[OrderKind]

    order: UUID

    def lock_set(self) -> LockSet:
        """Lock the order's wallet, which decides between cancel and debit."""
        return LockSet(orders=frozenset({self.order}))

    def wallets_to_authorize(self, ledger: LedgerState) -> Iterable[Wallet | None]:
        """Change the order's wallet."""
        return (ledger.wallet_of(ledger.orders.get(self.order)),)

    def decide(self, ledger: LedgerState) -> Decision:
        """Refuse an order that has started or ended; its reserve is available again.

        A payout of earned commission may be cancelled by callers with the right to schedule it only.
        """
        found = ledger.order(self.kind, self.order)
        if is_system(found.wallet):
            self.access.require_right(Right.OPERATIONS)
        if found.state is not OrderState.SCHEDULED:
            raise StateTransitionForbidden(found.name, found.state, Because.NOT_SCHEDULED)
        if ledger.bank_executed(found):
            raise StateTransitionForbidden(found.name, found.state, Because.BANK_SAYS_EXECUTED)
        cancelled = replace(
            found,
            state=OrderState.CANCELLED,
            next_attempt_time=None,
            lease_until=None,
            update_time=ledger.now,
        )
        return Decision(subject=found.name, order=cancelled, event=event_of(cancelled))


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelWithdrawal(CancelOrder):
    """Cancel a withdrawal that is not debited yet."""

    method: ClassVar[str] = "CancelWithdrawal"
    form: ClassVar[Form] = (HashedField("withdrawal", "order"),)
    kind: ClassVar[OrderKind] = OrderKind.WITHDRAWAL


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelScheduledDeposit(CancelOrder):
    """Cancel a scheduled deposit that is neither credited nor sent to the bank."""

    method: ClassVar[str] = "CancelScheduledDeposit"
    form: ClassVar[Form] = always("order")
    kind: ClassVar[OrderKind] = OrderKind.SCHEDULED_DEPOSIT
