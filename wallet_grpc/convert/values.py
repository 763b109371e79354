"""Between protobuf and the domain, both ways. Shapes were checked before; meaning is checked here."""

from datetime import UTC, datetime, timedelta
from time import monotonic
from uuid import UUID

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from wallet.v1 import schedule_service_pb2 as schedule_pb
from wallet.v1 import transaction_service_pb2 as transaction_pb
from wallet.v1 import wallet_service_pb2 as wallet_pb
from wallet.v1.money_pb2 import Money as MoneyPb

from wallet_core.domain.cancel_withdrawal import CancelWithdrawal
from wallet_core.domain.command import Request
from wallet_core.domain.create_wallet import CreateWallet
from wallet_core.domain.deposit import Deposit
from wallet_core.domain.errors import InvalidField
from wallet_core.domain.money import Money, exponent_of
from wallet_core.domain.schedule_withdrawal import ScheduleWithdrawal
from wallet_core.domain.transaction import Transaction, TransactionType
from wallet_core.domain.transfer import Transfer
from wallet_core.domain.wallet import WalletId, WalletState, WalletView, wallet_name
from wallet_core.domain.withdrawal import Withdrawal, WithdrawalState
from wallet_core.usecases.app import new_id

_NANOS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


# From callers.


def caller_of(context: grpc.ServicerContext) -> str:
    """Return the name of the calling system. Without authentication there is one, called ``local``."""
    del context
    return "local"


def deadline_of(context: grpc.ServicerContext, longest_s: float) -> float:
    """Return when the caller will be gone, on the monotonic clock; *longest_s* from now where it does not say."""
    remaining = context.time_remaining()  # without a deadline: hundreds of years
    return monotonic() + (min(remaining, longest_s))


def create_wallet_command(request: wallet_pb.CreateWalletRequest, caller: str) -> CreateWallet:
    """Return what ``CreateWallet`` asks."""
    asked_id = WalletId(request.wallet_id) if request.wallet_id else None
    exponent_of_field(request.wallet.currency_code, "wallet.currency_code")
    return CreateWallet(
        request=_request(request.request_id, caller),
        id=asked_id or WalletId(str(new_id())),
        asked_id=asked_id,
        currency=request.wallet.currency_code,
        owner=request.wallet.owner,
        display_name=request.wallet.display_name,
    )


def deposit_command(request: transaction_pb.DepositRequest, caller: str) -> Deposit:
    """Return what ``Deposit`` asks."""
    return Deposit(
        request=_request(request.request_id, caller),
        validate_only=request.validate_only,
        id=new_id(),
        wallet=wallet_id(request.wallet),
        amount=_money(request.amount),
        description=request.description,
        external_reference=request.external_reference,
    )


def transfer_command(request: transaction_pb.TransferRequest, caller: str) -> Transfer:
    """Return what ``Transfer`` asks."""
    return Transfer(
        request=_request(request.request_id, caller),
        validate_only=request.validate_only,
        id=new_id(),
        source=wallet_id(request.source),
        destination=wallet_id(request.destination),
        amount=_money(request.amount),
        description=request.description,
    )


def schedule_withdrawal_command(request: schedule_pb.ScheduleWithdrawalRequest, caller: str) -> ScheduleWithdrawal:
    """Return what ``ScheduleWithdrawal`` asks."""
    return ScheduleWithdrawal(
        request=_request(request.request_id, caller),
        validate_only=request.validate_only,
        id=new_id(),
        wallet=wallet_id(request.wallet),
        amount=_money(request.amount),
        execute_time=_time(request.execute_time, "execute_time") if request.HasField("execute_time") else None,
        bank_account=request.bank_account,
        description=request.description,
    )


def cancel_withdrawal_command(request: schedule_pb.CancelWithdrawalRequest, caller: str) -> CancelWithdrawal:
    """Return what ``CancelWithdrawal`` asks."""
    return CancelWithdrawal(request=_request(request.request_id, caller), withdrawal=resource_uuid(request.name))


def wallet_id(name: str) -> WalletId:
    """Return the id in ``wallets/{wallet}``."""
    return WalletId(name.removeprefix("wallets/"))


def resource_uuid(name: str) -> UUID:
    """Return the id in a resource name that ends in a UUID."""
    return UUID(name.rpartition("/")[2])


def wallet_state(state: wallet_pb.Wallet.State.ValueType) -> WalletState | None:
    """Return the state that a list is narrowed to."""
    return WalletState(wallet_pb.Wallet.State.Name(state).removeprefix("STATE_")) if state else None


def transaction_type(type_: transaction_pb.Transaction.Type.ValueType) -> TransactionType | None:
    """Return the type that a list is narrowed to."""
    return TransactionType(transaction_pb.Transaction.Type.Name(type_).removeprefix("TYPE_")) if type_ else None


