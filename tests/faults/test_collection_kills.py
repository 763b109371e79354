"""The scheduler killed by SIGKILL within a scheduled deposit, with and without the bank: credited exactly once (L2)."""

import signal
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from bank_stub.server import BankServer
from scheduler.jobs import collect_due_deposits, credit_due_deposits, reconcile_collections
from tests.conftest import FAST
from tests.support.books import balance_of, open_wallet
from tests.support.database import Database
from tests.support.processes import environment, process
from tests.support.scheduled import CollectingBank, schedule_deposit, scheduled_deposit
from tests.support.toolchain import some
from wallet_core.domain.model.payment_order import OrderState
from wallet_core.domain.model.wallet import Role, WalletId, system_wallet
from wallet_core.settings import Settings
from wallet_core.usecases.app import App

SOON, PAST_LEASE, PAST_GRACE = timedelta(seconds=1), timedelta(seconds=13), timedelta(seconds=40)
JOBS = (credit_due_deposits, collect_due_deposits, reconcile_collections)
ALICE = WalletId("alice")
SCHEDULED, PROCESSING, IN_DOUBT, SUCCEEDED = (
    OrderState.SCHEDULED,
    OrderState.PROCESSING,
    OrderState.IN_DOUBT,
    OrderState.SUCCEEDED,
)


