"""HoldService."""

import grpc
from wallet.v1 import hold_service_pb2 as pb
from wallet.v1.hold_service_pb2_grpc import HoldServiceServicer

from wallet_core.domain.queries.filter import parse_filter
from wallet_core.domain.queries.lists import HOLD_FIELDS
from wallet_core.usecases.change_hold import capture_hold, change_hold
from wallet_grpc.convert import holds as convert
from wallet_grpc.convert.page_tokens import fitting, page_size
from wallet_grpc.convert.transactions import transaction_message
from wallet_grpc.convert.values import money_message, resource_uuid, wallet_id
from wallet_grpc.security.access import principal_of
from wallet_grpc.servicers.serving import Serving


class HoldServicer(HoldServiceServicer):
    """Holds."""

    def __init__(self, serving: Serving) -> None:
        self._app = serving.app
        self._tokens = serving.page_tokens
        self._deadline = serving.deadline
        self._page_max_bytes = serving.page_max_bytes

    def PlaceHold(self, request: pb.PlaceHoldRequest, context: grpc.ServicerContext) -> pb.PlaceHoldResponse:
        """Place a hold."""
        placed = change_hold(self._app, convert.place_command(request, principal_of(context)), self._deadline(context))
        return pb.PlaceHoldResponse(
            hold=convert.hold_message(placed.hold, validated_only=request.validate_only and not placed.replayed),
            available=money_message(placed.available) if placed.available is not None else None,
            replayed=placed.replayed,
        )

    def CaptureHold(self, request: pb.CaptureHoldRequest, context: grpc.ServicerContext) -> pb.CaptureHoldResponse:
        """Capture a hold."""
        captured = capture_hold(
            self._app, convert.capture_command(request, principal_of(context)), self._deadline(context)
        )
        return pb.CaptureHoldResponse(
            hold=convert.hold_message(captured.hold),
            transaction=transaction_message(
                captured.transaction, validated_only=request.validate_only and not captured.replayed
            ),
            replayed=captured.replayed,
        )

    def VoidHold(self, request: pb.VoidHoldRequest, context: grpc.ServicerContext) -> pb.VoidHoldResponse:
        """Void a hold."""
        voided = change_hold(self._app, convert.void_command(request, principal_of(context)), self._deadline(context))
        return pb.VoidHoldResponse(hold=convert.hold_message(voided.hold), replayed=voided.replayed)

    def GetHold(self, request: pb.GetHoldRequest, context: grpc.ServicerContext) -> pb.GetHoldResponse:
        """Return a hold."""
        del context
        return pb.GetHoldResponse(hold=convert.hold_message(self._app.reads.hold(resource_uuid(request.name))))

    def ListHolds(self, request: pb.ListHoldsRequest, context: grpc.ServicerContext) -> pb.ListHoldsResponse:
        """Return a page of holds."""
        del context
        conditions = parse_filter(request.filter, HOLD_FIELDS)
        page = self._app.reads.list_holds(
            wallet=wallet_id(request.wallet) if request.wallet else None,
            size=page_size(request.page_size),
            before=self._tokens.time_and_id(request),
            conditions=conditions,
        )
        messages, following = fitting([convert.hold_message(hold) for hold in page.items], page, self._page_max_bytes)
        return pb.ListHoldsResponse(holds=messages, next_page_token=self._tokens.write(request, following))
