"""Locks: a stuck row delays only its own, races have one winner, and a lost connection loses nothing."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from time import monotonic
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.support.batching import locked, post_as_one_batch, waiting_backends
from tests.support.books import balance_of, deposit, open_wallet, request
from tests.support.ledger_pages import a_deposit
from tests.support.payouts import schedule
from tests.support.together import together
from tests.support.unreadable_statement import UnreadableStatement
from wallet_core.bootstrap import open_app
from wallet_core.domain.commands.payments.cancel_order import CancelWithdrawal
from wallet_core.domain.deciding.decision import Done
from wallet_core.domain.model.bank import Answer, AnswerKind, Payment, Status, StatusKind
from wallet_core.domain.model.errors import (
    DatabaseNotServing,
    DatabaseUnavailable,
    DeadlineTooShort,
    OutcomeUnknown,
    ServiceError,
    StateTransitionForbidden,
    TransactionConflict,
)
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.payment_order import Claim, OrderState, Withdrawal
from wallet_core.domain.model.wallet import WalletId
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_core.usecases.change_payment_order import change_withdrawal
from wallet_core.usecases.move_money import MoneyMoved
from wallet_core.usecases.pay_out import pay_out
from walletctl.local.waiting import wait_until

ALICE, BOB = WalletId("alice"), WalletId("bob")
NO_OFFSET, LEASE = timedelta(), timedelta(seconds=30)


class YesBank(UnreadableStatement):
    """A bank that pays and counts."""

    def __init__(self) -> None:
        self.paid: list[str] = []

    def pay(self, payment: Payment) -> Answer:
        """Pay."""
        self.paid.append(payment.key)
        return Answer(kind=AnswerKind.ACCEPTED, reference="r")

    def status(self, payment: Payment) -> Status:
        """Report nothing."""
        del payment
        return Status(kind=StatusKind.SILENT)


@pytest.fixture
def url(settings: Settings) -> str:
    """Return the database's URL."""
    return settings.required_database_url()


