"""WalletService."""

from datetime import datetime
from typing import Protocol

from wallet.v1 import wallet_service_pb2 as pb
from wallet.v1.money_pb2 import Money as MoneyPb

from wallet_core.domain.commands.wallets.change_wallet import ChangeWallet, UpdateWallet
from wallet_core.domain.commands.wallets.create_wallet import CreateWallet
from wallet_core.domain.model.money import listed_currencies
from wallet_core.domain.model.wallet import WalletId, WalletView
from wallet_core.usecases.app import new_id
from wallet_core.usecases.currencies import Offered
from wallet_grpc.convert.values import (
    bound_of,
    labels_of,
    money_message,
    money_of,
    request_of,
    timestamp_message,
    wallet_id,
)
from wallet_grpc.security.access import Principal


class _NamesAWallet(Protocol):
    """What freezing, unfreezing and closing ask alike."""

    name: str
    etag: str
    request_id: str
    validate_only: bool


def create_command(request: pb.CreateWalletRequest, caller: Principal) -> CreateWallet:
    """Return what ``CreateWallet`` asks."""
    asked_id = WalletId(request.wallet_id) if request.wallet_id else None
    return CreateWallet(
        request=request_of(request.request_id, caller),
        validate_only=request.validate_only,
        id=asked_id or WalletId(str(new_id())),
        asked_id=asked_id,
        currency=request.wallet.currency_code,
        listed=listed_currencies().get(request.wallet.currency_code),
        owner=request.wallet.owner,
        display_name=request.wallet.display_name,
        labels=labels_of(request.wallet.labels),
        overdraft_limit=request.wallet.overdraft_limit.minor_units,
    )


def update_command(request: pb.UpdateWalletRequest, caller: Principal) -> UpdateWallet:
    """Return what ``UpdateWallet`` asks: of what the mask names, what is unset is cleared."""
    asked, paths = request.wallet, set(request.update_mask.paths)
    limit = None
    if "overdraft_limit" in paths and asked.HasField("overdraft_limit"):
        limit = money_of(asked.overdraft_limit)
    return UpdateWallet(
        request=request_of(request.request_id, caller),
        validate_only=request.validate_only,
        wallet=wallet_id(asked.name),
        etag=asked.etag,
        display_name=asked.display_name if "display_name" in paths else None,
        labels=labels_of(asked.labels) if "labels" in paths else None,
        overdraft_limit=limit,
        clear_overdraft_limit="overdraft_limit" in paths and limit is None,
    )


def change_command(kind: type[ChangeWallet], request: _NamesAWallet, caller: Principal) -> ChangeWallet:
    """Return what ``FreezeWallet``, ``UnfreezeWallet`` or ``CloseWallet`` asks."""
    return kind(
        request=request_of(request.request_id, caller),
        validate_only=request.validate_only,
        wallet=wallet_id(request.name),
        etag=request.etag,
    )


def as_of(request: pb.GetWalletRequest) -> datetime | None:
    """Return the instant of the requested balance; None means now."""
    return bound_of(request.as_of, "as_of") if request.HasField("as_of") else None


def wallet_message(wallet: WalletView, *, past: bool = False) -> pb.Wallet:
    """Show a wallet; what it held in the *past* is not known."""
    return pb.Wallet(
        name=wallet.name,
        currency_code=wallet.currency,
        owner=wallet.owner,
        display_name=wallet.display_name,
        state=pb.Wallet.State.Value(f"STATE_{wallet.state}"),
        balance=MoneyPb(currency_code=wallet.currency, minor_units=wallet.balance),
        held=None if past else MoneyPb(currency_code=wallet.currency, minor_units=wallet.held),
        available=None if past else money_message(wallet.available),
        overdraft_limit=MoneyPb(currency_code=wallet.currency, minor_units=wallet.overdraft_limit),
        labels=wallet.labels,
        etag=wallet.etag,
        create_time=timestamp_message(wallet.create_time),
    )


def currency_message(offered: Offered) -> pb.Currency:
    """Show a currency."""
    return pb.Currency(
        code=offered.currency.code, exponent=offered.currency.exponent, open_to_new_wallets=offered.is_open
    )
