"""ScheduleService."""

from datetime import datetime

from wallet.v1 import schedule_service_pb2 as pb

from wallet_core.domain.commands.payments.cancel_order import CancelScheduledDeposit, CancelWithdrawal
from wallet_core.domain.commands.payments.schedule_deposit import ScheduleDeposit
from wallet_core.domain.commands.payments.schedule_withdrawal import ScheduleWithdrawal
from wallet_core.domain.model.payment_order import Attempt, Resolution, ScheduledDeposit, Withdrawal
from wallet_core.domain.model.transaction import transaction_name
from wallet_core.domain.model.wallet import wallet_name
from wallet_grpc.convert.values import (
    is_unique,
    money_message,
    money_of,
    optional_time,
    request_of,
    resource_uuid,
    time_of,
    timestamp_message,
    wallet_id,
)
from wallet_grpc.security.access import Principal

_ATTEMPTS_SHOWN = 100


def schedule_withdrawal_command(request: pb.ScheduleWithdrawalRequest, caller: Principal) -> ScheduleWithdrawal:
    """Return what ``ScheduleWithdrawal`` asks."""
    return ScheduleWithdrawal(
        request=request_of(request.request_id, caller),
        validate_only=request.validate_only,
        wallet=wallet_id(request.wallet),
        amount=money_of(request.amount),
        execute_time=_execute_time(request),
        bank_account=request.bank_account,
        description=request.description,
        reserve=request.reserve,
    )


def schedule_deposit_command(request: pb.ScheduleDepositRequest, caller: Principal) -> ScheduleDeposit:
    """Return what ``ScheduleDeposit`` asks."""
    return ScheduleDeposit(
        request=request_of(request.request_id, caller),
        validate_only=request.validate_only,
        wallet=wallet_id(request.wallet),
        amount=money_of(request.amount),
        execute_time=_execute_time(request),
        collect=request.collect,
        bank_account=request.bank_account,
        description=request.description,
        external_reference=request.external_reference,
        unique_reference=is_unique(request.reference_policy),
    )


def cancel_withdrawal_command(request: pb.CancelWithdrawalRequest, caller: Principal) -> CancelWithdrawal:
    """Return what ``CancelWithdrawal`` asks."""
    return CancelWithdrawal(
        request=request_of(request.request_id, caller),
        validate_only=request.validate_only,
        order=resource_uuid(request.name),
    )


def cancel_deposit_command(request: pb.CancelScheduledDepositRequest, caller: Principal) -> CancelScheduledDeposit:
    """Return what ``CancelScheduledDeposit`` asks."""
    return CancelScheduledDeposit(
        request=request_of(request.request_id, caller),
        validate_only=request.validate_only,
        order=resource_uuid(request.name),
    )


def withdrawal_message(withdrawal: Withdrawal, *, validated_only: bool = False) -> pb.Withdrawal:
    """Return a withdrawal's message; after ``validate_only`` it has no name."""
    return pb.Withdrawal(
        name="" if validated_only else withdrawal.name,
        wallet=wallet_name(withdrawal.wallet),
        amount=money_message(withdrawal.amount),
        state=pb.Withdrawal.State.Value(f"STATE_{withdrawal.state}"),
        execute_time=timestamp_message(withdrawal.execute_time),
        reserve=withdrawal.reserve,
        bank_account=withdrawal.bank_account,
        description=withdrawal.description,
        caller=withdrawal.caller,
        bank_reference=withdrawal.bank_reference,
        failure_reason=pb.Withdrawal.FailureReason.Value(
            f"FAILURE_REASON_{withdrawal.failure_reason or 'UNSPECIFIED'}"
        ),
        attempts=withdrawal.attempts_counted,
        next_attempt_time=optional_time(withdrawal.next_attempt_time),
        attention=withdrawal.attention,
        create_time=timestamp_message(withdrawal.create_time),
        update_time=timestamp_message(withdrawal.update_time),
        bank_attempts=map(_attempt_message, withdrawal.attempts[-_ATTEMPTS_SHOWN:]),
        resolutions=map(_resolution_message, withdrawal.resolutions),
    )


def deposit_message(deposit: ScheduledDeposit, *, validated_only: bool = False) -> pb.ScheduledDeposit:
    """Return a scheduled deposit's message; after ``validate_only`` it has no name."""
    return pb.ScheduledDeposit(
        name="" if validated_only else deposit.name,
        wallet=wallet_name(deposit.wallet),
        amount=money_message(deposit.amount),
        state=pb.ScheduledDeposit.State.Value(f"STATE_{deposit.state}"),
        execute_time=timestamp_message(deposit.execute_time),
        collect=deposit.collect,
        bank_account=deposit.bank_account,
        description=deposit.description,
        caller=deposit.caller,
        external_reference=deposit.external_reference,
        bank_reference=deposit.bank_reference,
        failure_reason=pb.ScheduledDeposit.FailureReason.Value(
            f"FAILURE_REASON_{deposit.failure_reason or 'UNSPECIFIED'}"
        ),
        attempts=deposit.attempts_counted,
        next_attempt_time=optional_time(deposit.next_attempt_time),
        attention=deposit.attention,
        transaction=transaction_name(deposit.credit) if deposit.credit is not None else "",
        create_time=timestamp_message(deposit.create_time),
        update_time=timestamp_message(deposit.update_time),
        bank_attempts=map(_attempt_message, deposit.attempts[-_ATTEMPTS_SHOWN:]),
        resolutions=map(_resolution_message, deposit.resolutions),
    )


def _attempt_message(attempt: Attempt) -> pb.BankAttempt:
    return pb.BankAttempt(
        number=attempt.number,
        key=attempt.key,
        start_time=timestamp_message(attempt.start_time),
        request=attempt.request,
        result=pb.BankAttempt.Result.Value(f"RESULT_{attempt.answer or 'UNSPECIFIED'}"),
        result_detail=attempt.detail,
        in_flight_until_time=timestamp_message(attempt.in_flight_until),
        resend=attempt.is_resend,
    )


def _resolution_message(resolution: Resolution) -> pb.Resolution:
    return pb.Resolution(
        kind=pb.ResolutionKind.Value(f"RESOLUTION_KIND_{resolution.kind}"),
        reason=resolution.reason,
        bank_evidence=resolution.bank_evidence,
        operator=resolution.operator,
        time=timestamp_message(resolution.time),
        person=resolution.person.name,
        token_id=resolution.person.token_id,
    )


def _execute_time(request: pb.ScheduleWithdrawalRequest | pb.ScheduleDepositRequest) -> datetime | None:
    return time_of(request.execute_time, "execute_time") if request.HasField("execute_time") else None
