"""TransactionService."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from uuid import UUID

from google.rpc import status_pb2
from wallet.v1 import transaction_service_pb2 as pb
from wallet.v1.money_pb2 import Money as MoneyPb

from wallet_core.domain.commands.transfers.batch_transfer import BatchTransfer
from wallet_core.domain.commands.transfers.deposit import Deposit
from wallet_core.domain.commands.transfers.reverse_transaction import ReverseTransaction
from wallet_core.domain.commands.transfers.transfer import Transfer, TransferTerms
from wallet_core.domain.model.errors import InvalidField, Refusal, WalletError
from wallet_core.domain.model.hold import hold_name
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.payment_order import OrderKind, order_name
from wallet_core.domain.model.receipt import Language
from wallet_core.domain.model.transaction import Transaction, TransactionDetails, TransactionType, transaction_name
from wallet_core.domain.model.wallet import wallet_name
from wallet_core.domain.queries.statement import Statement, StatementEntry, StatementTotal
from wallet_core.usecases.app import new_id
from wallet_core.usecases.move_money import MoneyMoved
from wallet_grpc.convert.values import (
    bound_of,
    commission_message,
    is_unique,
    labels_of,
    money_message,
    money_of,
    request_of,
    resource_uuid,
    timestamp_message,
    wallet_id,
)
from wallet_grpc.errors.catalogue import to_public_error
from wallet_grpc.errors.status import ExponentOf, status_of
from wallet_grpc.security.access import Principal
from wallet_grpc.security.redaction import redact_for

# From callers.


def deposit_command(request: pb.DepositRequest, caller: Principal) -> Deposit:
    """Return what ``Deposit`` asks."""
    return Deposit(
        request=request_of(request.request_id, caller),
        validate_only=request.validate_only,
        id=new_id(),
        wallet=wallet_id(request.wallet),
        amount=money_of(request.amount),
        details=_details(request),
        unique_reference=is_unique(request.reference_policy),
    )


def transfer_command(
    request: pb.TransferRequest | pb.TransferItem, caller: Principal, *, validate_only: bool
) -> Transfer:
    """Return the command of a ``Transfer``, or of one item of a batch."""
    return Transfer(
        request=request_of(request.request_id, caller),
        validate_only=validate_only,
        id=new_id(),
        source=wallet_id(request.source),
        destination=wallet_id(request.destination),
        amount=money_of(request.amount),
        details=_details(request),
        max_commission=_max_commission(request),
        unique_reference=is_unique(request.reference_policy),
    )


def batch_command(request: pb.BatchTransferRequest, caller: Principal) -> BatchTransfer:
    """Return the command of an atomic ``BatchTransfer``."""
    return BatchTransfer(
        request=request_of(request.request_id, caller),
        validate_only=request.validate_only,
        id=new_id(),
        items=tuple(map(_terms, request.items)),
    )


def item_commands(request: pb.BatchTransferRequest, caller: Principal) -> list[Transfer]:
    """Return the commands of the items of a ``BatchTransfer`` that is not atomic."""
    return [transfer_command(item, caller, validate_only=request.validate_only) for item in request.items]


def reverse_command(request: pb.ReverseTransactionRequest, caller: Principal) -> ReverseTransaction:
    """Return what ``ReverseTransaction`` asks."""
    return ReverseTransaction(
        request=request_of(request.request_id, caller),
        validate_only=request.validate_only,
        id=new_id(),
        transaction=resource_uuid(request.name),
        amount=money_of(request.amount) if request.HasField("amount") else None,
        keep_commission=request.keep_commission,
        details=TransactionDetails(description=request.description),
    )


def interval(request: pb.GetStatementRequest | pb.ExportStatementRequest) -> tuple[datetime, datetime]:
    """Return the time range of a statement."""
    start, end = bound_of(request.start_time, "start_time"), bound_of(request.end_time, "end_time")
    asked = [(one.seconds, one.nanos) for one in (request.start_time, request.end_time)]
    if asked[0] >= asked[1]:
        raise InvalidField("end_time", "must be after start_time")
    return start, end


def language_of(request: pb.GetReceiptRequest) -> Language:
    """Return the language of a receipt."""
    return Language(request.language or Language.ENGLISH)


def _terms(item: pb.TransferItem) -> TransferTerms:
    return TransferTerms(
        id=new_id(),
        source=wallet_id(item.source),
        destination=wallet_id(item.destination),
        amount=money_of(item.amount),
        details=_details(item),
        max_commission=_max_commission(item),
        unique_reference=is_unique(item.reference_policy),
    )


def _details(message: pb.DepositRequest | pb.TransferRequest | pb.TransferItem) -> TransactionDetails:
    """Return the details in a request: fields of the same names, those that its message has."""
    names = {field.name for field in fields(TransactionDetails)}.intersection(message.DESCRIPTOR.fields_by_name)
    values = {name: getattr(message, name) for name in names}
    return TransactionDetails(**values | {"labels": labels_of(message.labels)})


def _max_commission(asked: pb.TransferRequest | pb.TransferItem) -> Money | None:
    return money_of(asked.max_commission) if asked.HasField("max_commission") else None


# To callers.

# The field that names the cause of a transaction, by type.
_CAUSES = {
    TransactionType.DEPOSIT: "scheduled_deposit",
    TransactionType.COLLECTION: "scheduled_deposit",
    TransactionType.COLLECTION_APPLICATION: "scheduled_deposit",
    TransactionType.WITHDRAWAL: "withdrawal",
    TransactionType.WITHDRAWAL_SETTLEMENT: "withdrawal",
    TransactionType.WITHDRAWAL_RELEASE: "withdrawal",
    TransactionType.WITHDRAWAL_RETURN: "withdrawal",
    TransactionType.RETURN_APPLICATION: "withdrawal",
    TransactionType.HOLD_CAPTURE: "hold",
    TransactionType.REVERSAL: "reverses",
}


def transaction_message(transaction: Transaction, *, validated_only: bool = False) -> pb.Transaction:
    """Return a transaction's message; after ``validate_only`` it has no name and no time."""
    moved = transaction.movement
    currency = moved.amount.currency
    message = pb.Transaction(
        type=pb.Transaction.Type.Value(f"TYPE_{moved.type}"),
        state=pb.Transaction.State.Value(f"STATE_{transaction.state}"),
        amount=money_message(moved.amount),
        source=wallet_name(moved.source),
        destination=wallet_name(moved.destination),
        entries=[
            pb.Entry(
                wallet=wallet_name(entry.wallet),
                amount=MoneyPb(currency_code=currency, minor_units=entry.amount),
                balance_after=MoneyPb(currency_code=currency, minor_units=entry.balance_after),
                sequence=entry.sequence,
            )
            for entry in transaction.entries
        ],
        commission=commission_message(moved.commission),
        description=moved.details.description,
        external_reference=moved.details.external_reference,
        labels=moved.details.labels,
        caller=transaction.caller,
        reversals=[transaction_name(reversal) for reversal in transaction.reversals.ids],
        reversed_amount=MoneyPb(currency_code=currency, minor_units=transaction.reversals.amount),
    )
    if moved.cause is not None:
        setattr(message, _CAUSES[moved.type], _cause_name(moved.type, moved.cause))
    if not validated_only:
        message.name = transaction.name
        message.execute_time.CopyFrom(timestamp_message(transaction.time))
        message.batch = str(moved.batch or "")
    return message


