"""Follow the journal: one reader for all who are told of it in this process, and the newest lines at hand."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

from wallet_core.domain.errors import NotServed, ServerDraining
from wallet_core.domain.event import JournalLine
from wallet_core.storage.reads import Reads


class JournalFeed:
    """Hands out lines to any number of followers, each at its own pace.

    The journal is looked at once for all of them, and only while there are any. Who is further behind than what is at
    hand reads for itself.
    """

    def __init__(self, reads: Reads, *, poll_s: float, page: int, kept: int) -> None:
        self._reads = reads
        self._poll_s = poll_s
        self._page = page
        self._lines: deque[JournalLine] = deque(maxlen=max(kept, page))
        self._end = 0
        """The number of the last line that is known of."""
        self._changed = threading.Condition()
        self._followers = 0
        self._trouble: NotServed | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="journal-feed", daemon=True)
        self._thread.start()

    @contextmanager
    def following(self) -> Iterator[None]:
        """Be told for as long as this lasts."""
        with self._changed:
            self._followers += 1
            if self._followers == 1:
                # Nobody has looked for a while: what is at hand may be far behind.
                self._trouble = None
                self._lines.clear()
                self._end = 0
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._followers -= 1

    def after(self, number: int, *, wait_s: float, given_up: Callable[[], bool]) -> Sequence[JournalLine]:
        """Return the lines that follow a number, a page at the most; wait for some.

        Returns none after *wait_s*, or once the follower has *given_up*: call ``wake`` then. Raises ``NotServed`` where
        the database fails, and ``ServerDraining`` once the feed is closed.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._end > number or self._closing or self._trouble is not None or given_up(), timeout=wait_s
            )
            if self._closing:
                raise ServerDraining
            if self._trouble is not None:
                raise type(self._trouble) from self._trouble
            if given_up() or self._end <= number:
                return ()
            if self._lines and self._lines[0].number <= number + 1:
                first = number + 1 - self._lines[0].number
                return tuple(islice(self._lines, first, first + self._page))
        return self._reads.journal_after(number, self._page)

    def wake(self) -> None:
        """Let followers look whether they have given up."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Send all followers away."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while self._is_followed():
            try:
                lines = self._look()
            except NotServed as error:
                self._tell([], error)
            else:
                self._tell(lines, None)
                if len(lines) == self._page:
                    continue
            with self._changed:
                self._changed.wait_for(lambda: self._closing, timeout=self._poll_s)

    def _is_followed(self) -> bool:
        """Wait until somebody follows; False once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._followers > 0)
            return not self._closing

    def _look(self) -> Sequence[JournalLine]:
        if self._end:
            return self._reads.journal_after(self._end, self._page)
        last = self._reads.journal_end()
        return [last] if last is not None else []

    def _tell(self, lines: Sequence[JournalLine], trouble: NotServed | None) -> None:
        with self._changed:
            self._trouble = trouble
            if lines and lines[0].number > self._end:
                self._lines.extend(lines)
                self._end = lines[-1].number
            if lines or trouble is not None:
                self._changed.notify_all()
