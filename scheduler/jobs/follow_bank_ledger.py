"""Follows the bank's own ledger: returns are booked, and what does not meet our books is listed."""

import threading
from collections import Counter

from scheduler.lane import Counts
from wallet_core.usecases.app import App
from wallet_core.usecases.follow_up import follow_up


class FollowLane:
    """Follows page by page, one at a time; it has no claims, because to follow twice is to follow once."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._stopping = threading.Event()
        self._running = threading.Lock()

    def drain(self) -> None:
        """Follow until there is no more to read."""
        self.once(None)

    def once(self, limit: int | None) -> Counts:
        """Follow up to *limit* pages; return what became of their lines."""
        counts: Counter[str] = Counter()
        with self._running:
            pages = 0
            while not self._stopping.is_set() and (limit is None or pages < limit):
                followed = follow_up(self._app)
                counts += followed.counts
                pages += 1
                if not followed.more:
                    break
        return Counts(counts.total(), counts)

    def stop(self) -> None:
        """Read no further page."""
        self._stopping.set()

    def close(self) -> None:
        """Read no further page, and wait for the one under way."""
        self.stop()
        with self._running:
            pass


def lane(app: App) -> FollowLane:
    """Return the lane."""
    return FollowLane(app)


def run_once(app: App, *, limit: int = 1000) -> Counts:
    """Follow up to *limit* pages."""
    return lane(app).once(limit)
