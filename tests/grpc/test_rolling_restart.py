"""Two servers restarted one after the other under load: no caller of our client notices."""

import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from tests.conftest import FAST
from tests.support.callers import balance, open_funded, usd
from tests.support.database import Database
from tests.support.loaded_server import Load, Served, server_process
from tests.support.ports import free_ports
from tests.support.processes import environment
from wallet_grpc.client import WalletClient
from walletctl.local.waiting import wait_until

pytestmark = pytest.mark.alone


@dataclass
class Pair:
    """Two servers on ports of their own, and how they are started again."""

    database_url: str
    logs: Path
    ports: list[int]
    stack: ExitStack
    servers: dict[int, Served] = field(default_factory=dict)
    starts: int = 0

    @property
    def target(self) -> str:
        """Both, as gRPC names several addresses."""
        return "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in self.ports)

    def start(self, port: int) -> None:
        """Start the server of a port; it serves when this returns."""
        self.starts += 1
        settings = environment(
            {**FAST, "grpc_port": port, "log_level": "INFO", "drain_delay_s": 0.2, "lock_timeout_s": 3.0}
        )
        log = self.logs / f"{port}-{self.starts}"
        self.servers[port] = self.stack.enter_context(server_process(log, self.database_url, **settings))

    def restart(self, port: int) -> None:
        """End a server as an orchestrator does, and start it anew once it has gone."""
        process = self.servers[port].process
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        self.start(port)


@pytest.fixture
def pair(own_database: Database, tmp_path: Path) -> Iterator[Pair]:
    """Start both."""
    with ExitStack() as stack:
        pair = Pair(own_database.url, tmp_path, free_ports(2), stack)
        for port in pair.ports:
            pair.start(port)
        yield pair


def until_paid(load: Load, calls: int) -> None:
    """Wait until so many calls were answered OK, or one was not."""
    assert wait_until(lambda: len(load.paid) >= calls or bool(load.told), timeout_s=30)


def test_a_rolling_restart_under_load_fails_no_call(pair: Pair) -> None:
    """Every call is answered OK, and every one is in the books once."""

    with WalletClient(pair.target) as client:
        open_funded(client, alice=1_000_000, bob=0)
        with Load(pair.target, callers=16, timeout_s=10.0).running() as load:
            for port in pair.ports:
                until_paid(load, len(load.paid) + 100)
                pair.restart(port)
            until_paid(load, len(load.paid) + 100)
        assert load.told == []
        assert len(load.paid) == len(set(load.paid.values())) == len(load.asked)
        assert balance(client, "bob") == len(load.paid)


def test_a_call_that_takes_its_time_lets_the_others_turn_elsewhere(pair: Pair) -> None:
    """A wallet is locked while its caller's server drains: that call ends well, and no other waits for it."""

    first, _ = pair.ports
    with (
        WalletClient(pair.target) as client,
        psycopg.connect(pair.database_url) as owner,
        ThreadPoolExecutor(1) as pool,
    ):
        open_funded(client, alice=1_000_000, bob=0, carol=0)
        with Load(pair.target, callers=16, timeout_s=10.0).running() as load:
            with owner.transaction():
                owner.execute("SELECT FROM wallets WHERE id = 'carol' FOR UPDATE")
                slow: Future[object] = pool.submit(client.deposit, "wallets/carol", usd(1))
                until_paid(load, 100)
                pair.servers[first].process.send_signal(signal.SIGTERM)
                until_paid(load, len(load.paid) + 500)
            slow.result(timeout=20)
            assert pair.servers[first].process.wait(20) == 0
        assert load.told == []
        assert (balance(client, "bob"), balance(client, "carol")) == (len(load.paid), 1)
