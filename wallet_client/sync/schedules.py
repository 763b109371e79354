"""The calls of ScheduleService."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import cached_property

from wallet.v1 import schedule_service_pb2 as pb
from wallet.v1 import schedule_service_pb2_grpc as grpc_pb

from wallet_client.sync.calls import PAGE, Calls
from wallet_client.values import Amount, new_request_id, timestamp


class ScheduleCalls(Calls):
    """Payouts and deposits at a time to come. Without a time they are due now."""

    @cached_property
    def _schedules(self) -> grpc_pb.ScheduleServiceStub:
        return grpc_pb.ScheduleServiceStub(self._channel)

    def schedule_withdrawal(
        self,
        wallet: str,
        amount: Amount,
        *,
        execute_time: datetime | None = None,
        reserve: bool = False,
        bank_account: str = "",
        description: str = "",
        validate_only: bool = False,
        request_id: str | None = None,
    ) -> pb.ScheduleWithdrawalResponse:
        """Schedule a payout; with *reserve* the money is held until then."""
        return self._change(
            self._schedules.ScheduleWithdrawal,
            pb.ScheduleWithdrawalRequest(
                wallet=wallet,
                amount=amount.message(),
                execute_time=timestamp(execute_time),
                reserve=reserve,
                bank_account=bank_account,
                description=description,
                validate_only=validate_only,
                request_id=request_id or new_request_id(),
            ),
        )

    def get_withdrawal(self, name: str) -> pb.Withdrawal:
        """Return one withdrawal."""
        answer = self._read(self._schedules.GetWithdrawal, pb.GetWithdrawalRequest(name=name))
        return answer.withdrawal

    def list_withdrawals(
        self,
        wallet: str = "",
        *,
        filter: str = "",  # noqa: A002  # the protos' word
        page_size: int = PAGE,
    ) -> Iterator[pb.Withdrawal]:
        """Go through withdrawals that fit the filter, of one wallet or of all, newest first, page by page."""
        request = pb.ListWithdrawalsRequest(wallet=wallet, filter=filter, page_size=page_size)
        for page in self._pages(self._schedules.ListWithdrawals, request):
            yield from page.withdrawals

    def cancel_withdrawal(
        self, name: str, *, validate_only: bool = False, request_id: str | None = None
    ) -> pb.CancelWithdrawalResponse:
        """Cancel a payout that is still scheduled."""
        return self._change(
            self._schedules.CancelWithdrawal,
            pb.CancelWithdrawalRequest(
                name=name, validate_only=validate_only, request_id=request_id or new_request_id()
            ),
        )

    def schedule_deposit(
        self,
        wallet: str,
        amount: Amount,
        *,
        execute_time: datetime | None = None,
        collect: bool = False,
        bank_account: str = "",
        description: str = "",
        external_reference: str = "",
        validate_only: bool = False,
        request_id: str | None = None,
    ) -> pb.ScheduleDepositResponse:
        """Schedule money to be put into a wallet; with *collect* the bank is asked to collect it."""
        return self._change(
            self._schedules.ScheduleDeposit,
            pb.ScheduleDepositRequest(
                wallet=wallet,
                amount=amount.message(),
                execute_time=timestamp(execute_time),
                collect=collect,
                bank_account=bank_account,
                description=description,
                external_reference=external_reference,
                validate_only=validate_only,
                request_id=request_id or new_request_id(),
            ),
        )

    def get_scheduled_deposit(self, name: str) -> pb.ScheduledDeposit:
        """Return one scheduled deposit."""
        request = pb.GetScheduledDepositRequest(name=name)
        answer = self._read(self._schedules.GetScheduledDeposit, request)
        return answer.scheduled_deposit

    def list_scheduled_deposits(
        self,
        wallet: str = "",
        *,
        filter: str = "",  # noqa: A002  # the protos' word
        page_size: int = PAGE,
    ) -> Iterator[pb.ScheduledDeposit]:
        """Go through scheduled deposits that fit the filter, of one wallet or of all, newest first, page by page."""
        request = pb.ListScheduledDepositsRequest(wallet=wallet, filter=filter, page_size=page_size)
        for page in self._pages(self._schedules.ListScheduledDeposits, request):
            yield from page.scheduled_deposits

    def cancel_scheduled_deposit(
        self, name: str, *, validate_only: bool = False, request_id: str | None = None
    ) -> pb.CancelScheduledDepositResponse:
        """Cancel a deposit that is still scheduled."""
        return self._change(
            self._schedules.CancelScheduledDeposit,
            pb.CancelScheduledDepositRequest(
                name=name, validate_only=validate_only, request_id=request_id or new_request_id()
            ),
        )
