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

# Cached event messages, which are the same for most watchers.
_ALIKE_MAX = 2048

# Cached wallets of a watcher, each with whether it is its owner's.
_REMEMBERED_MAX = 10_000


class EventServicer(EventServiceServicer):
    """Events as they happen."""

    def __init__(self, serving: Serving, watches: Watches) -> None:
        self._reads = serving.app.reads
        self._tokens = ResumeTokens(serving.page_tokens)
        self._watches = watches
        # Most watchers get the same messages.
        self._event = lru_cache(_ALIKE_MAX)(self._message)

    def WatchEvents(
        self, request: pb.WatchEventsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.WatchEventsResponse]:
        """Stream events until the client cancels."""
        wallet = wallet_id(request.wallet) if request.wallet else None
        if wallet is not None:
            self._reads.wallets([wallet])
        matching = _Filter(self._reads, principal_of(context), wallet, convert.types_of(request))
        with self._watches.one(context) as watch:
            place = self._beginning(request)
            yield from watch.said(pb.WatchEventsResponse(resume_token=self._tokens.write_unlike(place)))
            while not watch.gone():
                lines = watch.lines_after(place)
                place = Place.after(lines[-1]) if lines else place
                events = [
                    self._event(line, wallets, matching.shows_numbers, matching.shows_changes)
                    for line, wallets in matching.of(lines)
                ]
                if events or watch.silent:
                    token = self._tokens.write_unlike(place)
                    yield from watch.said(pb.WatchEventsResponse(events=events, resume_token=token))

    def _message(
        self,
        line: JournalRecord,
        wallets: tuple[WalletId, ...],
        shows_numbers: bool,  # noqa: FBT001  # of a cache's key
        shows_changes: bool,  # noqa: FBT001
    ) -> pb.Event:
        return convert.event_message(
            line,
            number=line.number if shows_numbers else 0,
            wallets=wallets,
            resume_token=self._tokens.write(Place.after(line)),
            shows_change=shows_changes,
        )

    def _beginning(self, request: pb.WatchEventsRequest) -> Place:
        if request.resume_token:
            return self._tokens.read(request.resume_token, self._reads)
        return Place() if request.from_start else Place.after(self._reads.journal_end())


class _Filter:
    """The records that one watcher receives."""

    def __init__(
        self, reads: Reads, principal: Principal, wallet: WalletId | None, types: frozenset[EventType]
    ) -> None:
        self._reads = reads
        self._principal = principal
        self._wallet = wallet
        self._types = types
        self._owned: dict[WalletId, bool] = {}
        """Cached wallets, each with whether it belongs to the watcher's owner, which never changes."""

    @property
    def shows_numbers(self) -> bool:
        """Whether the watcher may see event numbers, which reveal the activity of others."""
        return self._principal.owner is None

    @property
    def shows_changes(self) -> bool:
        """Whether the watcher may see what has changed, amounts and balances among it."""
        return Scope.WALLET_READ in self._principal.scopes

    def of(self, lines: Sequence[JournalRecord]) -> Iterator[tuple[JournalRecord, tuple[WalletId, ...]]]:
        """Yield the matching records that the watcher may read, each with the wallets that it may see."""
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
