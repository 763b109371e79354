"""Many withdrawals and many schedulers: disjoint claims, parallel calls, nothing lost behind a lock."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import timedelta
from functools import partial

import psycopg
import pytest

from scheduler.jobs import pay_due_withdrawals, reconcile_withdrawals
from tests.conftest import PATIENT
from tests.support.books import balance_of, deposit, open_wallet, request
from tests.support.payouts import Bank, schedule, withdrawal
from tests.support.together import over_and_over, together
from wallet_core.bootstrap import open_app
from wallet_core.domain.commands.payments.cancel_order import CancelWithdrawal
from wallet_core.domain.model.payment_order import OrderState
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_core.usecases.change_payment_order import change_withdrawal
from walletctl.local.waiting import wait_until

LATER = timedelta(seconds=5)


@pytest.fixture
def apps(app: App, settings: Settings) -> Iterator[list[App]]:
    """Return four cores on one database, as four schedulers have them; patient, for all share one interpreter here."""
    del app  # it verifies the ledger at the end
    patient = settings.replaced(**PATIENT)
    with ExitStack() as stack:
        yield [stack.enter_context(open_app(patient, name=f"scheduler-{n}")) for n in range(4)]


def test_two_due_payouts_that_only_one_can_have_leave_one_paid_and_one_failed(apps: list[App], stub: Bank) -> None:
    """E6: two of 80 on 100, four schedulers: one SUCCEEDED, one FAILED, 20 left."""

    alice = open_wallet(apps[0], "alice", 100)
    ids = [schedule(apps[0], alice, 80) for _ in range(2)]
    together([partial(pay_due_withdrawals.run_once, app) for app in apps])

    states = sorted(withdrawal(apps[0], id_).state for id_ in ids)
    assert states == [OrderState.FAILED, OrderState.SUCCEEDED]
    assert (balance_of(apps[0], alice), len(stub.ledger())) == (20, 1)


LOCKS = """
SELECT count(*) FROM pg_locks JOIN pg_class ON pg_class.oid = relation
WHERE relname IN ('wallets', 'withdrawals') AND pid <> pg_backend_pid()
    AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def test_hundred_due_payouts_and_four_schedulers_send_each_one_once(apps: list[App], stub: Bank) -> None:
    """E7: disjoint claims, each paid exactly once."""

    wallets = [open_wallet(apps[0], f"w{n}", 1000) for n in range(10)]
    ids = [schedule(apps[0], wallets[n % 10], 100) for n in range(100)]
    rounds = together([partial(pay_due_withdrawals.run_once, app) for app in apps])

    assert sum(counts.claimed for counts in rounds if not isinstance(counts, Exception)) == 100
    assert [(stub.posts(id_), stub.executions(id_)) for id_ in ids] == [(1, 1)] * 100
    assert [balance_of(apps[0], wallet) for wallet in wallets] == [0] * 10


def test_deposit_passes_while_the_bank_holds_its_answer_back(app: App, stub: Bank, owner: psycopg.Connection) -> None:
    """E15: no row lock is held and no transaction is open during the call."""

    alice = open_wallet(app, "alice", 1000)
    stub.order("hold", times=1)
    id_ = schedule(app, alice, 300)
    with ThreadPoolExecutor(1) as pool:
        round_ = pool.submit(pay_due_withdrawals.run_once, app)
        assert wait_until(lambda: stub.in_flight()[0] == 1, timeout_s=30)
        deposit(app, alice, 50)
        # What else has a lock, the round that looks for more or a vacuum, ends by itself; the call does not.
        is_unlocked = wait_until(lambda: owner.execute(LOCKS).fetchone() == (0,), timeout_s=20)
        still_held = stub.in_flight()[0]
        stub.release()
        round_.result()

    assert (is_unlocked, still_held) == (True, 1)
    assert (balance_of(app, alice), withdrawal(app, id_).state) == (750, OrderState.SUCCEEDED)


