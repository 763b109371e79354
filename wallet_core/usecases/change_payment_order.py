"""Post a command of a caller on a payment order: schedule, cancel, resolve."""

from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from wallet_core.domain.commands.payments.cancel_order import CancelScheduledDeposit, CancelWithdrawal
from wallet_core.domain.commands.payments.resolve_order import ResolveScheduledDeposit, ResolveWithdrawal
from wallet_core.domain.commands.payments.schedule_deposit import ScheduleDeposit
from wallet_core.domain.commands.payments.schedule_withdrawal import ScheduleWithdrawal
from wallet_core.domain.deciding.decision import Done
from wallet_core.domain.model.errors import LedgerBroken
from wallet_core.domain.model.payment_order import PaymentOrder, ScheduledDeposit, Withdrawal
from wallet_core.usecases.app import App

AnyOrder = TypeVar("AnyOrder", bound=PaymentOrder)


@dataclass(frozen=True, slots=True)
class OrderChanged(Generic[AnyOrder]):
    """The order as it is now."""

    order: AnyOrder
    replayed: bool


def change_withdrawal(
    app: App, command: ScheduleWithdrawal | CancelWithdrawal | ResolveWithdrawal, deadline: float | None = None
) -> OrderChanged[Withdrawal]:
    """Post it; a repeat returns the withdrawal of the first call, as it is now."""
    done = app.ledger.post(command, deadline)
    order = done.order or app.reads.withdrawal(_id_of(done))
    if not isinstance(order, Withdrawal):
        raise LedgerBroken
    return OrderChanged(order, done.replayed)


def change_scheduled_deposit(
    app: App, command: ScheduleDeposit | CancelScheduledDeposit | ResolveScheduledDeposit, deadline: float | None = None
) -> OrderChanged[ScheduledDeposit]:
    """Post it; a repeat returns the deposit of the first call, as it is now."""
    done = app.ledger.post(command, deadline)
    order = done.order or app.reads.scheduled_deposit(_id_of(done))
    if not isinstance(order, ScheduledDeposit):
        raise LedgerBroken
    return OrderChanged(order, done.replayed)


def _id_of(done: Done) -> UUID:
    return UUID(done.subject.rpartition("/")[2])
