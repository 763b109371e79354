"""Watch the journal: one reader for all watchers of this process, and a buffer of the newest records."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from itertools import islice
from time import monotonic

from wallet_core.background import Loop
from wallet_core.domain.model.errors import (
    DatabaseUnavailable,
    LedgerBroken,
    ServerDraining,
    ServerOverloaded,
    ServiceError,
)
from wallet_core.domain.model.event import JournalRecord
from wallet_core.storage.reads.all import Reads

# Watchers that are behind take turns, and pause for this many times as long as each of their reads took.
_PAUSE_FACTOR = 3

# Reads in a row without a free connection, until watchers get an error.
_OVERLOADED_MAX = 5

# A watcher that begins during a failure gets the error no later than this.
_BACKOFF_MAX_S = 1.0

# How long ``close`` waits for a read in progress.
_CLOSES_WITHIN_S = 10.0


class JournalFeed:
    """Gives records to any number of watchers, each at its own rate.

    The journal is read once for all of them, and only while there are any. A watcher that is further behind than the
    buffer reads from the journal itself, one watcher at a time and with pauses, so that any number of them leave most
    of the process to other work.
    """

    def __init__(self, reads: Reads, *, poll_s: float, page: int, kept: int) -> None:
        self._reads = reads
        self._poll_s = poll_s
        self._page = page
        self._lines: deque[JournalRecord] = deque(maxlen=max(kept, page))
        """The newest records, without gaps."""
        self._changed = threading.Condition()
        self._followers = 0
        self._errors = 0
        self._error: ServiceError = DatabaseUnavailable()
        self._closing = threading.Event()
        self._catching_up = threading.Lock()
        self._overloaded = 0
        self._loop = Loop("journal-feed", self._follow, poll_s, backoff_max_s=_BACKOFF_MAX_S)

    def start(self) -> None:
        """Read the journal from now on, while there are watchers."""
        self._loop.start()

    @property
    def keeps_failing(self) -> bool:
        """Whether reads of the journal fail for a reason that does not go away by itself."""
        return self._loop.keeps_failing

    @contextmanager
    def following(self) -> Iterator["Follower"]:
        """Watch the journal inside this context."""
        with self._changed:
            self._followers += 1
            if self._followers == 1:
                # The journal was not read for a while: the buffer may be far behind.
                self._lines.clear()
                self._changed.notify_all()
            follower = Follower(self, self._errors)
        try:
            yield follower
        finally:
            with self._changed:
                self._followers -= 1

    def after(self, number: int, *, since: int, wait_s: float, given_up: Callable[[], bool]) -> Sequence[JournalRecord]:
        """Return what ``Follower.after`` returns, to a watcher that began after *since* errors."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._end() > number or self._closing.is_set() or self._errors != since or given_up(),
                timeout=wait_s,
            )
            if self._closing.is_set():
                raise ServerDraining
            if self._errors != since:
                # A copy: several watchers raise at the same time.
                raise copy(self._error) from self._error
            if given_up() or self._end() <= number:
                return ()
            if self._lines[0].number <= number + 1:
                first = number + 1 - self._lines[0].number
                return tuple(islice(self._lines, first, first + self._page))
        with self._catching_up:
            if self._closing.is_set() or given_up():  # while other watchers had their turn
                return ()
            begun = monotonic()
            lines = self._reads.journal_after(number, self._page)
            self._closing.wait(_PAUSE_FACTOR * (monotonic() - begun))
        return lines

    def look(self) -> None:
        """Read the journal now, if there are watchers: it has new records."""
        self._loop.wake()

    def wake(self) -> None:
        """Make watchers check whether they have given up."""
        with self._changed:
            self._changed.notify_all()

    def stop(self) -> None:
        """End all watches, and begin no more."""
        self._closing.set()
        self.wake()

    def close(self) -> None:
        """Do so, and wait for a read in progress."""
        self.stop()
        self._loop.stop(_CLOSES_WITHIN_S)

    def _end(self) -> int:
        """Return the number of the last record in the buffer."""
        return self._lines[-1].number if self._lines else 0

    def _follow(self) -> bool:
        """Read once, and give the records to the watchers; return whether there are more."""
        if not self._is_followed():
            return False
        lines: Sequence[JournalRecord] = ()
        try:
            lines = self._look()
            self._overloaded = 0
        except ServerOverloaded as error:
            # No connection is free at the moment. An error to all watchers would bring all of them back at once.
            self._overloaded += 1
            if self._overloaded % _OVERLOADED_MAX == 0:
                self._give_error(error)
        except ServiceError as error:
            self._give_error(error)
        except Exception:
            self._give_error(LedgerBroken())  # watchers must not wait for ever after a defect
            raise
        self._give(lines)
        return len(lines) >= self._page

    def _is_followed(self) -> bool:
        """Wait until there is a watcher; return False once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing.is_set() or self._followers > 0)
            return not self._closing.is_set()

    def _look(self) -> Sequence[JournalRecord]:
        """Return the new records.

        Raises ``DatabaseUnavailable`` where the journal has become another one since the last read, e.g. that of a
        standby that was behind: watchers come back with resume tokens, which are then checked against it.
        """
        with self._changed:
            last = self._lines[-1] if self._lines else None
        if last is None:
            end = self._reads.journal_end()
            return [end] if end is not None else []
        found = self._reads.journal_after(last.number - 1, self._page + 1)
        if not found or found[0] != last:
            raise DatabaseUnavailable
        return found[1:]

    def _give(self, lines: Sequence[JournalRecord]) -> None:
        if not lines:
            return  # no watcher is woken without a record
        with self._changed:
            if self._lines and lines[0].number != self._end() + 1:
                return  # all watchers left and new ones came during the read: the buffer begins anew
            self._lines.extend(lines)
            self._changed.notify_all()

    def _give_error(self, error: ServiceError) -> None:
        with self._changed:
            self._error = error
            self._errors += 1
            self._lines.clear()
            self._changed.notify_all()


class Follower:
    """One watcher of the journal."""

    def __init__(self, feed: JournalFeed, since: int) -> None:
        self._feed = feed
        self._since = since

    def after(self, number: int, *, wait_s: float, given_up: Callable[[], bool]) -> Sequence[JournalRecord]:
        """Return the records that follow a number, a page at the most; wait for one.

        Returns none after *wait_s*, or once the watcher has *given_up*: call the feed's ``wake`` then. Raises
        ``ServiceError`` where the database has failed since the watcher began, and ``ServerDraining`` once
        the feed is stopped.
        """
        return self._feed.after(number, since=self._since, wait_s=wait_s, given_up=given_up)
