"""SIGTERM at any moment of a start: every process of ours ends with 0, and ``up`` leaves nothing behind."""

import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from time import monotonic

import pytest

from tests.conftest import FAST
from tests.support.database import Database
from tests.support.processes import environment, process
from tests.support.toolchain import some

# From before the interpreter has begun to after everything runs, on this machine.
A_FEW = (0.0, 0.2, 1.0)
MANY = tuple(0.08 * number for number in range(60))
MOMENTS = pytest.mark.parametrize(
    "moments_s", [A_FEW, pytest.param(MANY, marks=[pytest.mark.long, pytest.mark.timeout(900)])], ids=["few", "many"]
)
AT_ONCE = 4
NOBODY = "http://127.0.0.1:1"
COMMANDS = {
    "server": ("wallet_grpc",),
    "server_of_two_workers": ("wallet_grpc", "--workers", "2"),
    "scheduler": ("scheduler",),
    "bank_stub": ("bank_stub", "--port", "0"),
}


def codes(commands: Sequence[Sequence[str]], moments_s: Sequence[float], env: dict[str, str], log: Path) -> list[int]:
    """Start each command, send it SIGTERM at its moment, and return what they ended with."""
    with ExitStack() as stack:
        started = []
        for command in commands:
            child = stack.enter_context(process(["-m", *command], env=env, log=log))
            started.append((monotonic(), child))
        for (began, child), moment_s in zip(started, moments_s, strict=True):
            threading.Event().wait(max(0.0, began + moment_s - monotonic()))
            child.send_signal(signal.SIGTERM)
        return [child.wait(30) for _, child in started]


def in_groups(moments_s: Sequence[float]) -> Iterator[Sequence[float]]:
    """Yield as many moments as processes are started at the same time."""
    for first in range(0, len(moments_s), AT_ONCE):
        yield moments_s[first : first + AT_ONCE]


@MOMENTS
@pytest.mark.parametrize("name", some(COMMANDS))
def test_a_process_that_is_stopped_while_it_starts_ends_with_0(
    own_database: Database, tmp_path: Path, name: str, moments_s: Sequence[float]
) -> None:
    """No traceback, and no exit code of a signal's."""

    log = tmp_path / "log"
    env = environment({**FAST, "log_level": "INFO", "database_url": own_database.url, "bank_url": NOBODY})
    for moments in in_groups(moments_s):
        assert codes([COMMANDS[name]] * len(moments), moments, env, log) == [0] * len(moments), log.read_text()
    assert "Traceback" not in log.read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@MOMENTS
def test_up_that_is_stopped_while_it_starts_ends_with_0_and_leaves_nothing_behind(
    tmp_path: Path, moments_s: Sequence[float]
) -> None:
    """Each in a state directory of its own."""

    log = tmp_path / "log"
    for moments in in_groups(moments_s):
        states = [tmp_path / f"{moment_s:.2f}" for moment_s in moments]
        commands = [
            ("walletctl", "--state", str(state), "up", "--port", "0", "--bank-port", "0", "--console-port", "0")
            for state in states
        ]
        assert codes(commands, moments, {}, log) == [0] * len(moments), log.read_text()
        assert not any((state / "running.json").exists() for state in states)
        assert left_behind(tmp_path) == []
    assert "Traceback" not in log.read_text()


def left_behind(folder: Path) -> list[str]:
    """Return the command lines of processes that name a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended meanwhile
            found.append(entry.read_text(errors="replace").replace("\0", " "))
    return [command for command in found if str(folder) in command]
