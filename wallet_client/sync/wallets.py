"""The calls of WalletService."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property

from wallet.v1 import wallet_service_pb2 as pb
from wallet.v1 import wallet_service_pb2_grpc as grpc_pb

from wallet_client.sync.calls import PAGE, Calls
from wallet_client.values import Amount, money_message, new_request_id, timestamp


class WalletCalls(Calls):
    """Wallets."""

    @cached_property
    def _wallets(self) -> grpc_pb.WalletServiceStub:
        return grpc_pb.WalletServiceStub(self._channel)

    def create_wallet(
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
        """Create an empty wallet; an empty id lets the service choose one."""
        wallet = pb.Wallet(
            currency_code=currency_code,
            owner=owner,
            display_name=display_name,
            labels=labels,
            overdraft_limit=money_message(overdraft_limit),
        )
        return self._change(
            self._wallets.CreateWallet,
            pb.CreateWalletRequest(
                wallet_id=wallet_id,
                wallet=wallet,
                validate_only=validate_only,
                request_id=request_id or new_request_id(),
            ),
        )

    def get_wallet(self, name: str, *, as_of: datetime | None = None) -> pb.Wallet:
        """Return one wallet, or with a time what its balance was right before it."""
        request = pb.GetWalletRequest(name=name, as_of=timestamp(as_of))
        answer = self._read(self._wallets.GetWallet, request)
        return answer.wallet

    def batch_get_wallets(self, names: list[str]) -> list[pb.Wallet]:
        """Return several wallets of one instant."""
        answer = self._read(self._wallets.BatchGetWallets, pb.BatchGetWalletsRequest(names=names))
        return list(answer.wallets)

    def list_wallets(self, *, filter: str = "", page_size: int = PAGE) -> Iterator[pb.Wallet]:  # noqa: A002  # the protos' word
        """Go through all wallets that fit the filter, newest first, page by page."""
        request = pb.ListWalletsRequest(filter=filter, page_size=page_size)
        for page in self._pages(self._wallets.ListWallets, request):
            yield from page.wallets

    def list_currencies(self) -> list[pb.Currency]:
        """Return all currencies, each with how many decimals its amounts have: they never change."""
        answer = self._read(self._wallets.ListCurrencies, pb.ListCurrenciesRequest())
        return list(answer.currencies)

    def update_wallet(
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
        """Change of a wallet what is given here; labels are replaced all together."""
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
        return self._change(self._wallets.UpdateWallet, request)

    def freeze_wallet(
        self, name: str, *, etag: str = "", validate_only: bool = False, request_id: str | None = None
    ) -> pb.FreezeWalletResponse:
        """Let money come to a wallet but not go from it."""
        return self._change(
            self._wallets.FreezeWallet,
            pb.FreezeWalletRequest(
                name=name, etag=etag, validate_only=validate_only, request_id=request_id or new_request_id()
            ),
        )

    def unfreeze_wallet(
        self, name: str, *, etag: str = "", validate_only: bool = False, request_id: str | None = None
    ) -> pb.UnfreezeWalletResponse:
        """Let money go again from a frozen wallet."""
        return self._change(
            self._wallets.UnfreezeWallet,
            pb.UnfreezeWalletRequest(
                name=name, etag=etag, validate_only=validate_only, request_id=request_id or new_request_id()
            ),
        )

    def close_wallet(
        self, name: str, *, etag: str = "", validate_only: bool = False, request_id: str | None = None
    ) -> pb.CloseWalletResponse:
        """Close an empty wallet for good."""
        return self._change(
            self._wallets.CloseWallet,
            pb.CloseWalletRequest(
                name=name, etag=etag, validate_only=validate_only, request_id=request_id or new_request_id()
            ),
        )
