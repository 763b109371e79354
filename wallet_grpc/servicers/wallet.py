"""WalletService."""

import grpc
from wallet.v1 import wallet_service_pb2 as pb
from wallet.v1.wallet_service_pb2_grpc import WalletServiceServicer

from wallet_core.usecases.create_wallet import create_wallet
from wallet_grpc import convert
from wallet_grpc.paging import page_size
from wallet_grpc.servicers.serving import Serving


class WalletServicer(WalletServiceServicer):
    """Wallets."""

    def __init__(self, serving: Serving) -> None:
        self._app = serving.app
        self._tokens = serving.page_tokens
        self._deadline_max_s = serving.deadline_max_s

    def CreateWallet(self, request: pb.CreateWalletRequest, context: grpc.ServicerContext) -> pb.CreateWalletResponse:
        """Open a wallet."""
        command = convert.create_wallet_command(request, convert.caller_of(context))
        created = create_wallet(self._app, command, convert.deadline_of(context, self._deadline_max_s))
        return pb.CreateWalletResponse(wallet=convert.wallet_message(created.wallet), replayed=created.replayed)

    def GetWallet(self, request: pb.GetWalletRequest, context: grpc.ServicerContext) -> pb.GetWalletResponse:
        """Return a wallet."""
        del context
        (wallet,) = self._app.reads.wallets([convert.wallet_id(request.name)])
        return pb.GetWalletResponse(wallet=convert.wallet_message(wallet))

    def BatchGetWallets(
        self, request: pb.BatchGetWalletsRequest, context: grpc.ServicerContext
    ) -> pb.BatchGetWalletsResponse:
        """Return several wallets of one instant."""
        del context
        wallets = self._app.reads.wallets([convert.wallet_id(name) for name in request.names])
        return pb.BatchGetWalletsResponse(wallets=[convert.wallet_message(wallet) for wallet in wallets])

    def ListWallets(self, request: pb.ListWalletsRequest, context: grpc.ServicerContext) -> pb.ListWalletsResponse:
        """Return a page of wallets."""
        del context
        position = self._tokens.read(request)
        size = page_size(request.page_size)
        rows = self._app.reads.list_wallets(
            limit=size + 1,
            before=int(position[0]) if position else None,
            state=convert.wallet_state(request.state),
            currency=request.currency_code or None,
        )
        page = rows[:size]
        more = len(rows) > size
        return pb.ListWalletsResponse(
            wallets=[convert.wallet_message(wallet) for _, wallet in page],
            next_page_token=self._tokens.write(request, [page[-1][0]]) if more else "",
        )
