"""WalletService."""

import grpc
from wallet.v1 import wallet_service_pb2 as pb
from wallet.v1.wallet_service_pb2_grpc import WalletServiceServicer

from wallet_core.domain.commands.wallets.change_wallet import CloseWallet, FreezeWallet, UnfreezeWallet
from wallet_core.domain.queries.filter import Condition, Op, parse_filter
from wallet_core.domain.queries.lists import WALLET_FIELDS
from wallet_core.usecases.change_wallet import change_wallet
from wallet_grpc.convert import wallets as convert
from wallet_grpc.convert.page_tokens import fitting, page_size
from wallet_grpc.convert.values import wallet_id
from wallet_grpc.security.access import principal_of
from wallet_grpc.servicers.serving import Serving


class WalletServicer(WalletServiceServicer):
    """Wallets."""

    def __init__(self, serving: Serving) -> None:
        self._app = serving.app
        self._tokens = serving.page_tokens
        self._deadline = serving.deadline
        self._page_max_bytes = serving.page_max_bytes

    def CreateWallet(self, request: pb.CreateWalletRequest, context: grpc.ServicerContext) -> pb.CreateWalletResponse:
        """Create a wallet."""
        command = convert.create_command(request, principal_of(context))
        created = change_wallet(self._app, command, self._deadline(context))
        return pb.CreateWalletResponse(wallet=convert.wallet_message(created.wallet), replayed=created.replayed)

    def GetWallet(self, request: pb.GetWalletRequest, context: grpc.ServicerContext) -> pb.GetWalletResponse:
        """Return a wallet, now or at an earlier time."""
        del context
        wallet, as_of = wallet_id(request.name), convert.as_of(request)
        if as_of is not None:
            past = self._app.reads.wallet_at(wallet, as_of)
            return pb.GetWalletResponse(wallet=convert.wallet_message(past, past=True))
        (now,) = self._app.reads.wallets([wallet])
        return pb.GetWalletResponse(wallet=convert.wallet_message(now))

    def BatchGetWallets(
        self, request: pb.BatchGetWalletsRequest, context: grpc.ServicerContext
    ) -> pb.BatchGetWalletsResponse:
        """Return a consistent snapshot of several wallets."""
        del context
        wallets = self._app.reads.wallets([wallet_id(name) for name in request.names])
        return pb.BatchGetWalletsResponse(wallets=[convert.wallet_message(wallet) for wallet in wallets])

    def ListWallets(self, request: pb.ListWalletsRequest, context: grpc.ServicerContext) -> pb.ListWalletsResponse:
        """Return a page of wallets."""
        conditions = parse_filter(request.filter, WALLET_FIELDS)
        if (owner := principal_of(context).owner) is not None:
            conditions = (*conditions, Condition("owner", "", Op.EQUAL, owner))
        page = self._app.reads.list_wallets(
            size=page_size(request.page_size), before=self._tokens.number(request), conditions=conditions
        )
        messages, following = fitting(
            [convert.wallet_message(wallet) for wallet in page.items], page, self._page_max_bytes
        )
        return pb.ListWalletsResponse(wallets=messages, next_page_token=self._tokens.write(request, following))

    def ListCurrencies(
        self, request: pb.ListCurrenciesRequest, context: grpc.ServicerContext
    ) -> pb.ListCurrenciesResponse:
        """Return all currencies."""
        del request, context
        return pb.ListCurrenciesResponse(currencies=map(convert.currency_message, self._app.currencies.all()))

    def UpdateWallet(self, request: pb.UpdateWalletRequest, context: grpc.ServicerContext) -> pb.UpdateWalletResponse:
        """Change display name, labels or overdraft limit."""
        command = convert.update_command(request, principal_of(context))
        changed = change_wallet(self._app, command, self._deadline(context))
        return pb.UpdateWalletResponse(wallet=convert.wallet_message(changed.wallet), replayed=changed.replayed)

    def FreezeWallet(self, request: pb.FreezeWalletRequest, context: grpc.ServicerContext) -> pb.FreezeWalletResponse:
        """Freeze a wallet."""
        command = convert.change_command(FreezeWallet, request, principal_of(context))
        changed = change_wallet(self._app, command, self._deadline(context))
        return pb.FreezeWalletResponse(wallet=convert.wallet_message(changed.wallet), replayed=changed.replayed)

    def UnfreezeWallet(
        self, request: pb.UnfreezeWalletRequest, context: grpc.ServicerContext
    ) -> pb.UnfreezeWalletResponse:
        """Unfreeze a wallet."""
        command = convert.change_command(UnfreezeWallet, request, principal_of(context))
        changed = change_wallet(self._app, command, self._deadline(context))
        return pb.UnfreezeWalletResponse(wallet=convert.wallet_message(changed.wallet), replayed=changed.replayed)

    def CloseWallet(self, request: pb.CloseWalletRequest, context: grpc.ServicerContext) -> pb.CloseWalletResponse:
        """Close a wallet."""
        command = convert.change_command(CloseWallet, request, principal_of(context))
        changed = change_wallet(self._app, command, self._deadline(context))
        return pb.CloseWalletResponse(wallet=convert.wallet_message(changed.wallet), replayed=changed.replayed)
