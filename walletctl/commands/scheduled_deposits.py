"""The commands ``walletctl scheduled-deposit …``."""

from itertools import islice
from typing import Annotated

import typer

from wallet_client import as_dict
from walletctl import typed
from walletctl.context import Context, report_errors
from walletctl.live import WATCHED_MAX, show_live
from walletctl.options import (
    Account,
    At,
    Currency,
    Description,
    ExternalReference,
    In,
    Json,
    OfWallet,
    RequestId,
    UniqueReference,
    ValidateOnly,
    Value,
    filter_option,
)
from walletctl.output import show, show_one
from walletctl.tables import SCHEDULED_DEPOSITS
from walletctl.typed import resource, wallet_name

scheduled_deposits = typer.Typer(
    no_args_is_help=True, help="Schedule, list, show, watch, cancel and resolve scheduled deposits."
)

Deposit = Annotated[str, typer.Argument(help="The scheduled deposit's id.")]


@scheduled_deposits.command()
def schedule(
    context: typer.Context,
    wallet: Annotated[str, typer.Argument(help="The wallet to credit.")],
    value: Value,
    currency: Currency = "USD",
    in_: In = None,
    at: At = None,
    account: Account = "",
    description: Description = "",
    external_reference: ExternalReference = "",
    request_id: RequestId = None,
    *,
    collect: Annotated[bool, typer.Option("--collect", help="Let the bank collect the money first.")] = False,
    unique_reference: UniqueReference = False,
    validate_only: ValidateOnly = False,
    json: Json = False,
) -> None:
    """Schedule a deposit; without a time it is due now."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        done = client.schedule_deposit(
            wallet_name(wallet),
            typed.amount(value, currency),
            execute_time=typed.either(in_, "--in", at, "--at"),
            collect=collect,
            bank_account=account,
            description=description,
            external_reference=external_reference,
            unique_reference=unique_reference,
            validate_only=validate_only,
            request_id=request_id,
        )
        show_one(SCHEDULED_DEPOSITS, as_dict(done.scheduled_deposit), as_json=json)


@scheduled_deposits.command()
def get(context: typer.Context, deposit: Deposit, *, json: Json = False) -> None:
    """Show one scheduled deposit."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        found = client.get_scheduled_deposit(resource("scheduledDeposits", deposit))
        show_one(SCHEDULED_DEPOSITS, as_dict(found), as_json=json)


@scheduled_deposits.command("list")
def list_(
    context: typer.Context,
    wallet: OfWallet = "",
    filter_: Annotated[str, filter_option("state = SCHEDULED AND amount >= 100000")] = "",
    *,
    json: Json = False,
) -> None:
    """List scheduled deposits, newest first."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        found = client.list_scheduled_deposits(wallet_name(wallet) if wallet else "", filter=filter_)
        show(SCHEDULED_DEPOSITS, [as_dict(one) for one in found], as_json=json)


@scheduled_deposits.command()
def cancel(
    context: typer.Context,
    deposit: Deposit,
    request_id: RequestId = None,
    *,
    validate_only: ValidateOnly = False,
    json: Json = False,
) -> None:
    """Cancel a scheduled deposit before it is due."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        cancelled = client.cancel_scheduled_deposit(
            resource("scheduledDeposits", deposit), validate_only=validate_only, request_id=request_id
        )
        show_one(SCHEDULED_DEPOSITS, as_dict(cancelled.scheduled_deposit), as_json=json)


@scheduled_deposits.command()
def watch(context: typer.Context, wallet: OfWallet = "") -> None:
    """Show the newest scheduled deposits as they change, until Ctrl-C."""
    app: Context = context.obj
    name = wallet_name(wallet) if wallet else ""
    with report_errors(), app.client() as client:
        show_live(
            SCHEDULED_DEPOSITS,
            lambda: [
                as_dict(one) for one in islice(client.list_scheduled_deposits(name, page_size=WATCHED_MAX), WATCHED_MAX)
            ],
        )
