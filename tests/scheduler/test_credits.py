"""Scheduled deposits without collection: credited once, at their time, by any worker and beside any other call."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import psycopg
import pytest

from scheduler.jobs import collect_due_deposits, credit_due_deposits, reconcile_collections
from tests.conftest import PATIENT
from tests.support.batching import waiting_backends
from tests.support.books import balance_of, deposit, open_wallet
from tests.support.callers import BIGGEST, count
from tests.support.database import Database
from tests.support.payouts import schedule
from tests.support.rows import rewrite
from tests.support.scheduled import CollectingBank, cancel_deposit, schedule_deposit, scheduled_deposit
from tests.support.together import together
from wallet_core.bootstrap import open_app
from wallet_core.domain.model.errors import StateTransitionForbidden
from wallet_core.domain.model.payment_order import Claim, FailureReason, OrderState
from wallet_core.domain.model.transaction import TransactionType
from wallet_core.domain.model.wallet import Role, WalletId, system_wallet
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_core.usecases.credit_deposit import credit_deposit
from walletctl.local.waiting import wait_until

LATER, PAST_LEASE = timedelta(seconds=1), timedelta(seconds=2)
HALF_AN_HOUR = timedelta(minutes=30)

EXTERNAL = system_wallet(Role.EXTERNAL, "USD")


@pytest.fixture
def alice(app: App) -> WalletId:
    """Return an empty wallet."""
    return open_wallet(app, "alice")


@pytest.fixture
def apps(app: App, settings: Settings) -> Iterator[list[App]]:
    """Return four cores on one database, as four schedulers have them; patient, for all share one interpreter here."""
    del app  # it verifies the ledger at the end
    patient = settings.replaced(**PATIENT)
    with ExitStack() as stack:
        yield [stack.enter_context(open_app(patient, name=f"scheduler-{n}")) for n in range(4)]


def credit(app: App, clock_offset: timedelta = timedelta()) -> Counter[str]:
    """Run one round of credits; return what became of what it claimed."""
    return credit_due_deposits.run_once(app, clock_offset=clock_offset).outcomes


def claims(app: App, clock_offset: timedelta = timedelta(), limit: int = 100) -> list[Claim]:
    """Claim what is to be credited, as a worker does that then falls asleep."""
    return app.claims.to_credit(limit=limit, lease=app.payouts.policy.lease, clock_offset=clock_offset)


def credits_of(owner: psycopg.Connection, id_: UUID) -> int:
    """Return how many transactions a scheduled deposit has made."""
    row = owner.execute("SELECT count(*) FROM transactions WHERE cause = %s", [id_]).fetchone()
    assert row is not None
    return int(row[0])


def test_due_deposit_is_credited_once_and_the_bank_is_never_called(
    app: App, collecting_bank: CollectingBank, alice: WalletId, owner: psycopg.Connection
) -> None:
    """L1: external → wallet, type DEPOSIT, no bank reference; later rounds of every job find nothing to do."""

    id_ = schedule_deposit(app, alice, 300, collect=False, bank_account="acct-7", external_reference="standing-1")
    assert credit(app) == {"SUCCEEDED": 1}

    found = scheduled_deposit(app, id_)
    assert (found.state, found.bank_reference, found.attempts, found.next_attempt_time, found.lease_until) == (
        OrderState.SUCCEEDED,
        "",
        (),
        None,
        None,
    )
    assert found.credit is not None
    moved = app.reads.transaction(found.credit).movement
    assert (moved.type, moved.source, moved.destination) == (
        TransactionType.DEPOSIT,
        EXTERNAL,
        alice,
    )
    assert (moved.cause, moved.details.external_reference, moved.amount.minor) == (
        id_,
        "standing-1",
        300,
    )
    for offset in (timedelta(), PAST_LEASE, HALF_AN_HOUR):
        for job in (credit_due_deposits, collect_due_deposits, reconcile_collections):
            assert job.run_once(app, clock_offset=offset).claimed == 0
    assert (found, balance_of(app, alice), credits_of(owner, id_)) == (scheduled_deposit(app, id_), 300, 1)
    assert collecting_bank.stats()["posts"] == collecting_bank.stats()["asks"] == {}


def test_deposit_is_untouched_until_its_time_and_credited_once_after_it(app: App, alice: WalletId) -> None:
    """L1: a minute before nothing is claimed and the balance is the same; a minute after it has grown, once."""

    at = datetime.now(UTC) + HALF_AN_HOUR  # noqa: TID251  # a caller's clock
    id_ = schedule_deposit(app, alice, 300, collect=False, execute_time=at)
    before = scheduled_deposit(app, id_)
    assert credit(app, HALF_AN_HOUR - timedelta(minutes=1)) == {}
    assert (before, balance_of(app, alice)) == (scheduled_deposit(app, id_), 0)

    for minutes in (1, 1, 2):
        credit(app, HALF_AN_HOUR + timedelta(minutes=minutes))

    assert (scheduled_deposit(app, id_).state, balance_of(app, alice)) == (OrderState.SUCCEEDED, 300)


def test_credit_and_success_are_one_transaction(app: App, alice: WalletId, owner: psycopg.Connection) -> None:
    """The state, the entries and the transaction carry one and the same database transaction."""

    id_ = schedule_deposit(app, alice, 300, collect=False)
    credit(app)

    stamps = owner.execute(
        "SELECT xmin::text FROM scheduled_deposits WHERE id = %(id)s"
        " UNION SELECT xmin::text FROM transactions WHERE cause = %(id)s"
        " UNION SELECT xmin::text FROM wallets WHERE id = 'alice'"
        " UNION SELECT e.xmin::text FROM entries e JOIN transactions t ON t.id = e.transaction WHERE t.cause = %(id)s",
        {"id": id_},
    ).fetchall()
    assert len(stamps) == 1


def test_what_is_longest_due_is_credited_first(app: App, alice: WalletId) -> None:
    """And no more than was requested."""

    now = datetime.now(UTC)  # noqa: TID251  # a caller's clock
    late, early = (
        schedule_deposit(app, alice, 300, collect=False, execute_time=now + timedelta(minutes=minutes))
        for minutes in (20, 10)
    )
    assert credit_due_deposits.run_once(app, limit=1, clock_offset=HALF_AN_HOUR).claimed == 1

    assert [scheduled_deposit(app, id_).state for id_ in (early, late)] == ["SUCCEEDED", "SCHEDULED"]


def test_cancelled_deposit_is_not_credited_when_it_is_due(
    app: App, collecting_bank: CollectingBank, alice: WalletId
) -> None:
    """S6: CANCELLED, nothing moved, the bank not called, whether or not it would have been."""

    ids = [schedule_deposit(app, alice, 300, collect=collect) for collect in (False, True)]
    for id_ in ids:
        cancel_deposit(app, id_)
    for job in (credit_due_deposits, collect_due_deposits, reconcile_collections):
        assert job.run_once(app, clock_offset=HALF_AN_HOUR).claimed == 0

    assert [scheduled_deposit(app, id_).state for id_ in ids] == [OrderState.CANCELLED] * 2
    assert (balance_of(app, alice), collecting_bank.stats()["posts"]) == (0, {})


def test_a_worker_that_wakes_up_after_the_cancel_credits_nothing(app: App, alice: WalletId) -> None:
    """S6: claimed, then cancelled, then begun."""

    id_ = schedule_deposit(app, alice, 300, collect=False)
    (claim,) = claims(app)
    cancel_deposit(app, id_)

    assert credit_deposit(app, claim) is None
    assert (scheduled_deposit(app, id_).state, balance_of(app, alice)) == (OrderState.CANCELLED, 0)


def test_a_credited_deposit_cannot_be_cancelled(app: App, alice: WalletId) -> None:
    """It is over."""

    id_ = schedule_deposit(app, alice, 300, collect=False)
    credit(app)

    with pytest.raises(StateTransitionForbidden):
        cancel_deposit(app, id_)
    assert (scheduled_deposit(app, id_).state, balance_of(app, alice)) == (OrderState.SUCCEEDED, 300)


@pytest.mark.parametrize("stale_first", [False, True])
def test_two_workers_with_a_claim_on_the_same_deposit_credit_it_once(
    app: App, alice: WalletId, owner: psycopg.Connection, *, stale_first: bool
) -> None:
    """The first one's lease ran out: whichever wakes up first, only the later claim counts."""

    id_ = schedule_deposit(app, alice, 300, collect=False)
    (stale,) = claims(app)
    assert claims(app) == []
    (fresh,) = claims(app, PAST_LEASE)
    order = (stale, fresh) if stale_first else (fresh, stale)
    done = [credit_deposit(app, claim) for claim in order]

    assert [one is not None for one in done] == [claim is fresh for claim in order]
    assert credit_deposit(app, fresh) is None
    assert (balance_of(app, alice), credits_of(owner, id_)) == (300, 1)


