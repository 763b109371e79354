"""Post a command that moves money at once: a deposit or a transfer."""

from dataclasses import dataclass
from uuid import UUID

from wallet_core.domain.deposit import Deposit
from wallet_core.domain.errors import LedgerBroken
from wallet_core.domain.money import Money
from wallet_core.domain.transaction import Transaction
from wallet_core.domain.transfer import Transfer
from wallet_core.usecases.app import App


@dataclass(frozen=True, slots=True)
class MoneyMoved:
    """The transaction, and what the wallet that was named first could give right after it."""

    transaction: Transaction
    available: Money
    replayed: bool


def move_money(app: App, command: Deposit | Transfer, deadline: float | None = None) -> MoneyMoved:
    """Move money; a repeat moves nothing and returns what the first call moved, as it was."""
    done = app.ledger.post(command, deadline)
    transaction = done.transaction or app.reads.transaction(UUID(done.subject.removeprefix("transactions/")))
    if done.available is None:
        raise LedgerBroken
    return MoneyMoved(transaction, Money(transaction.amount.currency, done.available), done.replayed)
