"""EventService."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import monotonic

import grpc
from wallet.v1 import event_service_pb2 as pb
from wallet.v1.event_service_pb2_grpc import EventServiceServicer

from wallet_core.domain.errors import ServerOverloaded
from wallet_core.domain.event import EventType, JournalLine
from wallet_core.domain.wallet import WalletId, is_system
from wallet_core.storage.reads import Reads
from wallet_core.usecases.follow_journal import JournalFeed
from wallet_grpc.access import Principal, Scope, principal_of
from wallet_grpc.convert import events as convert
from wallet_grpc.convert.values import wallet_id
from wallet_grpc.errors import WatcherTooSlow
from wallet_grpc.resuming import Place, ResumeTokens
from wallet_grpc.servicers.serving import Serving

# Threads beyond those that watch, to turn away whoever comes when all of them do.
_SPARE = 4


class Watch:
    """One watcher's way to what it is told."""

    def __init__(self, feed: JournalFeed, context: grpc.ServicerContext, heartbeat_s: float, stall_s: float) -> None:
        self._feed = feed
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

    def cut_off_if_stalled(self) -> None:
        """End it without a word where it takes nothing: no word would be taken either."""
        since = self._saying_since
        if since is not None and monotonic() - since > 2 * self._stall_s:
            self._context.cancel()

    def lines_after(self, place: Place) -> Sequence[JournalLine]:
        """Return the lines that follow; none where something is to be said, whatever it is."""
        wait_s = max(0.0, self._said_at + self._heartbeat_s - monotonic())
        return self._feed.after(place.number, wait_s=wait_s, given_up=self.gone)

    @property
    def silent(self) -> bool:
        """Whether nothing has been said for so long that its caller should hear that all is well."""
        return monotonic() - self._said_at >= self._heartbeat_s


class Watches:
    """The watches of a server: only so many, each on a thread of its own, beside those of all other calls."""

    def __init__(self, feed: JournalFeed, *, most: int, heartbeat_s: float, stall_s: float) -> None:
        self._feed = feed
        self._most = most
        self._heartbeat_s = heartbeat_s
        self._stall_s = stall_s
        self._under_way: set[Watch] = set()
        self._changing = threading.Lock()
        self._stopped = threading.Event()
        self.threads = ThreadPoolExecutor(most + _SPARE, thread_name_prefix="watch")
        threading.Thread(target=self._look_for_stalled, name="watch-stalls", daemon=True).start()

    @contextmanager
    def one(self, context: grpc.ServicerContext) -> Iterator[Watch]:
        """Count one more, or raise ``ServerOverloaded``."""
        watch = Watch(self._feed, context, self._heartbeat_s, self._stall_s)
        with self._changing:
            if len(self._under_way) >= self._most:
                raise ServerOverloaded
            self._under_way.add(watch)
        try:
            context.add_callback(self._feed.wake)
            with self._feed.following():
                yield watch
        finally:
            with self._changing:
                self._under_way.discard(watch)

    def stop(self) -> None:
        """End them all: the server drains."""
        self._feed.close()

    def close(self) -> None:
        """Let the threads end."""
        self._stopped.set()
        self.threads.shutdown(wait=False)

    def _look_for_stalled(self) -> None:
        while not self._stopped.wait(self._stall_s / 2):
            with self._changing:
                under_way = tuple(self._under_way)
            for watch in under_way:
                watch.cut_off_if_stalled()


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
        place = self._beginning(request)
        told = _Told(self._reads, principal_of(context), wallet, convert.types_of(request))
        with self._watches.one(context) as watch:
            yield from watch.said(pb.WatchEventsResponse(resume_token=self._tokens.write(place)))
            while not watch.gone():
                lines = watch.lines_after(place)
                place = Place.after(lines[-1]) if lines else place
                events = [
                    convert.event_message(line, readable, self._tokens.write(Place.after(line)))
                    for line, readable in told.of(lines)
                ]
                if events or watch.silent:
                    token = self._tokens.write(place)
                    yield from watch.said(pb.WatchEventsResponse(events=events, resume_token=token))

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

    def of(self, lines: Sequence[JournalLine]) -> Iterator[tuple[JournalLine, frozenset[WalletId]]]:
        """Yield those that were asked for and may be seen, with the wallets that may be read."""
        wanted = [
            line
            for line in lines
            if line.fact.type in self._types and (self._wallet is None or self._wallet in line.fact.wallets)
        ]
        readable = self._readable(frozenset(wallet for line in wanted for wallet in line.fact.wallets))
        for line in wanted:
            if self._principal.owner is None or not readable.isdisjoint(line.fact.wallets):
                yield line, readable

    def _readable(self, wallets: frozenset[WalletId]) -> frozenset[WalletId]:
        if self._principal.owner is not None:
            return self._reads.owned(self._principal.owner, wallets) if wallets else wallets
        if Scope.OPERATIONS in self._principal.scopes:
            return wallets
        return frozenset(wallet for wallet in wallets if not is_system(wallet))
