"""A person has the id of every change before it is sent, and learns that it was done where no answer can be shown."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import psycopg
import pytest
import typer

from tests.e2e.cli import Walletctl
from wallet_client import OutcomeUnknown
from wallet_core.settings import Settings
from wallet_grpc.descriptors import CALLS, READS
from walletctl.cli import cli
from walletctl.context import report_errors
from walletctl.local.waiting import wait_until

PRINTED_ID = re.compile(r"^request id (\S+); repeat safely with --request-id \1$", re.MULTILINE)
NOTHING = str(uuid4())
RESOLVED = ["acknowledged", "--reason", "r"]

CHANGES: dict[str, list[str]] = {
    "deposit": ["carol", "1"],
    "transfer": ["carol", "dave", "1"],
    "withdraw": ["carol", "1"],
    "batch": ["-"],
    "reverse": [NOTHING],
    "wallet create": ["carol"],
    "wallet update": ["dave", "--display-name", "D"],
    "wallet freeze": ["dave"],
    "wallet unfreeze": ["dave"],
    "wallet close": ["dave"],
    "hold place": ["dave", "1", "--expires-in", "1h"],
    "hold capture": [NOTHING, "--to", "dave"],
    "hold void": [NOTHING],
    "commission create": ["--payer", "source"],
    "commission end": [NOTHING],
    "scheduled-deposit schedule": ["dave", "1"],
    "scheduled-deposit cancel": [NOTHING],
    "scheduled-deposit resolve": [NOTHING, *RESOLVED],
    "withdrawal cancel": [NOTHING],
    "withdrawal resolve": [NOTHING, *RESOLVED],
    "discrepancy resolve": ["77", "--reason", "r"],
    "bank-statement accept": ["77", "--reason", "r"],
    "webhooks create": ["https://shop.example/events"],
    "webhooks update": [NOTHING, "--disable"],
    "webhooks rotate": [NOTHING],
    "webhooks ping": [NOTHING],
    "webhooks redeliver": [NOTHING, "--dead-since", "2026-01-01"],
    "webhooks delete": [NOTHING],
}
"""Every command that changes something, with what it takes."""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Return settings by which a call waits for a lock for longer than any test takes."""
    return settings.model_copy(update={"lock_timeout_s": 30.0})


