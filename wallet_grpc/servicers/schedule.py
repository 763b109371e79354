"""ScheduleService."""

import grpc
from wallet.v1 import schedule_service_pb2 as pb
from wallet.v1.schedule_service_pb2_grpc import ScheduleServiceServicer

from wallet_core.domain.queries.filter import parse_filter
from wallet_core.domain.queries.lists import SCHEDULED_DEPOSIT_FIELDS, WITHDRAWAL_FIELDS
from wallet_core.usecases.change_payment_order import change_scheduled_deposit, change_withdrawal
from wallet_grpc.convert import schedules as convert
from wallet_grpc.convert.page_tokens import fitting, page_size
from wallet_grpc.convert.values import resource_uuid, wallet_id
from wallet_grpc.security.access import principal_of
from wallet_grpc.servicers.serving import Serving


class ScheduleServicer(ScheduleServiceServicer):
    """Scheduled payouts and deposits."""

    def __init__(self, serving: Serving) -> None:
        self._app = serving.app
        self._tokens = serving.page_tokens
        self._deadline = serving.deadline
        self._page_max_bytes = serving.page_max_bytes

    def ScheduleWithdrawal(
        self, request: pb.ScheduleWithdrawalRequest, context: grpc.ServicerContext
    ) -> pb.ScheduleWithdrawalResponse:
        """Schedule a payout."""
        command = convert.schedule_withdrawal_command(request, principal_of(context))
        scheduled = change_withdrawal(self._app, command, self._deadline(context))
        return pb.ScheduleWithdrawalResponse(
            withdrawal=convert.withdrawal_message(
                scheduled.order, validated_only=request.validate_only and not scheduled.replayed
            ),
            replayed=scheduled.replayed,
        )

    def GetWithdrawal(
        self, request: pb.GetWithdrawalRequest, context: grpc.ServicerContext
    ) -> pb.GetWithdrawalResponse:
        """Return a withdrawal."""
        del context
        withdrawal = self._app.reads.withdrawal(resource_uuid(request.name))
        return pb.GetWithdrawalResponse(withdrawal=convert.withdrawal_message(withdrawal))

    def ListWithdrawals(
        self, request: pb.ListWithdrawalsRequest, context: grpc.ServicerContext
    ) -> pb.ListWithdrawalsResponse:
        """Return a page of withdrawals."""
        del context
        conditions = parse_filter(request.filter, WITHDRAWAL_FIELDS)
        page = self._app.reads.list_withdrawals(
            wallet=wallet_id(request.wallet) if request.wallet else None,
            size=page_size(request.page_size),
            before=self._tokens.time_and_id(request),
            conditions=conditions,
        )
        messages, following = fitting(
            [convert.withdrawal_message(withdrawal) for withdrawal in page.items], page, self._page_max_bytes
        )
        return pb.ListWithdrawalsResponse(withdrawals=messages, next_page_token=self._tokens.write(request, following))

    def CancelWithdrawal(
        self, request: pb.CancelWithdrawalRequest, context: grpc.ServicerContext
    ) -> pb.CancelWithdrawalResponse:
        """Cancel a scheduled payout."""
        command = convert.cancel_withdrawal_command(request, principal_of(context))
        cancelled = change_withdrawal(self._app, command, self._deadline(context))
        return pb.CancelWithdrawalResponse(
            withdrawal=convert.withdrawal_message(cancelled.order), replayed=cancelled.replayed
        )

    def ScheduleDeposit(
        self, request: pb.ScheduleDepositRequest, context: grpc.ServicerContext
    ) -> pb.ScheduleDepositResponse:
        """Schedule a deposit."""
        command = convert.schedule_deposit_command(request, principal_of(context))
        scheduled = change_scheduled_deposit(self._app, command, self._deadline(context))
        return pb.ScheduleDepositResponse(
            scheduled_deposit=convert.deposit_message(
                scheduled.order, validated_only=request.validate_only and not scheduled.replayed
            ),
            replayed=scheduled.replayed,
        )

    def GetScheduledDeposit(
        self, request: pb.GetScheduledDepositRequest, context: grpc.ServicerContext
    ) -> pb.GetScheduledDepositResponse:
        """Return a scheduled deposit."""
        del context
        deposit = self._app.reads.scheduled_deposit(resource_uuid(request.name))
        return pb.GetScheduledDepositResponse(scheduled_deposit=convert.deposit_message(deposit))

    def ListScheduledDeposits(
        self, request: pb.ListScheduledDepositsRequest, context: grpc.ServicerContext
    ) -> pb.ListScheduledDepositsResponse:
        """Return a page of scheduled deposits."""
        del context
        conditions = parse_filter(request.filter, SCHEDULED_DEPOSIT_FIELDS)
        page = self._app.reads.list_scheduled_deposits(
            wallet=wallet_id(request.wallet) if request.wallet else None,
            size=page_size(request.page_size),
            before=self._tokens.time_and_id(request),
            conditions=conditions,
        )
        messages, following = fitting(
            [convert.deposit_message(deposit) for deposit in page.items], page, self._page_max_bytes
        )
        return pb.ListScheduledDepositsResponse(
            scheduled_deposits=messages, next_page_token=self._tokens.write(request, following)
        )

    def CancelScheduledDeposit(
        self, request: pb.CancelScheduledDepositRequest, context: grpc.ServicerContext
    ) -> pb.CancelScheduledDepositResponse:
        """Cancel a scheduled deposit."""
        command = convert.cancel_deposit_command(request, principal_of(context))
        cancelled = change_scheduled_deposit(self._app, command, self._deadline(context))
        return pb.CancelScheduledDepositResponse(
            scheduled_deposit=convert.deposit_message(cancelled.order), replayed=cancelled.replayed
        )
