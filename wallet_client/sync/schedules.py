"""The calls of ScheduleService."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import cached_property

from wallet.v1 import schedule_service_pb2 as pb
from wallet.v1 import schedule_service_pb2_grpc as grpc_pb

from wallet_client.sync.calls import PAGE, Calls
from wallet_client.values import Amount, new_request_id, reference_policy, timestamp


class ScheduleCalls(Calls):
    """Payouts and deposits at a scheduled time. Without a time they are due now."""

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
        """Schedule a payout from a wallet through the bank.

        Args:
            wallet: the wallet to debit, ``wallets/{wallet}``.
            amount: the amount in minor units, above zero.
            execute_time: when it is due, with a time zone; None: now.
            reserve: reserve the money until the payout is due; otherwise the balance is checked only then.
            bank_account: the account in the bank's format, up to 64 printable characters; empty: the bank chooses
                it by the owner.
            description: a free text, up to 256 characters.
            validate_only: check the request and return the result of the real call, but store nothing.
            request_id: a UUID that identifies the request, for retries; by default the client generates one.

        Returns: the withdrawal.

        Raises:
            CallFailed: nothing was done, e.g. ``INSUFFICIENT_FUNDS``.
            OutcomeUnknown: it may have been done: retry with the error's ``request_id``.
            ValueError: a time has no time zone.

        Example:
            >>> client.schedule_withdrawal("wallets/alice", Amount("USD", 1005), reserve=True)
        """
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
        """Return one withdrawal.

        Args:
            name: the withdrawal, ``withdrawals/{withdrawal}``.

        Raises:
            CallFailed: the call failed, e.g. ``RESOURCE_NOT_FOUND``.

        Example:
            >>> (client.get_withdrawal(name)).state == Withdrawal.STATE_SUCCEEDED
        """
        response = self._read(self._schedules.GetWithdrawal, pb.GetWithdrawalRequest(name=name))
        return response.withdrawal

    def list_withdrawals(
        self,
        wallet: str = "",
        *,
        filter: str = "",  # noqa: A002  # the protos' word
        page_size: int = PAGE,
    ) -> Iterator[pb.Withdrawal]:
        """Iterate over withdrawals, newest first.

        Args:
            wallet: the wallet, ``wallets/{wallet}``; empty for all wallets.
            filter: comparisons joined by ``AND``, e.g. ``state = SCHEDULED``; empty for all.
            page_size: results fetched by one call, 1 to 1000; the iterator fetches as many pages as it needs.

        Raises:
            CallFailed: the call failed, e.g. ``FILTER_INVALID``.

        Example:
            >>> [one for one in client.list_withdrawals("wallets/alice")]
        """
        request = pb.ListWithdrawalsRequest(wallet=wallet, filter=filter, page_size=page_size)
        for page in self._pages(self._schedules.ListWithdrawals, request):
            yield from page.withdrawals

    def cancel_withdrawal(
        self, name: str, *, validate_only: bool = False, request_id: str | None = None
    ) -> pb.CancelWithdrawalResponse:
        """Cancel a withdrawal that is still scheduled.

        Args:
            name: the withdrawal, ``withdrawals/{withdrawal}``.
            validate_only: check the request and return the result of the real call, but store nothing.
            request_id: a UUID that identifies the request, for retries; by default the client generates one.

        Returns: the cancelled withdrawal.

        Raises:
            CallFailed: nothing was done, e.g. ``STATE_TRANSITION_FORBIDDEN``.
            OutcomeUnknown: it may have been done: retry with the error's ``request_id``.

        Example:
            >>> client.cancel_withdrawal(withdrawal.name)
        """
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
        unique_reference: bool = False,
        validate_only: bool = False,
        request_id: str | None = None,
    ) -> pb.ScheduleDepositResponse:
        """Schedule a deposit into a wallet.

        Args:
            wallet: the wallet to credit, ``wallets/{wallet}``.
            amount: the amount in minor units, above zero.
            execute_time: when it is due, with a time zone; None: now.
            collect: ask the bank to collect the money; the wallet is credited once the bank confirms it.
            bank_account: the account in the bank's format, up to 64 printable characters; empty: the bank chooses
                it by the owner.
            description: a free text, up to 256 characters.
            external_reference: the caller's own reference, up to 128 characters.
            unique_reference: refuse it where an earlier payment of this caller with this option has the reference.
            validate_only: check the request and return the result of the real call, but store nothing.
            request_id: a UUID that identifies the request, for retries; by default the client generates one.

        Returns: the scheduled deposit.

        Raises:
            CallFailed: nothing was done, e.g. ``WALLET_NOT_ACTIVE``.
            OutcomeUnknown: it may have been done: retry with the error's ``request_id``.
            ValueError: a time has no time zone.

        Example:
            >>> client.schedule_deposit("wallets/alice", Amount("USD", 1005), collect=True)
        """
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
                reference_policy=reference_policy(unique=unique_reference),
                validate_only=validate_only,
                request_id=request_id or new_request_id(),
            ),
        )

    def get_scheduled_deposit(self, name: str) -> pb.ScheduledDeposit:
        """Return one scheduled deposit.

        Args:
            name: the deposit, ``scheduledDeposits/{scheduled_deposit}``.

        Raises:
            CallFailed: the call failed, e.g. ``RESOURCE_NOT_FOUND``.

        Example:
            >>> client.get_scheduled_deposit(name)
        """
        request = pb.GetScheduledDepositRequest(name=name)
        response = self._read(self._schedules.GetScheduledDeposit, request)
        return response.scheduled_deposit

    def list_scheduled_deposits(
        self,
        wallet: str = "",
        *,
        filter: str = "",  # noqa: A002  # the protos' word
        page_size: int = PAGE,
    ) -> Iterator[pb.ScheduledDeposit]:
        """Iterate over scheduled deposits, newest first.

        Args:
            wallet: the wallet, ``wallets/{wallet}``; empty for all wallets.
            filter: comparisons joined by ``AND``, e.g. ``state = SCHEDULED``; empty for all.
            page_size: results fetched by one call, 1 to 1000; the iterator fetches as many pages as it needs.

        Raises:
            CallFailed: the call failed, e.g. ``FILTER_INVALID``.

        Example:
            >>> [one for one in client.list_scheduled_deposits("wallets/alice")]
        """
        request = pb.ListScheduledDepositsRequest(wallet=wallet, filter=filter, page_size=page_size)
        for page in self._pages(self._schedules.ListScheduledDeposits, request):
            yield from page.scheduled_deposits

    def cancel_scheduled_deposit(
        self, name: str, *, validate_only: bool = False, request_id: str | None = None
    ) -> pb.CancelScheduledDepositResponse:
        """Cancel a deposit that is still scheduled.

        Args:
            name: the deposit, ``scheduledDeposits/{scheduled_deposit}``.
            validate_only: check the request and return the result of the real call, but store nothing.
            request_id: a UUID that identifies the request, for retries; by default the client generates one.

        Returns: the cancelled deposit.

        Raises:
            CallFailed: nothing was done, e.g. ``STATE_TRANSITION_FORBIDDEN``.
            OutcomeUnknown: it may have been done: retry with the error's ``request_id``.

        Example:
            >>> client.cancel_scheduled_deposit(deposit.name)
        """
        return self._change(
            self._schedules.CancelScheduledDeposit,
            pb.CancelScheduledDepositRequest(
                name=name, validate_only=validate_only, request_id=request_id or new_request_id()
            ),
        )
