"""The rate limit of calls to the bank: one for all schedulers, and no scheduler holds a lease while it waits."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from time import monotonic

import psycopg
import pytest

from scheduler.jobs import pay_due_withdrawals, reconcile_withdrawals
from tests.conftest import PATIENT
from tests.support.books import open_wallet
from tests.support.payouts import Bank, schedule, withdrawal
from tests.support.together import over_and_over, together
from wallet_core.bootstrap import open_app
from wallet_core.domain.model.payment_order import OrderState
from wallet_core.settings import Settings
from wallet_core.storage.connections.engine import transaction
from wallet_core.storage.scheduling.rate_limit import TAKE_ONE
from wallet_core.usecases.app import App

PER_S = 20.0


@pytest.fixture
def paced(settings: Settings, app: App, owner: psycopg.Connection) -> Settings:
    """Return settings of twenty calls a second, with none left over from before."""
    del app
    owner.execute("UPDATE bank_rate_limit SET calls = 0, filled_at = clock_timestamp()")
    return settings.replaced(**{"bank_calls_per_s": PER_S, **PATIENT})


def fill_up(owner: psycopg.Connection) -> None:
    """Let a long quiet time pass."""
    owner.execute("UPDATE bank_rate_limit SET calls = 0, filled_at = clock_timestamp() - interval '1 day'")


def assert_done_in_time(done: Callable[[], bool], step: Callable[[], object]) -> None:
    """Repeat a step until a condition holds."""
    deadline = monotonic() + 30
    while not done():
        assert monotonic() < deadline
        step()


def test_four_schedulers_together_keep_one_rate_limit(
    app: App, paced: Settings, stub: Bank, owner: psycopg.Connection
) -> None:
    """Forty payouts at twenty a second take two seconds, by any number of schedulers; none that waits holds a lease."""

    alice = open_wallet(app, "alice", 1000)
    ids = [schedule(app, alice, 10) for _ in range(40)]
    with ExitStack() as stack:
        apps = [stack.enter_context(open_app(paced, name=f"tests-{number}")) for number in range(4)]
        owner.execute("UPDATE bank_rate_limit SET calls = 0, filled_at = clock_timestamp()")
        started = monotonic()
        together([partial(pay_due_withdrawals.run_once, one, limit=5) for one in apps])
        # Twenty of them are claimed at the most; those left have neither lease nor attempt.
        waiting = [one for one in map(partial(withdrawal, app), ids) if one.state is OrderState.SCHEDULED]
        assert len(waiting) >= 20
        assert {(one.lease_until, one.attempts) for one in waiting} == {(None, ())}
        assert_done_in_time(
            lambda: len(stub.ledger()) == len(ids),
            lambda: together([partial(pay_due_withdrawals.run_once, one) for one in apps]),
        )
        took = monotonic() - started

    assert took >= (len(ids) - 1) / PER_S
    assert {stub.posts(id_) for id_ in ids} == {1}


def test_a_quiet_time_saves_up_no_more_than_a_seconds_worth(
    app: App, paced: Settings, stub: Bank, owner: psycopg.Connection
) -> None:
    """A day without a payout is no leave to storm the bank."""

    alice = open_wallet(app, "alice", 1000)
    ids = [schedule(app, alice, 10) for _ in range(60)]
    with open_app(paced, name="tests-paced") as one:
        fill_up(owner)
        started = monotonic()
        assert_done_in_time(lambda: len(stub.ledger()) == len(ids), lambda: pay_due_withdrawals.run_once(one))

    assert monotonic() - started >= (len(ids) - 1) / PER_S - 1


def test_status_calls_share_the_same_rate_limit(
    app: App, paced: Settings, stub: Bank, owner: psycopg.Connection
) -> None:
    """Each may be sent once more, so it takes two calls; the saved-up tokens are used by those who pay."""

    alice = open_wallet(app, "alice", 1000)
    stub.order("http_error", status=502, execute=True)
    ids = [schedule(app, alice, 10) for _ in range(20)]
    pay_due_withdrawals.run_once(app)
    assert {withdrawal(app, id_).state for id_ in ids} == {OrderState.IN_DOUBT}
    stub.forgive()
    with open_app(paced, name="tests-paced") as one:
        owner.execute("UPDATE bank_rate_limit SET calls = 0, filled_at = clock_timestamp()")
        started = monotonic()
        assert_done_in_time(
            lambda: all(withdrawal(app, id_).state is OrderState.SUCCEEDED for id_ in ids),
            lambda: reconcile_withdrawals.run_once(one, clock_offset=app.payouts.policy.backoff_max),
        )

    assert monotonic() - started >= (2 * len(ids) - 1) / PER_S


def test_a_rate_limit_below_one_call_a_second_is_kept_too(app: App, paced: Settings, owner: psycopg.Connection) -> None:
    """A round that may not call ends instead of waiting without a limit."""

    alice = open_wallet(app, "alice", 1000)
    schedule(app, alice, 10)
    slow = paced.replaced(bank_calls_per_s=0.01)
    with open_app(slow, name="tests-slow") as one:
        owner.execute("UPDATE bank_rate_limit SET calls = 0, filled_at = clock_timestamp()")
        assert pay_due_withdrawals.run_once(one).claimed == 0
        owner.execute("UPDATE bank_rate_limit SET calls = 1, filled_at = clock_timestamp()")
        assert pay_due_withdrawals.run_once(one).claimed == 1


def test_asking_does_not_starve_behind_a_backlog_of_payouts(
    app: App, paced: Settings, stub: Bank, owner: psycopg.Connection
) -> None:
    """Work that takes two calls begins as soon as one is left, and owes the other."""

    alice = open_wallet(app, "alice", 1000)
    stub.order("http_error", status=502, execute=True)
    doubtful = [schedule(app, alice, 1) for _ in range(5)]
    pay_due_withdrawals.run_once(app)
    stub.forgive()
    due = [schedule(app, alice, 1) for _ in range(200)]
    with open_app(paced, name="tests-paced") as one:
        owner.execute("UPDATE bank_rate_limit SET calls = 0, filled_at = clock_timestamp()")
        with over_and_over(lambda: pay_due_withdrawals.run_once(one, limit=1)):
            assert_done_in_time(
                lambda: all(withdrawal(app, id_).state is OrderState.SUCCEEDED for id_ in doubtful),
                lambda: reconcile_withdrawals.run_once(one, limit=1, clock_offset=app.payouts.policy.backoff_max),
            )

    assert any(withdrawal(app, id_).state is OrderState.SCHEDULED for id_ in due)


def test_a_clock_that_was_set_back_stops_nothing(app: App, paced: Settings, owner: psycopg.Connection) -> None:
    """After a failover the row may be from a future that never came."""

    alice = open_wallet(app, "alice", 1000)
    schedule(app, alice, 10)
    with open_app(paced, name="tests-paced") as one:
        owner.execute("UPDATE bank_rate_limit SET calls = 0.4, filled_at = clock_timestamp() + interval '1 hour'")
        assert_done_in_time(lambda: pay_due_withdrawals.run_once(one).claimed == 1, lambda: None)


def test_a_server_frozen_while_accepting_calls_blocks_no_others(paced: Settings, owner: psycopg.Connection) -> None:
    """A process that is stopped before it gets the answer has neither a transaction open nor a lock."""

    with open_app(paced, name="tests-paced") as one:
        owner.execute("UPDATE bank_rate_limit SET calls = 2, filled_at = clock_timestamp()")
        with transaction(one.claims.engine) as frozen:
            frozen.execute(TAKE_ONE, {"most": PER_S, "per_s": PER_S})
            assert one.may_call_bank()
            locks = owner.execute("SELECT FROM pg_locks WHERE pid = %s", [frozen.info.backend_pid]).fetchall()
            assert locks == []
