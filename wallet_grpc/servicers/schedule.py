"""ScheduleService."""

from datetime import datetime
from uuid import UUID

import grpc
from wallet.v1 import schedule_service_pb2 as pb
from wallet.v1.schedule_service_pb2_grpc import ScheduleServiceServicer

from wallet_core.usecases.change_withdrawal import change_withdrawal
from wallet_grpc import convert
from wallet_grpc.paging import page_size
from wallet_grpc.servicers.serving import Serving


class ScheduleServicer(ScheduleServiceServicer):
    """Money to be paid out at a time."""

    def __init__(self, serving: Serving) -> None:
        self._app = serving.app
        self._tokens = serving.page_tokens
        self._deadline_max_s = serving.deadline_max_s

    def ScheduleWithdrawal(
        self, request: pb.ScheduleWithdrawalRequest, context: grpc.ServicerContext
    ) -> pb.ScheduleWithdrawalResponse:
        """Schedule a payout."""
        command = convert.schedule_withdrawal_command(request, convert.caller_of(context))
        changed = change_withdrawal(self._app, command, convert.deadline_of(context, self._deadline_max_s))
        return pb.ScheduleWithdrawalResponse(
            withdrawal=convert.withdrawal_message(
                changed.withdrawal, validated_only=request.validate_only and not changed.replayed
            ),
            replayed=changed.replayed,
        )

    def GetWithdrawal(
        self, request: pb.GetWithdrawalRequest, context: grpc.ServicerContext
    ) -> pb.GetWithdrawalResponse:
        """Return a withdrawal."""
        del context
        withdrawal = self._app.reads.withdrawal(convert.resource_uuid(request.name))
        return pb.GetWithdrawalResponse(withdrawal=convert.withdrawal_message(withdrawal))

    def ListWithdrawals(
        self, request: pb.ListWithdrawalsRequest, context: grpc.ServicerContext
    ) -> pb.ListWithdrawalsResponse:
        """Return a page of withdrawals."""
        del context
        position = self._tokens.read(request)
        size = page_size(request.page_size)
        rows = self._app.reads.list_withdrawals(
            wallet=convert.wallet_id(request.wallet) if request.wallet else None,
            limit=size + 1,
            before=(datetime.fromisoformat(position[0]), UUID(position[1])) if position else None,
            state=convert.withdrawal_state(request.state),
        )
        page = rows[:size]
        more = len(rows) > size
        return pb.ListWithdrawalsResponse(
            withdrawals=[convert.withdrawal_message(withdrawal) for withdrawal in page],
            next_page_token=(
                self._tokens.write(request, [page[-1].create_time.isoformat(), str(page[-1].id)]) if more else ""
            ),
        )

    def CancelWithdrawal(
        self, request: pb.CancelWithdrawalRequest, context: grpc.ServicerContext
    ) -> pb.CancelWithdrawalResponse:
        """Cancel a payout before its time."""
        command = convert.cancel_withdrawal_command(request, convert.caller_of(context))
        changed = change_withdrawal(self._app, command, convert.deadline_of(context, self._deadline_max_s))
        return pb.CancelWithdrawalResponse(
            withdrawal=convert.withdrawal_message(changed.withdrawal), replayed=changed.replayed
        )