@pytest.fixture
def patient(settings: Settings) -> Iterator[App]:
    """Return an app that waits long for locks, with a funded wallet."""
    with open_app(settings.replaced(lock_timeout_s=10.0), name="patient") as app:
        open_wallet(app, "alice", 100)
        yield app


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Lend threads for calls that are held up."""
    with ThreadPoolExecutor(8) as threads:
        yield threads


def claim(app: App) -> Claim:
    """Claim the one withdrawal that is due."""
    (claimed,) = app.claims.to_pay(limit=1, lease=LEASE, clock_offset=NO_OFFSET)
    return claimed


def cancel(withdrawal: UUID) -> CancelWithdrawal:
    """Return a cancellation with a request of its own."""
    return CancelWithdrawal(request=request(), order=withdrawal)


@pytest.mark.alone
def test_a_locked_wallet_delays_only_calls_on_it(app: App, url: str, pool: ThreadPoolExecutor) -> None:
    """The others finish while the lock is held; the delayed ones as soon as it is gone."""

    open_wallet(app, "alice", 100)
    open_wallet(app, "bob", 100)
    with locked(url, ALICE):
        stuck = pool.submit(deposit, app, ALICE, 1)
        assert wait_until(lambda: bool(waiting_backends(url)), timeout_s=30)
        others = [pool.submit(deposit, app, BOB, 1) for _ in range(4)]
        assert {other.result(30).available for other in others} == {Money("USD", left) for left in range(101, 105)}
        assert not stuck.done()

    assert stuck.result(30).available == Money("USD", 101)


@pytest.mark.alone
def test_a_wallet_that_stays_locked_is_a_conflict_and_can_be_retried(app: App, url: str) -> None:
    """Nothing was done, so the same request id does it later."""

    open_wallet(app, "alice", 100)
    id_ = uuid4()
    with locked(url, ALICE), pytest.raises(TransactionConflict):
        deposit(app, ALICE, 1, id_=id_)

    assert not deposit(app, ALICE, 1, id_=id_).replayed
    assert balance_of(app, ALICE) == 101


def test_a_deadline_that_passes_while_a_lock_is_waited_for_leaves_at_the_deadline(patient: App, url: str) -> None:
    """And the call, not begun, is never done."""

    command = a_deposit(1)
    with locked(url, ALICE):
        deadline = monotonic() + 0.5
        with pytest.raises((OutcomeUnknown, DeadlineTooShort)):
            patient.ledger.post(command, deadline)
        # Far sooner than the lock timeout.
        assert monotonic() < deadline + 5
    deposit(patient, ALICE, 10)

    assert balance_of(patient, ALICE) == 110
    assert not patient.ledger.post(command).replayed


@pytest.mark.alone
def test_a_locked_withdrawal_delays_only_calls_on_it(settings: Settings, url: str) -> None:
    """A scheduler that is stuck within a claim locks no wallet: the neighbours of a cancel are served."""

    with open_app(settings.replaced(lock_timeout_s=0.5), name="tests") as app:
        for name in ("gate", "alice", "bob"):
            open_wallet(app, name, 100)
        withdrawal = schedule(app, ALICE, 5)
        with psycopg.connect(url) as dependents:
            dependents.execute("SELECT FROM withdrawals WHERE id = %s FOR NO KEY UPDATE", [withdrawal])
            outcomes = post_as_one_batch(app, [a_deposit(1, BOB), cancel(withdrawal), a_deposit(2, BOB)])

        assert [type(outcome) for outcome in outcomes] == [Done, TransactionConflict, Done]
        assert balance_of(app, BOB) == 103


def test_a_claim_that_moves_the_fence_amid_a_cancel_does_not_save_the_withdrawal(
    patient: App, url: str, pool: ThreadPoolExecutor
) -> None:
    """The cancel decides again on the present state: a claim alone does not prevent it."""

    withdrawal = schedule(patient, ALICE, 5)
    with psycopg.connect(url) as scheduler:
        scheduler.execute("UPDATE withdrawals SET fence = fence + 1, lease_until = now() WHERE id = %s", [withdrawal])
        cancelling = pool.submit(change_withdrawal, patient, cancel(withdrawal))
        assert wait_until(lambda: bool(waiting_backends(url)), timeout_s=30)
        scheduler.commit()
    cancelled = cancelling.result(30).order

    assert (cancelled.state, cancelled.fence) == (OrderState.CANCELLED, 1)
    assert patient.reads.withdrawal(withdrawal).lease_until is None


def test_a_claim_that_moves_the_fence_amid_a_payout_stops_it(patient: App, url: str, pool: ThreadPoolExecutor) -> None:
    """Its work was taken over: no money moves, no bank is called."""

    withdrawal = schedule(patient, ALICE, 5)
    claimed, bank = claim(patient), YesBank()
    with psycopg.connect(url) as scheduler:
        scheduler.execute("UPDATE withdrawals SET fence = fence + 1 WHERE id = %s", [withdrawal])
        paying = pool.submit(pay_out, replace(patient, bank=bank), claimed)
        assert wait_until(lambda: bool(waiting_backends(url)), timeout_s=30)
        scheduler.commit()

    assert paying.result(30) is None
    assert (bank.paid, balance_of(patient, ALICE)) == ([], 100)
    assert patient.reads.withdrawal(withdrawal).state is OrderState.SCHEDULED


def test_cancel_against_payout_has_one_winner(app: App, settings: Settings) -> None:
    """Through two processes' apps, thirty times: paid or cancelled, never both, never neither."""

    open_wallet(app, "alice", 1000)
    bank = YesBank()
    won = set()
    with open_app(settings, name="scheduler") as opened:
        scheduler = replace(opened, bank=bank)
        for _ in range(30):
            withdrawal = schedule(app, ALICE, 1)
            calls: list[Callable[[], object]] = [
                partial(change_withdrawal, app, cancel(withdrawal)),
                partial(pay_out, scheduler, claim(scheduler)),
            ]
            cancelled, paid = together(calls)
            state = app.reads.withdrawal(withdrawal).state
            won.add(state)
            if state is OrderState.CANCELLED:
                assert not isinstance(cancelled, Exception)
                assert paid is None
            else:
                assert state is OrderState.SUCCEEDED
                assert isinstance(cancelled, StateTransitionForbidden)
                assert isinstance(paid, Withdrawal)
            assert (f"wd-{withdrawal}" in bank.paid) == (state is OrderState.SUCCEEDED)

    assert balance_of(app, ALICE) == 1000 - len(bank.paid)
    assert won <= {OrderState.CANCELLED, OrderState.SUCCEEDED}


