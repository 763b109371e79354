"""EventService."""

from collections.abc import Iterable

from wallet.v1 import event_service_pb2 as pb

from wallet_core.domain.model.event import EventType, JournalRecord
from wallet_core.domain.model.wallet import WalletId, wallet_name
from wallet_grpc.convert.values import timestamp_message

_TYPES = {one: pb.Event.Type.Value(f"TYPE_{one.name}") for one in EventType}
_NAMED = {value: one for one, value in _TYPES.items()}


def types_of(request: pb.WatchEventsRequest) -> frozenset[EventType]:
    """Return the requested event types; all where none are named."""
    return types_in(request.types) or frozenset(EventType)


def types_in(values: Iterable[pb.Event.Type.ValueType]) -> frozenset[EventType]:
    """Return event types by their values in the protos."""
    return frozenset(_NAMED[value] for value in values)


def type_value(type_: EventType) -> pb.Event.Type.ValueType:
    """Return the value of an event type in the protos."""
    return _TYPES[type_]


def event_message(line: JournalRecord, number: int, wallets: Iterable[WalletId], resume_token: str) -> pb.Event:
    """Return an event's message, with the number and the wallets that the watcher may see."""
    return pb.Event(
        number=number,
        type=_TYPES[EventType(line.event.type)],
        resource=line.event.subject,
        wallets=map(wallet_name, wallets),
        time=timestamp_message(line.event.time),
        resume_token=resume_token,
    )
