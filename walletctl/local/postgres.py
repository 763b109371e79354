"""A PostgreSQL server on a directory, as a child of this process."""

import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from walletctl.local.binaries import Binaries, find_binaries
from walletctl.local.child import spawn
from walletctl.local.cluster import OWNER, create_cluster, log_tail
from walletctl.local.errors import AlreadyRunning, CannotStart, NoPostgres, NoUnprivilegedUser, StartFailed
from walletctl.local.identity import unprivileged
from walletctl.local.leftovers import end_left_overs
from walletctl.local.lock import OwnerLock
from walletctl.local.sockets import make_private, socket_directory
from walletctl.local.waiting import wait_until

__all__ = [
    "DEFAULT_SETTINGS",
    "AlreadyRunning",
    "Binaries",
    "CannotStart",
    "LocalPostgres",
    "NoPostgres",
    "NoUnprivilegedUser",
    "StartFailed",
    "find_binaries",
]

DEFAULT_SETTINGS: Mapping[str, str] = {
    "max_connections": "200",
    # Compilation helps long queries, never statements as short as ours.
    "jit": "off",
    # Containers often have a /dev/shm of 64 MB, or none.
    "dynamic_shared_memory_type": "mmap",
    "idle_in_transaction_session_timeout": "60s",
    "log_line_prefix": "%m [%p] ",
    "log_lock_waits": "on",
}

_SOCKET_PORT = 5432
_READY_LINE = 7
# Fast (disconnect all clients, write a checkpoint), then immediate (recovery at the next start), then SIGKILL.
_WAYS_TO_STOP = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, None))


class LocalPostgres:
    """One server on ``root/pg<major>``: ``data``, ``postgres.log``, and a ``lock`` held from start to stop.

    It is never shared and never attached to: a second one on the same root raises ``AlreadyRunning``. It shuts down
    when the thread that started it ends, even by SIGKILL (on Linux), so start it from the main thread. *settings* are
    PostgreSQL's own, over ``DEFAULT_SETTINGS``; *tcp* listens on a free port of 127.0.0.1, too, with a password.
    Programs come from *bindir* or where ``find_binaries`` finds them (raises ``NoPostgres``).
    """

    def __init__(
        self, root: Path, *, tcp: bool = False, settings: Mapping[str, str] | None = None, bindir: Path | None = None
    ) -> None:
        self.binaries = find_binaries(bindir)
        # Resolved, because the kernel names working directories that way.
        self._home = root.resolve() / f"pg{self.binaries.major}"
        self.data = self._home / "data"
        self.log = self._home / "postgres.log"
        self._sockets = socket_directory(self._home)
        self._tcp = tcp
        self._settings = {**DEFAULT_SETTINGS, **(settings or {})}
        self._lock: OwnerLock | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._url = ""

    @property
    def pid(self) -> int:
        """The postmaster's process id, even if that has died. Raises RuntimeError when it was not started."""
        if self._process is None:
            raise RuntimeError("this PostgreSQL was not started")
        return self._process.pid

    def start(self, timeout_s: float = 30.0) -> str:
        """Start the server, making or repairing its data first, and return a URL for libpq once it takes connections.

        Started already, it returns the same URL; if the server has died since, it starts it again. Raises
        ``AlreadyRunning``, ``NoUnprivilegedUser`` or ``StartFailed``, and then leaves nothing running.
        """
        if self._process is not None and self._process.poll() is None:
            return self._url
        self.stop()
        deadline = time.monotonic() + timeout_s
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = OwnerLock.take(self._home / "lock")
        try:
            self._prepare(deadline)
            self._process = self._launch()
            self._await_ready(self._process, deadline)
        except BaseException:
            self.stop()
            raise
        return self._url

    def stop(self) -> None:
        """Shut the server down, wait for its end, and release the directory. Without effect if not started."""
        process, self._process = self._process, None
        lock, self._lock = self._lock, None
        if lock is None:
            return
        try:
            if process is not None and _end(process) != 0:
                end_left_overs(self.data, self._sockets)
            with suppress(OSError):
                self._sockets.rmdir()
        finally:
            lock.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _prepare(self, deadline: float) -> None:
        identity = unprivileged()
        make_private(self._sockets)
        for directory in (self._home, self._sockets):
            identity.give(directory)
        end_left_overs(self.data, self._sockets)
        sync = self._settings.get("fsync") != "off"
        create_cluster(self.binaries, self._home, identity, sync=sync, timeout_s=deadline - time.monotonic())

    def _launch(self) -> subprocess.Popen[bytes]:
        port = _free_port() if self._tcp else _SOCKET_PORT
        # Quoted, because the setting is a list: a comma or a space in the path is then just a character.
        sockets = str(self._sockets).replace('"', '""')
        ours = {
            "listen_addresses": "127.0.0.1" if self._tcp else "",
            "unix_socket_directories": f'"{sockets}"',
        }
        argv = [str(self.binaries.bindir / "postgres"), "-D", str(self.data), "-p", str(port)]
        for name, value in {**self._settings, **ours}.items():
            argv += ["-c", f"{name}={value}"]
        self._url = self._tcp_url(port) if self._tcp else self._socket_url(port)
        return spawn(argv, death_signal=signal.SIGINT, log=self.log, cwd=self._home, unprivileged=True)

    def _tcp_url(self, port: int) -> str:
        password = (self._home / "password").read_text("ascii")
        return f"postgresql://{OWNER}:{password}@127.0.0.1:{port}/postgres"

    def _socket_url(self, port: int) -> str:
        return f"postgresql://{OWNER}@/postgres?host={quote(str(self._sockets))}&port={port}"

    def _await_ready(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        def settled() -> bool:
            return process.poll() is not None or _is_ready(self.data, process.pid)

        in_time = wait_until(settled, timeout_s=deadline - time.monotonic())
        if process.poll() is not None:
            raise StartFailed(f"PostgreSQL ended with code {process.returncode} at start:\n{log_tail(self.log)}")
        if not in_time:
            raise StartFailed(f"PostgreSQL was not ready in time:\n{log_tail(self.log)}")


def _is_ready(data: Path, pid: int) -> bool:
    """Return whether the server accepts connections, from the file that ``pg_ctl`` reads."""
    try:
        lines = (data / "postmaster.pid").read_text("utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return False
    return len(lines) > _READY_LINE and lines[0] == str(pid) and lines[_READY_LINE].strip() == "ready"


def _end(process: subprocess.Popen[bytes]) -> int:
    for number, timeout_s in _WAYS_TO_STOP:
        if process.poll() is None:
            process.send_signal(number)
        try:
            return process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            continue
    return process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
