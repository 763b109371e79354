"""TransactionService."""

from collections.abc import Iterator
from functools import lru_cache
from uuid import UUID

import grpc
from wallet.v1 import transaction_service_pb2 as pb
from wallet.v1.transaction_service_pb2_grpc import TransactionServiceServicer

from wallet_core.domain.model.errors import ServerDraining
from wallet_core.domain.model.receipt import Language
from wallet_core.domain.queries.filter import parse_filter
from wallet_core.domain.queries.lists import TRANSACTION_FIELDS
from wallet_core.usecases.export_statement import export_statement
from wallet_core.usecases.move_money import move_batch, move_each, move_money
from wallet_core.usecases.write_receipt import write_receipt
from wallet_grpc.convert import transactions as convert
from wallet_grpc.convert.page_tokens import fitting, page_size
from wallet_grpc.convert.values import accept_language_of, money_message, resource_uuid, wallet_id
from wallet_grpc.runtime.interpreter import giving_way
from wallet_grpc.security.access import principal_of
from wallet_grpc.security.rejections import log_items
from wallet_grpc.servicers.serving import Serving


class TransactionServicer(TransactionServiceServicer):
    """Transactions."""

    def __init__(self, serving: Serving) -> None:
        self._app = serving.app
        self._tokens = serving.page_tokens
        self._deadline = serving.deadline
        self._page_max_bytes = serving.page_max_bytes
        self._exports = serving.exports
        # A receipt never changes, and takes a tenth of a second to draw.
        self._receipt = lru_cache(serving.receipts_cached)(self._draw)

    def Deposit(self, request: pb.DepositRequest, context: grpc.ServicerContext) -> pb.DepositResponse:
        """Credit a wallet with money from outside."""
        moved = move_money(self._app, convert.deposit_command(request, principal_of(context)), self._deadline(context))
        return pb.DepositResponse(
            transaction=convert.transaction_message(
                moved.transaction, validated_only=request.validate_only and not moved.replayed
            ),
            available=money_message(moved.available) if moved.available is not None else None,
            replayed=moved.replayed,
        )

    def Transfer(self, request: pb.TransferRequest, context: grpc.ServicerContext) -> pb.TransferResponse:
        """Move money between two wallets."""
        command = convert.transfer_command(request, principal_of(context), validate_only=request.validate_only)
        moved = move_money(self._app, command, self._deadline(context))
        return pb.TransferResponse(
            transaction=convert.transaction_message(
                moved.transaction, validated_only=request.validate_only and not moved.replayed
            ),
            source_available=money_message(moved.available) if moved.available is not None else None,
            replayed=moved.replayed,
        )

    def BatchTransfer(
        self, request: pb.BatchTransferRequest, context: grpc.ServicerContext
    ) -> pb.BatchTransferResponse:
        """Move money between many pairs of wallets, atomically or each by itself."""
        if request.mode == pb.BATCH_MODE_ITEM:
            commands = convert.item_commands(request, principal_of(context))
            results = move_each(self._app, commands, self._deadline(context))
            log_items(context, "/wallet.v1.TransactionService/BatchTransfer", results)
            return convert.items_response(
                results,
                principal_of(context),
                validate_only=request.validate_only,
                accept_language=accept_language_of(context),
                exponent_of=self._app.currencies.exponent_if_known,
            )
        moved = move_batch(self._app, convert.batch_command(request, principal_of(context)), self._deadline(context))
        return convert.batch_response(
            moved.transactions,
            replayed=moved.replayed,
            validated_only=request.validate_only and not moved.replayed,
        )

    def ReverseTransaction(
        self, request: pb.ReverseTransactionRequest, context: grpc.ServicerContext
    ) -> pb.ReverseTransactionResponse:
        """Reverse a transaction."""
        moved = move_money(self._app, convert.reverse_command(request, principal_of(context)), self._deadline(context))
        return pb.ReverseTransactionResponse(
            transaction=convert.transaction_message(
                moved.transaction, validated_only=request.validate_only and not moved.replayed
            ),
            replayed=moved.replayed,
        )

    def GetTransaction(
        self, request: pb.GetTransactionRequest, context: grpc.ServicerContext
    ) -> pb.GetTransactionResponse:
        """Return a transaction."""
        del context
        transaction = self._app.reads.transaction(resource_uuid(request.name))
        return pb.GetTransactionResponse(transaction=convert.transaction_message(transaction))

    def ListTransactions(
        self, request: pb.ListTransactionsRequest, context: grpc.ServicerContext
    ) -> pb.ListTransactionsResponse:
        """Return a page of the transactions of a wallet, or of all."""
        del context
        conditions, size = parse_filter(request.filter, TRANSACTION_FIELDS), page_size(request.page_size)
        if request.wallet:
            page = self._app.reads.list_transactions(
                wallet_id(request.wallet), size=size, before=self._tokens.number(request), conditions=conditions
            )
        else:
            page = self._app.reads.list_all_transactions(
                size=size, before=self._tokens.time_and_id(request), conditions=conditions
            )
        messages, following = fitting(
            [convert.transaction_message(transaction) for transaction in page.items], page, self._page_max_bytes
        )
        return pb.ListTransactionsResponse(
            transactions=messages, next_page_token=self._tokens.write(request, following)
        )

    def GetStatement(self, request: pb.GetStatementRequest, context: grpc.ServicerContext) -> pb.GetStatementResponse:
        """Return a page of a wallet's statement."""
        del context
        start, end = convert.interval(request)
        statement = self._app.reads.statement(
            wallet_id(request.wallet),
            start,
            end,
            size=page_size(request.page_size),
            first=self._tokens.number(request),
        )
        following = (statement.next,) if statement.next is not None else None
        return convert.statement_response(statement, request, self._tokens.write(request, following))

    def ExportStatement(
        self, request: pb.ExportStatementRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.ExportStatementResponse]:
        """Stream a wallet's statement as CSV."""
        start, end = convert.interval(request)
        with self._exports.one(context) as stream:
            for part in export_statement(self._app, wallet_id(request.wallet), start, end):
                if self._exports.is_stopping:
                    raise ServerDraining
                yield from stream.sent(pb.ExportStatementResponse(data=part))

    def GetReceipt(self, request: pb.GetReceiptRequest, context: grpc.ServicerContext) -> pb.GetReceiptResponse:
        """Return a transaction's receipt."""
        del context
        transaction, language = resource_uuid(request.name), convert.language_of(request)
        return pb.GetReceiptResponse(
            pdf=self._receipt(transaction, language),
            filename=f"receipt-{transaction}-{language}.pdf",
        )

    def _draw(self, transaction: UUID, language: Language) -> bytes:
        with giving_way():
            return write_receipt(self._app, transaction, language)
