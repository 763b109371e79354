"""Post a command that moves money at once: a deposit, a transfer, many transfers, or the reversal of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from wallet_core.domain.commands.transfers.batch_transfer import BatchTransfer
from wallet_core.domain.commands.transfers.deposit import Deposit
from wallet_core.domain.commands.transfers.reverse_transaction import ReverseTransaction
from wallet_core.domain.commands.transfers.transfer import Transfer
from wallet_core.domain.deciding.decision import Done
from wallet_core.domain.model.errors import WalletError
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.transaction import Transaction
from wallet_core.usecases.app import App


@dataclass(frozen=True, slots=True)
class MoneyMoved:
    """The transaction, and what its first wallet had available right after it, where that is returned."""

    transaction: Transaction
    available: Money | None
    replayed: bool


@dataclass(frozen=True, slots=True)
class BatchMoved:
    """The transactions of an atomic batch, in the order of its items."""

    transactions: Sequence[Transaction]
    replayed: bool


def move_money(app: App, command: Deposit | Transfer | ReverseTransaction, deadline: float | None = None) -> MoneyMoved:
    """Move money; a repeat moves nothing and returns the first transaction."""
    return _moved(app, app.ledger.post(command, deadline))


def move_batch(app: App, command: BatchTransfer, deadline: float | None = None) -> BatchMoved:
    """Do all transfers of a batch or none; a repeat moves nothing and returns the first transactions."""
    done = app.ledger.post(command, deadline)
    transactions = done.transactions or app.reads.batch(UUID(done.subject.removeprefix("batches/")))
    return BatchMoved(transactions, done.replayed)


def move_each(app: App, commands: Sequence[Transfer], deadline: float | None = None) -> list[MoneyMoved | WalletError]:
    """Do independent transfers; return for each what ``move_money`` returns or raises."""
    posted = app.ledger.post_all(commands, deadline)
    repeats = [_id_of(done) for done in posted if isinstance(done, Done) and done.transaction is None]
    first = {one.id: one for one in app.reads.transactions(repeats)} if repeats else {}
    return [
        done if isinstance(done, WalletError) else _result(done, done.transaction or first[_id_of(done)])
        for done in posted
    ]


def _moved(app: App, done: Done) -> MoneyMoved:
    return _result(done, done.transaction or app.reads.transaction(_id_of(done)))


def _result(done: Done, transaction: Transaction) -> MoneyMoved:
    available = Money(transaction.movement.amount.currency, done.available) if done.available is not None else None
    return MoneyMoved(transaction, available, done.replayed)


def _id_of(done: Done) -> UUID:
    return UUID(done.subject.removeprefix("transactions/"))
