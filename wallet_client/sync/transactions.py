"""The calls of TransactionService."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property

from wallet.v1 import transaction_service_pb2 as pb
from wallet.v1 import transaction_service_pb2_grpc as grpc_pb

from wallet_client.sync.calls import PAGE, Calls
from wallet_client.values import Amount, TransferItem, money_message, new_request_id, timestamp


class TransactionCalls(Calls):
    """Money that moves, and money that has moved."""

    @cached_property
    def _transactions(self) -> grpc_pb.TransactionServiceStub:
        return grpc_pb.TransactionServiceStub(self._channel)

    def deposit(
        self,
        wallet: str,
        amount: Amount,
        *,
        description: str = "",
        external_reference: str = "",
        labels: Mapping[str, str] | None = None,
        validate_only: bool = False,
        request_id: str | None = None,
    ) -> pb.DepositResponse:
        """Put money from outside into a wallet."""
        return self._change(
            self._transactions.Deposit,
            pb.DepositRequest(
                wallet=wallet,
                amount=amount.message(),
                description=description,
                external_reference=external_reference,
                labels=labels,
                validate_only=validate_only,
                request_id=request_id or new_request_id(),
            ),
        )

    def transfer(
        self,
        source: str,
        destination: str,
        amount: Amount,
        *,
        description: str = "",
        external_reference: str = "",
        labels: Mapping[str, str] | None = None,
        max_commission: Amount | None = None,
        validate_only: bool = False,
        request_id: str | None = None,
    ) -> pb.TransferResponse:
        """Move money from one wallet to another."""
        return self._change(
            self._transactions.Transfer,
            pb.TransferRequest(
                source=source,
                destination=destination,
                amount=amount.message(),
                description=description,
                external_reference=external_reference,
                labels=labels,
                max_commission=money_message(max_commission),
                validate_only=validate_only,
                request_id=request_id or new_request_id(),
            ),
        )

    def batch_transfer(
        self,
        items: Sequence[TransferItem],
        *,
        atomic: bool = True,
        validate_only: bool = False,
        request_id: str | None = None,
    ) -> pb.BatchTransferResponse:
        """Make many transfers, all or none; or, if not *atomic*, each by itself, with the items' own request ids.

        Of one that was made by itself, ``item_failed`` tells why it was refused.
        """
        return self._change(
            self._transactions.BatchTransfer,
            pb.BatchTransferRequest(
                mode=pb.BATCH_MODE_ATOMIC if atomic else pb.BATCH_MODE_ITEM,
                items=[item.message(with_id=not atomic) for item in items],
                validate_only=validate_only,
                request_id=request_id or (new_request_id() if atomic else ""),
            ),
        )

    def reverse_transaction(
        self,
        name: str,
        *,
        amount: Amount | None = None,
        keep_commission: bool = False,
        description: str = "",
        validate_only: bool = False,
        request_id: str | None = None,
    ) -> pb.ReverseTransactionResponse:
        """Take a transfer or a deposit back; without an amount all that is left of it."""
        return self._change(
            self._transactions.ReverseTransaction,
            pb.ReverseTransactionRequest(
                name=name,
                amount=money_message(amount),
                keep_commission=keep_commission,
                description=description,
                validate_only=validate_only,
                request_id=request_id or new_request_id(),
            ),
        )

    def get_transaction(self, name: str) -> pb.Transaction:
        """Return one transaction."""
        answer = self._read(self._transactions.GetTransaction, pb.GetTransactionRequest(name=name))
        return answer.transaction

    def list_transactions(
        self,
        wallet: str,
        *,
        filter: str = "",  # noqa: A002  # the protos' word
        page_size: int = PAGE,
    ) -> Iterator[pb.Transaction]:
        """Go through a wallet's transactions that fit the filter, newest first, page by page."""
        request = pb.ListTransactionsRequest(wallet=wallet, filter=filter, page_size=page_size)
        for page in self._pages(self._transactions.ListTransactions, request):
            yield from page.transactions

    def get_statement(
        self, wallet: str, start_time: datetime, end_time: datetime, *, page_size: int = PAGE
    ) -> Iterator[pb.GetStatementResponse]:
        """Go through a wallet's statement page by page; all but the entries is the same on every page."""
        request = pb.GetStatementRequest(
            wallet=wallet, start_time=timestamp(start_time), end_time=timestamp(end_time), page_size=page_size
        )
        return self._pages(self._transactions.GetStatement, request)

    def export_statement(self, wallet: str, start_time: datetime, end_time: datetime) -> Iterator[bytes]:
        """Return a wallet's statement as the pieces of a CSV file, as they come."""
        request = pb.ExportStatementRequest(
            wallet=wallet, start_time=timestamp(start_time), end_time=timestamp(end_time)
        )
        for piece in self._stream(self._transactions.ExportStatement, request):
            yield piece.data

    def get_receipt(self, name: str, *, language: str = "") -> pb.GetReceiptResponse:
        """Return a transaction's receipt, a PDF."""
        return self._read(self._transactions.GetReceipt, pb.GetReceiptRequest(name=name, language=language))
