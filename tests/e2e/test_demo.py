"""``walletctl demo`` and ``up`` as a person runs them, and with everything killed under it."""

import json
import os
import re
import signal
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.processes import environment, process
from walletctl.cli import cli
from walletctl.local.waiting import wait_until

pytestmark = pytest.mark.timeout(180)


# The proportions of production, ten times as fast, so that a payout that was cut off is queried within the test.
FASTER = environment(
    {
        "bank_call_deadline_s": 1,
        "payout_lease_s": 3,
        "payout_send_window_s": 2,
        "payout_grace_s": 7,
        "payout_backoff_max_s": 2,
    }
)


@contextmanager
def walletctl(state: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``walletctl`` on a state directory."""
    log = state.parent / f"{arguments[0]}.out"
    with process(["-m", "walletctl", "--state", str(state), *arguments], env=FASTER, log=log) as child:
        yield child


def log_of(state: Path, command: str) -> str:
    """Return what a command has printed so far."""
    output = state.parent / f"{command}.out"
    return output.read_text() if output.exists() else ""


def running(state: Path) -> dict[str, int]:
    """Return the process ids of a running service."""
    return dict(json.loads((state / "running.json").read_text())["pids"])


def answer(state: Path, *arguments: str) -> Any:  # noqa: ANN401  # JSON
    """Run a command that ends by itself with ``--json``; return what it printed."""
    command = ["--state", str(state), *arguments, "--json"]
    done = CliRunner().invoke(cli, command, env={"WALLET_LOG_LEVEL": "ERROR"})
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def assert_demo_ends_well(state: Path) -> None:
    """Run the demo to its end, which must be a good one."""
    ended_before = log_of(state, "demo").count("Stopped everything.")
    with walletctl(state, "demo") as demo:
        assert demo.wait(90) == 0, log_of(state, "demo")
    assert log_of(state, "demo").count("Stopped everything.") == ended_before + 1
    assert "✗" not in log_of(state, "demo")


@pytest.mark.long
def test_demo_twice_in_a_row_ends_well_both_times(tmp_path: Path) -> None:
    """The ledger still balance on what the first one left."""

    for _ in range(2):
        assert_demo_ends_well(tmp_path / "state")


@pytest.mark.parametrize(
    ("victim", "moment"),
    [
        pytest.param("server", r"\(c\) The race", marks=pytest.mark.long),
        pytest.param("scheduler", r"→ PROCESSING", marks=pytest.mark.long),
        pytest.param("postgres", r"\(f\) Due", marks=pytest.mark.long),
        ("demo", r"IN_DOUBT"),
    ],
)
def test_anything_killed_during_the_demo_loses_nothing(tmp_path: Path, victim: str, moment: str) -> None:
    """After ``up`` the ledger verifies, all that is due ends, and the bank statement agrees with our ledger.

    The demo then runs to its end on the ledger that are there.
    """

    state = tmp_path / "state"
    with walletctl(state, "demo") as demo:
        assert wait_until(lambda: re.search(moment, log_of(state, "demo")) is not None, timeout_s=60), log_of(
            state, "demo"
        )
        pids = running(state) | {"demo": demo.pid}
        os.kill(pids[victim], signal.SIGKILL)
        demo.wait(60)
    assert wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids.values()), timeout_s=30)
    (state / "running.json").unlink(missing_ok=True)

    with walletctl(
        state, "up", "--port", "0", "--bank-port", "0", "--console-port", "0", "--bank-fail-rate", "0"
    ) as up:
        assert wait_until((state / "running.json").exists, timeout_s=60), log_of(state, "up")
        assert broken(state) == 0
        assert wait_until(lambda: not_final(state) == [], timeout_s=100, poll_s=0.5), not_final(state)
        assert broken(state) == 0
        ours = sorted(order["name"] for order in orders(state) if called_the_bank(order))
        up.send_signal(signal.SIGINT)
        assert up.wait(30) == 0, log_of(state, "up")
    assert ours == executed(state)
    assert_demo_ends_well(state)


def broken(state: Path) -> int:
    """Return how often a rule of the ledger is broken."""
    return sum(rule["broken"] for rule in answer(state, "verify")["rules"])


def orders(state: Path) -> list[dict[str, Any]]:
    """Return the withdrawals and the scheduled deposits."""
    return [*answer(state, "withdrawal", "list"), *answer(state, "scheduled-deposit", "list")]


def not_final(state: Path) -> list[str]:
    """Return what the scheduler has yet to end."""
    final = {"STATE_SUCCEEDED", "STATE_FAILED", "STATE_CANCELLED"}
    return [order["name"] for order in orders(state) if order["state"] not in final]


def called_the_bank(order: Mapping[str, Any]) -> bool:
    """Return whether the bank has executed an order, by our own account."""
    return order["state"] == "STATE_SUCCEEDED" and bool(order.get("collect", True))


def executed(state: Path) -> list[str]:
    """Return what the bank executed, by its ledger: a name for each time that it paid or collected."""
    collections = {"wd": "withdrawals", "sd": "scheduledDeposits"}
    with sqlite3.connect(state / "bank.sqlite") as book:
        keys = [key for (key,) in book.execute("SELECT key FROM ledger WHERE kind IN ('execution', 'collection')")]
    return sorted(f"{collections[kind]}/{id_}" for kind, _, id_ in (key.partition("-") for key in keys))