def withdrawal_state(state: schedule_pb.Withdrawal.State.ValueType) -> WithdrawalState | None:
    """Return the state that a list is narrowed to."""
    return WithdrawalState(schedule_pb.Withdrawal.State.Name(state).removeprefix("STATE_")) if state else None


def exponent_of_field(currency: str, field: str) -> int:
    """Return a currency's decimals; name the request's field where there is no such currency."""
    try:
        return exponent_of(currency)
    except InvalidField as invalid:
        raise InvalidField(field, invalid.description) from None


def _request(request_id: str, caller: str) -> Request:
    return Request(caller, UUID(request_id))


def _money(amount: MoneyPb) -> Money:
    exponent_of_field(amount.currency_code, "amount.currency_code")
    return Money(amount.currency_code, amount.minor_units)


def _time(timestamp: Timestamp, field: str) -> datetime:
    """Read a time to the microsecond, which is what the database keeps."""
    if not 0 <= timestamp.nanos < _NANOS:
        raise InvalidField(field, f"nanos must be from 0 to {_NANOS - 1}")
    try:
        return _EPOCH + timedelta(seconds=timestamp.seconds, microseconds=timestamp.nanos // 1000)
    except OverflowError:
        raise InvalidField(field, "is outside the years 1 to 9999") from None


# To callers.


def wallet_message(wallet: WalletView) -> wallet_pb.Wallet:
    """Show a wallet."""
    return wallet_pb.Wallet(
        name=wallet_name(wallet.id),
        currency_code=wallet.currency,
        owner=wallet.owner,
        display_name=wallet.display_name,
        state=wallet_pb.Wallet.State.Value(f"STATE_{wallet.state}"),
        balance=MoneyPb(currency_code=wallet.currency, minor_units=wallet.balance),
        held=MoneyPb(currency_code=wallet.currency, minor_units=wallet.held),
        available=money_message(wallet.available),
        overdraft_limit=MoneyPb(currency_code=wallet.currency, minor_units=wallet.overdraft_limit),
        create_time=timestamp_message(wallet.create_time),
    )


def transaction_message(transaction: Transaction, *, validated_only: bool = False) -> transaction_pb.Transaction:
    """Show a transaction; one that was only validated has no name and no time."""
    currency = transaction.amount.currency
    shown = transaction_pb.Transaction(
        type=transaction_pb.Transaction.Type.Value(f"TYPE_{transaction.type}"),
        state=transaction_pb.Transaction.STATE_SUCCEEDED,
        amount=money_message(transaction.amount),
        source=wallet_name(transaction.source),
        destination=wallet_name(transaction.destination),
        entries=[
            transaction_pb.Entry(
                wallet=wallet_name(entry.wallet),
                amount=MoneyPb(currency_code=currency, minor_units=entry.amount),
                balance_after=MoneyPb(currency_code=currency, minor_units=entry.balance_after),
                sequence=entry.sequence,
            )
            for entry in transaction.entries
        ],
        description=transaction.description,
        external_reference=transaction.external_reference,
        withdrawal=f"withdrawals/{transaction.withdrawal}" if transaction.withdrawal else "",
    )
    if not validated_only:
        shown.name = transaction.name
        shown.execute_time.CopyFrom(timestamp_message(transaction.time))
    return shown


def withdrawal_message(withdrawal: Withdrawal, *, validated_only: bool = False) -> schedule_pb.Withdrawal:
    """Show a withdrawal; one that was only validated has no name."""
    return schedule_pb.Withdrawal(
        name="" if validated_only else withdrawal.name,
        wallet=wallet_name(withdrawal.wallet),
        amount=money_message(withdrawal.amount),
        state=schedule_pb.Withdrawal.State.Value(f"STATE_{withdrawal.state}"),
        execute_time=timestamp_message(withdrawal.execute_time),
        bank_account=withdrawal.bank_account,
        description=withdrawal.description,
        bank_reference=withdrawal.bank_reference,
        failure_reason=schedule_pb.Withdrawal.FailureReason.Value(
            f"FAILURE_REASON_{withdrawal.failure_reason or 'UNSPECIFIED'}"
        ),
        attempts=withdrawal.attempts_counted,
        next_attempt_time=(
            timestamp_message(withdrawal.next_attempt_time) if withdrawal.next_attempt_time is not None else None
        ),
        attention=withdrawal.attention,
        create_time=timestamp_message(withdrawal.create_time),
        update_time=timestamp_message(withdrawal.update_time),
    )


def money_message(money: Money) -> MoneyPb:
    """Show an amount."""
    return MoneyPb(currency_code=money.currency, minor_units=money.minor)


def timestamp_message(time: datetime) -> Timestamp:
    """Show a time."""
    since = time - _EPOCH
    return Timestamp(seconds=since.days * 86400 + since.seconds, nanos=since.microseconds * 1000)
