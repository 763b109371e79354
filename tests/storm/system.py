"""The system under the storm: every process of the service and its bank, to be killed, paused and started again.

Each keeps its address and its data however often it dies, so the others find it again without new settings.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.storm.timetable import Component, FaultKind, Injection
from tests.support.ports import free_ports
from tests.support.processes import environment
from wallet_core.bootstrap import migrate
from wallet_core.settings import read_settings
from walletctl.local.child import spawn
from walletctl.local.leftovers import servers_by_working_directory
from walletctl.local.postgres import LocalPostgres
from walletctl.local.waiting import wait_until

# The proportions of production, in seconds instead of minutes. The rate of calls to the bank is production's own.
SETTINGS: Mapping[str, object] = {
    # INFO, because the lines that report readiness are waited for.
    "log_level": "INFO",
    "health_interval_s": 0.5,
    "lock_timeout_s": 0.3,
    "bank_call_deadline_s": 0.5,
    "bank_statement_poll_s": 0.5,
    "payout_poll_s": 0.1,
    "payout_lease_s": 1.6,
    "payout_send_window_s": 0.6,
    "payout_grace_s": 3.0,
    "payout_backoff_first_s": 0.05,
    "payout_backoff_max_s": 0.5,
    "payout_retry_after_max_s": 2.0,
}

# As in production: what was committed is on the disk, and survives that every process of the database is killed.
_DURABLE = {"fsync": "on", "synchronous_commit": "on"}

_DIES_IN_S = 10.0

# An uncaught error begins like this. The driver and its pool also print, of connections that their server has left.
_UNCAUGHT = ("Traceback", "Exception in thread", "Exception calling application", "Exception ignored", "Fatal")
_LINE_MAX = 2000


class Part(Protocol):
    """One part: killed and started again."""

    def start(self) -> None:
        """Start it, or start it again, where it was; nothing happens if it lives."""

    def up(self) -> bool:
        """Return whether it has come so far as to do its work."""

    def hit(self, injection: Injection) -> None:
        """Hit it."""

    def crash(self) -> str | None:
        """Return how it ended, if it did so by itself, and start it again."""

    def stop(self) -> None:
        """End it without a restart."""


class Process:
    """A Python process of ours, which prints *ready*; *arguments* get the number of earlier starts."""

    def __init__(
        self, arguments: Callable[[int], Sequence[str]], ready: str, *, env: Mapping[str, str], log: Path
    ) -> None:
        self._arguments = arguments
        self._ready = ready.encode()
        self._starts = 0
        self._output_before = 0
        self._env = env
        self._log = log
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, or wake it up."""
        if self._child is None:
            self._output_before = self._log.stat().st_size if self._starts else 0
            command = [sys.executable, "-m", *self._arguments(self._starts)]
            self._child = spawn(
                command, death_signal=signal.SIGKILL, extra_env=self._env, log=self._log, takes_stop_signals=True
            )
            self._starts += 1
        else:
            self._child.send_signal(signal.SIGCONT)

    def up(self) -> bool:
        """Return whether it has reported readiness since its last start."""
        with self._log.open("rb") as log:
            log.seek(self._output_before)
            return self._ready in log.read()

    def hit(self, injection: Injection) -> None:
        """Kill or pause it."""
        if self._child is not None and injection.kind_of_fault is FaultKind.PAUSED:
            self._child.send_signal(signal.SIGSTOP)
        else:
            self.stop()

    def crash(self) -> str | None:
        """Return how it ended, if it did so by itself, and start it again."""
        if self._child is None or self._child.poll() is None:
            return None
        code, self._child = self._child.returncode, None
        self.start()
        return f"ended by itself with code {code}"

    def stop(self) -> None:
        """Kill it."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None


class Database:
    """PostgreSQL, killed in more ways than one."""

    def __init__(self, root: Path) -> None:
        self._postgres = LocalPostgres(root, settings=_DURABLE)
        self._down = False

    def open(self) -> str:
        """Start it for the first time; return its URL, which stays the same."""
        return self._postgres.start()

    def start(self) -> None:
        """Start it, or start it again."""
        self._postgres.start()
        self._down = False

    def up(self) -> bool:
        """Return True: to start it is to wait for it."""
        return True

    def hit(self, injection: Injection) -> None:
        """Kill the postmaster, it and all its children, or one child."""
        postmaster = self._postgres.pid
        children = sorted(set(servers_by_working_directory(self._postgres.data)) - {postmaster})
        self._down = injection.kind_of_fault is not FaultKind.BACKEND
        killed = {
            FaultKind.POSTMASTER: [postmaster],
            FaultKind.FAMILY: [postmaster, *children],
            FaultKind.BACKEND: children[int(injection.chance * len(children)) :][:1],
        }[injection.kind_of_fault]
        for pid in killed:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        # A process dies a moment after it is killed; until then it would be taken for alive, and not started again.
        wait_until(lambda: not any(map(_lives, killed)), timeout_s=_DIES_IN_S)

    def crash(self) -> str | None:
        """Return whether it ended by itself, and start it again."""
        if self._down or _lives(self._postgres.pid):
            return None
        self.start()
        return "ended by itself"

    def stop(self) -> None:
        """Shut it down."""
        self._postgres.stop()


def _lives(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


@dataclass(frozen=True, slots=True)
class System:
    """The service and its bank, all of it running."""

    parts: Mapping[Component, Part]
    target: str
    bank_url: str
    database_url: str
    logs: Path

    def errors(self) -> list[str]:
        """Return the errors that the processes have logged: each is a defect, under any faults."""
        return [
            f"{log.stem} logged {line[:_LINE_MAX]}"
            for log in sorted(self.logs.glob("*.log"))
            for line in _first_lines(log.read_text(errors="replace"))
            if '"level": "error"' in line or line.startswith(_UNCAUGHT)
        ]


def _first_lines(text: str) -> Iterator[str]:
    """Yield what our processes log, a JSON object a line; of other output, e.g. a traceback, the first line."""
    of_others = False
    for line in text.splitlines():
        ours = line.startswith("{")
        if ours or not of_others:
            yield line
        of_others = not ours


@contextmanager
def running_system(root: Path, seed: int) -> Iterator[System]:
    """Start everything in a directory; at the end stop it. Call it from the main thread: the processes die with it."""
    logs = root / "logs"
    logs.mkdir()
    with ExitStack() as stack:
        database = Database(root)
        stack.callback(database.stop)
        url = database.open()
        migrate(read_settings(database_url=url, log_level="ERROR"))
        server, bank = free_ports(2)
        bank_url = f"http://127.0.0.1:{bank}"
        env = environment({**SETTINGS, "database_url": url, "bank_url": bank_url, "grpc_port": server})

        def bank_arguments(starts: int) -> Sequence[str]:
            # Another seed for each life, or the same calls would meet the same faults in all of them.
            state = str(root / "bank.sqlite")
            return ["bank_stub", "--port", str(bank), "--state", state, "--fail-rate", "0", "--seed", f"{seed}{starts}"]

        commands: dict[Component, tuple[Callable[[int], Sequence[str]], str]] = {
            Component.BANK: (bank_arguments, "listening on"),
            Component.SERVER: (lambda _: ["wallet_grpc"], '"event": "serving"'),
            Component.SCHEDULER_1: (lambda _: ["scheduler"], '"event": "running"'),
            Component.SCHEDULER_2: (lambda _: ["scheduler"], '"event": "running"'),
        }
        parts: dict[Component, Part] = {Component.POSTGRES: database}
        for component, (arguments, ready) in commands.items():
            part = Process(arguments, ready, env=env, log=logs / f"{component}.log")
            stack.callback(part.stop)
            part.start()
            parts[component] = part
        yield System(parts, f"127.0.0.1:{server}", bank_url, url, logs)
