"""The scheduler killed by SIGKILL at named points of a payout; what follows is asked of the bank's ledger and ours."""

import signal
from datetime import timedelta
from pathlib import Path

import pytest

from bank_stub.server import BankServer
from scheduler.jobs import pay_due_withdrawals, reconcile_withdrawals
from tests.conftest import FAST
from tests.support.books import balance_of, open_wallet
from tests.support.database import Database
from tests.support.payouts import Bank, schedule, withdrawal
from tests.support.processes import environment, process
from wallet_core.domain.order import OrderState
from wallet_core.domain.wallet import Role, system_wallet
from wallet_core.usecases.app import App

pytestmark = pytest.mark.alone

PAST_LEASE = timedelta(seconds=5)
PAST_GRACE = timedelta(seconds=30)


@pytest.fixture
def stub(bank: BankServer) -> Bank:
    """Return the bank, to be asked for its side of the truth."""
    return Bank(bank.url)


def killed_scheduler(database: Database, bank: BankServer, tmp_path: Path, moment: str, point: str) -> None:
    """Run a scheduler that dies at a point of its first payout."""
    env = environment({**FAST, "database_url": database.url, "bank_url": bank.url})
    arguments = ["-m", "tests.support.kill_at", moment, point, "scheduler", "--once"]
    with process(arguments, env=env, log=tmp_path / "scheduler.log") as child:
        assert child.wait(30) == -signal.SIGKILL, (tmp_path / "scheduler.log").read_text()


@pytest.mark.parametrize(
    ("moment", "point", "state", "posts"),
    [
        ("before", "wallet_core.storage.posting:store", OrderState.SCHEDULED, 0),
        ("before", "wallet_core.gateways.bank:HttpBank.pay", OrderState.PROCESSING, 0),
        ("after", "wallet_core.gateways.bank:HttpBank.pay", OrderState.PROCESSING, 1),
    ],
    ids=["row 1, before the attempt commits", "E13, before the call", "E14, after the bank has paid"],
)
def test_killed_scheduler_leaves_one_payout_and_one_debit(  # noqa: PLR0913, PLR0917  # the fixtures of a whole service
    app: App,
    database: Database,
    bank: BankServer,
    stub: Bank,
    tmp_path: Path,
    moment: str,
    point: str,
    state: OrderState,
    posts: int,
) -> None:
    """E13, E14 and row 1: another worker takes over after the lease, asks first, and pays at most once in all."""

    alice = open_wallet(app, "alice", 1000)
    id_ = schedule(app, alice, 300)
    killed_scheduler(database, bank, tmp_path, moment, point)
    assert (state, posts) == (withdrawal(app, id_).state, stub.posts(id_))

    # While the lease runs, nobody touches it.
    pay_due_withdrawals.run_once(app)
    reconcile_withdrawals.run_once(app)
    assert (state, posts) == (withdrawal(app, id_).state, stub.posts(id_))

    for offset in (PAST_LEASE, 2 * PAST_LEASE, PAST_GRACE, 2 * PAST_GRACE):
        pay_due_withdrawals.run_once(app, clock_offset=offset)
        reconcile_withdrawals.run_once(app, clock_offset=offset)

    found = withdrawal(app, id_)
    assert (found.state, stub.posts(id_), stub.executions(id_)) == (OrderState.SUCCEEDED, 1, 1)
    assert (balance_of(app, alice), balance_of(app, system_wallet(Role.IN_TRANSIT, "USD"))) == (700, 0)


def test_killed_scheduler_does_not_send_before_the_grace_time(
    app: App, database: Database, bank: BankServer, stub: Bank, tmp_path: Path
) -> None:
    """Row 2: the bank does not know it, but the dead worker's call could still be on its way."""

    id_ = schedule(app, open_wallet(app, "alice", 1000), 300)
    killed_scheduler(database, bank, tmp_path, "before", "wallet_core.gateways.bank:HttpBank.pay")
    reconcile_withdrawals.run_once(app, clock_offset=timedelta(seconds=2))

    assert (withdrawal(app, id_).state, stub.posts(id_)) == (OrderState.IN_DOUBT, 0)
