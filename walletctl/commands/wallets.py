"""The commands ``walletctl wallet …``."""

from typing import Annotated

import typer

from wallet_client import as_dict
from walletctl import typed
from walletctl.commands.transactions import transactions
from walletctl.context import Context, report_errors
from walletctl.options import CurrencyOption, Json, Labels, RequestId, ValidateOnly, Wallet, filter_option, time_option
from walletctl.output import show, show_one
from walletctl.tables import CURRENCIES, WALLETS
from walletctl.typed import InvalidArgument, wallet_name

wallets = typer.Typer(no_args_is_help=True, help="Create, change and show wallets.")

DisplayName = Annotated[str, typer.Option(help="A display name.")]
Overdraft = Annotated[str | None, typer.Option(help="The overdraft limit, like 50.00.")]
Etag = Annotated[str, typer.Option(help="The etag that you read; refused if the wallet has changed since.")]


@wallets.command()
def create(
    context: typer.Context,
    wallet: Wallet,
    currency: Annotated[str, typer.Option(help="ISO 4217 code.")] = "USD",
    owner: Annotated[str, typer.Option(help="The owner, as the calling system names them.")] = "",
    display_name: DisplayName = "",
    label: Labels = None,
    overdraft: Overdraft = None,
    request_id: RequestId = None,
    *,
    validate_only: ValidateOnly = False,
    json: Json = False,
) -> None:
    """Create an empty wallet."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        created = client.create_wallet(
            wallet,
            currency,
            owner=owner,
            display_name=display_name,
            labels=typed.labels(label),
            overdraft_limit=typed.amount_or_zero(overdraft, currency, "--overdraft") if overdraft is not None else None,
            validate_only=validate_only,
            request_id=request_id,
        )
        show_one(WALLETS, as_dict(created.wallet), as_json=json)


@wallets.command()
def get(
    context: typer.Context,
    wallet: Wallet,
    as_of: Annotated[str | None, time_option(help_="The balance right before this time.")] = None,
    *,
    json: Json = False,
) -> None:
    """Show one wallet, now or with an earlier balance."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        found = client.get_wallet(wallet_name(wallet), as_of=typed.time_or_none(as_of, "--as-of"))
        show_one(WALLETS, as_dict(found), as_json=json)


@wallets.command("list")
def list_(
    context: typer.Context,
    filter_: Annotated[str, filter_option('state = ACTIVE AND currency_code = "USD" AND labels.tier = "gold"')] = "",
    *,
    json: Json = False,
) -> None:
    """List wallets, newest first."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        show(WALLETS, [as_dict(one) for one in client.list_wallets(filter=filter_)], as_json=json)


@wallets.command()
def currencies(context: typer.Context, *, json: Json = False) -> None:
    """List currencies: those in use, and those open to new wallets."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        show(CURRENCIES, [as_dict(one) for one in client.list_currencies()], as_json=json)


@wallets.command()
def update(
    context: typer.Context,
    wallet: Wallet,
    display_name: Annotated[str | None, typer.Option(help="A display name.")] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="A label like tier=gold; may be repeated; replaces all labels.")
    ] = None,
    overdraft: Overdraft = None,
    currency: CurrencyOption = "USD",
    etag: Etag = "",
    request_id: RequestId = None,
    *,
    no_labels: Annotated[bool, typer.Option("--no-labels", help="Remove all labels.")] = False,
    validate_only: ValidateOnly = False,
    json: Json = False,
) -> None:
    """Change a wallet: only the given options."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        if no_labels and label:
            raise InvalidArgument("use --label or --no-labels, not both")
        if display_name is None and overdraft is None and not (label or no_labels):
            raise InvalidArgument("name a change: --display-name, --label, --no-labels or --overdraft")
        changed = client.update_wallet(
            wallet_name(wallet),
            display_name=display_name,
            labels=typed.labels(label) if label or no_labels else None,
            overdraft_limit=typed.amount_or_zero(overdraft, currency, "--overdraft") if overdraft is not None else None,
            etag=etag,
            validate_only=validate_only,
            request_id=request_id,
        )
        show_one(WALLETS, as_dict(changed.wallet), as_json=json)


@wallets.command()
def freeze(
    context: typer.Context,
    wallet: Wallet,
    etag: Etag = "",
    request_id: RequestId = None,
    *,
    validate_only: ValidateOnly = False,
    json: Json = False,
) -> None:
    """Freeze a wallet: it can be credited but not debited."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        frozen = client.freeze_wallet(
            wallet_name(wallet), etag=etag, validate_only=validate_only, request_id=request_id
        )
        show_one(WALLETS, as_dict(frozen.wallet), as_json=json)


@wallets.command()
def unfreeze(
    context: typer.Context,
    wallet: Wallet,
    etag: Etag = "",
    request_id: RequestId = None,
    *,
    validate_only: ValidateOnly = False,
    json: Json = False,
) -> None:
    """Unfreeze a wallet: it can be debited again."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        active = client.unfreeze_wallet(
            wallet_name(wallet), etag=etag, validate_only=validate_only, request_id=request_id
        )
        show_one(WALLETS, as_dict(active.wallet), as_json=json)


@wallets.command()
def close(
    context: typer.Context,
    wallet: Wallet,
    etag: Etag = "",
    request_id: RequestId = None,
    *,
    validate_only: ValidateOnly = False,
    json: Json = False,
) -> None:
    """Close an empty wallet permanently."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        closed = client.close_wallet(wallet_name(wallet), etag=etag, validate_only=validate_only, request_id=request_id)
        show_one(WALLETS, as_dict(closed.wallet), as_json=json)


wallets.command()(transactions)
