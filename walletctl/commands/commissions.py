"""The commands ``walletctl commission …``."""

from enum import StrEnum
from typing import Annotated

import typer

from wallet_client import Payer, as_dict
from walletctl import typed
from walletctl.context import Context, report_errors
from walletctl.options import Currency, Json, RequestId, ValidateOnly, Value, filter_option, time_option
from walletctl.output import show, show_one
from walletctl.tables import QUOTES, RULES
from walletctl.typed import InvalidArgument, resource, wallet_name

commissions = typer.Typer(no_args_is_help=True, help="Commission rules and quotes.")

Rule = Annotated[str, typer.Argument(help="The rule's id.")]


class PaidBy(StrEnum):
    """The side that pays the commission."""

    SOURCE = "source"
    DESTINATION = "destination"


@commissions.command()
def create(
    context: typer.Context,
    payer: Annotated[
        PaidBy, typer.Option(help="The side that pays: the source on top, or the destination out of the amount.")
    ],
    currency: Annotated[str, typer.Option(help="ISO 4217 code.")] = "USD",
    rate: Annotated[str, typer.Option(help="The share of the amount, like 1.5%.")] = "0%",
    fixed: Annotated[str, typer.Option(help="The fixed part, like 0.30.")] = "0",
    min_: Annotated[str, typer.Option("--min", help="The minimum.")] = "0",
    max_: Annotated[str | None, typer.Option("--max", help="The maximum.")] = None,
    above: Annotated[str, typer.Option(help="Only for amounts above this.")] = "0",
    wallet: Annotated[str | None, typer.Option(help="Only where this wallet pays.")] = None,
    label: Annotated[
        str | None, typer.Option(help="Only where a wallet with this label, like tier=gold, pays.")
    ] = None,
    starts: Annotated[str | None, time_option(help_="The start; default: now.")] = None,
    ends: Annotated[str | None, time_option(help_="The end; default: never.")] = None,
    request_id: RequestId = None,
    *,
    validate_only: ValidateOnly = False,
    json: Json = False,
) -> None:
    """Create a rule for a wallet, for a label, or for the whole currency."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        if wallet is not None and label is not None:
            raise InvalidArgument("use --wallet or --label, not both")

        def minor_units(value: str, option: str) -> int:
            return typed.amount_or_zero(value, currency, option).minor_units

        created = client.create_commission_rule(
            currency,
            Payer[payer.name],
            threshold_minor_units=minor_units(above, "--above"),
            rate_millionths=typed.millionths(rate),
            fixed_minor_units=minor_units(fixed, "--fixed"),
            minimum_minor_units=minor_units(min_, "--min"),
            maximum_minor_units=minor_units(max_, "--max") if max_ is not None else None,
            wallet=wallet_name(wallet) if wallet is not None else None,
            label=typed.label(label) if label is not None else None,
            start_time=typed.time_or_none(starts, "--starts"),
            end_time=typed.time_or_none(ends, "--ends"),
            validate_only=validate_only,
            request_id=request_id,
        )
        show_one(RULES, as_dict(created.rule), as_json=json)


@commissions.command()
def end(
    context: typer.Context,
    rule: Rule,
    at: Annotated[str | None, time_option(help_="The end; default: now.")] = None,
    request_id: RequestId = None,
    *,
    validate_only: ValidateOnly = False,
    json: Json = False,
) -> None:
    """End a rule, now or at a later time."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        ended = client.end_commission_rule(
            resource("commissionRules", rule),
            end_time=typed.time_or_none(at, "--at"),
            validate_only=validate_only,
            request_id=request_id,
        )
        show_one(RULES, as_dict(ended.rule), as_json=json)


@commissions.command()
def get(context: typer.Context, rule: Rule, *, json: Json = False) -> None:
    """Show one rule."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        show_one(RULES, as_dict(client.get_commission_rule(resource("commissionRules", rule))), as_json=json)


@commissions.command("list")
def list_(
    context: typer.Context,
    filter_: Annotated[str, filter_option('currency_code = "USD" AND wallet = "wallets/alice"')] = "",
    *,
    json: Json = False,
) -> None:
    """List all rules, newest first."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        show(RULES, [as_dict(one) for one in client.list_commission_rules(filter=filter_)], as_json=json)


@commissions.command()
def quote(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="The wallet to debit.")],
    destination: Annotated[str, typer.Argument(help="The wallet to credit.")],
    value: Value,
    currency: Currency = "USD",
    *,
    json: Json = False,
) -> None:
    """Show what a transfer would cost now; nothing is moved."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        quoted = client.quote_commission(wallet_name(source), wallet_name(destination), typed.amount(value, currency))
        show_one(QUOTES, as_dict(quoted), as_json=json)
