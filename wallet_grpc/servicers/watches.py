"""The watches of a server, each on its own thread: sending, heartbeats, and their end."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic

import grpc
from wallet.v1 import event_service_pb2 as pb

from wallet_core.domain.model.event import JournalRecord
from wallet_core.usecases.follow_journal import Follower, JournalFeed
from wallet_grpc.convert.resume_tokens import Place
from wallet_grpc.errors.kinds import WatcherTooSlow
from wallet_grpc.servicers.streams import Stream, Streams


class Watch:
    """One watch in progress."""

    def __init__(self, follower: Follower, stream: Stream, heartbeat_s: float, slow_s: float) -> None:
        self._follower = follower
        self._stream = stream
        self._heartbeat_s = heartbeat_s
        self._slow_s = slow_s
        self._sent_at = monotonic()

    def gone(self) -> bool:
        """Return whether its client has cancelled it."""
        return self._stream.is_left

    def sent(self, response: pb.WatchEventsResponse) -> Iterator[pb.WatchEventsResponse]:
        """Send a message; raise ``WatcherTooSlow`` where it was read too late."""
        begun = monotonic()
        yield from self._stream.sent(response)
        self._sent_at = monotonic()
        if self._sent_at - begun > self._slow_s:
            raise WatcherTooSlow

    def records_after(self, place: Place) -> Sequence[JournalRecord]:
        """Wait for the next records; return none where a heartbeat is due."""
        wait_s = max(0.0, self._sent_at + self._heartbeat_s - monotonic())
        return self._follower.after(place.number, wait_s=wait_s, given_up=self.gone)

    @property
    def silent(self) -> bool:
        """Whether a heartbeat is due."""
        return monotonic() - self._sent_at >= self._heartbeat_s


class Watches:
    """The watches of a server."""

    def __init__(self, feed: JournalFeed, streams: Streams, *, heartbeat_s: float, slow_s: float) -> None:
        self._feed = feed
        self._streams = streams
        self._heartbeat_s = heartbeat_s
        self._slow_s = slow_s

    def start(self) -> None:
        """Start to read the journal, and to cancel stalled watches."""
        self._feed.start()
        self._streams.start()

    @contextmanager
    def one(self, context: grpc.ServicerContext) -> Iterator[Watch]:
        """Begin a watch, or raise like ``Streams.one``."""
        with self._feed.following() as follower, self._streams.one(context) as stream:
            context.add_callback(self._feed.wake)
            yield Watch(follower, stream, self._heartbeat_s, self._slow_s)

    def stop(self) -> None:
        """End all watches: the server drains."""
        self._streams.stop()
        self._feed.stop()

    def close(self) -> None:
        """Cancel no more streams."""
        self._streams.close()
        self._feed.close()
