"""The server as a process of its own, and callers that keep it busy."""

import asyncio
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from tests.support.callers import usd
from tests.support.processes import process
from wallet_client import AsyncWalletClient, CallError, Tls, WalletClient
from walletctl.local.child import spawn
from walletctl.local.waiting import wait_until


@dataclass(frozen=True, slots=True)
class Served:
    """A server process and where it listens."""

    process: subprocess.Popen[bytes]
    target: str
    log: Path


def start(log: Path, settings: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start ``python -m wallet_grpc`` with these settings, its error output in *log*."""
    command = [sys.executable, "-m", "wallet_grpc"]
    return spawn(command, death_signal=signal.SIGKILL, extra_env=settings, log=log, takes_stop_signals=True)


def events(log: Path) -> list[dict[str, object]]:
    """Return what a process has logged so far."""
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{") and line.endswith("}")]


@contextmanager
def server_process(log: Path, database_url: str, **settings: str) -> Iterator[Served]:
    """Run a server on a database until the end at the latest; it is there when this returns."""
    env = {"WALLET_DATABASE_URL": database_url, "WALLET_GRPC_PORT": "0", **settings}
    with process(["-m", "wallet_grpc"], env=env, log=log) as child:
        assert wait_until(lambda: any(e["event"] == "serving" for e in events(log)), timeout_s=60), log.read_text()
        (port,) = (event["port"] for event in events(log) if event["event"] == "serving")
        yield Served(child, f"127.0.0.1:{port}", log)


@dataclass
class Load:
    """Callers that transfer one minor unit after the other from Alice to Bob until the server is gone."""

    target: str
    callers: int = 16
    aio_callers: int = 0
    """Further callers, with the client for asyncio."""
    pause_s: float = 0.0
    """After each call."""
    timeout_s: float = 1.0
    tls: Tls | None = None
    sent: list[str] = field(default_factory=list)
    """Every request id that was sent."""
    paid: dict[str, str] = field(default_factory=dict)
    """Of each call that was answered OK its request id and its transaction."""
    failed: list[str] = field(default_factory=list)
    """The codes and reasons of all other answers."""
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator["Load"]:
        """Call until the end of the block, and until each caller's last call is answered."""
        threads = [threading.Thread(target=self._call) for _ in range(self.callers)]
        threads += [threading.Thread(target=self._call_by_asyncio) for _ in range(self.aio_callers)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _call(self) -> None:
        with WalletClient(self.target, timeout_s=self.timeout_s, tls=self.tls) as client:
            while not self._stop.is_set():
                id_ = self._next()
                try:
                    made = client.transfer("wallets/alice", "wallets/bob", usd(1), request_id=id_)
                except CallError as failed:
                    self.failed.append(f"{failed.code} {failed.reason}")
                    return
                self.paid[id_] = made.transaction.name
                self._stop.wait(self.pause_s)

    def _call_by_asyncio(self) -> None:
        asyncio.run(self._acall())

    async def _acall(self) -> None:
        async with AsyncWalletClient(self.target, timeout_s=self.timeout_s, tls=self.tls) as client:
            while not self._stop.is_set():
                id_ = self._next()
                try:
                    made = await client.transfer("wallets/alice", "wallets/bob", usd(1), request_id=id_)
                except CallError as failed:
                    self.failed.append(f"{failed.code} {failed.reason}")
                    return
                self.paid[id_] = made.transaction.name
                await asyncio.sleep(self.pause_s)

    def _next(self) -> str:
        id_ = str(uuid4())
        self.sent.append(id_)
        return id_
