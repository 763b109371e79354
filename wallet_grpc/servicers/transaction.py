"""TransactionService."""

import grpc
from wallet.v1 import transaction_service_pb2 as pb
from wallet.v1.transaction_service_pb2_grpc import TransactionServiceServicer

from wallet_core.usecases.move_money import move_money
from wallet_grpc import convert
from wallet_grpc.paging import page_size
from wallet_grpc.servicers.serving import Serving


class TransactionServicer(TransactionServiceServicer):
    """Money that moves, and money that has moved."""

    def __init__(self, serving: Serving) -> None:
        self._app = serving.app
        self._tokens = serving.page_tokens
        self._deadline_max_s = serving.deadline_max_s

    def Deposit(self, request: pb.DepositRequest, context: grpc.ServicerContext) -> pb.DepositResponse:
        """Put money into a wallet."""
        command = convert.deposit_command(request, convert.caller_of(context))
        moved = move_money(self._app, command, convert.deadline_of(context, self._deadline_max_s))
        return pb.DepositResponse(
            transaction=convert.transaction_message(
                moved.transaction, validated_only=request.validate_only and not moved.replayed
            ),
            available=convert.money_message(moved.available),
            replayed=moved.replayed,
        )

    def Transfer(self, request: pb.TransferRequest, context: grpc.ServicerContext) -> pb.TransferResponse:
        """Move money between two wallets."""
        command = convert.transfer_command(request, convert.caller_of(context))
        moved = move_money(self._app, command, convert.deadline_of(context, self._deadline_max_s))
        return pb.TransferResponse(
            transaction=convert.transaction_message(
                moved.transaction, validated_only=request.validate_only and not moved.replayed
            ),
            source_available=convert.money_message(moved.available),
            replayed=moved.replayed,
        )

    def GetTransaction(
        self, request: pb.GetTransactionRequest, context: grpc.ServicerContext
    ) -> pb.GetTransactionResponse:
        """Return a transaction."""
        del context
        transaction = self._app.reads.transaction(convert.resource_uuid(request.name))
        return pb.GetTransactionResponse(transaction=convert.transaction_message(transaction))

    def ListTransactions(
        self, request: pb.ListTransactionsRequest, context: grpc.ServicerContext
    ) -> pb.ListTransactionsResponse:
        """Return a page of a wallet's transactions."""
        del context
        position = self._tokens.read(request)
        size = page_size(request.page_size)
        rows = self._app.reads.list_transactions(
            convert.wallet_id(request.wallet),
            limit=size + 1,
            before=int(position[0]) if position else None,
            type_=convert.transaction_type(request.type),
        )
        page = rows[:size]
        more = len(rows) > size
        return pb.ListTransactionsResponse(
            transactions=[convert.transaction_message(transaction) for _, transaction in page],
            next_page_token=self._tokens.write(request, [page[-1][0]]) if more else "",
        )
