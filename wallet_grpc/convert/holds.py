"""HoldService."""

from wallet.v1 import hold_service_pb2 as pb
from wallet.v1.money_pb2 import Money as MoneyPb

from wallet_core.domain.commands.holds.capture_hold import CaptureHold
from wallet_core.domain.commands.holds.end_hold import VoidHold
from wallet_core.domain.commands.holds.place_hold import PlaceHold
from wallet_core.domain.model.hold import Hold
from wallet_core.domain.model.transaction import TransactionDetails
from wallet_core.domain.model.wallet import wallet_name
from wallet_core.usecases.app import new_id
from wallet_grpc.convert.values import (
    labels_of,
    money_message,
    money_of,
    request_of,
    resource_uuid,
    time_of,
    timestamp_message,
    wallet_id,
)
from wallet_grpc.security.access import Principal


def place_command(request: pb.PlaceHoldRequest, caller: Principal) -> PlaceHold:
    """Return what ``PlaceHold`` asks."""
    return PlaceHold(
        request=request_of(request.request_id, caller),
        validate_only=request.validate_only,
        id=new_id(),
        wallet=wallet_id(request.wallet),
        amount=money_of(request.amount),
        expire_time=time_of(request.expire_time, "expire_time"),
        description=request.description,
    )


def capture_command(request: pb.CaptureHoldRequest, caller: Principal) -> CaptureHold:
    """Return what ``CaptureHold`` asks."""
    return CaptureHold(
        request=request_of(request.request_id, caller),
        validate_only=request.validate_only,
        id=new_id(),
        hold=resource_uuid(request.name),
        destination=wallet_id(request.destination),
        amount=money_of(request.amount) if request.HasField("amount") else None,
        final=request.final,
        details=TransactionDetails(description=request.description, labels=labels_of(request.labels)),
    )


def void_command(request: pb.VoidHoldRequest, caller: Principal) -> VoidHold:
    """Return what ``VoidHold`` asks."""
    return VoidHold(
        request=request_of(request.request_id, caller),
        validate_only=request.validate_only,
        hold=resource_uuid(request.name),
    )


def hold_message(hold: Hold, *, validated_only: bool = False) -> pb.Hold:
    """Return a hold's message; after ``validate_only`` it has no name."""
    currency = hold.amount.currency
    return pb.Hold(
        name="" if validated_only else hold.name,
        wallet=wallet_name(hold.wallet),
        amount=money_message(hold.amount),
        captured_amount=MoneyPb(currency_code=currency, minor_units=hold.captured),
        remaining_amount=MoneyPb(currency_code=currency, minor_units=hold.held),
        state=pb.Hold.State.Value(f"STATE_{hold.state}"),
        expire_time=timestamp_message(hold.expire_time),
        description=hold.description,
        caller=hold.caller,
        create_time=timestamp_message(hold.create_time),
        update_time=timestamp_message(hold.update_time),
    )
