"""The commands ``walletctl withdrawal …``."""

from itertools import islice
from typing import Annotated

import typer

from wallet_grpc.client import WalletClient, as_dict
from walletctl.context import Context, Json, RequestId, explained, wallet_name, withdrawal_name
from walletctl.live import show_live
from walletctl.output import WITHDRAWALS, Row, show, show_one

withdrawals = typer.Typer(no_args_is_help=True, help="Look at, watch and cancel payouts.")

OfWallet = Annotated[str, typer.Option("--wallet", help="Only withdrawals of this wallet.")]
Withdrawal = Annotated[str, typer.Argument(help="The withdrawal's id.")]

_WATCHED_MAX = 50


@withdrawals.command("list")
def list_(context: typer.Context, wallet: OfWallet = "", *, json: Json = False) -> None:
    """Show withdrawals, newest first."""
    app: Context = context.obj
    with explained(), app.client() as client:
        found = client.list_withdrawals(wallet_name(wallet) if wallet else "")
        show(WITHDRAWALS, [as_dict(one) for one in found], as_json=json)


@withdrawals.command()
def get(context: typer.Context, withdrawal: Withdrawal, *, json: Json = False) -> None:
    """Show one withdrawal."""
    app: Context = context.obj
    with explained(), app.client() as client:
        show_one(WITHDRAWALS, as_dict(client.get_withdrawal(withdrawal_name(withdrawal))), as_json=json)


@withdrawals.command()
def cancel(context: typer.Context, withdrawal: Withdrawal, request_id: RequestId = None, *, json: Json = False) -> None:
    """Cancel a withdrawal before its time."""
    app: Context = context.obj
    with explained(), app.client() as client:
        cancelled = client.cancel_withdrawal(withdrawal_name(withdrawal), request_id=request_id)
        show_one(WITHDRAWALS, as_dict(cancelled.withdrawal), as_json=json)


@withdrawals.command()
def watch(context: typer.Context, wallet: OfWallet = "") -> None:
    """Show the newest withdrawals as they change, until Ctrl-C."""
    app: Context = context.obj
    name = wallet_name(wallet) if wallet else ""
    with explained(), app.client() as client:
        show_live(lambda: _newest(client, name))


def _newest(client: WalletClient, wallet: str) -> list[Row]:
    found = client.list_withdrawals(wallet, page_size=_WATCHED_MAX)
    return [as_dict(one) for one in islice(found, _WATCHED_MAX)]
