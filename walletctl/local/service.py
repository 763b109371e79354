"""The whole service on this machine: PostgreSQL, bank stub, gRPC server, scheduler and console, each a process.

All of it keeps its files in one state directory and ends with the process that started it. Other commands find it by
``running.json`` there.
"""

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from wallet_core.bootstrap import migrate
from wallet_core.gateways.checkpoint_keys import new_key
from wallet_core.settings import read_settings
from walletctl.local.child import spawn
from walletctl.local.cluster import log_tail
from walletctl.local.errors import StartFailed
from walletctl.local.postgres import LocalPostgres
from walletctl.local.running import Running, announced
from walletctl.local.waiting import wait_until

# The login of server and scheduler; the cluster's superuser migrates and owns.
_SERVING_LOGIN = "wallet_app"

_READY_S = 30.0
_STOP_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Which ports to listen on; 0 takes a free one."""

    grpc: int = 50051
    bank: int = 8010
    console: int = 8080


FREE_PORTS = Ports(grpc=0, bank=0, console=0)


class StoppedAtStart(Exception):
    """A signal arrived before everything was running; the parts already started were stopped."""


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
    progress: Callable[[str], None],
    stopping: threading.Event | None = None,
) -> Iterator[LocalService]:
    """Start everything, each part when the one before is ready; stop it in the opposite order.

    *progress* is called with the current step. Raises ``CannotStart``, which names the part that failed and the cause,
    and ``StoppedAtStart`` if *stopping* is set before everything runs.
    """
    stopping = stopping or threading.Event()
    with ExitStack() as stack:
        progress("starting PostgreSQL")
        postgres = LocalPostgres(state)
        owner_url = postgres.start()
        stack.callback(postgres.stop)
        progress("migrating the database")
        # Its socket requires no password.
        database_url = urlunsplit(urlsplit(owner_url)._replace(netloc=f"{_SERVING_LOGIN}@"))
        migrate(read_settings(database_url=database_url), owner_url=owner_url)
        # A key for development, unless the environment names one.
        signing_key = read_settings().checkpoints.signing_key or state / "checkpoints.pem"
        if not signing_key.exists():
            new_key(signing_key)
        logs = state / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        processes: dict[str, subprocess.Popen[bytes]] = {}

        def start(name: str, module: str, *arguments: str, env: Mapping[str, str], ready: str) -> re.Match[str]:
            if stopping.is_set():
                raise StoppedAtStart
            progress(f"starting the {name}")
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
        # INFO, because readiness is read from their log.
        env = {
            "WALLET_LOG_LEVEL": "INFO",
            "WALLET_DATABASE_URL": database_url,
            "WALLET_BANK_URL": bank_url,
            "WALLET_GRPC_PORT": str(ports.grpc),
            # Endpoints that are developed on this machine.
            "WALLET_WEBHOOK_PRIVATE_NETWORKS": '["127.0.0.0/8", "::1/128"]',
        }
        port = start("server", "wallet_grpc", env=env, ready=r'"port": (\d+), "event": "serving"')[1]
        signing = {"WALLET_CHECKPOINTS_SIGNING_KEY": str(signing_key.absolute())}
        start("scheduler", "scheduler", env=signing | env, ready=r'"event": "running"')
        target = f"127.0.0.1:{port}"
        console = {"WALLET_CONSOLE_TARGET": target, "WALLET_CONSOLE_PORT": str(ports.console)}
        console_url = start("console", "wallet_console", env=console, ready=r'"url": "(\S+)", "event": "serving"')[1]
        running = Running(
            target=target,
            bank_url=bank_url,
            console_url=console_url,
            database_url=database_url,
            database_owner_url=owner_url,
            pids={"postgres": postgres.pid} | {name: process.pid for name, process in processes.items()},
        )
        stack.enter_context(announced(state, running))
        yield LocalService(running, processes)
        progress("stopping")


def _start(log: Path, module: str, *arguments: str, env: Mapping[str, str]) -> tuple[subprocess.Popen[bytes], Path]:
    log.write_bytes(b"")
    command = [sys.executable, "-m", module, *arguments]
    return spawn(command, death_signal=signal.SIGTERM, extra_env=env, log=log, takes_stop_signals=True), log


def _await_ready(
    name: str, process: subprocess.Popen[bytes], log: Path, ready: str, stopping: threading.Event
) -> re.Match[str]:
    """Wait for the log line that shows that a process is ready."""

    def logged() -> re.Match[str] | None:
        return re.search(ready, log.read_text(errors="replace"))

    wait_until(lambda: logged() is not None or process.poll() is not None or stopping.is_set(), timeout_s=_READY_S)
    found = logged()
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
