"""The command ``walletctl events``."""

from contextlib import suppress
from itertools import islice
from typing import Annotated

import typer

from wallet_client import as_dict
from walletctl.context import Context, report_errors
from walletctl.options import Json, OfWallet
from walletctl.output import Row, out, short, show_json, time, words
from walletctl.typed import wallet_name


def events(
    context: typer.Context,
    wallet: OfWallet = "",
    after: Annotated[str, typer.Option(help="Continue after the event with this resume token.")] = "",
    count: Annotated[int | None, typer.Option(min=1, help="Stop after this number of events.")] = None,
    *,
    from_start: Annotated[bool, typer.Option("--from-start", help="Start with the first event.")] = False,
    json: Json = False,
) -> None:
    """Show events as they happen, until Ctrl-C.

    With --json one object per line.
    """
    app: Context = context.obj
    with report_errors(), app.client() as client, suppress(KeyboardInterrupt):
        name = wallet_name(wallet) if wallet else ""
        watched = client.watch_events(wallet=name, resume_token=after, from_start=from_start)
        for event in islice(watched, count):
            if json:
                show_json(as_dict(event), indent=None)
            else:
                out.print(_line(as_dict(event)), soft_wrap=True)


def _line(event: Row) -> str:
    wallets = " ".join(map(short, event["wallets"]))
    kind = event["type"].removeprefix("TYPE_")
    about = words(event["resource"])
    return f"{event['number']:>7}  {time(event['time'])}  [bold]{kind:<30}[/] {about}  [dim]{wallets}[/]"