def commands(of: Any, *names: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401  # a command or a group of them
    """Yield every command of the command line, by its name."""
    if hasattr(of, "list_commands"):
        context = of.make_context("walletctl", ["seed"], resilient_parsing=True)
        for name in of.list_commands(context):
            yield from commands(of.get_command(context, name), *names, name)
    else:
        yield " ".join(names), of


def sent_under(owner: psycopg.Connection, id_: str) -> str | None:
    """Return which call was decided under a request id."""
    row = owner.execute("SELECT method FROM requests WHERE request_id = %s", (id_,)).fetchone()
    return None if row is None else str(row[0])


def test_every_change_prints_its_id_before_it_is_sent(walletctl: Walletctl, owner: psycopg.Connection) -> None:
    """The id that it is sent under, made up or given; and every call that changes something has its command."""

    take_one = {
        name for name, one in commands(typer.main.get_command(cli)) if any(p.name == "request_id" for p in one.params)
    }
    sent = set()
    for name, arguments in CHANGES.items():
        for given in ([], ["--request-id", str(uuid4())]):
            done = walletctl(*name.split(), *arguments, *given, typed="source,destination,amount\ncarol,dave,1\n")
            output = PRINTED_ID.findall(done.stderr)
            assert (done.exit_code in {0, 1}, len(output)) == (True, 1), (name, done.output)
            assert output == given[1:] or not given, name
            sent.add(sent_under(owner, output[0]))

    assert take_one == set(CHANGES)
    assert sent == {path.rpartition("/")[2] for path in CALLS.keys() - READS}


@dataclass(frozen=True, slots=True)
class Run:
    """A command in a process of its own, as a person runs it."""

    child: subprocess.Popen[bytes]
    log: Path

    @property
    def error_output(self) -> str:
        """What it has printed on standard error."""
        return self.log.read_text()

    def printed_ids(self) -> list[str]:
        """Return the request ids that it has printed."""
        return PRINTED_ID.findall(self.error_output)

    def ends(self) -> int:
        """Wait for its end; return its exit code, below zero for a signal."""
        return self.child.wait(30)


@contextmanager
def runs(target: str, command: str, log: Path, *, out: Any = subprocess.DEVNULL, err: Any = None) -> Iterator[Run]:  # noqa: ANN401  # files
    """Run ``walletctl`` where characters are Latin-1; standard error is a file unless it is given."""
    latin = ["env", "PYTHONIOENCODING=latin-1"]
    arguments = [*latin, sys.executable, "-m", "walletctl", "--target", target, *command.split()]
    with log.open("wb") as kept, subprocess.Popen(arguments, stdout=out, stderr=err or kept) as child:  # ours
        try:
            yield Run(child, log)
        finally:
            child.kill()


def test_a_stopped_change_has_printed_its_id(funded: Walletctl, owner: psycopg.Connection, tmp_path: Path) -> None:
    """Ctrl-C prints that it may have been done (4); SIGTERM ends it.

    A repeat with the id finds it out, and it is done once.
    """

    ends = {signal.SIGINT: 4, signal.SIGTERM: -signal.SIGTERM}
    stopped: dict[signal.Signals, Run] = {}
    with owner.transaction(), ExitStack() as stack:
        owner.execute("SELECT FROM wallets WHERE id = 'alice' FOR UPDATE")
        for number, end in ends.items():
            # One after the other: a call waits no longer than its deadline for another command to start.
            run = stack.enter_context(runs(funded.target, "transfer alice bob 1", tmp_path / number.name))
            assert wait_until(lambda run=run: bool(run.printed_ids()), timeout_s=30)  # type: ignore[misc]  # bound
            run.child.send_signal(number)
            assert run.ends() == end
            stopped[number] = run
    ids = [run.printed_ids()[0] for run in stopped.values()]

    assert f"may have been done; to find out, add --request-id {ids[0]}" in stopped[signal.SIGINT].error_output
    for id_ in ids:
        assert funded("transfer", "alice", "bob", "1", "--request-id", id_).exit_code == 0
    assert funded.balance("bob") == 200


def test_a_change_without_an_answer_in_time_prints_how_to_find_out(capsys: pytest.CaptureFixture[str]) -> None:
    """A bare deadline leaves the outcome unknown."""

    unanswered = OutcomeUnknown(
        code=grpc.StatusCode.DEADLINE_EXCEEDED, reason="", message="Deadline Exceeded", request_id=NOTHING
    )
    with pytest.raises(typer.Exit) as ended, report_errors():
        raise unanswered

    assert ended.value.exit_code == 4
    assert f"may have been done; to find out, add --request-id {NOTHING}" in capsys.readouterr().err


def test_a_change_whose_answer_cannot_be_written_is_reported_as_done(
    funded: Walletctl, owner: psycopg.Connection, tmp_path: Path
) -> None:
    """A full disk or a reader that has left: exit code 5. Characters that the output has not are written otherwise."""

    reads, left = os.pipe()
    os.close(reads)
    change = "transfer alice bob 1 --description \N{SNOWMAN}"
    with open("/dev/full", "wb") as full, ExitStack() as stack:  # noqa: PTH123  # a device

        def run(name: str, command: str, **where: Any) -> Run:  # noqa: ANN401  # files
            return stack.enter_context(runs(funded.target, command, tmp_path / name, **where))

        lost = [run("full", change, out=full), run("left", f"{change} --json", out=left)]
        shown = run("latin", change)
        untold = run("untold", change, err=full)
        listed = [run("list", "wallet list", out=full), run("head", "wallet list", out=left)]
        assert [one.ends() for one in (*lost, shown, untold, *listed)] == [5, 5, 0, 3, 5, 5]
    os.close(left)

    for one in lost:
        (id_,) = one.printed_ids()
        assert "The call succeeded, but its result could not be written" in one.error_output
        assert f"add --request-id {id_}" in one.error_output
        assert sent_under(owner, id_) == "Transfer"
    assert [one.error_output.split(":")[-1].strip() for one in listed] == ["No space left on device", ""]
    # The one whose id could not be printed was not sent.
    assert funded.balance("bob") == 300
