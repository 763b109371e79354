"""The calls of HoldService."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from functools import cached_property

from wallet.v1 import hold_service_pb2 as pb
from wallet.v1 import hold_service_pb2_grpc as grpc_pb

from wallet_client.aio.calls import PAGE, Calls
from wallet_client.values import Amount, money_message, new_request_id, timestamp


class HoldCalls(Calls):
    """Holds."""

    @cached_property
    def _holds(self) -> grpc_pb.HoldServiceAsyncStub:
        return grpc_pb.HoldServiceStub(self._channel)

    async def place_hold(
        self,
        wallet: str,
        amount: Amount,
        expire_time: datetime,
        *,
        description: str = "",
        validate_only: bool = False,
        request_id: str | None = None,
    ) -> pb.PlaceHoldResponse:
        """Place a hold: reserve money of a wallet until a given time.

        Args:
            wallet: the wallet, ``wallets/{wallet}``.
            amount: the amount in minor units, above zero.
            expire_time: when the hold expires, with a time zone; in the future.
            description: a free text, up to 256 characters.
            validate_only: check the request and return the result of the real call, but store nothing.
            request_id: a UUID that identifies the request, for retries; by default the client generates one.

        Returns: the hold, and the available balance after it.

        Raises:
            CallFailed: nothing was done, e.g. ``INSUFFICIENT_FUNDS``.
            OutcomeUnknown: it may have been done: retry with the error's ``request_id``.
            ValueError: a time has no time zone.

        Example:
            >>> await client.place_hold("wallets/alice", Amount("USD", 1005), tomorrow)
        """
        return await self._change(
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

    async def capture_hold(
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
        """Capture a hold: move held money to another wallet.

        Args:
            name: the hold, ``holds/{hold}``.
            destination: the wallet to credit, ``wallets/{wallet}``.
            amount: the part to capture, in minor units; None: all that remains.
            final: release the remaining amount after this capture.
            description: a free text, up to 256 characters.
            labels: up to 32 labels.
            validate_only: check the request and return the result of the real call, but store nothing.
            request_id: a UUID that identifies the request, for retries; by default the client generates one.

        Returns: the hold and the transaction.

        Raises:
            CallFailed: nothing was done, e.g. ``STATE_TRANSITION_FORBIDDEN``.
            OutcomeUnknown: it may have been done: retry with the error's ``request_id``.

        Example:
            >>> await client.capture_hold(hold.name, "wallets/shop", amount=Amount("USD", 500), final=True)
        """
        return await self._change(
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

    async def void_hold(
        self, name: str, *, validate_only: bool = False, request_id: str | None = None
    ) -> pb.VoidHoldResponse:
        """Void a hold: its remaining amount is available again.

        Args:
            name: the hold, ``holds/{hold}``.
            validate_only: check the request and return the result of the real call, but store nothing.
            request_id: a UUID that identifies the request, for retries; by default the client generates one.

        Returns: the voided hold.

        Raises:
            CallFailed: nothing was done, e.g. ``STATE_TRANSITION_FORBIDDEN``.
            OutcomeUnknown: it may have been done: retry with the error's ``request_id``.

        Example:
            >>> await client.void_hold(hold.name)
        """
        return await self._change(
            self._holds.VoidHold,
            pb.VoidHoldRequest(name=name, validate_only=validate_only, request_id=request_id or new_request_id()),
        )

    async def get_hold(self, name: str) -> pb.Hold:
        """Return one hold.

        Args:
            name: the hold, ``holds/{hold}``.

        Raises:
            CallFailed: the call failed, e.g. ``RESOURCE_NOT_FOUND``.

        Example:
            >>> await client.get_hold(name)
        """
        response = await self._read(self._holds.GetHold, pb.GetHoldRequest(name=name))
        return response.hold

    async def list_holds(
        self,
        wallet: str = "",
        *,
        filter: str = "",  # noqa: A002  # the protos' word
        page_size: int = PAGE,
    ) -> AsyncIterator[pb.Hold]:
        """Iterate over holds, newest first.

        Args:
            wallet: the wallet, ``wallets/{wallet}``; empty for all wallets.
            filter: comparisons joined by ``AND``, e.g. ``state = ACTIVE``; empty for all.
            page_size: results fetched by one call, 1 to 1000; the iterator fetches as many pages as it needs.

        Raises:
            CallFailed: the call failed, e.g. ``FILTER_INVALID``.

        Example:
            >>> [one async for one in client.list_holds("wallets/alice", filter="state = ACTIVE")]
        """
        request = pb.ListHoldsRequest(wallet=wallet, filter=filter, page_size=page_size)
        async for page in self._pages(self._holds.ListHolds, request):
            for one in page.holds:
                yield one