def test_a_claim_in_the_middle_of_a_credit_stops_it(
    app: App, database: Database, alice: WalletId, owner: psycopg.Connection
) -> None:
    """The slow worker has read its fence and is about to write when another claims: nothing of it may be stored."""

    id_ = schedule_deposit(app, alice, 300, collect=False)
    (stale,) = claims(app)
    with ThreadPoolExecutor(1) as pool:
        with owner.transaction():
            owner.execute("UPDATE scheduled_deposits SET fence = fence + 1 WHERE id = %s", [id_])
            slow = pool.submit(credit_deposit, app, stale)
            assert wait_until(lambda: bool(waiting_backends(database.url)), timeout_s=30)
        assert slow.result(30) is None
    assert (scheduled_deposit(app, id_).state, balance_of(app, alice)) == (OrderState.SCHEDULED, 0)
    credit(app, PAST_LEASE)

    assert (balance_of(app, alice), credits_of(owner, id_)) == (300, 1)


def test_deposit_whose_wallet_is_locked_is_credited_when_it_is_free(
    app: App, settings: Settings, alice: WalletId, owner: psycopg.Connection
) -> None:
    """The claim is given back, not lost; others are credited meanwhile."""

    bob = open_wallet(app, "bob")
    locked, free = (schedule_deposit(app, wallet, 300, collect=False) for wallet in (alice, bob))
    impatient = settings.replaced(lock_timeout_s=0.05)
    with open_app(impatient, name="impatient") as other, owner.transaction():
        owner.execute("SELECT FROM wallets WHERE id = 'alice' FOR UPDATE")
        credit(other)
        assert [scheduled_deposit(app, id_).state for id_ in (locked, free)] == ["SCHEDULED", "SUCCEEDED"]
        assert scheduled_deposit(app, locked).lease_until is None
    credit(app, LATER)

    assert (scheduled_deposit(app, locked).state, balance_of(app, alice)) == (OrderState.SUCCEEDED, 300)


