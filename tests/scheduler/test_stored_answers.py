"""The bank's answer is recorded as soon as the database lets us, while the lease lasts; what is lost is counted."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from scheduler.jobs import pay_due_withdrawals, reconcile_withdrawals
from tests.support.books import balance_of, open_wallet
from tests.support.payouts import bank_key, schedule, withdrawal
from tests.support.scripted_bank import ScriptedBank
from wallet_core.domain.model.bank import Answer, Payment
from wallet_core.domain.model.payment_order import OrderState
from wallet_core.settings import Settings
from wallet_core.usecases.app import App


class BankBesideALock(ScriptedBank):
    """Pays, and another session locks the wallet for a while before its answer can be recorded."""

    def __init__(self, locking: psycopg.Connection, longest_s: float) -> None:
        super().__init__()
        self._locking = locking
        self._timer = threading.Timer(longest_s, locking.rollback)

    def pay(self, payment: Payment) -> Answer:
        """Pay."""
        answer = super().pay(payment)
        self._locking.execute("SELECT FROM wallets WHERE id = 'alice' FOR UPDATE")
        self._timer.start()
        return answer

    def wait(self) -> None:
        """Wait until the wallet is free."""
        self._timer.join()


@pytest.fixture
def locking(settings: Settings) -> Iterator[psycopg.Connection]:
    """Return a connection of another session."""
    with psycopg.connect(settings.required_database_url()) as connection:
        yield connection


def test_answer_is_stored_once_the_wallet_is_free(app: App, locking: psycopg.Connection) -> None:
    """Tried again while the lease lasts."""

    patient = replace(
        app, payouts=replace(app.payouts, policy=replace(app.payouts.policy, lease=timedelta(seconds=60)))
    )
    bank = BankBesideALock(locking, 1.0)
    id_ = schedule(patient, open_wallet(patient, "alice", 1000), 100)

    counts = pay_due_withdrawals.run_once(replace(patient, bank=bank))

    assert dict(counts.outcomes) == {"SUCCEEDED": 1}
    assert (withdrawal(app, id_).state, bank.executed(bank_key(id_))) == (OrderState.SUCCEEDED, 1)


def test_answer_that_cannot_be_stored_is_counted_and_the_bank_is_queried(app: App, locking: psycopg.Connection) -> None:
    """The worker that takes over follows the bank's status; nothing is resent."""

    short = replace(
        app, payouts=replace(app.payouts, policy=replace(app.payouts.policy, lease=timedelta(milliseconds=200)))
    )
    bank = BankBesideALock(locking, 3.0)
    wallet = open_wallet(app, "alice", 1000)
    id_ = schedule(app, wallet, 100)

    counts = pay_due_withdrawals.run_once(replace(short, bank=bank))
    assert dict(counts.outcomes) == {"AnswerNotStored": 1}
    assert withdrawal(app, id_).attempts[0].answer is None
    bank.wait()
    reconcile_withdrawals.run_once(replace(app, bank=bank), clock_offset=timedelta(hours=1))

    assert (withdrawal(app, id_).state, balance_of(app, wallet)) == (OrderState.SUCCEEDED, 900)
    assert bank.executed(bank_key(id_)) == 1
