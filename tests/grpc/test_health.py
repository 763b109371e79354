"""Health: no watcher, in any manner, blocks another."""

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from wallet.v1 import event_service_pb2 as pb

from tests.conftest import FAST
from tests.support.api import Api
from tests.support.database import Database
from tests.support.health_watchers import health, watched
from tests.support.ports import free_ports
from tests.support.processes import environment, process
from tests.support.raw_http2 import RawHttp2
from wallet_core.domain.model.event import JournalRecord
from wallet_core.settings import Settings
from wallet_core.storage.reads.all import Reads
from wallet_core.usecases.app import App
from wallet_grpc.descriptors import SERVICES
from wallet_grpc.server.serving import serving
from walletctl.local.waiting import wait_until

WATCH = "/grpc.health.v1.Health/Watch"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
ANSWERS_WITHIN_S = 5.0


def is_serving(target: str) -> bool:
    """Check health, as a probe does."""
    with health(target) as stub:
        status = stub.Check(health_pb2.HealthCheckRequest(), timeout=ANSWERS_WITHIN_S).status
    return bool(status == SERVING)


@pytest.fixture
def target(own_database: Database, tmp_path: Path) -> Iterator[str]:
    """Start a server process, and check that SIGTERM ends it in time, with watchers still connected."""
    log = tmp_path / "log"
    (port,) = free_ports(1)
    settings = {**FAST, "database_url": own_database.url, "log_level": "INFO", "drain_grace_s": 2.0, "grpc_port": port}
    with process(["-m", "wallet_grpc"], env=environment(settings), log=log) as child:
        assert wait_until(lambda: '"event": "serving"' in log.read_text(), timeout_s=60), log.read_text()
        yield f"127.0.0.1:{port}"
        child.send_signal(signal.SIGTERM)
        assert child.wait(30) == 0, log.read_text()


@pytest.fixture
def outlasting() -> Iterator[ExitStack]:
    """Return what is left once a server that was stopped has ended."""
    with ExitStack() as stack:
        yield stack


def test_watcher_that_reads_nothing_blocks_no_others(outlasting: ExitStack, target: str) -> None:
    """A window of 0: responses queue for it alone, and SIGTERM, which comes meanwhile, waits for no watcher."""

    for _ in range(3):
        raw = outlasting.enter_context(RawHttp2(target))
        for _ in range(10):
            raw.call(WATCH)
    with health(target) as stub:
        watch = watched(stub)
        assert next(watch).status == SERVING
        watch.cancel()
    assert all(is_serving(target) for _ in range(10))


def test_changes_are_published_to_all_watchers(app: App, settings: Settings) -> None:
    """Once each; an unknown service is reported as unknown."""

    strict = settings.replaced(drain_delay_s=0.5)
    with ExitStack() as open_:
        with serving(app, strict) as port:
            target = f"127.0.0.1:{port}"
            services = ("", "wallet.v1.WalletService", "wallet.v1.NoSuchService")
            watches = [watched(open_.enter_context(health(target)), service) for service in services]
            first = [next(watch).status for watch in watches]
            rest: list[list[int]] = [[], [], []]
            threads = [
                threading.Thread(target=_read_on, args=(watch, into)) for watch, into in zip(watches, rest, strict=True)
            ]
            for thread in threads:
                thread.start()
        for thread in threads:
            thread.join(30)

    assert first == [SERVING, SERVING, SERVICE_UNKNOWN]
    assert rest == [[NOT_SERVING], [NOT_SERVING], []]


def _read_on(watch: Any, into: list[int]) -> None:  # noqa: ANN401  # the library's call
    try:
        for event in watch:
            into.append(event.status)  # noqa: PERF401  # kept also where it ends with an error
    except grpc.RpcError:
        return


def test_watches_are_bounded_and_one_too_many_is_rejected(app: App, settings: Settings) -> None:
    """UNIMPLEMENTED: a client that checks health itself then continues without; a place that is left is free again."""

    few = settings.replaced(health_watchers_max=3)
    with serving(app, few) as port, health(f"127.0.0.1:{port}") as stub:
        watches = [watched(stub) for _ in range(3)]
        assert [next(watch).status for watch in watches] == [SERVING] * 3
        with pytest.raises(grpc.RpcError) as refused:
            next(watched(stub))
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert stub.Check(health_pb2.HealthCheckRequest(), timeout=ANSWERS_WITHIN_S).status == SERVING
        listed = stub.List(health_pb2.HealthListRequest(), timeout=ANSWERS_WITHIN_S).statuses  # type: ignore[attr-defined]  # stubs are older
        assert {name: one.status for name, one in listed.items()} == dict.fromkeys(("", *SERVICES), SERVING)
        watches.pop().cancel()

        def is_let_in() -> bool:
            watches.append(watched(stub))
            try:
                return bool(next(watches[-1]).status == SERVING)
            except grpc.RpcError:
                return False

        assert wait_until(is_let_in, timeout_s=30)


def test_health_continues_after_an_unexpected_error(app: App, settings: Settings) -> None:
    """While the database is unreachable it is NOT_SERVING; then it is SERVING again, without a restart."""

    broken = threading.Event()

    def ping() -> None:
        if broken.is_set():
            raise TypeError("a defect")
        app.ping()

    quick = settings.replaced(health_interval_s=0.1)
    with serving(replace(app, ping=ping), quick) as port:
        target = f"127.0.0.1:{port}"
        assert is_serving(target)
        broken.set()
        assert wait_until(lambda: not is_serving(target), timeout_s=30)
        broken.clear()
        assert wait_until(lambda: is_serving(target), timeout_s=30)


def test_watches_that_cannot_be_served_are_reported_by_themselves(app: App, settings: Settings) -> None:
    """The reader of the journal keeps failing: EventService is NOT_SERVING, all else continues; then it is SERVING."""

    broken = threading.Event()
    broken.set()

    class Broken(Reads):
        def journal_end(self) -> JournalRecord | None:
            if broken.is_set() and threading.current_thread().name == "journal-feed":
                raise TypeError("a defect")
            return super().journal_end()

    reads = Broken(app.reads.engine)
    with serving(replace(app, reads=reads), settings) as port, health(f"127.0.0.1:{port}") as stub:

        def status(service: str) -> int:
            answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=ANSWERS_WITHIN_S)
            return int(answer.status)

        events = "wallet.v1.EventService"
        with Api(f"127.0.0.1:{port}") as api:

            def ended() -> str:
                with pytest.raises(grpc.RpcError) as caught:
                    list(api.stream(pb.WatchEventsRequest(), timeout_s=20))
                return str(caught.value.code().name)

            # As watchers do: they come back.
            assert [ended() for _ in range(5)] == ["INTERNAL"] * 5
            assert wait_until(lambda: status(events) == NOT_SERVING, timeout_s=30)
            assert [status(one) for one in ("", "wallet.v1.WalletService")] == [SERVING, SERVING]
            broken.clear()
            stream = api.stream(pb.WatchEventsRequest(), timeout_s=None)
            assert next(stream).resume_token
            assert wait_until(lambda: status(events) == SERVING, timeout_s=30)
            stream.cancel()
