"""What all services have in common: ids, amounts, times, labels, and what a call brings along."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from time import monotonic
from uuid import UUID

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from wallet.v1.commission_pb2 import Commission as CommissionPb
from wallet.v1.commission_pb2 import CommissionPayer
from wallet.v1.money_pb2 import Money as MoneyPb

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
    """Return when the caller will be gone, on the monotonic clock; *longest_s* from now where it does not say."""
    remaining = context.time_remaining()  # without a deadline: hundreds of years
    return monotonic() + (min(remaining, longest_s))


def accept_language_of(context: grpc.ServicerContext) -> str | None:
    """Return which languages the caller reads; None where it does not say."""
    sent = [str(value) for key, value in context.invocation_metadata() if key == "accept-language"]
    return ",".join(sent) if sent else None


def request_of(request_id: str, caller: Principal) -> Request:
    """Return the promise that a call makes by its request id."""
    return Request(caller.caller, UUID(request_id), caller.access, caller.person)


def wallet_id(name: str) -> WalletId:
    """Return the id in ``wallets/{wallet}``."""
    return WalletId(name.removeprefix("wallets/"))


def resource_uuid(name: str) -> UUID:
    """Return the id in a resource name that ends in a UUID."""
    return UUID(name.rpartition("/")[2])


def money_of(amount: MoneyPb) -> Money:
    """Return an amount; whether its currency is the wallet's is seen once the wallet is locked."""
    return Money(amount.currency_code, amount.minor_units)


def labels_of(labels: Mapping[str, str]) -> Labels:
    """Return labels in the one order that they are kept in."""
    return dict(sorted(labels.items()))


def time_of(timestamp: Timestamp, field: str) -> datetime:
    """Read a time to the microsecond, which is what the database keeps."""
    if not 0 <= timestamp.nanos < _NANOS:
        raise InvalidField(field, f"nanos must be from 0 to {_NANOS - 1}")
    try:
        return _EPOCH + timedelta(seconds=timestamp.seconds, microseconds=timestamp.nanos // 1000)
    except OverflowError:
        raise InvalidField(field, "is outside the years 1 to 9999") from None


def bound_of(timestamp: Timestamp, field: str) -> datetime:
    """Read a time that others are compared with: what was before it is before the next whole microsecond."""
    floor = time_of(timestamp, field)
    return floor if timestamp.nanos % 1000 == 0 or floor == _LAST else floor + _MICROSECOND


# To callers.


def money_message(money: Money) -> MoneyPb:
    """Show an amount."""
    return MoneyPb(currency_code=money.currency, minor_units=money.minor)


def timestamp_message(time: datetime) -> Timestamp:
    """Show a time."""
    since = time - _EPOCH
    return Timestamp(seconds=since.days * 86400 + since.seconds, nanos=since.microseconds * 1000)


def optional_time(time: datetime | None) -> Timestamp | None:
    """Show a time that may be unset."""
    return timestamp_message(time) if time is not None else None


def commission_message(commission: Commission | None) -> CommissionPb | None:
    """Show what was charged, or given back, if anything was."""
    if commission is None:
        return None
    return CommissionPb(
        amount=MoneyPb(currency_code=commission.amount.currency, minor_units=abs(commission.amount.minor)),
        rule=rule_name(commission.rule),
        payer=CommissionPayer.Value(f"COMMISSION_PAYER_{commission.payer}"),
    )
