"""OperationsService."""

from wallet.v1 import operations_service_pb2 as pb
from wallet.v1.money_pb2 import Money as MoneyPb
from wallet.v1.schedule_service_pb2 import ResolutionKind as ResolutionKindPb

from wallet_core.domain.commands.payments.match_statement import AcceptBankStatement, ResolveDiscrepancy
from wallet_core.domain.commands.payments.resolve_order import ResolveScheduledDeposit, ResolveWithdrawal
from wallet_core.domain.model.attention import AttentionItem
from wallet_core.domain.model.bank import BankStatement, BankStatementLine
from wallet_core.domain.model.payment_order import ResolutionKind
from wallet_core.usecases.app import new_id
from wallet_grpc.convert.values import optional_time, request_of, resource_uuid, timestamp_message, wallet_id
from wallet_grpc.security.access import Principal


def resolve_withdrawal_command(request: pb.ResolveWithdrawalRequest, caller: Principal) -> ResolveWithdrawal:
    """Return what ``ResolveWithdrawal`` asks."""
    return ResolveWithdrawal(
        request=request_of(request.request_id, caller),
        validate_only=request.validate_only,
        id=new_id(),
        order=resource_uuid(request.name),
        resolution=_kind_of(request.resolution),
        reason=request.reason,
        bank_evidence=request.bank_evidence,
        bank_reference=request.bank_reference,
        destination=wallet_id(request.destination) if request.destination else None,
    )


def resolve_deposit_command(request: pb.ResolveScheduledDepositRequest, caller: Principal) -> ResolveScheduledDeposit:
    """Return what ``ResolveScheduledDeposit`` asks."""
    return ResolveScheduledDeposit(
        request=request_of(request.request_id, caller),
        validate_only=request.validate_only,
        id=new_id(),
        order=resource_uuid(request.name),
        resolution=_kind_of(request.resolution),
        reason=request.reason,
        bank_evidence=request.bank_evidence,
        bank_reference=request.bank_reference,
        destination=wallet_id(request.destination) if request.destination else None,
    )


def resolve_discrepancy_command(request: pb.ResolveDiscrepancyRequest, caller: Principal) -> ResolveDiscrepancy:
    """Return what ``ResolveDiscrepancy`` asks."""
    return ResolveDiscrepancy(
        request=request_of(request.request_id, caller),
        validate_only=request.validate_only,
        line=int(request.name.rpartition("/")[2]),
        reason=request.reason,
    )


def accept_ledger_command(request: pb.AcceptBankStatementRequest, caller: Principal) -> AcceptBankStatement:
    """Return what ``AcceptBankStatement`` asks."""
    return AcceptBankStatement(
        request=request_of(request.request_id, caller),
        validate_only=request.validate_only,
        statement=int(request.name.rpartition("/")[2]),
        reason=request.reason,
    )


def ledger_message(ledger: BankStatement) -> pb.BankStatement:
    """Return the message of a bank statement."""
    return pb.BankStatement(
        name=ledger.name,
        reason=ledger.reason,
        accepted_by=ledger.accepted_by,
        person=ledger.person.name,
        token_id=ledger.person.token_id,
        accept_time=optional_time(ledger.time),
    )


def attention_message(item: AttentionItem) -> pb.AttentionItem:
    """Return the message of an attention item."""
    return pb.AttentionItem(
        kind=pb.AttentionItem.Kind.Value(f"KIND_{item.kind}"),
        resource_name=item.name,
        explanation=item.explanation,
        amount=MoneyPb(currency_code=item.amount.currency, minor_units=item.amount.minor),
        wallet=item.wallet,
        bank_key=item.bank_key,
        since=timestamp_message(item.since),
    )


def line_message(line: BankStatementLine) -> pb.BankStatementLine:
    """Return the message of a bank statement line."""
    return pb.BankStatementLine(
        name=line.name,
        kind=line.kind,
        bank_key=line.key,
        amount=MoneyPb(currency_code=line.amount.currency, minor_units=line.amount.minor),
        bank_reference=line.reference,
        explanation=line.explanation,
        resolution=line.resolution,
        resolved_by=line.resolved_by,
        person=line.person.name,
        token_id=line.person.token_id,
        read_time=optional_time(line.time),
    )


def _kind_of(kind: ResolutionKindPb.ValueType) -> ResolutionKind:
    return ResolutionKind(ResolutionKindPb.Name(kind).removeprefix("RESOLUTION_KIND_"))
