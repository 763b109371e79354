"""The calls of TransactionService."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property

from wallet.v1 import transaction_service_pb2 as pb
from wallet.v1 import transaction_service_pb2_grpc as grpc_pb

from wallet_client.sync.calls import PAGE, Calls
from wallet_client.values import Amount, TransferItem, money_message, new_request_id, reference_policy, timestamp


class TransactionCalls(Calls):
    """Transactions."""

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
        unique_reference: bool = False,
        validate_only: bool = False,
        request_id: str | None = None,
    ) -> pb.DepositResponse:
        """Credit a wallet with money from outside.

        Args:
            wallet: the wallet to credit, ``wallets/{wallet}``.
            amount: the amount in minor units, above zero.
            description: a free text, up to 256 characters.
            external_reference: the caller's own reference, up to 128 characters.
            labels: up to 32 labels.
            unique_reference: refuse it where an earlier payment of this caller with this option has the reference.
            validate_only: check the request and return the result of the real call, but store nothing.
            request_id: a UUID that identifies the request, for retries; by default the client generates one.

        Returns: the transaction, and the available balance after it.

        Raises:
            CallFailed: nothing was done, e.g. ``WALLET_NOT_ACTIVE``.
            OutcomeUnknown: it may have been done: retry with the error's ``request_id``.

        Example:
            >>> client.deposit("wallets/alice", Amount("USD", 1005))  # 10.05 USD
        """
        return self._change(
            self._transactions.Deposit,
            pb.DepositRequest(
                wallet=wallet,
                amount=amount.message(),
                description=description,
                external_reference=external_reference,
                labels=labels,
                reference_policy=reference_policy(unique=unique_reference),
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
        unique_reference: bool = False,
        validate_only: bool = False,
        request_id: str | None = None,
    ) -> pb.TransferResponse:
        """Move money from one wallet to another of the same currency.

        Args:
            source: the wallet to debit, ``wallets/{wallet}``.
            destination: the wallet to credit, ``wallets/{wallet}``.
            amount: the amount in minor units, above zero.
            description: a free text, up to 256 characters.
            external_reference: the caller's own reference, up to 128 characters.
            labels: up to 32 labels.
            max_commission: the largest commission to accept, in minor units; None: no limit.
            unique_reference: refuse it where an earlier payment of this caller with this option has the reference.
            validate_only: check the request and return the result of the real call, but store nothing.
            request_id: a UUID that identifies the request, for retries; by default the client generates one.

        Returns: the transaction, and the available balance of the source after it.

        Raises:
            CallFailed: nothing was done, e.g. ``INSUFFICIENT_FUNDS``.
            OutcomeUnknown: it may have been done: retry with the error's ``request_id``.

        Example:
            >>> client.transfer("wallets/alice", "wallets/bob", Amount("USD", 1005))
        """
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
                reference_policy=reference_policy(unique=unique_reference),
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
        """Make up to 1000 transfers in one call.

        Args:
            items: the transfers; keep them for a retry, because each has its own request id.
            atomic: all or none, in order; otherwise each by itself, with the ids of the items.
            validate_only: check the request and return the result of the real call, but store nothing.
            request_id: a UUID that identifies an atomic batch, for retries; by default the client generates one.

        Returns: one result per item; ``item_failed`` returns the error of an item.

        Raises:
            CallFailed: nothing was done, e.g. ``INSUFFICIENT_FUNDS``.
            OutcomeUnknown: it may have been done: retry with the error's ``request_id``.

        Example:
            >>> client.batch_transfer([TransferItem(source=a, destination=b, amount=Amount("USD", 5))])
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
        """Reverse a transfer or a deposit, in full or in part.

        Args:
            name: the transaction, ``transactions/{transaction}``.
            amount: the part to reverse, in minor units; None: all that is left.
            keep_commission: keep the commission; otherwise it is returned in proportion.
            description: a free text, up to 256 characters.
            validate_only: check the request and return the result of the real call, but store nothing.
            request_id: a UUID that identifies the request, for retries; by default the client generates one.

        Returns: the reversal.

        Raises:
            CallFailed: nothing was done, e.g. ``STATE_TRANSITION_FORBIDDEN``.
            OutcomeUnknown: it may have been done: retry with the error's ``request_id``.

        Example:
            >>> client.reverse_transaction(transaction.name, amount=Amount("USD", 100))
        """
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
        """Return one transaction.

        Args:
            name: the transaction, ``transactions/{transaction}``.

        Raises:
            CallFailed: the call failed, e.g. ``RESOURCE_NOT_FOUND``.

        Example:
            >>> client.get_transaction(name)
        """
        response = self._read(self._transactions.GetTransaction, pb.GetTransactionRequest(name=name))
        return response.transaction

    def list_transactions(
        self,
        wallet: str = "",
        *,
        filter: str = "",  # noqa: A002  # the protos' word
        page_size: int = PAGE,
    ) -> Iterator[pb.Transaction]:
        """Iterate over transactions, of one wallet or of all, newest first.

        Args:
            wallet: the wallet, ``wallets/{wallet}``; empty: the transactions of all wallets.
            filter: comparisons joined by ``AND``, e.g. ``type = TRANSFER AND amount >= 100000``; empty for all.
            page_size: results fetched by one call, 1 to 1000; the iterator fetches as many pages as it needs.

        Raises:
            CallFailed: the call failed, e.g. ``FILTER_INVALID``.

        Example:
            >>> [one for one in client.list_transactions("wallets/alice")]
        """
        request = pb.ListTransactionsRequest(wallet=wallet, filter=filter, page_size=page_size)
        for page in self._pages(self._transactions.ListTransactions, request):
            yield from page.transactions

    def get_statement(
        self, wallet: str, start_time: datetime, end_time: datetime, *, page_size: int = PAGE
    ) -> Iterator[pb.GetStatementResponse]:
        """Iterate over the pages of a wallet's statement; all fields but the entries are the same on every page.

        Args:
            wallet: the wallet, ``wallets/{wallet}``.
            start_time: the start of the range, inclusive, with a time zone.
            end_time: the end of the range, exclusive, with a time zone.
            page_size: results fetched by one call, 1 to 1000; the iterator fetches as many pages as it needs.

        Raises:
            CallFailed: the call failed, e.g. ``RESOURCE_NOT_FOUND``.
            ValueError: a time has no time zone.

        Example:
            >>> [one for page in client.get_statement(name, start, end) for one in page.entries]
        """
        request = pb.GetStatementRequest(
            wallet=wallet, start_time=timestamp(start_time), end_time=timestamp(end_time), page_size=page_size
        )
        return self._pages(self._transactions.GetStatement, request)

    def export_statement(self, wallet: str, start_time: datetime, end_time: datetime) -> Iterator[bytes]:
        """Iterate over the chunks of a wallet's statement as a CSV file.

        Args:
            wallet: the wallet, ``wallets/{wallet}``.
            start_time: the start of the range, inclusive, with a time zone.
            end_time: the end of the range, exclusive, with a time zone.

        Raises:
            CallFailed: the call failed, e.g. ``RESOURCE_NOT_FOUND``.
            ValueError: a time has no time zone.

        Example:
            >>> b"".join([chunk for chunk in client.export_statement(name, start, end)])
        """
        request = pb.ExportStatementRequest(
            wallet=wallet, start_time=timestamp(start_time), end_time=timestamp(end_time)
        )
        for piece in self._stream(self._transactions.ExportStatement, request):
            yield piece.data

    def get_receipt(self, name: str, *, language: str = "") -> pb.GetReceiptResponse:
        """Return the receipt of a transaction, a PDF.

        Args:
            name: the transaction, ``transactions/{transaction}``.
            language: ``en`` or ``fa``; empty: ``en``.

        Raises:
            CallFailed: the call failed, e.g. ``RESOURCE_NOT_FOUND``.

        Example:
            >>> receipt = client.get_receipt(name, language="fa")
        """
        return self._read(self._transactions.GetReceipt, pb.GetReceiptRequest(name=name, language=language))
