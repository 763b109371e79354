"""Wake-ups between processes: one announces that there is something new, others look at once instead of at their poll.

By LISTEN and NOTIFY, and never in a transaction that moves money: a commit with a NOTIFY waits for all others with one.
A wake-up may get lost, e.g. with its connection: a listener polls besides.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Self, cast

import psycopg
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from wallet_core.background import Loop
from wallet_core.storage.connections.engine import Tx

OUTBOX = "wallet_outbox"
"""Events were committed."""
JOURNAL = "wallet_journal"
"""Records were written."""

NOTIFY_JOURNAL = f"NOTIFY {JOURNAL}"

# Announcements of one process follow one another no sooner than this, however many commits there are.
_ANNOUNCE_EVERY_S = 0.02
# How long it takes at most to end a listener, and to find its connection lost.
_LISTEN_S = 0.5
# After a failure the poll is enough for a while.
_BACKOFF_MAX_S = 5.0


class Announcer:
    """Announces on one channel, on a thread and a connection of its own, so that no commit waits for it."""

    def __init__(self, engine: Engine, channel: str) -> None:
        self._engine = engine
        self._notify = f"NOTIFY {channel}"
        self._new = threading.Event()
        self._closed = threading.Event()
        self._loop = Loop(f"announce-{channel}", self._announce, _ANNOUNCE_EVERY_S, backoff_max_s=_BACKOFF_MAX_S)

    def announce(self) -> None:
        """Announce soon; never waits."""
        self._new.set()

    def start(self) -> None:
        """Start the thread."""
        self._loop.start()

    def close(self) -> None:
        """Announce no more."""
        self._closed.set()
        self._new.set()
        self._loop.stop(_LISTEN_S)

    def _announce(self) -> None:
        self._new.wait()
        self._new.clear()
        if self._closed.is_set():
            return
        try:
            with self._engine.connect() as connection:
                _driver(connection).execute(self._notify)
        except (SQLAlchemyError, psycopg.Error):
            self._closed.wait(_BACKOFF_MAX_S)


@contextmanager
def listening(engine: Engine, channel: str, on_wake: Callable[[], None]) -> Iterator[None]:
    """Call *on_wake* after each announcement on a channel, while in the context."""
    closed = threading.Event()

    def listen() -> None:
        try:
            with engine.connect() as connection:
                driver = _driver(connection)
                driver.execute(f"LISTEN {channel}")
                on_wake()  # for what was announced before
                while not closed.is_set():
                    if [*driver.notifies(timeout=_LISTEN_S, stop_after=1)]:
                        on_wake()
        except (SQLAlchemyError, psycopg.Error):
            closed.wait(_BACKOFF_MAX_S)  # the polls are enough meanwhile

    loop = Loop(f"listen-{channel}", listen, _LISTEN_S, backoff_max_s=_BACKOFF_MAX_S)
    loop.start()
    try:
        yield
    finally:
        closed.set()
        loop.stop(2 * _LISTEN_S)


class WakeUps:
    """The wake-ups of a process, if the settings allow them; without, all others poll."""

    def __init__(self, engine: Engine | None) -> None:
        self._engine = engine
        self._announcer = Announcer(engine, OUTBOX) if engine is not None else None

    def __enter__(self) -> Self:
        if self._announcer is not None:
            self._announcer.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._announcer is not None:
            self._announcer.close()

    def announce_events(self) -> None:
        """Let the writer of the journal look for events."""
        if self._announcer is not None:
            self._announcer.announce()

    def on_events(self, wake: Callable[[], None]) -> AbstractContextManager[None]:
        """Call *wake* after commits of events, while in the context."""
        return listening(self._engine, OUTBOX, wake) if self._engine is not None else nullcontext()

    def on_records(self, wake: Callable[[], None]) -> AbstractContextManager[None]:
        """Call *wake* after writes of the journal, while in the context."""
        return listening(self._engine, JOURNAL, wake) if self._engine is not None else nullcontext()


def _driver(connection: object) -> Tx:
    return cast("Tx", connection.connection.driver_connection)  # type: ignore[attr-defined]  # SQLAlchemy's
