"""Arguments and results: amounts, times, and messages as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from secrets import randbits
from time import time_ns
from typing import Any, Protocol
from uuid import UUID

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from wallet.v1 import money_pb2
from wallet.v1 import transaction_service_pb2 as transaction_pb
from wallet.v1.commission_pb2 import CommissionPayer
from wallet.v1.reference_policy_pb2 import ReferencePolicy


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount in minor units of a currency: 10.05 USD is ``Amount("USD", 1005)``."""

    currency_code: str
    minor_units: int

    def message(self) -> money_pb2.Money:
        """Return the protobuf message."""
        return money_pb2.Money(currency_code=self.currency_code, minor_units=self.minor_units)


def as_dict(message: Message) -> dict[str, Any]:
    """Return a message as a dictionary: the protos' field names, defaults included, 64-bit integers as text.

    Example:
        >>> as_dict(await client.get_wallet("wallets/alice"))["state"]
    """
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def new_request_id() -> str:
    """Return a new request id: a UUID of version 7, the time in milliseconds and 74 random bits.

    The service's index of requests grows at its end, which costs it half of what ids without a time do.
    """
    milliseconds = time_ns() // 1_000_000 & (1 << 48) - 1
    return str(UUID(int=milliseconds << 80 | 0x7 << 76 | randbits(12) << 64 | 0b10 << 62 | randbits(62)))


def money_message(amount: Amount | None) -> money_pb2.Money | None:
    """Return the protobuf message of an amount; None for None."""
    return amount.message() if amount is not None else None


def reference_policy(*, unique: bool) -> ReferencePolicy.ValueType:
    """Return the policy for an external reference."""
    return ReferencePolicy.REFERENCE_POLICY_UNIQUE if unique else ReferencePolicy.REFERENCE_POLICY_UNSPECIFIED


def timestamp(time: datetime | None) -> Timestamp | None:
    """Return the protobuf message of a time, None for None; raise ``ValueError`` for a time without a zone."""
    if time is None:
        return None
    if time.tzinfo is None:
        raise ValueError("a time needs a time zone")
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return stamp


class Signed(Protocol):
    """A checkpoint as it was signed: a message of the service, or what was kept of one."""

    @property
    def number(self) -> int:
        """The number of the last journal record that it covers."""

    @property
    def statement(self) -> str:
        """What was signed."""

    @property
    def key_id(self) -> str:
        """The key that signed it."""

    @property
    def signature(self) -> bytes:
        """The signature."""


class Payer(Enum):
    """The wallet that pays a commission: the source on top of the amount, or the destination out of it."""

    SOURCE = CommissionPayer.COMMISSION_PAYER_SOURCE
    DESTINATION = CommissionPayer.COMMISSION_PAYER_DESTINATION


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferItem:
    """One transfer of a batch. Keep it for a retry: an item is done once, whatever the number of calls with it.

    Example:
        >>> TransferItem(source="wallets/alice", destination="wallets/bob", amount=Amount("USD", 1005))
    """

    source: str
    destination: str
    amount: Amount
    description: str = ""
    external_reference: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    max_commission: Amount | None = None
    unique_reference: bool = False
    """Whether to refuse it where an earlier payment of this caller, that requested it, too, has the reference."""
    request_id: str = field(default_factory=new_request_id)
    """Used in a batch that is not atomic."""

    def message(self, *, with_id: bool) -> transaction_pb.TransferItem:
        """Return the protobuf message."""
        return transaction_pb.TransferItem(
            source=self.source,
            destination=self.destination,
            amount=self.amount.message(),
            description=self.description,
            external_reference=self.external_reference,
            labels=self.labels,
            max_commission=money_message(self.max_commission),
            reference_policy=reference_policy(unique=self.unique_reference),
            request_id=self.request_id if with_id else "",
        )