def test_many_claimers_get_disjoint_withdrawals(app: App, settings: Settings) -> None:
    """Each one once, and no more than requested."""

    open_wallet(app, "alice", 1000)
    due = {schedule(app, ALICE, 1) for _ in range(20)}
    with open_app(settings, name="other") as other:
        calls = [
            partial(a.claims.to_pay, limit=4, lease=LEASE, clock_offset=NO_OFFSET) for a in (app, other) for _ in "abc"
        ]
        outcomes = together(calls)
    claimed = [c.order for claims in outcomes if isinstance(claims, list) for c in claims]

    assert len(claimed) == len(set(claimed)) == 20
    assert set(claimed) == due
    assert max(len(claims) for claims in outcomes if isinstance(claims, list)) == 4


@pytest.mark.alone
def test_a_connection_that_is_killed_while_waiting_loses_nothing(
    patient: App, url: str, owner: psycopg.Connection, pool: ThreadPoolExecutor
) -> None:
    """The batch runs once more on a fresh connection."""

    id_ = uuid4()
    with locked(url, ALICE):
        posting = pool.submit(deposit, patient, ALICE, 1, id_=id_)
        assert wait_until(lambda: len(waiting_backends(url)) == 1, timeout_s=30)
        killed = waiting_backends(url)
        owner.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", [killed])
        assert wait_until(lambda: waiting_backends(url) not in ([], killed), timeout_s=30)

    assert posting.result(30).available == Money("USD", 101)
    assert deposit(patient, ALICE, 1, id_=id_).replayed
    assert balance_of(patient, ALICE) == 101


@pytest.mark.alone
def test_connections_that_are_killed_again_and_again_lose_and_double_nothing(
    app: App, url: str, pool: ThreadPoolExecutor
) -> None:
    """After any answer of each call, the same request id gives exactly one transaction."""

    open_wallet(app, "alice")
    ids, over = [uuid4() for _ in range(60)], threading.Event()

    def kill() -> int:
        kills = 0
        with psycopg.connect(url, autocommit=True) as killer:
            while not over.wait(0.002):
                kills += killer.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND application_name = 'tests' AND state <> 'idle'"
                ).rowcount
        return kills

    killing = pool.submit(kill)
    calls = [partial(_deposit_all, app, ids[start::6]) for start in range(6)]
    results = [outcome for outcomes in together(calls) if isinstance(outcomes, list) for outcome in outcomes]
    over.set()
    assert killing.result(30) > 0
    afterwards = [deposit(app, ALICE, 1, id_=id_) for id_ in ids]

    assert len(results) == 60
    assert {type(outcome) for outcome in results} <= KILLED
    assert len({moved.transaction.id for moved in afterwards}) == 60
    assert sum(isinstance(outcome, MoneyMoved) for outcome in results) <= sum(moved.replayed for moved in afterwards)
    assert balance_of(app, ALICE) == 60


KILLED = {MoneyMoved, DatabaseUnavailable, DatabaseNotServing, TransactionConflict}


def _deposit_all(app: App, ids: list[UUID]) -> list[MoneyMoved | ServiceError]:
    results: list[MoneyMoved | ServiceError] = []
    for id_ in ids:
        try:
            results.append(deposit(app, ALICE, 1, id_=id_))
        except ServiceError as error:
            results.append(error)
    return results
