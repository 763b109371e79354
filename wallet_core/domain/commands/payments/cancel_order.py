"""Cancel an order before its time."""

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
    """Call off an order that has not begun: a claim alone does not stand in the way."""

    kind: ClassVar[OrderKind]

    order: UUID

    def lock_set(self) -> LockSet:
        """Lock the order's wallet, which is what decides between cancel and claim."""
        return LockSet(orders=frozenset({self.order}))

    def wallets_to_authorize(self, ledger: LedgerState) -> Iterable[Wallet | None]:
        """Touch the wallet that it is an order on."""
        return (ledger.wallet_of(ledger.orders.get(self.order)),)

    def decide(self, ledger: LedgerState) -> Decision:
        """Refuse one that has begun or ended; what it reserved is available again.

        Who schedules the payout of what the service has earned may cancel it, and nobody else.
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
    """Call off a withdrawal whose debit has not been booked."""

    method: ClassVar[str] = "CancelWithdrawal"
    form: ClassVar[Form] = (HashedField("withdrawal", "order"),)
    kind: ClassVar[OrderKind] = OrderKind.WITHDRAWAL


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelScheduledDeposit(CancelOrder):
    """Call off a scheduled deposit that has neither been credited nor asked of the bank."""

    method: ClassVar[str] = "CancelScheduledDeposit"
    form: ClassVar[Form] = always("order")
    kind: ClassVar[OrderKind] = OrderKind.SCHEDULED_DEPOSIT
