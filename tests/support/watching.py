"""Watchers on threads: they record the responses, until they are stopped or their stream ends."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import grpc
import psycopg
from wallet.v1 import event_service_pb2 as pb

from scheduler.jobs import write_journal
from tests.support.api import Api
from tests.support.together import over_and_over
from tests.support.wire import Answer, answer_of
from wallet_core.domain.model.errors import ServiceError
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_grpc.server.serving import serving
from walletctl.local.waiting import wait_until


class Watcher:
    """One watch, and its responses."""

    def __init__(self, stream: Any) -> None:  # noqa: ANN401  # iterator and call in one
        self._stream = stream
        self.responses: list[pb.WatchEventsResponse] = []
        self.events: list[pb.Event] = []
        self.ended: Answer | None = None
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def wait_for(self, enough: Callable[[list[pb.Event]], bool] = bool) -> list[pb.Event]:
        """Wait until the events are enough; return all of them."""
        assert wait_until(lambda: enough(self.events), timeout_s=20, poll_s=0.01), (self.events[-9:], self.ended)
        return list(self.events)

    def wait_for_events(self, count: int) -> list[pb.Event]:
        """Wait for *count* events; return all of them."""
        return self.wait_for(lambda events: len(events) >= count)

    def end(self) -> Answer:
        """Wait until the stream ends; return how."""
        self._thread.join(10)
        assert self.ended is not None, self.responses
        return self.ended

    def leave(self) -> None:
        """Cancel the stream."""
        self._stream.cancel()
        self._thread.join(10)

    def _read(self) -> None:
        try:
            for response in self._stream:
                self.events += response.events
                self.responses.append(response)
        except grpc.RpcError as error:
            self.ended = answer_of(error)


@contextmanager
def watching(api: Api, **request: Any) -> Iterator[Watcher]:  # noqa: ANN401  # fields of the request
    """Watch until the block ends; it begins once the watch has begun."""
    watcher = Watcher(api.stream(pb.WatchEventsRequest(**request), timeout_s=None))
    try:
        assert wait_until(lambda: bool(watcher.responses) or watcher.ended is not None, timeout_s=10, poll_s=0.01)
        yield watcher
    finally:
        watcher.leave()


@contextmanager
def writing_journal(app: App) -> Iterator[None]:
    """Write the journal for as long as this lasts, as the scheduler does."""

    def write() -> None:
        with suppress(ServiceError):
            write_journal.run_once(app)

    with over_and_over(write, every_s=0.02):
        yield


def wait_until_published(owner: psycopg.Connection) -> None:
    """Wait until all events are in the journal, so that a watch that begins now gets none of them."""
    left = "SELECT count(*) FROM outbox"
    assert wait_until(lambda: owner.execute(left).fetchone() == (0,), timeout_s=10, poll_s=0.01)


def types_of(events: list[pb.Event]) -> list[str]:
    """Return the names of the events' types."""
    return [pb.Event.Type.Name(event.type).removeprefix("TYPE_") for event in events]


@contextmanager
def served(app: App, settings: Settings, **changes: object) -> Iterator[str]:
    """Serve with other limits, and write the journal; yield the address."""
    quick = {"drain_grace_s": 2.0, "drain_flush_s": 0.2}
    with (
        writing_journal(app),
        serving(app, settings.replaced(**quick | changes)) as port,
    ):
        yield f"127.0.0.1:{port}"


def tell_of(owner: psycopg.Connection, wallet: str, count: int, type_: str = "wallet.updated") -> None:
    """Write events of a wallet into the journal, past the service."""
    with owner.transaction():
        owner.execute("UPDATE wallets SET revision = revision + %s WHERE id = %s", [count, wallet])
        owner.execute(
            "INSERT INTO outbox (type, subject, wallets, time)"
            " SELECT %s, 'wallets/' || %s, ARRAY[%s], now() FROM generate_series(1, %s)",
            [type_, wallet, wallet, count],
        )
