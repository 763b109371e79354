"""Credit a scheduled deposit that is not collected from the bank."""

from dataclasses import dataclass, replace
from typing import ClassVar

from wallet_core.domain.commands.payments.order_command import OrderCommand, failed
from wallet_core.domain.commands.payments.settlement import (
    Ending,
    ended,
    movement,
)
from wallet_core.domain.deciding.decision import Decision
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.errors import StaleClaim
from wallet_core.domain.model.payment_order import (
    FailureReason,
    OrderState,
    ScheduledDeposit,
)
from wallet_core.domain.model.transaction import TransactionType


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditDeposit(OrderCommand):
    """Credit a scheduled deposit that is not collected, in one commit with its end."""

    method: ClassVar[str] = "CreditDeposit"

    def decide(self, ledger: LedgerState) -> Decision:
        """Fail the order where a balance would leave 64 bits."""
        found = self.claimed_order(ledger)
        if not isinstance(found, ScheduledDeposit) or found.collect:
            raise StaleClaim(found.name)
        amount = found.amount.minor
        if not (ledger.wallet(found.wallet).can_take(amount) and ledger.wallet(self.external_wallet).can_give(amount)):
            return failed(ledger, found, FailureReason.LIMIT_EXCEEDED)
        credited = ended(replace(found, credit=self.id), OrderState.SUCCEEDED, ledger.now)
        moved = movement(self.id, TransactionType.DEPOSIT, self.external_wallet, found.wallet, found)
        return Ending(credited, (moved,)).decision()
