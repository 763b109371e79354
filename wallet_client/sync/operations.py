"""The calls of OperationsService."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from wallet.v1 import operations_service_pb2 as pb
from wallet.v1 import operations_service_pb2_grpc as grpc_pb
from wallet.v1.schedule_service_pb2 import ResolutionKind

from wallet_client.sync.calls import PAGE, Calls
from wallet_client.values import new_request_id


class OperationsCalls(Calls):
    """What a person must look at, and how it is settled."""

    @cached_property
    def _operations(self) -> grpc_pb.OperationsServiceStub:
        return grpc_pb.OperationsServiceStub(self._channel)

    def list_attention(self, *, page_size: int = PAGE) -> Iterator[pb.AttentionItem]:
        """Go through what needs a person's attention, the oldest first, page by page."""
        for page in self._pages(self._operations.ListAttention, pb.ListAttentionRequest(page_size=page_size)):
            yield from page.items

    def resolve_withdrawal(
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
        """Settle a withdrawal by hand: ``EXECUTED``, ``NOT_EXECUTED``, or ``APPLIED_TO_WALLET`` into *destination*."""
        return self._change(
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

    def resolve_scheduled_deposit(
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
        """Settle a scheduled deposit: ``EXECUTED``, ``NOT_EXECUTED``, or ``APPLIED_TO_WALLET`` to *destination*."""
        return self._change(
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

    def resolve_discrepancy(
        self, name: str, *, reason: str, validate_only: bool = False, request_id: str | None = None
    ) -> pb.ResolveDiscrepancyResponse:
        """Close a discrepancy that was looked into."""
        return self._change(
            self._operations.ResolveDiscrepancy,
            pb.ResolveDiscrepancyRequest(
                name=name, reason=reason, validate_only=validate_only, request_id=request_id or new_request_id()
            ),
        )

    def accept_bank_statement(
        self, name: str, *, reason: str, validate_only: bool = False, request_id: str | None = None
    ) -> pb.AcceptBankStatementResponse:
        """Accept the ledger that the bank shows in place of the one called *name*."""
        return self._change(
            self._operations.AcceptBankStatement,
            pb.AcceptBankStatementRequest(
                name=name, reason=reason, validate_only=validate_only, request_id=request_id or new_request_id()
            ),
        )
