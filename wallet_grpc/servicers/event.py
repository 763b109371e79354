"""EventService."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from time import monotonic

import grpc
from wallet.v1 import event_service_pb2 as pb
from wallet.v1.event_service_pb2_grpc import EventServiceServicer

from wallet_core.domain.errors import ServerOverloaded
from wallet_core.domain.event import EventType, JournalLine
from wallet_core.domain.wallet import WalletId, is_system
from wallet_core.storage.reads import Reads
from wallet_core.usecases.follow_journal import Follower, JournalFeed
from wallet_grpc.access import Principal, Scope, principal_of
from wallet_grpc.convert import events as convert
from wallet_grpc.convert.values import wallet_id
from wallet_grpc.errors import WatcherTooSlow
from wallet_grpc.resuming import Place, ResumeTokens
from wallet_grpc.servicers.serving import Serving


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


class EventServicer(EventServiceServicer):
    """What happens, as it happens."""

    def __init__(self, serving: Serving, watches: Watches) -> None:
        self._reads = serving.app.reads
        self._tokens = ResumeTokens(serving.page_tokens)
        self._watches = watches

    def WatchEvents(
        self, request: pb.WatchEventsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.WatchEventsResponse]:
        """Tell events for as long as the caller stays."""
        wallet = wallet_id(request.wallet) if request.wallet else None
        if wallet is not None:
            self._reads.wallets([wallet])
        told = _Told(self._reads, principal_of(context), wallet, convert.types_of(request))
        with self._watches.one(context) as watch:
            place = self._beginning(request)
            yield from watch.said(pb.WatchEventsResponse(resume_token=self._tokens.write(place)))
            while not watch.gone():
                lines = watch.lines_after(place)
                place = Place.after(lines[-1]) if lines else place
                events = [self._event(line, wallets) for line, wallets in told.of(lines)]
                if events or watch.silent:
                    token = self._tokens.write(place)
                    yield from watch.said(pb.WatchEventsResponse(events=events, resume_token=token))

    @lru_cache(maxsize=2048)  # noqa: B019  # as long as the server: most watchers are told the same of the same lines
    def _event(self, line: JournalLine, wallets: tuple[WalletId, ...]) -> pb.Event:
        return convert.event_message(line, wallets, self._tokens.write(Place.after(line)))

    def _beginning(self, request: pb.WatchEventsRequest) -> Place:
        if request.resume_token:
            return self._tokens.read(request.resume_token, self._reads)
        return Place() if request.from_start else Place.after(self._reads.journal_end())


class _Told:
    """What of the journal one watcher is told."""

    def __init__(
        self, reads: Reads, principal: Principal, wallet: WalletId | None, types: frozenset[EventType]
    ) -> None:
        self._reads = reads
        self._principal = principal
        self._wallet = wallet
        self._types = types

    def of(self, lines: Sequence[JournalLine]) -> Iterator[tuple[JournalLine, tuple[WalletId, ...]]]:
        """Yield those that were asked for and may be seen, each with those of its wallets that may be named."""
        wanted = [
            line
            for line in lines
            if line.fact.type in self._types and (self._wallet is None or self._wallet in line.fact.wallets)
        ]
        readable = self._readable(frozenset(wallet for line in wanted for wallet in line.fact.wallets))
        for line in wanted:
            if self._principal.owner is None or not readable.isdisjoint(line.fact.wallets):
                yield line, tuple(wallet for wallet in line.fact.wallets if wallet in readable)

    def _readable(self, wallets: frozenset[WalletId]) -> frozenset[WalletId]:
        if self._principal.owner is not None:
            return self._reads.owned(self._principal.owner, wallets) if wallets else wallets
        if Scope.OPERATIONS in self._principal.scopes:
            return wallets
        return frozenset(wallet for wallet in wallets if not is_system(wallet))
