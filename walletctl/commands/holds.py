"""The commands ``walletctl hold …``."""

from typing import Annotated

import typer

from wallet_client import as_dict
from walletctl import typed
from walletctl.context import Context, report_errors
from walletctl.options import (
    Currency,
    CurrencyOption,
    Description,
    Json,
    Labels,
    OfWallet,
    RequestId,
    ValidateOnly,
    Value,
    filter_option,
    time_option,
)
from walletctl.output import amount, out, show, show_json, show_one, table
from walletctl.tables import HOLDS, TRANSACTIONS
from walletctl.typed import InvalidArgument, resource, wallet_name

holds = typer.Typer(no_args_is_help=True, help="Reserve money, and capture or release it.")

Hold = Annotated[str, typer.Argument(help="The hold's id.")]


@holds.command()
def place(
    context: typer.Context,
    wallet: Annotated[str, typer.Argument(help="The wallet.")],
    value: Value,
    currency: Currency = "USD",
    expires_in: Annotated[str | None, typer.Option(help="Expires after: 90 (seconds), 15m, 1h30m, 7d.")] = None,
    expire_time: Annotated[str | None, time_option(help_="Expires at.")] = None,
    description: Description = "",
    request_id: RequestId = None,
    *,
    validate_only: ValidateOnly = False,
    json: Json = False,
) -> None:
    """Reserve money of a wallet until a time."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        until = typed.either(expires_in, "--expires-in", expire_time, "--expire-time")
        if until is None:
            raise InvalidArgument("an expiry is required: --expires-in 1h, or --expire-time 2026-12-01T09:00:00Z")
        placed = client.place_hold(
            wallet_name(wallet),
            typed.amount(value, currency),
            until,
            description=description,
            validate_only=validate_only,
            request_id=request_id,
        )
        show_one(HOLDS, as_dict(placed.hold), as_json=json)
        if not json:
            out.print(f"available: {amount(as_dict(placed.available))}")


@holds.command()
def capture(
    context: typer.Context,
    hold: Hold,
    to: Annotated[str, typer.Option(help="The wallet to credit.")],
    amount_: Annotated[
        str | None, typer.Option("--amount", help="The amount, like 10.05; default: all that remains.")
    ] = None,
    currency: CurrencyOption = "USD",
    description: Description = "",
    label: Labels = None,
    request_id: RequestId = None,
    *,
    final: Annotated[bool, typer.Option("--final", help="Release the remainder.")] = False,
    validate_only: ValidateOnly = False,
    json: Json = False,
) -> None:
    """Move held money to another wallet, in whole or in part."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        done = client.capture_hold(
            resource("holds", hold),
            wallet_name(to),
            amount=typed.amount(amount_, currency, "--amount") if amount_ is not None else None,
            final=final,
            description=description,
            labels=typed.labels(label),
            validate_only=validate_only,
            request_id=request_id,
        )
        if json:
            show_json(as_dict(done))
            return
        out.print(table(TRANSACTIONS, [as_dict(done.transaction)]))
        out.print(table(HOLDS, [as_dict(done.hold)]))


@holds.command()
def void(
    context: typer.Context,
    hold: Hold,
    request_id: RequestId = None,
    *,
    validate_only: ValidateOnly = False,
    json: Json = False,
) -> None:
    """Release a hold: its remainder is available again."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        voided = client.void_hold(resource("holds", hold), validate_only=validate_only, request_id=request_id)
        show_one(HOLDS, as_dict(voided.hold), as_json=json)


@holds.command()
def get(context: typer.Context, hold: Hold, *, json: Json = False) -> None:
    """Show one hold."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        show_one(HOLDS, as_dict(client.get_hold(resource("holds", hold))), as_json=json)


@holds.command("list")
def list_(
    context: typer.Context,
    wallet: OfWallet = "",
    filter_: Annotated[str, filter_option('state = ACTIVE AND expire_time < "2026-02-01T00:00:00Z"')] = "",
    *,
    json: Json = False,
) -> None:
    """List holds, newest first."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        found = client.list_holds(wallet_name(wallet) if wallet else "", filter=filter_)
        show(HOLDS, [as_dict(one) for one in found], as_json=json)