def batch_response(
    transactions: Sequence[Transaction], *, replayed: bool, validated_only: bool
) -> pb.BatchTransferResponse:
    """Return the message of an atomic batch."""
    return pb.BatchTransferResponse(
        results=[
            pb.BatchTransferResult(transaction=transaction_message(one, validated_only=validated_only))
            for one in transactions
        ],
        replayed=replayed,
    )


def items_response(
    results: Sequence[MoneyMoved | WalletError],
    principal: Principal,
    *,
    validate_only: bool,
    accept_language: str | None,
    exponent_of: ExponentOf,
) -> pb.BatchTransferResponse:
    """Return the result of each item."""
    return pb.BatchTransferResponse(
        results=[
            _result(
                redact_for(principal, one) if isinstance(one, WalletError) else one,
                validate_only=validate_only,
                accept_language=accept_language,
                exponent_of=exponent_of,
            )
            for one in results
        ]
    )


def statement_response(
    statement: Statement, request: pb.GetStatementRequest, next_page_token: str
) -> pb.GetStatementResponse:
    """Return the message of a statement's page."""
    currency = statement.span.currency
    return pb.GetStatementResponse(
        wallet=request.wallet,
        start_time=request.start_time,
        end_time=request.end_time,
        opening_balance=MoneyPb(currency_code=currency, minor_units=statement.opening_balance),
        closing_balance=MoneyPb(currency_code=currency, minor_units=statement.closing_balance),
        totals=[_total_message(total, currency) for total in statement.totals],
        entries=[_entry_message(entry, currency) for entry in statement.entries],
        provisional=statement.provisional,
        next_page_token=next_page_token,
    )


def _cause_name(type_: TransactionType, cause: UUID) -> str:
    match type_:
        case TransactionType.HOLD_CAPTURE:
            return hold_name(cause)
        case TransactionType.REVERSAL:
            return transaction_name(cause)
        case TransactionType.DEPOSIT | TransactionType.COLLECTION | TransactionType.COLLECTION_APPLICATION:
            return order_name(OrderKind.SCHEDULED_DEPOSIT, cause)
        case _:
            return order_name(OrderKind.WITHDRAWAL, cause)


def _result(
    result: MoneyMoved | WalletError, *, validate_only: bool, accept_language: str | None, exponent_of: ExponentOf
) -> pb.BatchTransferResult:
    if isinstance(result, WalletError):
        if to_public_error(result) is not result:
            raise result  # a defect fails the whole call, so that it is logged under the correlation id
        status = status_of(result, read=False, accept_language=accept_language, exponent_of=exponent_of)
        return pb.BatchTransferResult(
            error=status_pb2.Status.FromString(status.SerializeToString()),
            replayed=isinstance(result, Refusal) and result.replayed,
        )
    return pb.BatchTransferResult(
        transaction=transaction_message(result.transaction, validated_only=validate_only and not result.replayed),
        source_available=money_message(result.available) if result.available is not None else None,
        replayed=result.replayed,
    )


def _total_message(total: StatementTotal, currency: str) -> pb.StatementTotal:
    return pb.StatementTotal(
        type=pb.Transaction.Type.Value(f"TYPE_{total.type}"),
        count=total.count,
        credited=MoneyPb(currency_code=currency, minor_units=total.credited),
        debited=MoneyPb(currency_code=currency, minor_units=total.debited),
    )


def _entry_message(entry: StatementEntry, currency: str) -> pb.StatementEntry:
    return pb.StatementEntry(
        sequence=entry.sequence,
        transaction=transaction_name(entry.transaction),
        type=pb.Transaction.Type.Value(f"TYPE_{entry.type}"),
        counterparty=wallet_name(entry.counterparty),
        amount=MoneyPb(currency_code=currency, minor_units=entry.amount),
        balance_after=MoneyPb(currency_code=currency, minor_units=entry.balance_after),
        execute_time=timestamp_message(entry.time),
        description=entry.description,
        external_reference=entry.external_reference,
    )