def test_payout_whose_wallet_is_locked_is_done_when_it_is_free(app: App, stub: Bank, owner: psycopg.Connection) -> None:
    """E16: the claim is given back, not lost; others are paid meanwhile."""

    alice, bob = open_wallet(app, "alice", 1000), open_wallet(app, "bob", 1000)
    locked, free = schedule(app, alice, 300), schedule(app, bob, 300)
    with owner.transaction():
        owner.execute("SELECT FROM wallets WHERE id = 'alice' FOR UPDATE")
        pay_due_withdrawals.run_once(app)
        assert OrderState.SCHEDULED is withdrawal(app, locked).state
        assert OrderState.SUCCEEDED is withdrawal(app, free).state
    pay_due_withdrawals.run_once(app, clock_offset=LATER)

    assert (withdrawal(app, locked).state, stub.posts(locked)) == (OrderState.SUCCEEDED, 1)


def test_a_claim_skips_a_withdrawal_that_another_worker_has_locked(
    app: App, stub: Bank, owner: psycopg.Connection
) -> None:
    """It waits for no lock, and takes what it passed by as soon as that is free."""

    alice = open_wallet(app, "alice", 1000)
    in_hand, free = schedule(app, alice, 300), schedule(app, alice, 300)
    with owner.transaction():
        owner.execute("SELECT FROM withdrawals WHERE id = %s FOR UPDATE", [in_hand])
        assert pay_due_withdrawals.run_once(app).claimed == 1
    assert pay_due_withdrawals.run_once(app).claimed == 1

    assert [(withdrawal(app, id_).fence, stub.posts(id_)) for id_ in (in_hand, free)] == [(1, 1)] * 2


def test_many_payouts_of_a_locked_wallet_block_no_others(app: App, stub: Bank, owner: psycopg.Connection) -> None:
    """More of them than there are slots, and due first: the others are paid while the lock is held, then they are.

    One whose wallet is unlocked at its last moment may be left for a status call, so both workers continue.
    """

    stuck, free = open_wallet(app, "stuck", 1000), open_wallet(app, "free", 1000)
    ids = [schedule(app, stuck, 10) for _ in range(15)]
    others = [schedule(app, free, 10) for _ in range(15)]
    with (
        closing(pay_due_withdrawals.worker(app)) as paying,
        closing(reconcile_withdrawals.worker(app)) as reconciling,
        over_and_over(paying.drain, every_s=0.02),
        over_and_over(reconciling.drain, every_s=0.02),
    ):
        with owner.transaction():
            owner.execute("SELECT FROM wallets WHERE id = 'stuck' FOR UPDATE")
            assert wait_until(lambda: len(stub.ledger()) == len(others), timeout_s=30)
            assert {withdrawal(app, id_).state for id_ in ids} == {OrderState.SCHEDULED}
        assert wait_until(lambda: len(stub.ledger()) == len(ids + others), timeout_s=30)
    assert {stub.executions(id_) for id_ in ids + others} == {1}


def test_fifty_due_payouts_have_ten_calls_in_flight_and_never_eleven(app: App, stub: Bank) -> None:
    """E18: the bank holds its answers back, so that all that are sent are seen at once."""

    alice = open_wallet(app, "alice", 5000)
    for _ in range(50):
        schedule(app, alice, 100)
    stub.order("hold")
    paying = pay_due_withdrawals.worker(app)
    with ThreadPoolExecutor(1) as pool:
        drained = pool.submit(paying.drain)
        assert wait_until(lambda: stub.in_flight()[0] == 10, timeout_s=30)
        stub.forgive()
        stub.release()
        drained.result()
    paying.close()

    assert stub.in_flight()[1] == 10


def test_cancelled_withdrawal_is_not_sent_when_it_is_due(app: App, stub: Bank) -> None:
    """S6: the bank is not called for a withdrawal that was cancelled before its time."""

    alice = open_wallet(app, "alice", 1000)
    id_ = schedule(app, alice, 300)
    change_withdrawal(app, CancelWithdrawal(request=request(), order=id_))
    pay_due_withdrawals.run_once(app, clock_offset=LATER)

    assert (withdrawal(app, id_).state, stub.posts(id_)) == (OrderState.CANCELLED, 0)
    assert balance_of(app, alice) == 1000
