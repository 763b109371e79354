"""EventService."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import grpc
from wallet.v1 import event_service_pb2 as pb
from wallet.v1.event_service_pb2_grpc import EventServiceServicer

from wallet_core.domain.model.event import EventType, JournalRecord
from wallet_core.domain.model.wallet import WalletId
from wallet_core.storage.reads.all import Reads
from wallet_grpc.convert import events as convert
from wallet_grpc.convert.event_views import EventView
from wallet_grpc.convert.resume_tokens import Place, ResumeTokens
from wallet_grpc.convert.values import wallet_id
from wallet_grpc.security.access import Principal, principal_of
from wallet_grpc.servicers.serving import Serving
from wallet_grpc.servicers.watches import Watches

# Cached event messages, which are the same for most watchers.
_ALIKE_MAX = 2048


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
            yield from watch.sent(pb.WatchEventsResponse(resume_token=self._tokens.write_unlike(place)))
            while not watch.gone():
                records = watch.records_after(place)
                if records and records[0].number != place.number + 1:
                    raise self._tokens.expired(self._reads)  # the watcher was too far behind: they were dropped
                place = Place.after(records[-1]) if records else place
                events = [
                    self._event(record, wallets, matching.shows_numbers, matching.shows_changes)
                    for record, wallets in matching.of(records)
                ]
                if events or watch.silent:
                    token = self._tokens.write_unlike(place)
                    yield from watch.sent(pb.WatchEventsResponse(events=events, resume_token=token))

    def _message(
        self,
        record: JournalRecord,
        wallets: tuple[WalletId, ...],
        shows_numbers: bool,  # noqa: FBT001  # of a cache's key
        shows_changes: bool,  # noqa: FBT001
    ) -> pb.Event:
        return convert.event_message(
            record,
            number=record.number if shows_numbers else 0,
            wallets=wallets,
            resume_token=self._tokens.write(Place.after(record)),
            shows_change=shows_changes,
        )

    def _beginning(self, request: pb.WatchEventsRequest) -> Place:
        if request.resume_token:
            return self._tokens.read(request.resume_token, self._reads)
        return self._tokens.start(self._reads) if request.from_start else Place.after(self._reads.journal_end())


class _Filter:
    """The records that one watcher receives."""

    def __init__(
        self, reads: Reads, principal: Principal, wallet: WalletId | None, types: frozenset[EventType]
    ) -> None:
        self._view = EventView(reads, principal)
        self._wallet = wallet
        self._types = types

    @property
    def shows_numbers(self) -> bool:
        """Whether the watcher may see event numbers."""
        return self._view.shows_numbers

    @property
    def shows_changes(self) -> bool:
        """Whether the watcher may see what has changed, amounts and balances among it."""
        return self._view.shows_changes

    def of(self, records: Sequence[JournalRecord]) -> Iterator[tuple[JournalRecord, tuple[WalletId, ...]]]:
        """Yield the matching records that the watcher may read, each with the wallets that it may see."""
        wanted = [
            record
            for record in records
            if record.event.type in self._types and (self._wallet is None or self._wallet in record.event.wallets)
        ]
        readable = self._view.readable(wallet for record in wanted for wallet in record.event.wallets)
        for record in wanted:
            if self._view.shows_numbers or not readable.isdisjoint(record.event.wallets):
                yield record, tuple(wallet for wallet in record.event.wallets if wallet in readable)
