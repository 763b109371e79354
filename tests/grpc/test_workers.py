"""Several server processes on one port: all serve, a dead one is replaced, and none outlives its supervisor."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import FAST
from tests.support.callers import balance, open_funded, usd
from tests.support.database import Database
from tests.support.ports import free_ports
from tests.support.processes import environment, process
from tests.support.start_up import StartUp
from wallet_client import CallError, WalletClient
from wallet_grpc.runtime.listening import CannotListen, bound
from wallet_grpc.server.admin import admin_port
from wallet_grpc.server.process import main
from walletctl.local.waiting import wait_until

WORKERS = 2


@dataclass
class Server:
    """A server of several processes, and what they have logged."""

    process: subprocess.Popen[bytes]
    log: Path
    metrics: int = 0
    channelz: Sequence[int] = ()
    host: str = "127.0.0.1"

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return the lines with this event."""
        lines = (line for line in self.log.read_text().splitlines() if line.startswith("{"))
        return [line for line in map(json.loads, lines) if line["event"] == event]

    def until_logged(self, event: str, times: int = 1) -> list[dict[str, Any]]:
        """Wait until this was logged this often; return the lines."""
        assert wait_until(lambda: len(self.logged(event)) >= times, timeout_s=90), self.log.read_text()
        return self.logged(event)

    @property
    def target(self) -> str:
        """Where it is."""
        return f"{self.host}:{self.until_logged('serving')[0]['port']}"

    @property
    def pids(self) -> list[int]:
        """The worker processes, those that died among them."""
        return [line["pid"] for line in self.logged("worker started")]


@contextmanager
def started(log: Path, **settings: object) -> Iterator[Server]:
    """Start two processes on a free port."""
    env = environment({**FAST, "log_level": "INFO", **settings})
    with process(["-m", "wallet_grpc", "--workers", str(WORKERS)], env=env, log=log) as child:
        server = Server(child, log)
        server.until_logged("serving")
        yield server


@pytest.fixture
def server(own_database: Database, tmp_path: Path) -> Iterator[Server]:
    """Start them by IPv6, with a page of metrics, and channelz of each on a port of its own."""
    metrics, *channelz = free_ports(1 + WORKERS)
    with started(
        tmp_path / "log",
        database_url=own_database.url,
        grpc_host="[::1]",
        metrics_port=metrics,
        channelz_port=channelz[0],
    ) as server:
        server.metrics, server.channelz, server.host = metrics, channelz, "[::1]"
        yield server


def is_alive(pid: int) -> bool:
    """Return whether a process is there and no mere entry."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def call_from_many(target: str, calls: int) -> None:
    """Deposit one at a time, each over a connection of its own, so that the kernel chooses the worker."""
    for _ in range(calls):
        with WalletClient(target) as client:
            client.deposit("wallets/alice", usd(1))


def counted(port: int, name: str, **labels: str) -> float:
    """Return a sum from the page of metrics, of all lines with these labels."""
    page = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False, verify=False).raise_for_status().text
    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    return sum(one.value for one in samples if one.name == name and labels.items() <= one.labels.items())


def calls_seen(port: int) -> int:
    """Return how many calls a process's server has begun, by channelz."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub: Any = channelz_pb2_grpc.ChannelzStub(channel)
        answer = stub.GetServers(channelz_pb2.GetServersRequest(), timeout=5)
        return max(int(server.data.calls_started) for server in answer.server)


def test_connections_are_spread_one_page_counts_all_and_sigterm_ends_all(server: Server) -> None:
    """Every process starts and shows its own sockets and calls by channelz; nothing is left behind."""

    with WalletClient(server.target) as client:
        assert client.is_serving(5)
        open_funded(client, alice=0, bob=0)
        with pytest.raises(CallError):
            client.transfer("wallets/alice", "wallets/bob", usd(1))
        call_from_many(server.target, 20)
        assert balance(client, "alice") == 20
    seen = [calls_seen(port) for port in server.channelz]
    assert sum(seen) >= 22
    assert all(seen)
    assert counted(server.metrics, "wallet_refusals_total", reason="INSUFFICIENT_FUNDS") == 1
    assert counted(server.metrics, "wallet_calls_in_progress") == counted(server.metrics, "wallet_calls_queued") == 0
    pids = server.pids
    assert len(set(pids)) == WORKERS
    assert all(map(is_alive, pids))
    server.process.send_signal(signal.SIGTERM)

    assert server.process.wait(30) == 0, server.log.read_text()
    assert not any(map(is_alive, pids))
    assert len(server.logged("drained")) == WORKERS


