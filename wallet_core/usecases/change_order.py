"""Post a command of a caller on a withdrawal: schedule it or cancel it."""

from dataclasses import dataclass
from uuid import UUID

from wallet_core.domain.cancel_withdrawal import CancelWithdrawal
from wallet_core.domain.schedule_withdrawal import ScheduleWithdrawal
from wallet_core.domain.withdrawal import Withdrawal
from wallet_core.usecases.app import App


@dataclass(frozen=True, slots=True)
class WithdrawalChanged:
    """The withdrawal as it is now."""

    withdrawal: Withdrawal
    replayed: bool


def change_withdrawal(
    app: App, command: ScheduleWithdrawal | CancelWithdrawal, deadline: float | None = None
) -> WithdrawalChanged:
    """Schedule or cancel; a repeat returns the withdrawal that the first call was about, as it is now."""
    done = app.ledger.post(command, deadline)
    withdrawal = done.withdrawal or app.reads.withdrawal(UUID(done.subject.removeprefix("withdrawals/")))
    return WithdrawalChanged(withdrawal, done.replayed)
