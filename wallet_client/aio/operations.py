"""The calls of OperationsService."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import cached_property

from wallet.v1 import operations_service_pb2 as pb
from wallet.v1 import operations_service_pb2_grpc as grpc_pb
from wallet.v1.schedule_service_pb2 import ResolutionKind

from wallet_client.aio.calls import PAGE, Calls
from wallet_client.values import new_request_id


class OperationsCalls(Calls):
    """Cases that an operator must examine, and their resolution."""

    @cached_property
    def _operations(self) -> grpc_pb.OperationsServiceAsyncStub:
        return grpc_pb.OperationsServiceStub(self._channel)

    async def list_attention(self, *, page_size: int = PAGE) -> AsyncIterator[pb.AttentionItem]:
        """Iterate over the cases that an operator must examine, the oldest first.

        Args:
            page_size: results fetched by one call, 1 to 1000; the iterator fetches as many pages as it needs.

        Raises:
            CallFailed: the call failed, e.g. ``PERMISSION_MISSING``.

        Example:
            >>> [one.explanation async for one in client.list_attention()]
        """
        async for page in self._pages(self._operations.ListAttention, pb.ListAttentionRequest(page_size=page_size)):
            for one in page.items:
                yield one

    async def get_figures(self) -> pb.Figures:
        """Return figures of the whole service: money, payment orders, rates, ages and processes.

        Raises:
            CallFailed: the call failed, e.g. ``PERMISSION_MISSING``.

        Example:
            >>> (await client.get_figures()).withdrawals.in_doubt
        """
        return (await self._read(self._operations.GetFigures, pb.GetFiguresRequest())).figures

    async def resolve_withdrawal(
        self,
        name: str,
        resolution: str,
        *,
        reason: str,
        bank_evidence: str = "",
        bank_reference: str = "",
        destination: str = "",
        validate_only: bool = False,
        request_id: str | None = None,
    ) -> pb.ResolveWithdrawalResponse:
        """Resolve a withdrawal by hand.

        Args:
            name: the withdrawal, ``withdrawals/{withdrawal}``.
            resolution: ``EXECUTED``, ``NOT_EXECUTED``, ``APPLIED_TO_WALLET`` or ``ACKNOWLEDGED``.
            reason: why, for the record; up to 1024 characters.
            bank_evidence: the bank's statement to the operator, up to 1024 characters.
            bank_reference: the bank's reference, with ``EXECUTED``.
            destination: the wallet to credit, with ``APPLIED_TO_WALLET``.
            validate_only: check the request and return the result of the real call, but store nothing.
            request_id: a UUID that identifies the request, for retries; by default the client generates one.

        Returns: the resolved withdrawal.

        Raises:
            CallFailed: nothing was done, e.g. ``STATE_TRANSITION_FORBIDDEN``.
            OutcomeUnknown: it may have been done: retry with the error's ``request_id``.

        Example:
            >>> await client.resolve_withdrawal(name, "EXECUTED", reason="the bank confirmed it by telephone")
        """
        return await self._change(
            self._operations.ResolveWithdrawal,
            pb.ResolveWithdrawalRequest(
                name=name,
                resolution=ResolutionKind.Value(f"RESOLUTION_KIND_{resolution}"),
                reason=reason,
                bank_evidence=bank_evidence,
                bank_reference=bank_reference,
                destination=destination,
                validate_only=validate_only,
                request_id=request_id or new_request_id(),
            ),
        )

    async def resolve_scheduled_deposit(
        self,
        name: str,
        resolution: str,
        *,
        reason: str,
        bank_evidence: str = "",
        bank_reference: str = "",
        destination: str = "",
        validate_only: bool = False,
        request_id: str | None = None,
    ) -> pb.ResolveScheduledDepositResponse:
        """Resolve a collected deposit by hand.

        Args:
            name: the deposit, ``scheduledDeposits/{scheduled_deposit}``.
            resolution: ``EXECUTED``, ``NOT_EXECUTED``, ``APPLIED_TO_WALLET`` or ``ACKNOWLEDGED``.
            reason: why, for the record; up to 1024 characters.
            bank_evidence: the bank's statement to the operator, up to 1024 characters.
            bank_reference: the bank's reference, with ``EXECUTED``.
            destination: the wallet to credit, with ``APPLIED_TO_WALLET``.
            validate_only: check the request and return the result of the real call, but store nothing.
            request_id: a UUID that identifies the request, for retries; by default the client generates one.

        Returns: the resolved deposit.

        Raises:
            CallFailed: nothing was done, e.g. ``STATE_TRANSITION_FORBIDDEN``.
            OutcomeUnknown: it may have been done: retry with the error's ``request_id``.

        Example:
            >>> await client.resolve_scheduled_deposit(name, "NOT_EXECUTED", reason="the bank declined it")
        """
        return await self._change(
            self._operations.ResolveScheduledDeposit,
            pb.ResolveScheduledDepositRequest(
                name=name,
                resolution=ResolutionKind.Value(f"RESOLUTION_KIND_{resolution}"),
                reason=reason,
                bank_evidence=bank_evidence,
                bank_reference=bank_reference,
                destination=destination,
                validate_only=validate_only,
                request_id=request_id or new_request_id(),
            ),
        )

    async def resolve_discrepancy(
        self, name: str, *, reason: str, validate_only: bool = False, request_id: str | None = None
    ) -> pb.ResolveDiscrepancyResponse:
        """Close a discrepancy with the bank statement that an operator has examined.

        Args:
            name: the line, ``bankStatementLines/{number}``.
            reason: why, for the record; up to 1024 characters.
            validate_only: check the request and return the result of the real call, but store nothing.
            request_id: a UUID that identifies the request, for retries; by default the client generates one.

        Returns: the closed line.

        Raises:
            CallFailed: nothing was done, e.g. ``STATE_TRANSITION_FORBIDDEN``.
            OutcomeUnknown: it may have been done: retry with the error's ``request_id``.

        Example:
            >>> await client.resolve_discrepancy("bankStatementLines/2", reason="a test payment of the bank")
        """
        return await self._change(
            self._operations.ResolveDiscrepancy,
            pb.ResolveDiscrepancyRequest(
                name=name, reason=reason, validate_only=validate_only, request_id=request_id or new_request_id()
            ),
        )

    async def accept_bank_statement(
        self, name: str, *, reason: str, validate_only: bool = False, request_id: str | None = None
    ) -> pb.AcceptBankStatementResponse:
        """Accept the statement that the bank provides in place of the previous one.

        Args:
            name: the previous statement, ``bankStatements/{number}``.
            reason: why, for the record; up to 1024 characters.
            validate_only: check the request and return the result of the real call, but store nothing.
            request_id: a UUID that identifies the request, for retries; by default the client generates one.

        Returns: the accepted statement.

        Raises:
            CallFailed: nothing was done, e.g. ``STATE_TRANSITION_FORBIDDEN``.
            OutcomeUnknown: it may have been done: retry with the error's ``request_id``.

        Example:
            >>> await client.accept_bank_statement("bankStatements/1", reason="the bank migrated its accounts")
        """
        return await self._change(
            self._operations.AcceptBankStatement,
            pb.AcceptBankStatementRequest(
                name=name, reason=reason, validate_only=validate_only, request_id=request_id or new_request_id()
            ),
        )
