"""The commands ``walletctl withdrawal …``."""

from itertools import islice
from typing import Annotated

import typer

from wallet_client import as_dict
from walletctl.context import Context, report_errors
from walletctl.live import WATCHED_MAX, show_live
from walletctl.options import Json, OfWallet, RequestId, ValidateOnly, filter_option
from walletctl.output import show, show_one
from walletctl.tables import WITHDRAWALS
from walletctl.typed import resource, wallet_name

withdrawals = typer.Typer(no_args_is_help=True, help="List, show, watch, cancel and resolve payouts.")

Withdrawal = Annotated[str, typer.Argument(help="The withdrawal's id.")]


@withdrawals.command("list")
def list_(
    context: typer.Context,
    wallet: OfWallet = "",
    filter_: Annotated[str, filter_option('state = SCHEDULED AND execute_time < "2026-02-01T00:00:00Z"')] = "",
    *,
    json: Json = False,
) -> None:
    """List withdrawals, newest first."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        found = client.list_withdrawals(wallet_name(wallet) if wallet else "", filter=filter_)
        show(WITHDRAWALS, [as_dict(one) for one in found], as_json=json)


@withdrawals.command()
def get(context: typer.Context, withdrawal: Withdrawal, *, json: Json = False) -> None:
    """Show one withdrawal."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        show_one(WITHDRAWALS, as_dict(client.get_withdrawal(resource("withdrawals", withdrawal))), as_json=json)


@withdrawals.command()
def cancel(
    context: typer.Context,
    withdrawal: Withdrawal,
    request_id: RequestId = None,
    *,
    validate_only: ValidateOnly = False,
    json: Json = False,
) -> None:
    """Cancel a withdrawal before it is due."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        cancelled = client.cancel_withdrawal(
            resource("withdrawals", withdrawal), validate_only=validate_only, request_id=request_id
        )
        show_one(WITHDRAWALS, as_dict(cancelled.withdrawal), as_json=json)


@withdrawals.command()
def watch(context: typer.Context, wallet: OfWallet = "") -> None:
    """Show the newest withdrawals as they change, until Ctrl-C."""
    app: Context = context.obj
    name = wallet_name(wallet) if wallet else ""
    with report_errors(), app.client() as client:
        show_live(
            WITHDRAWALS,
            lambda: [as_dict(one) for one in islice(client.list_withdrawals(name, page_size=WATCHED_MAX), WATCHED_MAX)],
        )
