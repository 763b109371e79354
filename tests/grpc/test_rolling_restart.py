"""Two servers, over TLS, restarted one after the other and killed under load: no caller and no watcher notices."""

import asyncio
import signal
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import psycopg
import pytest
from wallet.v1 import event_service_pb2 as pb

from tests.support.callers import balance, open_funded, usd
from tests.support.database import Cluster
from tests.support.loaded_server import Load
from tests.support.pair import HOSTS, Pair, running_pair
from tests.support.watching import writing_journal
from wallet_client import AsyncWalletClient, WalletClient
from wallet_core.bootstrap import open_app
from walletctl.local.waiting import wait_until

# The load is constant but light: servers that start are not slowed down, and each moment still has calls in progress.
PAUSE_S = 0.04


@pytest.fixture(scope="module")
def pair(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Start both; each test leaves both running. The ledger is verified at the end."""
    with cluster.clone(f"pair_{uuid4().hex[:8]}") as database:
        with running_pair(database.url, tmp_path_factory.mktemp("pair")) as pair:
            with WalletClient(pair.target, tls=pair.tls) as client:
                open_funded(client, alice=1_000_000, bob=0, carol=0)
            yield pair
        assert database.broken_rules() == []


def until_paid(load: Load, calls: int) -> None:
    """Wait until this many calls were answered OK, or one was not."""
    assert wait_until(lambda: len(load.paid) >= calls or bool(load.failed), timeout_s=60)


@dataclass
class Watchers:
    """One with each of our clients, on threads of their own: the events that each received."""

    pair: Pair
    received: dict[str, list[pb.Event]] = field(default_factory=lambda: {"threads": [], "asyncio": []})

    @contextmanager
    def running(self) -> Iterator["Watchers"]:
        """Watch until the end of the block."""
        with WalletClient(self.pair.target, tls=self.pair.tls) as client, ThreadPoolExecutor(2) as pool:
            ended = [pool.submit(self._watch, client), pool.submit(asyncio.run, self._watch_by_asyncio())]
            yield self
            client.close()
        for future in ended:
            future.result()

    def have_received(self, transactions: AbstractSet[str]) -> bool:
        """Return whether both received these transactions."""
        return all(transactions <= {event.resource for event in tuple(received)} for received in self.received.values())

    def _watch(self, client: WalletClient) -> None:
        for event in client.watch_events(from_start=True):
            self.received["threads"].append(event)

    async def _watch_by_asyncio(self) -> None:
        async with AsyncWalletClient(self.pair.target, tls=self.pair.tls) as client:
            async for event in client.watch_events(from_start=True):
                self.received["asyncio"].append(event)
                if event.type == pb.Event.TYPE_WALLET_CLOSED:
                    break


def test_a_rolling_restart_under_load_fails_no_call_and_leaves_out_no_event(pair: Pair) -> None:
    """Every call is answered OK, and every one is in the ledger once; watchers receive each once, and in order."""

    with ExitStack() as stack:
        client = stack.enter_context(WalletClient(pair.target, tls=pair.tls))
        before = balance(client, "bob")
        stack.enter_context(writing_journal(stack.enter_context(open_app(pair.settings, name="journal"))))
        watchers = stack.enter_context(Watchers(pair).running())
        with Load(pair.target, callers=16, pause_s=PAUSE_S, timeout_s=10.0, tls=pair.tls).running() as load:
            for host in HOSTS:
                until_paid(load, len(load.paid) + 100)
                pair.restart(host)
            until_paid(load, len(load.paid) + 100)
        assert load.failed == []
        assert len(load.paid) == len(set(load.paid.values())) == len(load.sent)
        assert balance(client, "bob") == before + len(load.paid)
        client.create_wallet("empty", "USD")
        client.close_wallet("wallets/empty")
        assert wait_until(lambda: watchers.have_received({*load.paid.values(), "wallets/empty"}), timeout_s=30)
    for received in watchers.received.values():
        assert [event.number for event in received] == list(range(1, len(received) + 1))


def test_a_slow_call_lets_other_callers_use_another_server(pair: Pair) -> None:
    """A wallet is locked while its caller's server drains: that call ends well, and no other waits for it."""

    first, _ = HOSTS
    with (
        WalletClient(pair.target, tls=pair.tls, timeout_s=30.0) as client,
        psycopg.connect(pair.database_url) as owner,
        ThreadPoolExecutor(1) as pool,
    ):
        before = balance(client, "bob")
        with Load(pair.target, callers=16, pause_s=PAUSE_S, timeout_s=10.0, tls=pair.tls).running() as load:
            with owner.transaction():
                owner.execute("SELECT FROM wallets WHERE id = 'carol' FOR UPDATE")
                slow: Future[object] = pool.submit(client.deposit, "wallets/carol", usd(1))
                until_paid(load, 50)
                pair.servers[first].process.send_signal(signal.SIGTERM)
                until_paid(load, len(load.paid) + 200)
            slow.result(timeout=20)
            assert pair.servers[first].process.wait(30) == 0
        assert load.failed == []
        assert (balance(client, "bob"), balance(client, "carol")) == (before + len(load.paid), 1)
        pair.start(first)


def test_servers_that_are_killed_under_load_fail_no_call(pair: Pair) -> None:
    """Calls are shared among both; what a dead one did not answer is sent to the other, and done once."""

    with WalletClient(pair.target, tls=pair.tls) as client:
        before = balance(client, "bob")
        with Load(
            pair.target, callers=12, aio_callers=4, pause_s=PAUSE_S, timeout_s=10.0, tls=pair.tls
        ).running() as load:
            for host in HOSTS:
                until_paid(load, len(load.paid) + 100)
                assert wait_until(lambda: all(pair.calls(each) > 0 for each in HOSTS), timeout_s=30)
                pair.kill(host)
                until_paid(load, len(load.paid) + 100)
                pair.start(host)
            until_paid(load, len(load.paid) + 100)
        assert load.failed == []
        assert len(load.paid) == len(set(load.paid.values())) == len(load.sent)
        assert balance(client, "bob") == before + len(load.paid)
