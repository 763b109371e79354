"""Values that all services have: ids, amounts, times, labels, and the metadata of a call."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from time import monotonic
from uuid import UUID

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from wallet.v1.commission_pb2 import Commission as CommissionPb
from wallet.v1.commission_pb2 import CommissionPayer
from wallet.v1.money_pb2 import Money as MoneyPb
from wallet.v1.reference_policy_pb2 import ReferencePolicy

from wallet_core.domain.deciding.decision import Request
from wallet_core.domain.model.commission_rule import Commission, rule_name
from wallet_core.domain.model.errors import InvalidField
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.wallet import Labels, WalletId
from wallet_grpc.security.access import Principal

_NANOS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


# From callers.


def deadline_of(context: grpc.ServicerContext, longest_s: float) -> float:
    """Return the deadline of a call on the monotonic clock, at most *longest_s* from now."""
    remaining = context.time_remaining()  # without a deadline: hundreds of years
    return monotonic() + (min(remaining, longest_s))


def accept_language_of(context: grpc.ServicerContext) -> str | None:
    """Return the caller's ``accept-language``; None where it sends none."""
    sent = [str(value) for key, value in context.invocation_metadata() if key == "accept-language"]
    return ",".join(sent) if sent else None


def request_of(request_id: str, caller: Principal) -> Request:
    """Return the domain's request: the request id and its caller."""
    return Request(caller.caller, UUID(request_id), caller.access, caller.person)


def is_unique(policy: ReferencePolicy.ValueType) -> bool:
    """Return whether an external reference must be unique."""
    return policy == ReferencePolicy.REFERENCE_POLICY_UNIQUE


def wallet_id(name: str) -> WalletId:
    """Return the id in ``wallets/{wallet}``."""
    return WalletId(name.removeprefix("wallets/"))


def resource_uuid(name: str) -> UUID:
    """Return the id in a resource name that ends in a UUID."""
    return UUID(name.rpartition("/")[2])


def money_of(amount: MoneyPb) -> Money:
    """Return an amount; its currency is checked once the wallet is locked."""
    return Money(amount.currency_code, amount.minor_units)


def labels_of(labels: Mapping[str, str]) -> Labels:
    """Return labels in their canonical order."""
    return dict(sorted(labels.items()))


def time_of(timestamp: Timestamp, field: str) -> datetime:
    """Return a time in microseconds, the precision of the database."""
    if not 0 <= timestamp.nanos < _NANOS:
        raise InvalidField(field, f"nanos must be from 0 to {_NANOS - 1}")
    try:
        return _EPOCH + timedelta(seconds=timestamp.seconds, microseconds=timestamp.nanos // 1000)
    except OverflowError:
        raise InvalidField(field, "is outside the years 1 to 9999") from None


def bound_of(timestamp: Timestamp, field: str) -> datetime:
    """Return a bound that times are compared with, rounded up to a whole microsecond."""
    floor = time_of(timestamp, field)
    return floor if timestamp.nanos % 1000 == 0 or floor == _LAST else floor + _MICROSECOND


# To callers.


def money_message(money: Money) -> MoneyPb:
    """Return an amount's message."""
    return MoneyPb(currency_code=money.currency, minor_units=money.minor)


def timestamp_message(time: datetime) -> Timestamp:
    """Return a time's message."""
    since = time - _EPOCH
    return Timestamp(seconds=since.days * 86400 + since.seconds, nanos=since.microseconds * 1000)


def optional_time(time: datetime | None) -> Timestamp | None:
    """Return a time's message; None for None."""
    return timestamp_message(time) if time is not None else None


def commission_message(commission: Commission | None) -> CommissionPb | None:
    """Return the message of a commission that was charged or returned; None where there was none."""
    if commission is None:
        return None
    return CommissionPb(
        amount=MoneyPb(currency_code=commission.amount.currency, minor_units=abs(commission.amount.minor)),
        rule=rule_name(commission.rule),
        payer=CommissionPayer.Value(f"COMMISSION_PAYER_{commission.payer}"),
    )