def test_a_claim_skips_a_deposit_that_another_worker_has_locked(
    app: App, alice: WalletId, owner: psycopg.Connection
) -> None:
    """It waits for no lock, and takes what it passed by as soon as that is free."""

    in_hand, free = (schedule_deposit(app, alice, 300, collect=False) for _ in range(2))
    with owner.transaction():
        owner.execute("SELECT FROM scheduled_deposits WHERE id = %s FOR UPDATE", [in_hand])
        assert credit(app).total() == 1
    assert credit(app).total() == 1

    assert [scheduled_deposit(app, id_).fence for id_ in (in_hand, free)] == [1, 1]
    assert balance_of(app, alice) == 600


def test_a_frozen_wallet_still_gets_its_credit(app: App, alice: WalletId, owner: psycopg.Connection) -> None:
    """Money may come."""

    id_ = schedule_deposit(app, alice, 300, collect=False)
    rewrite(owner, "UPDATE wallets SET state = 'FROZEN' WHERE id = 'alice'")
    credit(app)

    assert (scheduled_deposit(app, id_).state, balance_of(app, alice)) == (OrderState.SUCCEEDED, 300)


def test_a_wallet_that_is_too_full_fails_it_for_good(app: App, alice: WalletId, owner: psycopg.Connection) -> None:
    """FAILED with LIMIT_EXCEEDED, nothing moved, though there is room later; what just fits is credited."""

    deposit(app, alice, BIGGEST - 299)
    posted = count(owner, "transactions")
    too_much, fits = (schedule_deposit(app, alice, amount, collect=False) for amount in (300, 299))
    credit_due_deposits.run_once(app, limit=1)
    credit(app, HALF_AN_HOUR)

    failed, credited = scheduled_deposit(app, too_much), scheduled_deposit(app, fits)
    assert (failed.state, failed.failure_reason, failed.credit) == (
        OrderState.FAILED,
        FailureReason.LIMIT_EXCEEDED,
        None,
    )
    assert (failed.next_attempt_time, credited.state) == (None, OrderState.SUCCEEDED)
    assert (balance_of(app, alice), count(owner, "transactions")) == (BIGGEST, posted + 1)


