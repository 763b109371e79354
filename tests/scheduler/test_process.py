"""The scheduler as a process: one round by hand, a daemon that pays and stops when told."""

import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from bank_stub.server import BankServer
from tests.conftest import FAST, PATIENT
from tests.support.books import open_wallet
from tests.support.database import Database
from tests.support.payouts import Bank, schedule, withdrawal
from tests.support.processes import environment, process
from wallet_core.domain.order import OrderState
from wallet_core.usecases.app import App
from walletctl.local.waiting import wait_until


@pytest.fixture
def env(database: Database, bank: BankServer) -> dict[str, str]:
    """Return the environment of a scheduler of the test's database and bank."""
    urls = {"database_url": database.url, "bank_url": bank.url}
    return environment({**FAST, **PATIENT, "log_level": "INFO", **urls})


def test_one_round_with_a_limit_does_so_much_and_ends(
    app: App, bank: BankServer, env: dict[str, str], tmp_path: Path
) -> None:
    """``--once --limit 2`` of three due pays two, and says so."""

    alice = open_wallet(app, "alice", 1000)
    ids = [schedule(app, alice, 100) for _ in range(3)]
    log = tmp_path / "out"
    with process(["-m", "scheduler", "--once", "--limit", "2"], env=env, log=log) as child:
        assert child.wait(30) == 0, log.read_text()

    states = [withdrawal(app, id_).state for id_ in ids]
    assert states == [OrderState.SUCCEEDED, OrderState.SUCCEEDED, OrderState.SCHEDULED]
    assert "pay-due-withdrawals: 2 claimed: 2 succeeded" in log.read_text()
    assert len(Bank(bank.url).ledger()) == 2


def test_two_schedulers_pay_what_becomes_due_and_stop_when_told(
    app: App, bank: BankServer, env: dict[str, str], tmp_path: Path
) -> None:
    """Each withdrawal is paid once; SIGTERM ends both with 0."""

    alice = open_wallet(app, "alice", 1000)
    with ExitStack() as stack:
        children = [
            stack.enter_context(process(["-m", "scheduler"], env=env, log=tmp_path / f"{n}.log")) for n in range(2)
        ]
        ids = [schedule(app, alice, 10) for _ in range(20)]
        assert wait_until(lambda: all(withdrawal(app, id_).final for id_ in ids), timeout_s=30)
        for child in children:
            child.send_signal(signal.SIGTERM)
        assert [child.wait(20) for child in children] == [0, 0]

    stub = Bank(bank.url)
    assert [(stub.posts(id_), stub.executions(id_)) for id_ in ids] == [(1, 1)] * 20


def test_scheduler_outlives_the_database(app: App, env: dict[str, str], database: Database, tmp_path: Path) -> None:
    """All its connections are cut; it goes on claiming on new ones."""

    alice = open_wallet(app, "alice", 1000)
    log = tmp_path / "log"
    soon_taken_over = {**env, **environment({name: FAST[name] for name in PATIENT})}
    with process(["-m", "scheduler"], env=soon_taken_over, log=log) as child:
        assert wait_until(lambda: '"event": "running"' in log.read_text(), timeout_s=20)
        with psycopg.connect(database.url, autocommit=True) as owner:
            owner.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'wallet-scheduler'"
                " AND datname = current_database()"
            )
        id_ = schedule(app, alice, 100)
        assert wait_until(lambda: withdrawal(app, id_).final, timeout_s=20), log.read_text()
        assert child.poll() is None


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "WALLET_DATABASE_URL is not set"),
        ({"WALLET_DATABASE_URL": "nonsense"}, "WALLET_DATABASE_URL is not a PostgreSQL URL"),
        ({"WALLET_PAYOUT_GRACE_S": "1"}, "WALLET_PAYOUT_GRACE_S must be more than"),
    ],
)
def test_scheduler_that_cannot_run_says_why(tmp_path: Path, variables: dict[str, str], said: str) -> None:
    """A sentence and exit code 1, no traceback."""

    log = tmp_path / "out"
    with process(["-m", "scheduler"], env=variables, log=log) as child:
        assert child.wait(30) == 1

    assert said in log.read_text()
    assert "Traceback" not in log.read_text()


def test_zero_as_a_limit_is_refused() -> None:
    """A usage error, before anything is started."""

    command = [sys.executable, "-m", "scheduler", "--once", "--limit", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, "must be at least 1" in done.stderr) == (2, True)
