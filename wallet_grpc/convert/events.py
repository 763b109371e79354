"""EventService."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from wallet.v1 import event_service_pb2 as pb

from wallet_core.domain.deciding.stated import Resource, stated
from wallet_core.domain.model.commission_rule import CommissionRule
from wallet_core.domain.model.event import EventType, JournalRecord
from wallet_core.domain.model.hold import Hold
from wallet_core.domain.model.payment_order import ScheduledDeposit, Withdrawal
from wallet_core.domain.model.transaction import Transaction
from wallet_core.domain.model.wallet import WalletId, WalletView, wallet_name
from wallet_grpc.convert.commissions import rule_message
from wallet_grpc.convert.holds import hold_message
from wallet_grpc.convert.schedules import deposit_message, withdrawal_message
from wallet_grpc.convert.transactions import transaction_message
from wallet_grpc.convert.values import timestamp_message
from wallet_grpc.convert.wallets import wallet_message
from wallet_grpc.security.redaction import redact

_TYPES = {one: pb.Event.Type.Value(f"TYPE_{one.name}") for one in EventType}
_NAMED = {value: one for one, value in _TYPES.items()}

# The field of each kind of resource, and what makes its message.
_CHANGES: Mapping[type[Resource], tuple[str, Callable[[Any], Any]]] = {
    Transaction: ("transaction", transaction_message),
    WalletView: ("wallet", wallet_message),
    Hold: ("hold", hold_message),
    Withdrawal: ("withdrawal", withdrawal_message),
    ScheduledDeposit: ("scheduled_deposit", deposit_message),
    CommissionRule: ("commission_rule", rule_message),
}


def types_of(request: pb.WatchEventsRequest) -> frozenset[EventType]:
    """Return the requested event types; all where none are named."""
    return types_in(request.types) or frozenset(EventType)


def types_in(values: Iterable[pb.Event.Type.ValueType]) -> frozenset[EventType]:
    """Return event types by their values in the protos."""
    return frozenset(_NAMED[value] for value in values)


def type_value(type_: EventType) -> pb.Event.Type.ValueType:
    """Return the value of an event type in the protos."""
    return _TYPES[type_]


def event_message(
    record: JournalRecord, *, number: int, wallets: Iterable[WalletId], resume_token: str, shows_change: bool
) -> pb.Event:
    """Return an event's message, with the number and the wallets that the caller may see.

    Where it *shows the change*, the balances of other wallets are missing in it.
    """
    readable = frozenset(wallets)
    message = pb.Event(
        number=number,
        type=_TYPES[EventType(record.event.type)],
        resource=record.event.subject,
        wallets=[wallet_name(wallet) for wallet in record.event.wallets if wallet in readable],
        time=timestamp_message(record.event.time),
        resume_token=resume_token,
    )
    resource = stated(record.event) if shows_change else None
    if resource is not None:
        field, message_of = _CHANGES[type(resource)]
        change = message_of(resource)
        redact(change, readable=lambda named: readable & named, shows_operators=False)
        if isinstance(resource, Withdrawal | ScheduledDeposit):
            change.ClearField("bank_attempts")  # counted only: the event states neither their times nor the requests
        getattr(message, field).CopyFrom(change)
    return message
