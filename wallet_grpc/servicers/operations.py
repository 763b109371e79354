"""OperationsService."""

import grpc
from wallet.v1 import operations_service_pb2 as pb
from wallet.v1.operations_service_pb2_grpc import OperationsServiceServicer

from wallet_core.usecases.change_payment_order import change_scheduled_deposit, change_withdrawal
from wallet_core.usecases.resolve_break import accept_bank_statement, resolve_discrepancy
from wallet_grpc.convert import operations as convert
from wallet_grpc.convert.figures import figures_message
from wallet_grpc.convert.page_tokens import fitting, page_size
from wallet_grpc.convert.schedules import deposit_message, withdrawal_message
from wallet_grpc.convert.values import timestamp_message
from wallet_grpc.runtime.recent import durations
from wallet_grpc.security.access import principal_of
from wallet_grpc.servicers.serving import Serving


class OperationsServicer(OperationsServiceServicer):
    """Cases that an operator must examine, and their resolution."""

    def __init__(self, serving: Serving) -> None:
        self._app = serving.app
        self._tokens = serving.page_tokens
        self._deadline = serving.deadline
        self._page_max_bytes = serving.page_max_bytes

    def ListAttention(
        self, request: pb.ListAttentionRequest, context: grpc.ServicerContext
    ) -> pb.ListAttentionResponse:
        """Return a page of attention items."""
        del context
        page = self._app.reads.list_attention(
            self._app.attention, size=page_size(request.page_size), after=self._tokens.time_and_name(request)
        )
        read_at = self._app.reads.vitals().bank_statement_read_time
        items, following = fitting([convert.attention_message(one) for one in page.items], page, self._page_max_bytes)
        return pb.ListAttentionResponse(
            items=items,
            next_page_token=self._tokens.write(request, following),
            bank_statement_read_time=timestamp_message(read_at) if read_at is not None else None,
        )

    def GetFigures(self, request: pb.GetFiguresRequest, context: grpc.ServicerContext) -> pb.GetFiguresResponse:
        """Return figures of the whole service."""
        del request, context
        reads = self._app.reads
        figures = figures_message(reads.figures(), reads.vitals(), reads.webhook_vitals(), durations())
        return pb.GetFiguresResponse(figures=figures)

    def ResolveWithdrawal(
        self, request: pb.ResolveWithdrawalRequest, context: grpc.ServicerContext
    ) -> pb.ResolveWithdrawalResponse:
        """Resolve a withdrawal."""
        command = convert.resolve_withdrawal_command(request, principal_of(context))
        resolved = change_withdrawal(self._app, command, self._deadline(context))
        return pb.ResolveWithdrawalResponse(withdrawal=withdrawal_message(resolved.order), replayed=resolved.replayed)

    def ResolveScheduledDeposit(
        self, request: pb.ResolveScheduledDepositRequest, context: grpc.ServicerContext
    ) -> pb.ResolveScheduledDepositResponse:
        """Resolve a scheduled deposit."""
        command = convert.resolve_deposit_command(request, principal_of(context))
        resolved = change_scheduled_deposit(self._app, command, self._deadline(context))
        return pb.ResolveScheduledDepositResponse(
            scheduled_deposit=deposit_message(resolved.order), replayed=resolved.replayed
        )

    def ResolveDiscrepancy(
        self, request: pb.ResolveDiscrepancyRequest, context: grpc.ServicerContext
    ) -> pb.ResolveDiscrepancyResponse:
        """Close a discrepancy."""
        command = convert.resolve_discrepancy_command(request, principal_of(context))
        resolved = resolve_discrepancy(self._app, command, self._deadline(context))
        return pb.ResolveDiscrepancyResponse(
            bank_statement_line=convert.line_message(resolved.line), replayed=resolved.replayed
        )

    def AcceptBankStatement(
        self, request: pb.AcceptBankStatementRequest, context: grpc.ServicerContext
    ) -> pb.AcceptBankStatementResponse:
        """Accept another bank statement."""
        command = convert.accept_ledger_command(request, principal_of(context))
        accepted = accept_bank_statement(self._app, command, self._deadline(context))
        return pb.AcceptBankStatementResponse(
            bank_statement=convert.ledger_message(accepted.bank_statement), replayed=accepted.replayed
        )