def test_one_that_is_killed_is_replaced_and_counted_and_none_outlives_a_supervisor_that_is_killed(
    server: Server,
) -> None:
    """Our client retries; what it got is in the ledger, once, and so is the page, also of dead processes."""

    with WalletClient(server.target) as client:
        open_funded(client, alice=0)
    call_from_many(server.target, 10)
    killed = server.pids[0]
    for round_ in range(1, 4):
        os.kill(killed, signal.SIGKILL)
        call_from_many(server.target, 10)
        server.until_logged("worker died", round_)
        killed = server.until_logged("worker started", WORKERS + round_)[-1]["pid"]

    with WalletClient(server.target) as client:
        assert balance(client, "alice") == 40
    assert counted(server.metrics, "grpc_server_handled_total", grpc_method="Deposit", grpc_code="OK") >= 40
    assert counted(server.metrics, "grpc_server_handling_seconds_count", grpc_method="Deposit") >= 40
    assert wait_until(lambda: sum(map(is_alive, server.pids)) == WORKERS, timeout_s=30)
    assert [line["code"] for line in server.logged("worker died")] == [-signal.SIGKILL] * 3
    pids = server.pids
    server.process.kill()
    server.process.wait()

    # They check that it is gone, and drain.
    assert wait_until(lambda: not any(map(is_alive, pids)), timeout_s=30)


@pytest.mark.parametrize("name", ["metrics_port", "channelz_port"])
def test_a_taken_port_for_operators_is_reported(own_database: Database, start_up: StartUp, name: str) -> None:
    """It does not start without the file that it is configured to show."""

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = start_up(main, **{**FAST, "database_url": own_database.url, name: port})
    assert ended.code == 1
    assert f"cannot listen on 127.0.0.1:{port}" in ended.error_output


def test_a_port_beyond_the_last_is_reported() -> None:
    """A worker's own would differ from the configured one."""

    with pytest.raises(CannotListen, match=r"127\.0\.0\.1:65536"), admin_port("127.0.0.1", 65536):
        pass


def test_one_process_counts_by_itself_however_it_is_started(own_database: Database, tmp_path: Path) -> None:
    """The folder for several is its supervisor's to name."""

    log = tmp_path / "log"
    env = environment({**FAST, "log_level": "INFO", "database_url": own_database.url})
    with process(["-m", "wallet_grpc"], env={**env, "PROMETHEUS_MULTIPROC_DIR": "/nonexistent"}, log=log) as child:
        server = Server(child, log)
        with WalletClient(server.target) as client:
            open_funded(client, alice=1)
            assert balance(client, "alice") == 1


def test_a_worker_that_cannot_serve_ends_the_start(own_database: Database, tmp_path: Path) -> None:
    """Exit code 1 and the worker's own words, once is enough; the other is ended too."""

    log = tmp_path / "log"
    missing = tmp_path / "missing.pem"
    settings = environment({**FAST, "database_url": own_database.url, "tls_certificate": missing, "tls_key": missing})
    with process(["-m", "wallet_grpc", "--workers", "2"], env=settings, log=log) as child:
        assert child.wait(30) == 1, log.read_text()

    assert "wallet-grpc cannot start: " in log.read_text()
    assert str(missing) in log.read_text()
    assert "Traceback" not in log.read_text()


def test_a_taken_port_is_reported(own_database: Database, start_up: StartUp) -> None:
    """A single server does not join several: that must be configured."""

    with bound("127.0.0.1", 0, shared=True) as port:
        ended = start_up(main, **{**FAST, "database_url": own_database.url, "grpc_port": port})

    assert ended.code == 1
    assert f"{port}: another process listens there" in ended.error_output
