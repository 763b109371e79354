"""The commands ``walletctl wallet …``."""

from typing import Annotated

import typer

from wallet_grpc.client import as_dict
from walletctl.context import Context, Json, RequestId, explained, wallet_name
from walletctl.output import TRANSACTIONS, WALLETS, show, show_one

wallets = typer.Typer(no_args_is_help=True, help="Create and look at wallets.")

Wallet = Annotated[str, typer.Argument(help="The wallet's id, e.g. alice.")]


@wallets.command()
def create(
    context: typer.Context,
    wallet: Wallet,
    currency: Annotated[str, typer.Option(help="ISO 4217 code.")] = "USD",
    owner: Annotated[str, typer.Option(help="Whose it is, in the words of the calling system.")] = "",
    display_name: Annotated[str, typer.Option(help="A name for people.")] = "",
    request_id: RequestId = None,
    *,
    json: Json = False,
) -> None:
    """Create an empty wallet."""
    app: Context = context.obj
    with explained(), app.client() as client:
        created = client.create_wallet(wallet, currency, owner=owner, display_name=display_name, request_id=request_id)
        show_one(WALLETS, as_dict(created.wallet), as_json=json)


@wallets.command()
def get(context: typer.Context, wallet: Wallet, *, json: Json = False) -> None:
    """Show one wallet."""
    app: Context = context.obj
    with explained(), app.client() as client:
        show_one(WALLETS, as_dict(client.get_wallet(wallet_name(wallet))), as_json=json)


@wallets.command("list")
def list_(
    context: typer.Context,
    currency: Annotated[str, typer.Option(help="Only wallets in this currency.")] = "",
    *,
    json: Json = False,
) -> None:
    """Show all wallets, newest first."""
    app: Context = context.obj
    with explained(), app.client() as client:
        show(WALLETS, [as_dict(one) for one in client.list_wallets(currency_code=currency)], as_json=json)


@wallets.command()
def transactions(context: typer.Context, wallet: Wallet, *, json: Json = False) -> None:
    """Show a wallet's transactions, newest first."""
    app: Context = context.obj
    with explained(), app.client() as client:
        rows = [as_dict(one) for one in client.list_transactions(wallet_name(wallet))]
        show(TRANSACTIONS, rows, as_json=json)
