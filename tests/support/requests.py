"""Requests as callers make them: each with an id of its own, by default for US dollars."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import uuid4

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from wallet.v1 import commission_pb2
from wallet.v1 import commission_service_pb2 as rule_pb
from wallet.v1 import hold_service_pb2 as hold_pb
from wallet.v1 import transaction_service_pb2 as pb
from wallet.v1 import wallet_service_pb2 as wallet_pb
from wallet.v1.money_pb2 import Money

Asked = TypeVar("Asked", bound=Message)

Fields = Any
"""A request's other fields, by keyword; they win over the usual ones."""

SOURCE = commission_pb2.COMMISSION_PAYER_SOURCE
DESTINATION = commission_pb2.COMMISSION_PAYER_DESTINATION

LATE = Timestamp(seconds=4_102_444_800)
"""The year 2100."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def new_id() -> str:
    """Return a new request id."""
    return str(uuid4())


def money(units: int, currency: str = "USD") -> Money:
    """Return an amount."""
    return Money(currency_code=currency, minor_units=units)


def changed(request: Asked, **fields: Fields) -> Asked:
    """Return a request with other *fields*, or without those that are None; the request id stays."""
    kind: Any = type(request)
    other: Asked = kind()
    other.CopyFrom(request)
    for name, value in fields.items():
        other.ClearField(name)
        if value is not None:
            other.MergeFrom(kind(**{name: value}))
    return other


# Times.


def stamp(time: datetime) -> Timestamp:
    """Return a time as the protos have it."""
    since = (time - _EPOCH) // timedelta(microseconds=1)
    return Timestamp(seconds=since // 1_000_000, nanos=since % 1_000_000 * 1000)


def later(time: Timestamp, microseconds: int) -> Timestamp:
    """Return the time this many microseconds later."""
    moved = Timestamp()
    moved.FromMicroseconds(time.ToMicroseconds() + microseconds)
    return moved


# Wallets.


def an_update(wallet: str, *paths: str, **fields: Fields) -> wallet_pb.UpdateWalletRequest:
    """Return a change of these *fields*, and of those that are only named; ``etag`` is sent along."""
    wallet_fields = wallet_pb.UpdateWalletRequest(
        wallet=wallet_pb.Wallet(name=f"wallets/{wallet}", **fields), request_id=new_id()
    )
    wallet_fields.update_mask.paths.extend([*paths, *(name for name in fields if name != "etag")])
    return wallet_fields


def a_freeze(wallet: str, etag: str = "") -> wallet_pb.FreezeWalletRequest:
    """Return the freezing of a wallet."""
    return wallet_pb.FreezeWalletRequest(name=f"wallets/{wallet}", etag=etag, request_id=new_id())


def an_unfreeze(wallet: str, etag: str = "") -> wallet_pb.UnfreezeWalletRequest:
    """Return the unfreezing of a wallet."""
    return wallet_pb.UnfreezeWalletRequest(name=f"wallets/{wallet}", etag=etag, request_id=new_id())


def a_close(wallet: str, etag: str = "") -> wallet_pb.CloseWalletRequest:
    """Return the closing of a wallet."""
    return wallet_pb.CloseWalletRequest(name=f"wallets/{wallet}", etag=etag, request_id=new_id())


# Money.


def a_deposit(wallet: str, units: int, currency: str = "USD", **fields: Fields) -> pb.DepositRequest:
    """Return a deposit."""
    usual: dict[str, Fields] = {"amount": money(units, currency), "request_id": new_id()}
    return pb.DepositRequest(wallet=f"wallets/{wallet}", **{**usual, **fields})


def a_transfer(
    source: str, destination: str, units: int, currency: str = "USD", **fields: Fields
) -> pb.TransferRequest:
    """Return a transfer."""
    usual: dict[str, Fields] = {"amount": money(units, currency), "request_id": new_id()}
    return pb.TransferRequest(**_ends(source, destination), **{**usual, **fields})


def an_item(source: str, destination: str, units: int, currency: str = "USD", **fields: Fields) -> pb.TransferItem:
    """Return a transfer to be one of a batch, without a request id."""
    return pb.TransferItem(**_ends(source, destination), **{"amount": money(units, currency), **fields})


def atomic(items: Sequence[pb.TransferItem], **fields: Fields) -> pb.BatchTransferRequest:
    """Return a batch of which all is to be done or none."""
    return pb.BatchTransferRequest(mode=pb.BATCH_MODE_ATOMIC, items=items, **{"request_id": new_id(), **fields})


def each(items: Sequence[pb.TransferItem], **fields: Fields) -> pb.BatchTransferRequest:
    """Return a batch by item, each under a new id where it has none."""
    named = [changed(one, request_id=one.request_id or new_id()) for one in items]
    return pb.BatchTransferRequest(mode=pb.BATCH_MODE_ITEM, items=named, **fields)


def a_reversal(
    transaction: str, units: int | None = None, currency: str = "USD", **fields: Fields
) -> pb.ReverseTransactionRequest:
    """Return a reversal, of all that is left where no amount is given."""
    usual: dict[str, Fields] = {"amount": _part(units, currency), "request_id": new_id()}
    return pb.ReverseTransactionRequest(name=transaction, **{**usual, **fields})


# Holds.


def a_hold(
    wallet: str, units: int = 1, currency: str = "USD", *, until: Timestamp = LATE, **fields: Fields
) -> hold_pb.PlaceHoldRequest:
    """Return a hold to be placed."""
    usual: dict[str, Fields] = {"amount": money(units, currency), "expire_time": until, "request_id": new_id()}
    return hold_pb.PlaceHoldRequest(wallet=f"wallets/{wallet}", **{**usual, **fields})


def a_capture(
    hold: str, destination: str, units: int | None = None, currency: str = "USD", **fields: Fields
) -> hold_pb.CaptureHoldRequest:
    """Return a capture, of all that remains where no amount is given."""
    usual: dict[str, Fields] = {"amount": _part(units, currency), "request_id": new_id()}
    return hold_pb.CaptureHoldRequest(name=hold, destination=f"wallets/{destination}", **{**usual, **fields})


def a_void(hold: str, **fields: Fields) -> hold_pb.VoidHoldRequest:
    """Return a hold's voiding."""
    return hold_pb.VoidHoldRequest(name=hold, **{"request_id": new_id(), **fields})


# Commission.


def a_rule(**fields: Fields) -> rule_pb.CreateCommissionRuleRequest:
    """Return a rule to be created: by default paid by the source."""
    values: dict[str, Fields] = {"currency_code": "USD", "payer": SOURCE, **fields}
    return rule_pb.CreateCommissionRuleRequest(rule=rule_pb.CommissionRule(**values), request_id=new_id())


def an_end(rule: str, end_time: Timestamp | None = None) -> rule_pb.EndCommissionRuleRequest:
    """Return a rule's end."""
    return rule_pb.EndCommissionRuleRequest(name=rule, end_time=end_time, request_id=new_id())


def a_quote(source: str, destination: str, units: int, currency: str = "USD") -> rule_pb.QuoteCommissionRequest:
    """Return the question what a transfer would cost."""
    return rule_pb.QuoteCommissionRequest(**_ends(source, destination), amount=money(units, currency))


def _ends(source: str, destination: str) -> dict[str, Any]:
    return {"source": f"wallets/{source}", "destination": f"wallets/{destination}"}


def _part(units: int | None, currency: str) -> Money | None:
    return money(units, currency) if units is not None else None
