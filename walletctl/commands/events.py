"""The command that shows what happens as it happens: ``events``."""

from contextlib import suppress
from itertools import islice
from typing import Annotated

import typer

from wallet_client import as_dict
from walletctl.context import Context, explained
from walletctl.options import Json, OfWallet
from walletctl.output import Row, out, short, show_json, time, words
from walletctl.typed import wallet_name


def events(
    context: typer.Context,
    wallet: OfWallet = "",
    after: Annotated[str, typer.Option(help="Go on after the event that has this resume token.")] = "",
    count: Annotated[int | None, typer.Option(min=1, help="Stop after so many.")] = None,
    *,
    from_start: Annotated[bool, typer.Option("--from-start", help="Begin with the first event of all.")] = False,
    json: Json = False,
) -> None:
    """Show what happens as it happens, until Ctrl-C; with --json one object a line."""
    app: Context = context.obj
    with explained(), app.client() as client, suppress(KeyboardInterrupt):
        name = wallet_name(wallet) if wallet else ""
        told = client.watch_events(wallet=name, resume_token=after, from_start=from_start)
        for event in islice(told, count):
            if json:
                show_json(as_dict(event), indent=None)
            else:
                out.print(_line(as_dict(event)), soft_wrap=True)


def _line(event: Row) -> str:
    wallets = " ".join(map(short, event["wallets"]))
    kind = event["type"].removeprefix("TYPE_")
    about = words(event["resource"])
    return f"{event['number']:>7}  {time(event['time'])}  [bold]{kind:<30}[/] {about}  [dim]{wallets}[/]"
