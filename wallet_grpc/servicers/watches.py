"""The watches of a server, each on a thread of its own: how they are said things, and when they are ended."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic

import grpc
from wallet.v1 import event_service_pb2 as pb

from wallet_core.domain.errors import ServerOverloaded
from wallet_core.domain.event import JournalLine
from wallet_core.usecases.follow_journal import Follower, JournalFeed
from wallet_grpc.errors import WatcherTooSlow
from wallet_grpc.resuming import Place


class Watch:
    """One watcher's way to what it is told."""

    def __init__(self, follower: Follower, context: grpc.ServicerContext, heartbeat_s: float, stall_s: float) -> None:
        self._follower = follower
        self._context = context
        self._heartbeat_s = heartbeat_s
        self._stall_s = stall_s
        self._said_at = monotonic()
        self._saying_since: float | None = None

    def gone(self) -> bool:
        """Tell whether its caller has left."""
        return not self._context.is_active()

    def said(self, response: pb.WatchEventsResponse) -> Iterator[pb.WatchEventsResponse]:
        """Say something; raise ``WatcherTooSlow`` where it was taken too late."""
        begun = self._saying_since = monotonic()
        yield response
        self._saying_since = None
        self._said_at = monotonic()
        if self._said_at - begun > self._stall_s:
            raise WatcherTooSlow

    def cut_off(self, longest_s: float) -> None:
        """End it without a word where it has taken nothing for so long: no word would be taken either."""
        since = self._saying_since
        if since is not None and monotonic() - since > longest_s:
            self._context.cancel()

    def lines_after(self, place: Place) -> Sequence[JournalLine]:
        """Return the lines that follow; none where something is to be said, whatever it is."""
        wait_s = max(0.0, self._said_at + self._heartbeat_s - monotonic())
        return self._follower.after(place.number, wait_s=wait_s, given_up=self.gone)

    @property
    def silent(self) -> bool:
        """Whether nothing has been said for so long that its caller should hear that all is well."""
        return monotonic() - self._said_at >= self._heartbeat_s


class Watches:
    """The watches of a server: only so many, and none that takes nothing for ever."""

    def __init__(self, feed: JournalFeed, *, most: int, heartbeat_s: float, stall_s: float, stopping_s: float) -> None:
        self._feed = feed
        self._most = most
        self._heartbeat_s = heartbeat_s
        self._stall_s = stall_s
        self._stopping_s = stopping_s
        self._under_way: set[Watch] = set()
        self._changing = threading.Lock()
        self._stopping = threading.Event()
        self._closed = threading.Event()

    def start(self) -> None:
        """Follow the journal, and look after those who take nothing."""
        self._feed.start()
        threading.Thread(target=self._cut_off_stalled, name="watch-stalls", daemon=True).start()

    @contextmanager
    def one(self, context: grpc.ServicerContext) -> Iterator[Watch]:
        """Count one more, or raise ``ServerOverloaded``."""
        with self._feed.following() as follower:
            watch = Watch(follower, context, self._heartbeat_s, self._stall_s)
            with self._changing:
                if len(self._under_way) >= self._most:
                    raise ServerOverloaded
                self._under_way.add(watch)
            try:
                context.add_callback(self._feed.wake)
                yield watch
            finally:
                with self._changing:
                    self._under_way.discard(watch)

    def stop(self) -> None:
        """End them all: the server drains."""
        self._stopping.set()
        self._feed.stop()

    def close(self) -> None:
        """Look after nobody any more."""
        self._closed.set()
        self._stopping.set()
        self._feed.close()

    def _cut_off_stalled(self) -> None:
        while not self._stopping.wait(self._stall_s / 2):
            self._cut_off(2 * self._stall_s)
        # Nobody waits for those who do not take the last word.
        while not self._closed.wait(self._stopping_s / 2):
            self._cut_off(self._stopping_s)

    def _cut_off(self, longest_s: float) -> None:
        with self._changing:
            under_way = tuple(self._under_way)
        for watch in under_way:
            watch.cut_off(longest_s)
