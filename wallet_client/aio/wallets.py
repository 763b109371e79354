"""The calls of WalletService."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from functools import cached_property

from wallet.v1 import wallet_service_pb2 as pb
from wallet.v1 import wallet_service_pb2_grpc as grpc_pb

from wallet_client.aio.calls import PAGE, Calls
from wallet_client.values import Amount, money_message, new_request_id, timestamp


class WalletCalls(Calls):
    """Wallets."""

    @cached_property
    def _wallets(self) -> grpc_pb.WalletServiceAsyncStub:
        return grpc_pb.WalletServiceStub(self._channel)

    async def create_wallet(
        self,
        wallet_id: str,
        currency_code: str,
        *,
        owner: str = "",
        display_name: str = "",
        labels: Mapping[str, str] | None = None,
        overdraft_limit: Amount | None = None,
        validate_only: bool = False,
        request_id: str | None = None,
    ) -> pb.CreateWalletResponse:
        """Create an empty wallet.

        Args:
            wallet_id: 1 to 63 of ``a-z``, ``0-9`` and ``-``; empty: the service generates one.
            currency_code: the ISO 4217 code; it never changes.
            owner: the owner, as the calling system names it, up to 64 characters; it never changes.
            display_name: a name for display, up to 128 characters.
            labels: up to 32 labels; they require the scope ``wallet.label``.
            overdraft_limit: how far below zero the balance may go, in minor units; requires the scope
                ``wallet.credit``.
            validate_only: check the request and return the result of the real call, but store nothing.
            request_id: a UUID that identifies the request, for retries; by default the client generates one.

        Returns: the created wallet.

        Raises:
            CallFailed: nothing was done, e.g. ``RESOURCE_EXISTS``.
            OutcomeUnknown: it may have been done: retry with the error's ``request_id``.

        Example:
            >>> await client.create_wallet("alice", "USD", owner="customer-7")
        """
        wallet = pb.Wallet(
            currency_code=currency_code,
            owner=owner,
            display_name=display_name,
            labels=labels,
            overdraft_limit=money_message(overdraft_limit),
        )
        return await self._change(
            self._wallets.CreateWallet,
            pb.CreateWalletRequest(
                wallet_id=wallet_id,
                wallet=wallet,
                validate_only=validate_only,
                request_id=request_id or new_request_id(),
            ),
        )

    async def get_wallet(self, name: str, *, as_of: datetime | None = None) -> pb.Wallet:
        """Return one wallet.

        Args:
            name: the wallet, ``wallets/{wallet}``.
            as_of: a time with a time zone: return the balance right before it; None: now.

        Raises:
            CallFailed: the call failed, e.g. ``RESOURCE_NOT_FOUND``.
            ValueError: a time has no time zone.

        Example:
            >>> (await client.get_wallet("wallets/alice")).available.minor_units
        """
        request = pb.GetWalletRequest(name=name, as_of=timestamp(as_of))
        response = await self._read(self._wallets.GetWallet, request)
        return response.wallet

    async def batch_get_wallets(self, names: list[str]) -> list[pb.Wallet]:
        """Return a consistent snapshot of up to 100 wallets, in the order of *names*.

        Args:
            names: the wallets, ``wallets/{wallet}``.

        Raises:
            CallFailed: the call failed, e.g. ``RESOURCE_NOT_FOUND``.

        Example:
            >>> await client.batch_get_wallets(["wallets/alice", "wallets/bob"])
        """
        response = await self._read(self._wallets.BatchGetWallets, pb.BatchGetWalletsRequest(names=names))
        return list(response.wallets)

    async def list_wallets(self, *, filter: str = "", page_size: int = PAGE) -> AsyncIterator[pb.Wallet]:  # noqa: A002  # the protos' word
        """Iterate over wallets, newest first.

        Args:
            filter: comparisons joined by ``AND``, e.g. ``state = ACTIVE AND currency_code = "USD"``; empty for all.
            page_size: results fetched by one call, 1 to 1000; the iterator fetches as many pages as it needs.

        Raises:
            CallFailed: the call failed, e.g. ``FILTER_INVALID``.

        Example:
            >>> [one async for one in client.list_wallets(filter="state = FROZEN")]
        """
        request = pb.ListWalletsRequest(filter=filter, page_size=page_size)
        async for page in self._pages(self._wallets.ListWallets, request):
            for one in page.wallets:
                yield one

    async def list_currencies(self) -> list[pb.Currency]:
        """Return all currencies with their number of decimals, which never changes once a wallet has the currency.

        Raises:
            CallFailed: the call failed, e.g. ``CREDENTIALS_INVALID``.

        Example:
            >>> {one.code: one.exponent for one in await client.list_currencies()}
        """
        response = await self._read(self._wallets.ListCurrencies, pb.ListCurrenciesRequest())
        return list(response.currencies)

    async def update_wallet(
        self,
        name: str,
        *,
        display_name: str | None = None,
        labels: Mapping[str, str] | None = None,
        overdraft_limit: Amount | None = None,
        etag: str = "",
        validate_only: bool = False,
        request_id: str | None = None,
    ) -> pb.UpdateWalletResponse:
        """Change the given fields of a wallet; fields that are None stay unchanged.

        Args:
            name: the wallet, ``wallets/{wallet}``.
            display_name: a name for display, up to 128 characters.
            labels: all labels of the wallet, which replace the present ones; require the scope ``wallet.label``.
            overdraft_limit: how far below zero the balance may go, in minor units; requires the scope
                ``wallet.credit``.
            etag: the ``etag`` of the wallet that was read; empty for an unconditional change.
            validate_only: check the request and return the result of the real call, but store nothing.
            request_id: a UUID that identifies the request, for retries; by default the client generates one.

        Returns: the changed wallet.

        Raises:
            CallFailed: nothing was done, e.g. ``ETAG_MISMATCH``.
            OutcomeUnknown: it may have been done: retry with the error's ``request_id``.

        Example:
            >>> await client.update_wallet("wallets/alice", display_name="Alice", etag=wallet.etag)
        """
        given = {"display_name": display_name, "labels": labels, "overdraft_limit": overdraft_limit}
        request = pb.UpdateWalletRequest(
            wallet=pb.Wallet(
                name=name,
                display_name=display_name or "",
                labels=labels,
                overdraft_limit=money_message(overdraft_limit),
                etag=etag,
            ),
            validate_only=validate_only,
            request_id=request_id or new_request_id(),
        )
        request.update_mask.paths.extend(field for field, value in given.items() if value is not None)
        return await self._change(self._wallets.UpdateWallet, request)

    async def freeze_wallet(
        self, name: str, *, etag: str = "", validate_only: bool = False, request_id: str | None = None
    ) -> pb.FreezeWalletResponse:
        """Freeze a wallet: debits are refused, credits are accepted.

        Args:
            name: the wallet, ``wallets/{wallet}``.
            etag: the ``etag`` of the wallet that was read; empty for an unconditional change.
            validate_only: check the request and return the result of the real call, but store nothing.
            request_id: a UUID that identifies the request, for retries; by default the client generates one.

        Returns: the frozen wallet.

        Raises:
            CallFailed: nothing was done, e.g. ``STATE_TRANSITION_FORBIDDEN``.
            OutcomeUnknown: it may have been done: retry with the error's ``request_id``.

        Example:
            >>> await client.freeze_wallet("wallets/alice")
        """
        return await self._change(
            self._wallets.FreezeWallet,
            pb.FreezeWalletRequest(
                name=name, etag=etag, validate_only=validate_only, request_id=request_id or new_request_id()
            ),
        )

    async def unfreeze_wallet(
        self, name: str, *, etag: str = "", validate_only: bool = False, request_id: str | None = None
    ) -> pb.UnfreezeWalletResponse:
        """Unfreeze a wallet.

        Args:
            name: the wallet, ``wallets/{wallet}``.
            etag: the ``etag`` of the wallet that was read; empty for an unconditional change.
            validate_only: check the request and return the result of the real call, but store nothing.
            request_id: a UUID that identifies the request, for retries; by default the client generates one.

        Returns: the unfrozen wallet.

        Raises:
            CallFailed: nothing was done, e.g. ``STATE_TRANSITION_FORBIDDEN``.
            OutcomeUnknown: it may have been done: retry with the error's ``request_id``.

        Example:
            >>> await client.unfreeze_wallet("wallets/alice")
        """
        return await self._change(
            self._wallets.UnfreezeWallet,
            pb.UnfreezeWalletRequest(
                name=name, etag=etag, validate_only=validate_only, request_id=request_id or new_request_id()
            ),
        )

    async def close_wallet(
        self, name: str, *, etag: str = "", validate_only: bool = False, request_id: str | None = None
    ) -> pb.CloseWalletResponse:
        """Close a wallet permanently; its balance must be zero.

        Args:
            name: the wallet, ``wallets/{wallet}``.
            etag: the ``etag`` of the wallet that was read; empty for an unconditional change.
            validate_only: check the request and return the result of the real call, but store nothing.
            request_id: a UUID that identifies the request, for retries; by default the client generates one.

        Returns: the closed wallet.

        Raises:
            CallFailed: nothing was done, e.g. ``STATE_TRANSITION_FORBIDDEN``.
            OutcomeUnknown: it may have been done: retry with the error's ``request_id``.

        Example:
            >>> await client.close_wallet("wallets/alice")
        """
        return await self._change(
            self._wallets.CloseWallet,
            pb.CloseWalletRequest(
                name=name, etag=etag, validate_only=validate_only, request_id=request_id or new_request_id()
            ),
        )
