"""The whole service on this machine: PostgreSQL, bank stub, gRPC server and scheduler as processes of their own.

All of it lives in one state directory and dies with whoever started it. What runs where stands in ``running.json``
there, for other commands to find.
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from wallet_core.settings import read_settings
from walletctl.local.child import spawn
from walletctl.local.cluster import log_tail
from walletctl.local.errors import StartFailed
from walletctl.local.postgres import LocalPostgres
from walletctl.local.waiting import wait_until

# The login that serves; the cluster's own migrates and owns.
_SERVING_LOGIN = "wallet_app"

_READY_S = 30.0
_STOP_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Where the parts of a running service are."""

    target: str
    bank_url: str
    database_url: str
    database_owner_url: str
    pids: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Which ports to listen on; 0 takes a free one."""

    grpc: int = 50051
    bank: int = 8010


FREE_PORTS = Ports(grpc=0, bank=0)


class StoppedAtStart(Exception):
    """A signal asked to stop before everything was running; what had been started is stopped again."""


class LocalService:
    """The running service and the processes it is made of."""

    def __init__(self, running: Running, processes: Mapping[str, subprocess.Popen[bytes]]) -> None:
        self.running = running
        self._processes = processes

    def dead(self) -> str | None:
        """Return the name of a process that has ended, None while all live."""
        return next((name for name, process in self._processes.items() if process.poll() is not None), None)


@contextmanager
def local_service(
    state: Path,
    *,
    ports: Ports,
    bank_fail_rate: float,
    tell: Callable[[str], None],
    stopping: threading.Event | None = None,
) -> Iterator[LocalService]:
    """Start everything, each part once the one before is ready; stop it in the opposite order.

    *tell* is called with what is being done. Raises ``CannotStart``, whose text says which part failed and why, and
    ``StoppedAtStart`` where *stopping* is set before everything runs.
    """
    stopping = stopping or threading.Event()
    with ExitStack() as stack:
        tell("starting PostgreSQL")
        postgres = LocalPostgres(state)
        owner_url = postgres.start()
        stack.callback(postgres.stop)
        tell("migrating the database")
        from wallet_core.bootstrap import migrate  # noqa: PLC0415  # most commands need no core, and should not wait

        # On its socket nobody is asked for a password.
        database_url = urlunsplit(urlsplit(owner_url)._replace(netloc=f"{_SERVING_LOGIN}@"))
        migrate(read_settings(database_url=database_url), owner_url=owner_url)
        logs = state / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        processes: dict[str, subprocess.Popen[bytes]] = {}

        def start(name: str, module: str, *arguments: str, env: Mapping[str, str], ready: str) -> re.Match[str]:
            if stopping.is_set():
                raise StoppedAtStart
            tell(f"starting the {name}")
            process, log = _start(logs / f"{name}.log", module, *arguments, env=env)
            processes[name] = process
            stack.callback(_stop, process)
            return _await_ready(name, process, log, ready, stopping)

        bank_url = start(
            "bank",
            "bank_stub",
            *("--port", str(ports.bank), "--state", str(state / "bank.sqlite"), "--fail-rate", str(bank_fail_rate)),
            env={},
            ready=r"listening on (\S+)",
        )[1]
        # INFO, because the lines by which they say that they are ready are waited for.
        env = {
            "WALLET_LOG_LEVEL": "INFO",
            "WALLET_DATABASE_URL": database_url,
            "WALLET_BANK_URL": bank_url,
            "WALLET_GRPC_PORT": str(ports.grpc),
        }
        port = start("server", "wallet_grpc", env=env, ready=r'"port": (\d+), "event": "serving"')[1]
        start("scheduler", "scheduler", env=env, ready=r'"event": "running"')
        running = Running(
            target=f"127.0.0.1:{port}",
            bank_url=bank_url,
            database_url=database_url,
            database_owner_url=owner_url,
            pids={"postgres": postgres.pid} | {name: process.pid for name, process in processes.items()},
        )
        stack.enter_context(_announced(state, running))
        yield LocalService(running, processes)
        tell("stopping")


def find_running(state: Path) -> Running | None:
    """Return where the service of a state directory runs, None if it does not."""
    try:
        running = Running(**json.loads((state / "running.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return running if all(_lives(pid) for pid in running.pids.values()) else None


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # asks, and sends nothing
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it lives as somebody else, as our PostgreSQL does under root
    return True


def _start(log: Path, module: str, *arguments: str, env: Mapping[str, str]) -> tuple[subprocess.Popen[bytes], Path]:
    log.write_bytes(b"")
    command = [sys.executable, "-m", module, *arguments]
    return spawn(command, death_signal=signal.SIGTERM, extra_env=env, log=log, takes_stop_signals=True), log


def _await_ready(
    name: str, process: subprocess.Popen[bytes], log: Path, ready: str, stopping: threading.Event
) -> re.Match[str]:
    """Wait for the line by which a process says that it is ready."""

    def said() -> re.Match[str] | None:
        return re.search(ready, log.read_text(errors="replace"))

    wait_until(lambda: said() is not None or process.poll() is not None or stopping.is_set(), timeout_s=_READY_S)
    found = said()
    if found is None and stopping.is_set():
        raise StoppedAtStart
    if found is None:
        raise StartFailed(f"the {name} did not start; the end of {log}:\n{log_tail(log)}")
    return found


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def _announced(state: Path, running: Running) -> Iterator[None]:
    path = state / "running.json"
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(running), indent=2))
    fresh.chmod(0o600)
    fresh.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
