"""Follow the journal: one reader for all who are told of it in this process, and the newest lines at hand."""

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

# Of the time that those who are behind take together, everybody else is left so many times as much.
_LEFT_TO_OTHERS = 3

# Looks in a row that found no connection free, until followers are told.
_OVERLOADED_MAX = 5

# Whoever comes meanwhile hears of a defect no later than this.
_BACKOFF_MAX_S = 1.0

# How long a look may hang that is under way when the feed is closed.
_CLOSES_WITHIN_S = 10.0


class JournalFeed:
    """Hands out lines to any number of followers, each at its own pace.

    The journal is looked at once for all of them, and only while there are any. Who is further behind than what is at
    hand reads for itself, one follower at a time and with pauses: however many have to catch up, they leave the process
    to others.
    """

    def __init__(self, reads: Reads, *, poll_s: float, page: int, kept: int) -> None:
        self._reads = reads
        self._poll_s = poll_s
        self._page = page
        self._lines: deque[JournalRecord] = deque(maxlen=max(kept, page))
        """The newest, without gaps."""
        self._changed = threading.Condition()
        self._followers = 0
        self._troubles = 0
        self._trouble: ServiceError = DatabaseUnavailable()
        self._closing = threading.Event()
        self._catching_up = threading.Lock()
        self._overloaded = 0
        self._loop = Loop("journal-feed", self._follow, poll_s, backoff_max_s=_BACKOFF_MAX_S)

    def start(self) -> None:
        """Look at the journal from now on, while there are followers."""
        self._loop.start()

    @property
    def keeps_failing(self) -> bool:
        """Whether the journal cannot be looked at, for a reason that does not pass by itself."""
        return self._loop.keeps_failing

    @contextmanager
    def following(self) -> Iterator["Follower"]:
        """Be told for as long as this lasts."""
        with self._changed:
            self._followers += 1
            if self._followers == 1:
                # Nobody has looked for a while: what is at hand may be far behind.
                self._lines.clear()
                self._changed.notify_all()
            follower = Follower(self, self._troubles)
        try:
            yield follower
        finally:
            with self._changed:
                self._followers -= 1

    def after(self, number: int, *, since: int, wait_s: float, given_up: Callable[[], bool]) -> Sequence[JournalRecord]:
        """Return what ``Follower.after`` returns, to one who has followed *since* so many troubles."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._end() > number or self._closing.is_set() or self._troubles != since or given_up(),
                timeout=wait_s,
            )
            if self._closing.is_set():
                raise ServerDraining
            if self._troubles != since:
                # An exception of its own: several followers raise at the same time.
                raise copy(self._trouble) from self._trouble
            if given_up() or self._end() <= number:
                return ()
            if self._lines[0].number <= number + 1:
                first = number + 1 - self._lines[0].number
                return tuple(islice(self._lines, first, first + self._page))
        with self._catching_up:
            if self._closing.is_set() or given_up():  # while others had their turn
                return ()
            begun = monotonic()
            lines = self._reads.journal_after(number, self._page)
            self._closing.wait(_LEFT_TO_OTHERS * (monotonic() - begun))
        return lines

    def wake(self) -> None:
        """Let followers look whether they have given up."""
        with self._changed:
            self._changed.notify_all()

    def stop(self) -> None:
        """Send all followers away, and take no more."""
        self._closing.set()
        self.wake()

    def close(self) -> None:
        """Do so, and wait for a look that is under way."""
        self.stop()
        self._loop.stop(_CLOSES_WITHIN_S)

    def _end(self) -> int:
        """Return the number of the last line that is known of."""
        return self._lines[-1].number if self._lines else 0

    def _follow(self) -> bool:
        """Look once, and tell what was found; return whether there is more."""
        if not self._is_followed():
            return False
        lines: Sequence[JournalRecord] = ()
        try:
            lines = self._look()
            self._overloaded = 0
        except ServerOverloaded as error:
            # No connection is free for the moment. To send everybody away would bring all of them back at once.
            self._overloaded += 1
            if self._overloaded % _OVERLOADED_MAX == 0:
                self._tell_trouble(error)
        except ServiceError as error:
            self._tell_trouble(error)
        except Exception:
            self._tell_trouble(LedgerBroken())  # a defect must not leave followers without a word for ever
            raise
        self._tell(lines)
        return len(lines) >= self._page

    def _is_followed(self) -> bool:
        """Wait until somebody follows; False once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing.is_set() or self._followers > 0)
            return not self._closing.is_set()

    def _look(self) -> Sequence[JournalRecord]:
        """Return the lines that are new.

        Raises ``DatabaseUnavailable`` where the journal has become another one since the last look, e.g. that of a
        standby which was behind: followers come back with the places that they know, which are then held to it.
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

    def _tell(self, lines: Sequence[JournalRecord]) -> None:
        if not lines:
            return  # nobody is woken for nothing
        with self._changed:
            if self._lines and lines[0].number != self._end() + 1:
                return  # everybody left and somebody came while they were read: what is at hand begins anew
            self._lines.extend(lines)
            self._changed.notify_all()

    def _tell_trouble(self, trouble: ServiceError) -> None:
        with self._changed:
            self._trouble = trouble
            self._troubles += 1
            self._lines.clear()
            self._changed.notify_all()


class Follower:
    """One who is told of the journal."""

    def __init__(self, feed: JournalFeed, since: int) -> None:
        self._feed = feed
        self._since = since

    def after(self, number: int, *, wait_s: float, given_up: Callable[[], bool]) -> Sequence[JournalRecord]:
        """Return the lines that follow a number, a page at the most; wait for some.

        Returns none after *wait_s*, or once the follower has *given_up*: call the feed's ``wake`` then. Raises
        ``ServiceError`` where the database has failed since the follower began to follow, and ``ServerDraining`` once
        the feed is stopped.
        """
        return self._feed.after(number, since=self._since, wait_s=wait_s, given_up=given_up)
