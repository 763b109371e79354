"""The commands ``walletctl statement`` and ``receipt``."""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from wallet_client import as_dict
from walletctl import typed
from walletctl.commands.transactions import Transaction
from walletctl.context import Context, report_errors
from walletctl.options import Json, Language, Wallet, time_option
from walletctl.output import Row, amount, out, short, show_json, table, time, words, write
from walletctl.tables import STATEMENT_ENTRIES, STATEMENT_TOTALS
from walletctl.typed import InvalidArgument, resource, wallet_name

_DEFAULT = timedelta(days=30)
_STDOUT = Path("-")


def statement(
    context: typer.Context,
    wallet: Wallet,
    from_: Annotated[str | None, time_option("--from", help_="The start; default: 30 days before the end.")] = None,
    to: Annotated[str | None, time_option("--to", help_="The end, exclusive; default: now.")] = None,
    output: Annotated[Path | None, typer.Option(help="The file for the CSV; default: standard output.")] = None,
    *,
    as_csv: Annotated[bool, typer.Option("--csv", help="Write the entries as CSV.")] = False,
    json: Json = False,
) -> None:
    """Show a wallet's statement of a time range."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        if as_csv and json:
            raise InvalidArgument("use --csv or --json, not both")
        if output is not None and not as_csv:
            raise InvalidArgument("--output requires --csv")
        end = typed.time_or_none(to, "--to") or typed.now()
        start = typed.time_or_none(from_, "--from") or end - _DEFAULT
        if start >= end:
            raise InvalidArgument("--from must be before --to")
        if as_csv:
            _write(client.export_statement(wallet_name(wallet), start, end), output or _STDOUT)
            return
        found = _joined(as_dict(page) for page in client.get_statement(wallet_name(wallet), start, end))
        if json:
            show_json(found)
        else:
            _show(found)


def receipt(
    context: typer.Context,
    transaction: Transaction,
    language: Annotated[
        Language | None, typer.Option(help="The language; default: that of walletctl, else English.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="The file, - for standard output; default: a file named after the transaction.")
    ] = None,
) -> None:
    """Write a receipt of one transaction, a PDF."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        written = client.get_receipt(resource("transactions", transaction), language=language or app.language or "")
        path = output or Path(Path(written.filename).name)
        if path == _STDOUT and out.is_terminal:
            raise InvalidArgument(
                "a PDF cannot be shown on a terminal: name a file with --output, or pipe it to a program"
            )
        _write([written.pdf], path)
        if path != _STDOUT:
            out.print(words(str(path)), soft_wrap=True)


def _joined(pages: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return one statement with the entries of all pages. The last page's totals cover all of them."""
    *others, whole = pages
    whole["entries"] = [entry for page in (*others, whole) for entry in page["entries"]]
    del whole["next_page_token"]
    return whole


def _show(found: Row) -> None:
    out.print(f"[bold]{short(found['wallet'])}[/], {time(found['start_time'])} to {time(found['end_time'])} UTC")
    out.print(f"opening balance  {amount(found['opening_balance'])}")
    out.print(f"closing balance  {amount(found['closing_balance'])}")
    if found["entries"]:
        out.print(table(STATEMENT_TOTALS, found["totals"]))
        out.print(table(STATEMENT_ENTRIES, found["entries"]))
    else:
        out.print("[dim]no entries[/]")
    if found["provisional"]:
        out.print("[yellow]provisional[/]: its end is so recent that entries may still be added; repeat it later")


def _write(pieces: Iterable[bytes], path: Path) -> None:
    """Write a file; it has its name only when it is complete."""
    if path == _STDOUT:
        write(pieces)
        return
    unfinished = path.with_name(f"{path.name}.part")
    try:
        with unfinished.open("wb") as file:
            file.writelines(pieces)
        unfinished.replace(path)
    except OSError as error:
        raise InvalidArgument(f"--output: {error.strerror}: {path}") from None
    finally:
        unfinished.unlink(missing_ok=True)