def test_a_credit_that_overflows_the_external_wallet_fails_too(app: App, alice: WalletId) -> None:
    """All wallets of a currency together have a maximum; a deposit beyond it must not be retried without end."""

    open_wallet(app, "bob", BIGGEST)
    id_ = schedule_deposit(app, alice, 300, collect=False)
    outcomes = credit(app)

    assert outcomes == {"FAILED": 1}
    found = scheduled_deposit(app, id_)
    assert (found.failure_reason, balance_of(app, alice)) == (FailureReason.LIMIT_EXCEEDED, 0)


def test_four_schedulers_on_fifty_due_deposits_credit_each_one_once(
    apps: list[App], collecting_bank: CollectingBank, owner: psycopg.Connection
) -> None:
    """Half of them collected, half from outside by itself, five wallets: disjoint claims, one credit each."""

    wallets = [open_wallet(apps[0], f"w{n}") for n in range(5)]
    ids = [schedule_deposit(apps[0], wallets[n % 5], 1 + n, collect=n >= 25) for n in range(50)]
    rounds = together(
        [partial(job.run_once, app) for app in apps for job in (credit_due_deposits, collect_due_deposits)]
    )

    counted = [counts for counts in rounds if not isinstance(counts, Exception)]
    assert sum((counts.outcomes for counts in counted), Counter[str]()) == {"SUCCEEDED": 50}
    assert sum(counts.claimed for counts in counted) == 50
    assert [credits_of(owner, id_) for id_ in ids] == [1] * 50
    assert [(collecting_bank.collect_calls(id_), collecting_bank.collected(id_)) for id_ in ids[:1] + ids[25:]] == [
        (0, 0)
    ] + [(1, 1)] * 25
    expected = [sum(1 + n for n in range(50) if n % 5 == wallet) for wallet in range(5)]
    assert [balance_of(apps[0], wallet) for wallet in wallets] == expected


def test_claims_of_four_schedulers_at_once_are_disjoint(apps: list[App]) -> None:
    """Each of the concurrent claims of fifty gets rows of its own; together they have all."""

    alice = open_wallet(apps[0], "alice")
    plain = {schedule_deposit(apps[0], alice, 1, collect=False) for _ in range(50)}
    others = {schedule_deposit(apps[0], alice, 1, collect=True), schedule(apps[0], alice, 1)}
    claimed = together([partial(claims, app, limit=50) for app in apps])

    ids = [claim.order for many in claimed if not isinstance(many, Exception) for claim in many]
    assert (len(ids), set(ids)) == (50, plain)
    assert not others & set(ids)
