"""What an unauthenticated client with a connection can do, and how little of it a well-behaved caller notices.

One server process of its own for each attack, none of which brings a token. The ledger is verified at the end.
"""

import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.request import urlopen

import psycopg
import pytest
from wallet.v1 import transaction_service_pb2 as pb

from tests.conftest import FAST
from tests.support.api import Api, meanwhile
from tests.support.bystander import Bystander, bystander
from tests.support.database import Database, cut_all_others
from tests.support.health_watchers import Churn
from tests.support.long_history import write_history
from tests.support.ports import free_ports
from tests.support.processes import environment, process
from tests.support.raw_http2 import RawHttp2
from wallet_client import NotConnected, WalletClient
from walletctl.local.waiting import wait_until

pytestmark = pytest.mark.alone

CALLS_OF_EVERY_KIND = (
    "/wallet.v1.TransactionService/Transfer",
    "/wallet.v1.EventService/WatchEvents",
    "/wallet.v1.TransactionService/GetReceipt",
    "/wallet.v1.TransactionService/ExportStatement",
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
)
ALICE = "wallets/alice"
LIST = "/wallet.v1.TransactionService/ListTransactions"
RECEIPT = "TransactionService/GetReceipt"
WIDE = "\U0001f4a5" * 100
UNSENT_MAX = 4 << 20
PAGES = 10
WATCHERS = 8
# Silent connections, and the open files that the server may have.
CONNECTIONS, OPEN_FILES = 1200, 1024
LIMITED = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_NOFILE, ({0}, {0}))
runpy.run_module("wallet_grpc", run_name="__main__")
"""


@pytest.fixture(params=[4.0, pytest.param(20.0, marks=pytest.mark.long)], ids=["short", "long"])
def lasts_s(request: pytest.FixtureRequest) -> float:
    """Return how long an attack lasts at least, in seconds."""
    return float(request.param)


@contextmanager
def server(database: Database, log: Path, *, wrapped: tuple[str, ...] = (), **changes: object) -> Iterator[str]:
    """Run a server process; check that SIGTERM ends it in time, under any load."""
    (port,) = free_ports(1)
    settings = {
        **FAST,
        "database_url": database.url,
        "log_level": "INFO",
        "drain_grace_s": 2.0,
        "grpc_port": port,
        "grpc_threads": 80,
        "health_interval_s": 1.0,
        "grpc_reflection": True,
        **changes,
    }
    with process(wrapped or ("-m", "wallet_grpc"), env=environment(settings), log=log) as child:
        assert wait_until(lambda: '"event": "serving"' in log.read_text(), timeout_s=60), log.read_text()
        yield f"127.0.0.1:{port}"
        child.send_signal(signal.SIGTERM)
        assert child.wait(30) == 0, log.read_text()


def assert_unaffected_until(caller: Bystander, until: Callable[[], bool], lasts_s: float) -> None:
    """Continue for a while and until the attack is over; then check that it had no effect."""
    ends_at = monotonic() + lasts_s
    is_over = False
    while monotonic() < ends_at or not is_over:
        caller.once()
        is_over = is_over or until()
        assert monotonic() < ends_at + 60
    caller.assert_not_held_up()


def test_calls_without_request_block_no_others(own_database: Database, tmp_path: Path, lasts_s: float) -> None:
    """100 on each of seven connections, of every kind of call, opened again as they end: each ends by itself."""

    with (
        server(own_database, tmp_path / "log", grpc_receive_timeout_s=1.0) as target,
        bystander(target) as caller,
        ExitStack() as open_,
    ):
        attackers = [(method, open_.enter_context(RawHttp2(target))) for method in CALLS_OF_EVERY_KIND]
        for method, raw in attackers:
            for _ in range(100):
                raw.call(method, request=None)
        # Streams of requests are ended by a time of their own, and refused beyond the few that there is room for.
        ended = [raw for method, raw in attackers if "Reflection" not in method]
        assert_unaffected_until(caller, lambda: all(len(raw.ended) == 100 for raw in ended), lasts_s)


def test_answers_without_a_reader_are_dropped(own_database: Database, tmp_path: Path, lasts_s: float) -> None:
    """40 pages to connections with a window of 0: beyond the bound the oldest go at once, all of them in time."""

    (metrics,) = free_ports(1)
    limits: dict[str, Any] = {"grpc_send_timeout_s": 4.0, "grpc_unsent_max_bytes": UNSENT_MAX, "metrics_port": metrics}
    seen: list[float] = []
    with server(own_database, tmp_path / "log", **limits) as target, ExitStack() as open_:
        with_history(own_database, target)
        caller = open_.enter_context(bystander(target))
        page = pb.ListTransactionsRequest(wallet=ALICE, page_size=1000).SerializeToString()
        attackers = [open_.enter_context(RawHttp2(target)) for _ in range(4)]
        for raw in attackers:
            for _ in range(PAGES):
                raw.call(LIST, request=page)

        def all_dropped() -> bool:
            seen.append(unsent_bytes(metrics))
            return all(len(raw.ended) == PAGES for raw in attackers)

        assert_unaffected_until(caller, all_dropped, lasts_s)
        assert wait_until(lambda: unsent_bytes(metrics) == 0, timeout_s=30)
    # Between two looks a few pages come to those that are looked at.
    assert 0 < max(seen) < 3 * UNSENT_MAX


def test_watchers_that_connect_and_leave_block_no_others(
    own_database: Database, tmp_path: Path, lasts_s: float
) -> None:
    """Transfers are made and probes are answered all the while, in time; SIGTERM during it ends the process."""

    with ExitStack() as outlasting, server(own_database, tmp_path / "log") as target, bystander(target) as caller:
        churn = outlasting.enter_context(Churn(target, WATCHERS))
        until = monotonic() + lasts_s
        while monotonic() < until:
            caller.once()
        caller.assert_not_held_up()
        assert (churn.wrong, churn.began > WATCHERS) == ([], True)


def test_silent_connections_leave_descriptors_for_all_else(
    own_database: Database, tmp_path: Path, lasts_s: float
) -> None:
    """More of them than the process may have files.

    Callers continue, new ones connect, the database is reachable again.
    """

    wrapped = ("-c", LIMITED.format(OPEN_FILES))
    with (
        server(own_database, tmp_path / "log", wrapped=wrapped) as target,
        bystander(target) as caller,
        ExitStack() as open_,
    ):
        host, _, port = target.rpartition(":")
        for _ in range(CONNECTIONS):
            open_.enter_context(socket.create_connection((host, int(port)), timeout=30))
        with psycopg.connect(own_database.url, autocommit=True) as owner:
            cut_all_others(owner)

        def is_let_in() -> bool:
            try:
                with WalletClient(target, timeout_s=10) as late:
                    return late.get_wallet("wallets/dave").balance.minor_units > 0
            except NotConnected:  # until the silent ones are closed, after the time for a handshake
                return False

        assert_unaffected_until(caller, is_let_in, lasts_s)


def test_receipts_leave_room_for_others(own_database: Database, tmp_path: Path, lasts_s: float) -> None:
    """40 callers that request receipts, each for another one, as fast as they are drawn."""

    with server(own_database, tmp_path / "log") as target, ExitStack() as open_:
        with_history(own_database, target)
        caller = open_.enter_context(bystander(target))
        with Api(target) as api:
            page = api.ok(pb.ListTransactionsRequest(wallet=ALICE, page_size=1000))
        names = [one.name for one in page.transactions]
        drawn: list[str] = []
        over = threading.Event()

        def keep_calling(api: Api) -> None:
            answer = api.call(RECEIPT, pb.GetReceiptRequest(name=names[len(drawn)]), timeout_s=30)
            assert answer.code in {"OK", "RESOURCE_EXHAUSTED"}, answer
            if answer.code == "OK":
                drawn.append(answer.code)
            over.wait((answer.retry_ms or 0) / 1000)

        api = open_.enter_context(Api(target))
        with meanwhile(partial(keep_calling, api), 40):
            assert_unaffected_until(caller, lambda: len(drawn) > 5, lasts_s)
            over.set()


def with_history(database: Database, target: str) -> None:
    """Write a thousand entries with long descriptions, so that a page is a megabyte."""
    with WalletClient(target) as client, psycopg.connect(database.url, autocommit=True) as owner:
        for name in ("alice", "bob"):
            client.create_wallet(name, "USD")
        write_history(owner, 1000, description=WIDE)


def unsent_bytes(port: int) -> float:
    """Return the metric's value."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:  # ours
        found = re.search(r"^wallet_unsent_response_bytes (\S+)$", page.read().decode(), re.MULTILINE)
    assert found is not None
    return float(found[1])
