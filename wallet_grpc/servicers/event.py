"""EventService."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import grpc
from wallet.v1 import event_service_pb2 as pb
from wallet.v1.event_service_pb2_grpc import EventServiceServicer

from wallet_core.domain.model.event import EventType, JournalRecord
from wallet_core.domain.model.wallet import WalletId, is_system
from wallet_core.storage.reads.all import Reads
from wallet_grpc.convert import events as convert
from wallet_grpc.convert.resume_tokens import Place, ResumeTokens
from wallet_grpc.convert.values import wallet_id
from wallet_grpc.security.access import Principal, Scope, principal_of
from wallet_grpc.servicers.serving import Serving
from wallet_grpc.servicers.watches import Watches

# Events that are kept as they are told to more than one.
_ALIKE_MAX = 2048

# Wallets whose owner a confined watcher is known to be, or not to be.
_REMEMBERED_MAX = 10_000


class EventServicer(EventServiceServicer):
    """What happens, as it happens."""

    def __init__(self, serving: Serving, watches: Watches) -> None:
        self._reads = serving.app.reads
        self._tokens = ResumeTokens(serving.page_tokens)
        self._watches = watches
        # Most watchers are told the same of the same lines.
        self._event = lru_cache(_ALIKE_MAX)(self._message)

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
            yield from watch.said(pb.WatchEventsResponse(resume_token=self._tokens.write_unlike(place)))
            while not watch.gone():
                lines = watch.lines_after(place)
                place = Place.after(lines[-1]) if lines else place
                events = [self._event(line, wallets, told.counts) for line, wallets in told.of(lines)]
                if events or watch.silent:
                    token = self._tokens.write_unlike(place)
                    yield from watch.said(pb.WatchEventsResponse(events=events, resume_token=token))

    def _message(self, line: JournalRecord, wallets: tuple[WalletId, ...], counts: bool) -> pb.Event:  # noqa: FBT001  # of a cache's key
        number = line.number if counts else 0
        return convert.event_message(line, number, wallets, self._tokens.write(Place.after(line)))

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
        self._owned: dict[WalletId, bool] = {}
        """Of wallets that have come up, whether they are the caller's: that never changes."""

    @property
    def counts(self) -> bool:
        """Whether it may know how many events of others there are between its own."""
        return self._principal.owner is None

    def of(self, lines: Sequence[JournalRecord]) -> Iterator[tuple[JournalRecord, tuple[WalletId, ...]]]:
        """Yield those that were asked for and may be seen, each with those of its wallets that may be named."""
        wanted = [
            line
            for line in lines
            if line.event.type in self._types and (self._wallet is None or self._wallet in line.event.wallets)
        ]
        readable = self._readable(frozenset(wallet for line in wanted for wallet in line.event.wallets))
        for line in wanted:
            if self._principal.owner is None or not readable.isdisjoint(line.event.wallets):
                yield line, tuple(wallet for wallet in line.event.wallets if wallet in readable)

    def _readable(self, wallets: frozenset[WalletId]) -> frozenset[WalletId]:
        if self._principal.owner is not None:
            return self._owned_by(self._principal.owner, wallets)
        if Scope.OPERATIONS in self._principal.scopes:
            return wallets
        return frozenset(wallet for wallet in wallets if not is_system(wallet))

    def _owned_by(self, owner: str, wallets: frozenset[WalletId]) -> frozenset[WalletId]:
        if unknown := wallets - self._owned.keys():
            if len(self._owned) > _REMEMBERED_MAX:
                self._owned.clear()
                unknown = wallets
            owned = self._reads.owned(owner, unknown)
            self._owned.update((wallet, wallet in owned) for wallet in unknown)
        return frozenset(wallet for wallet in wallets if self._owned[wallet])
