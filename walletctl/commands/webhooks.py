"""The commands ``walletctl webhooks …``."""

from typing import Annotated

import typer

from wallet_client import as_dict
from walletctl import typed
from walletctl.context import Context, report_errors
from walletctl.options import Description, Json, OfWallet, RequestId, ValidateOnly, filter_option, time_option
from walletctl.output import out, show, show_json, show_one
from walletctl.tables import DELIVERIES, WEBHOOKS
from walletctl.typed import InvalidArgument, resource, wallet_name

webhooks = typer.Typer(no_args_is_help=True, help="Endpoints that receive events, and what was sent to them.")

Webhook = Annotated[str, typer.Argument(help="The webhook's id.")]
Types = Annotated[
    list[str] | None, typer.Option("--type", help="Only events of this type, e.g. WALLET_FROZEN; may be repeated.")
]
Owner = Annotated[str, typer.Option(help="Only events of this owner's wallets.")]
OfLabel = Annotated[str | None, typer.Option("--label", help="Only events of wallets with this label, like tier=gold.")]


@webhooks.command()
def create(
    context: typer.Context,
    url: Annotated[str, typer.Argument(help="Where events are sent, https://…")],
    types: Types = None,
    wallet: OfWallet = "",
    owner: Owner = "",
    label: OfLabel = None,
    description: Description = "",
    request_id: RequestId = None,
    *,
    validate_only: ValidateOnly = False,
    json: Json = False,
) -> None:
    """Create a webhook, and print the secret that verifies its requests: store it like a password."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        created = client.create_webhook(
            url,
            description=description,
            types=_types(types),
            wallet=wallet_name(wallet) if wallet else "",
            owner=owner,
            label=typed.label(label) if label is not None else None,
            validate_only=validate_only,
            request_id=request_id,
        )
        if json:
            show_json(as_dict(created))
            return
        show_one(WEBHOOKS, as_dict(created.webhook), as_json=False)
        if created.secret:
            out.print(f"secret: {created.secret}", soft_wrap=True)


@webhooks.command("list")
def list_(
    context: typer.Context,
    filter_: Annotated[str, filter_option("state = DISABLED")] = "",
    *,
    json: Json = False,
) -> None:
    """List all webhooks, newest first."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        show(WEBHOOKS, [as_dict(one) for one in client.list_webhooks(filter=filter_)], as_json=json)


@webhooks.command()
def update(
    context: typer.Context,
    webhook: Webhook,
    url: Annotated[str | None, typer.Option(help="The new URL.")] = None,
    enabled: Annotated[
        bool | None, typer.Option("--enable/--disable", help="Send events, every one since it was disabled, or none.")
    ] = None,
    request_id: RequestId = None,
    *,
    validate_only: ValidateOnly = False,
    json: Json = False,
) -> None:
    """Change a webhook's URL, enable it or disable it."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        if url is None and enabled is None:
            raise InvalidArgument("name a change: --url, --enable or --disable")
        changed = client.update_webhook(
            resource("webhooks", webhook), url=url, enabled=enabled, validate_only=validate_only, request_id=request_id
        )
        show_one(WEBHOOKS, as_dict(changed.webhook), as_json=json)


@webhooks.command()
def rotate(
    context: typer.Context,
    webhook: Webhook,
    request_id: RequestId = None,
    *,
    expire_now: Annotated[bool, typer.Option("--expire-now", help="End the previous secret at once.")] = False,
    json: Json = False,
) -> None:
    """Give a webhook a new secret, and print it. The previous one signs, too, until it expires."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        rotated = client.rotate_webhook_secret(
            resource("webhooks", webhook), expire_previous_now=expire_now, request_id=request_id
        )
        if json:
            show_json(as_dict(rotated))
        else:
            out.print(f"secret: {rotated.secret}", soft_wrap=True)


@webhooks.command()
def delete(
    context: typer.Context,
    webhook: Webhook,
    request_id: RequestId = None,
    *,
    validate_only: ValidateOnly = False,
    json: Json = False,
) -> None:
    """Delete a webhook for good."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        deleted = client.delete_webhook(
            resource("webhooks", webhook), validate_only=validate_only, request_id=request_id
        )
        show_one(WEBHOOKS, as_dict(deleted.webhook), as_json=json)


@webhooks.command()
def ping(context: typer.Context, webhook: Webhook, request_id: RequestId = None, *, json: Json = False) -> None:
    """Send a test request; `walletctl webhooks deliveries` shows what came of it."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        queued = client.ping_webhook(resource("webhooks", webhook), request_id=request_id)
        if json:
            show_json(as_dict(queued))
        else:
            out.print(queued.delivery, soft_wrap=True)


@webhooks.command()
def deliveries(
    context: typer.Context,
    webhook: Webhook,
    filter_: Annotated[str, filter_option("state = DEAD")] = "",
    *,
    json: Json = False,
) -> None:
    """List what was sent to a webhook, newest first."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        found = client.list_deliveries(resource("webhooks", webhook), filter=filter_)
        show(DELIVERIES, [as_dict(one) for one in found], as_json=json)


@webhooks.command()
def redeliver(
    context: typer.Context,
    webhook: Webhook,
    delivery: Annotated[str, typer.Option(help="This delivery, msg_….")] = "",
    dead_since: Annotated[str | None, time_option(help_="All dead letters since then.")] = None,
    request_id: RequestId = None,
    *,
    json: Json = False,
) -> None:
    """Send one event again, or all dead letters since a time."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        if bool(delivery) is (dead_since is not None):
            raise InvalidArgument("use either --delivery or --dead-since")
        name = resource("webhooks", webhook)
        done = client.redeliver_event(
            name,
            delivery=f"{name}/deliveries/{delivery.rpartition('/')[2]}" if delivery else "",
            dead_since=typed.time_or_none(dead_since, "--dead-since"),
            request_id=request_id,
        )
        if json:
            show_json(as_dict(done))
        else:
            out.print("queued again")


def _types(typed_: list[str] | None) -> list[str]:
    return [f"TYPE_{one.removeprefix('TYPE_')}" for one in typed_ or ()]
