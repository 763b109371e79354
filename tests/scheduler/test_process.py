"""The scheduler as a process: one round by hand, a daemon that pays and stops on SIGTERM."""

import signal
import threading
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from bank_stub.server import BankServer
from scheduler.process import main
from tests.conftest import FAST, PATIENT
from tests.support.books import open_wallet
from tests.support.database import Database
from tests.support.payouts import Bank, schedule, withdrawal
from tests.support.processes import environment, process
from tests.support.start_up import StartUp
from wallet_core.domain.model.payment_order import OrderState
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
    """``--once --limit 2`` of three due pays two, and prints so."""

    alice = open_wallet(app, "alice", 1000)
    ids = [schedule(app, alice, 100) for _ in range(3)]
    log = tmp_path / "out"
    with process(["-m", "scheduler", "--once", "--limit", "2"], env=env, log=log) as child:
        assert child.wait(30) == 0, log.read_text()

    states = [withdrawal(app, id_).state for id_ in ids]
    assert states == [OrderState.SUCCEEDED, OrderState.SUCCEEDED, OrderState.SCHEDULED]
    assert "pay-due-withdrawals: 2 claimed: 2 succeeded" in log.read_text()
    assert len(Bank(bank.url).ledger()) == 2


def test_two_schedulers_pay_what_is_due_and_stop_on_sigterm(
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
        assert [child.wait(30) for child in children] == [0, 0]

    stub = Bank(bank.url)
    assert [(stub.posts(id_), stub.executions(id_)) for id_ in ids] == [(1, 1)] * 20


def test_scheduler_outlives_the_database(app: App, env: dict[str, str], database: Database, tmp_path: Path) -> None:
    """All its connections are cut; it continues claiming on new ones."""

    alice = open_wallet(app, "alice", 1000)
    log = tmp_path / "log"
    soon_taken_over = {**env, **environment({name: FAST[name] for name in PATIENT})}
    with process(["-m", "scheduler"], env=soon_taken_over, log=log) as child:
        assert wait_until(lambda: '"event": "running"' in log.read_text(), timeout_s=30)
        with psycopg.connect(database.url, autocommit=True) as owner:
            owner.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'wallet-scheduler'"
                " AND datname = current_database()"
            )
        id_ = schedule(app, alice, 100)
        assert wait_until(lambda: withdrawal(app, id_).final, timeout_s=30), log.read_text()
        assert child.poll() is None


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "WALLET_DATABASE_URL is not set"),
        ({"database_url": "nonsense"}, "WALLET_DATABASE_URL is not a PostgreSQL URL"),
        ({"payout_grace_s": "1"}, "WALLET_PAYOUT_GRACE_S must be more than"),
    ],
)
def test_scheduler_that_cannot_run_reports_why(start_up: StartUp, settings: dict[str, object], text: str) -> None:
    """A sentence and exit code 1, no traceback."""

    ended = start_up(main, **settings)

    assert ended.code == 1
    assert text in ended.error_output
    assert "Traceback" not in ended.error_output


def test_the_process_of_a_scheduler_that_cannot_run_ends_with_1(tmp_path: Path) -> None:
    """What its main function prints and returns is what the process prints and ends with."""

    log = tmp_path / "out"
    with process(["-m", "scheduler"], env={}, log=log) as child:
        assert child.wait(30) == 1

    assert log.read_text().startswith("scheduler cannot start: WALLET_DATABASE_URL is not set")


def test_zero_as_a_limit_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A usage error, before anything is started."""

    with pytest.raises(SystemExit) as ended:
        main(["--once", "--limit", "0"], threading.Event())

    assert (ended.value.code, "must be at least 1" in capsys.readouterr().err) == (2, True)