# A process that has just started takes long over its first call.
UNHURRIED: dict[str, object] = {
    "bank_call_deadline_s": 4.0,
    "payout_lease_s": 12.0,
    "payout_send_window_s": 6.0,
    "payout_grace_s": 25.0,
}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Return settings with time for a busy machine."""
    return settings.replaced(**UNHURRIED)


@pytest.fixture
def stub(bank: BankServer) -> CollectingBank:
    """Return the bank stub, for reading its own records."""
    return CollectingBank(bank.url)


def killed_scheduler(database: Database, bank: BankServer, tmp_path: Path, moment: str, point: str) -> None:
    """Run a scheduler that dies at a point of its first piece of work."""
    service = {"bank_provides_statement": False, "database_url": database.url, "bank_url": bank.url}
    env = environment({**FAST, **UNHURRIED, **service})
    arguments = ["-m", "tests.support.kill_at", moment, point, "scheduler", "--once"]
    with process(arguments, env=env, log=tmp_path / "scheduler.log") as child:
        assert child.wait(30) == -signal.SIGKILL, (tmp_path / "scheduler.log").read_text()


def rounds(app: App, *offsets: timedelta) -> None:
    """Run every job that could touch a scheduled deposit, at each of these times."""
    for offset in offsets:
        for job in JOBS:
            job.run_once(app, clock_offset=offset)


def assert_credited_once(app: App, owner: psycopg.Connection, id_: UUID) -> None:
    """Raise unless one transaction has brought 300, and the deposit names it."""
    credited = owner.execute("SELECT id, amount FROM transactions WHERE cause = %s", [id_]).fetchall()
    found = scheduled_deposit(app, id_)
    assert (found.state, [(found.credit, 300)]) == (OrderState.SUCCEEDED, credited)
    assert (balance_of(app, ALICE), balance_of(app, system_wallet(Role.IN_TRANSIT, "USD"))) == (300, 0)


@pytest.mark.parametrize(
    ("moment", "point", "state"),
    some(
        [
            ("before", "wallet_core.storage.posting.load_and_store:store", SCHEDULED),
            ("after", "wallet_core.storage.posting.load_and_store:store", SCHEDULED),
            ("before", "wallet_core.ledger.group_commit:Ticket.answer", SUCCEEDED),
        ]
    ),
    ids=some(["claimed, before it is stored", "stored, before the commit", "committed, before it is reported"]),
)
def test_killed_scheduler_leaves_one_credit(  # noqa: PLR0913, PLR0917  # the fixtures of a whole service
    app: App,
    database: Database,
    bank: BankServer,
    stub: CollectingBank,
    owner: psycopg.Connection,
    tmp_path: Path,
    moment: str,
    point: str,
    state: OrderState,
) -> None:
    """L2 without the bank: all of it or nothing; another worker credits it once the lease has run out."""

    id_ = schedule_deposit(app, open_wallet(app, ALICE), 300, collect=False)
    killed_scheduler(database, bank, tmp_path, moment, point)
    left = scheduled_deposit(app, id_)
    assert (left.state, balance_of(app, ALICE)) == (state, 300 if state is SUCCEEDED else 0)

    # While the lease runs, no other worker touches it.
    rounds(app, timedelta())
    assert left == scheduled_deposit(app, id_)
    rounds(app, PAST_LEASE, PAST_GRACE)

    assert_credited_once(app, owner, id_)
    assert stub.stats()["posts"] == {}


@pytest.mark.parametrize(
    ("moment", "point", "state", "calls"),
    some(
        [
            ("before", "wallet_core.storage.posting.load_and_store:store", SCHEDULED, 0),
            ("before", "wallet_core.gateways.bank:HttpBank.pay", PROCESSING, 0),
            ("before", "httpx:Response.aiter_bytes", PROCESSING, 1),
            ("after", "wallet_core.gateways.bank:HttpBank.pay", PROCESSING, 1),
            ("before", "scheduler.jobs:outcome_of", SUCCEEDED, 1),
        ]
    ),
    ids=some(
        [
            "before the attempt commits",
            "after it commits, before the call",
            "after the bank executed, before the answer is read",
            "after the answer, before our commit",
            "after our commit",
        ]
    ),
)
def test_killed_scheduler_leaves_one_collection_and_one_credit(  # noqa: PLR0913, PLR0917  # the fixtures of a whole service
    app: App,
    database: Database,
    bank: BankServer,
    stub: CollectingBank,
    owner: psycopg.Connection,
    tmp_path: Path,
    moment: str,
    point: str,
    state: OrderState,
    calls: int,
) -> None:
    """L2 with the bank: another worker takes over after the lease, queries first, and collects at most once in all."""

    id_ = schedule_deposit(app, open_wallet(app, ALICE), 300, collect=True)
    killed_scheduler(database, bank, tmp_path, moment, point)
    left = scheduled_deposit(app, id_)
    assert (left.state, stub.collect_calls(id_), stub.collected(id_)) == (state, calls, calls)
    assert balance_of(app, ALICE) == (300 if state is SUCCEEDED else 0)

    # While the lease runs, no other worker touches it.
    rounds(app, timedelta())
    assert (left, calls) == (scheduled_deposit(app, id_), stub.collect_calls(id_))
    if (state, calls) == (PROCESSING, 0):
        # The bank does not know it, but the dead worker's call could still be in flight.
        rounds(app, PAST_LEASE)
        assert (scheduled_deposit(app, id_).state, stub.collect_calls(id_)) == (IN_DOUBT, 0)
    rounds(app, PAST_LEASE, 2 * PAST_LEASE, PAST_GRACE, 2 * PAST_GRACE)

    assert_credited_once(app, owner, id_)
    assert (stub.collect_calls(id_), stub.collected(id_)) == (1, 1)


def test_scheduler_killed_during_a_status_call_of_a_collection_credits_nothing_twice(  # noqa: PLR0913, PLR0917  # the fixtures of a whole service
    app: App, database: Database, bank: BankServer, stub: CollectingBank, owner: psycopg.Connection, tmp_path: Path
) -> None:
    """It received "executed" and dies before the commit: the next one queries again."""

    stub.order("reset", execute=True, times=1)
    id_ = schedule_deposit(app, open_wallet(app, ALICE), 300, collect=True)
    collect_due_deposits.run_once(app)  # and no more: with little backoff a reconciler would already get the status
    killed_scheduler(database, bank, tmp_path, "after", "wallet_core.gateways.bank:HttpBank.status")
    assert (scheduled_deposit(app, id_).state, balance_of(app, ALICE)) == (IN_DOUBT, 0)
    rounds(app, PAST_LEASE, PAST_GRACE)

    assert_credited_once(app, owner, id_)
    assert (stub.collect_calls(id_), stub.collected(id_)) == (1, 1)
