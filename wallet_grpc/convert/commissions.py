"""CommissionService."""

from wallet.v1 import commission_service_pb2 as pb
from wallet.v1.commission_pb2 import CommissionPayer

from wallet_core.domain.commands.commission.change_rules import CreateCommissionRule, EndCommissionRule
from wallet_core.domain.commands.transfers.transfer import TransferTerms
from wallet_core.domain.model.commission_rule import CommissionRule, Label, Payer
from wallet_core.domain.model.money import listed_currencies
from wallet_core.domain.model.wallet import wallet_name
from wallet_core.usecases.app import new_id
from wallet_core.usecases.commission import Quote
from wallet_grpc.convert.values import (
    commission_message,
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


def create_command(request: pb.CreateCommissionRuleRequest, caller: Principal) -> CreateCommissionRule:
    """Return what ``CreateCommissionRule`` asks."""
    rule = request.rule
    return CreateCommissionRule(
        request=request_of(request.request_id, caller),
        validate_only=request.validate_only,
        id=new_id(),
        currency=rule.currency_code,
        listed=listed_currencies().get(rule.currency_code),
        threshold=rule.threshold_minor_units,
        rate_millionths=rule.rate_millionths,
        fixed=rule.fixed_minor_units,
        minimum=rule.minimum_minor_units,
        maximum=rule.maximum_minor_units if rule.HasField("maximum_minor_units") else None,
        payer=Payer(CommissionPayer.Name(rule.payer).removeprefix("COMMISSION_PAYER_")),
        wallet=wallet_id(rule.wallet) if rule.HasField("wallet") else None,
        label=Label(rule.label.key, rule.label.value) if rule.HasField("label") else None,
        start_time=time_of(rule.start_time, "rule.start_time") if rule.HasField("start_time") else None,
        end_time=time_of(rule.end_time, "rule.end_time") if rule.HasField("end_time") else None,
    )


def end_command(request: pb.EndCommissionRuleRequest, caller: Principal) -> EndCommissionRule:
    """Return what ``EndCommissionRule`` asks."""
    return EndCommissionRule(
        request=request_of(request.request_id, caller),
        validate_only=request.validate_only,
        rule=resource_uuid(request.name),
        end_time=time_of(request.end_time, "end_time") if request.HasField("end_time") else None,
    )


def quoted_terms(request: pb.QuoteCommissionRequest) -> TransferTerms:
    """Return the terms of the transfer to quote."""
    return TransferTerms(
        id=new_id(),
        source=wallet_id(request.source),
        destination=wallet_id(request.destination),
        amount=money_of(request.amount),
    )


def rule_message(rule: CommissionRule, *, validated_only: bool = False) -> pb.CommissionRule:
    """Return a rule's message; after ``validate_only`` it has no name."""
    message = pb.CommissionRule(
        name="" if validated_only else rule.name,
        currency_code=rule.currency,
        threshold_minor_units=rule.threshold,
        rate_millionths=rule.rate_millionths,
        fixed_minor_units=rule.fixed,
        minimum_minor_units=rule.minimum,
        maximum_minor_units=rule.maximum,
        payer=CommissionPayer.Value(f"COMMISSION_PAYER_{rule.payer}"),
        start_time=timestamp_message(rule.start_time),
        end_time=optional_time(rule.end_time),
        create_time=timestamp_message(rule.create_time),
    )
    if rule.wallet is not None:
        message.wallet = wallet_name(rule.wallet)
    if rule.label is not None:
        message.label.CopyFrom(pb.Label(key=rule.label.key, value=rule.label.value))
    return message


def quote_response(quote: Quote) -> pb.QuoteCommissionResponse:
    """Return a quote's message."""
    return pb.QuoteCommissionResponse(
        commission=commission_message(quote.commission),
        source_debit=money_message(quote.source_debit),
        destination_credit=money_message(quote.destination_credit),
    )
