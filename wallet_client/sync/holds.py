"""The calls of HoldService."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property

from wallet.v1 import hold_service_pb2 as pb
from wallet.v1 import hold_service_pb2_grpc as grpc_pb

from wallet_client.sync.calls import PAGE, Calls
from wallet_client.values import Amount, money_message, new_request_id, timestamp


class HoldCalls(Calls):
    """Money that is put aside in a wallet."""

    @cached_property
    def _holds(self) -> grpc_pb.HoldServiceStub:
        return grpc_pb.HoldServiceStub(self._channel)

    def place_hold(
        self,
        wallet: str,
        amount: Amount,
        expire_time: datetime,
        *,
        description: str = "",
        validate_only: bool = False,
        request_id: str | None = None,
    ) -> pb.PlaceHoldResponse:
        """Put money of a wallet aside until a time."""
        return self._change(
            self._holds.PlaceHold,
            pb.PlaceHoldRequest(
                wallet=wallet,
                amount=amount.message(),
                expire_time=timestamp(expire_time),
                description=description,
                validate_only=validate_only,
                request_id=request_id or new_request_id(),
            ),
        )

    def capture_hold(
        self,
        name: str,
        destination: str,
        *,
        amount: Amount | None = None,
        final: bool = False,
        description: str = "",
        labels: Mapping[str, str] | None = None,
        validate_only: bool = False,
        request_id: str | None = None,
    ) -> pb.CaptureHoldResponse:
        """Move held money to another wallet, without an amount all that remains; *final* releases the rest."""
        return self._change(
            self._holds.CaptureHold,
            pb.CaptureHoldRequest(
                name=name,
                destination=destination,
                amount=money_message(amount),
                final=final,
                description=description,
                labels=labels,
                validate_only=validate_only,
                request_id=request_id or new_request_id(),
            ),
        )

    def void_hold(
        self, name: str, *, validate_only: bool = False, request_id: str | None = None
    ) -> pb.VoidHoldResponse:
        """Give a hold up."""
        return self._change(
            self._holds.VoidHold,
            pb.VoidHoldRequest(name=name, validate_only=validate_only, request_id=request_id or new_request_id()),
        )

    def get_hold(self, name: str) -> pb.Hold:
        """Return one hold."""
        answer = self._read(self._holds.GetHold, pb.GetHoldRequest(name=name))
        return answer.hold

    def list_holds(
        self,
        wallet: str = "",
        *,
        filter: str = "",  # noqa: A002  # the protos' word
        page_size: int = PAGE,
    ) -> Iterator[pb.Hold]:
        """Go through holds that fit the filter, of one wallet or of all, newest first, page by page."""
        request = pb.ListHoldsRequest(wallet=wallet, filter=filter, page_size=page_size)
        for page in self._pages(self._holds.ListHolds, request):
            yield from page.holds
