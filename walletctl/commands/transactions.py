"""The commands ``walletctl transactions`` and ``transaction get``."""

from typing import Annotated

import typer

from wallet_client import as_dict
from walletctl.context import Context, report_errors
from walletctl.options import Json, filter_option
from walletctl.output import Row, amount, labels, out, show, show_one, table, words
from walletctl.tables import ENTRIES, TRANSACTIONS
from walletctl.typed import resource, wallet_name

transaction = typer.Typer(no_args_is_help=True, help="Show one transaction.")

Transaction = Annotated[str, typer.Argument(help="The transaction's id.")]

_MORE = ("description", "external_reference", "withdrawal", "scheduled_deposit", "hold", "batch", "reverses", "caller")


def transactions(
    context: typer.Context,
    wallet: Annotated[str, typer.Argument(help="The wallet's id, e.g. alice; none: all wallets.")] = "",
    filter_: Annotated[str, filter_option("type = TRANSFER AND amount >= 100000 AND state = POSTED")] = "",
    *,
    json: Json = False,
) -> None:
    """List transactions of a wallet, or of all, newest first."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        rows = [as_dict(one) for one in client.list_transactions(wallet_name(wallet) if wallet else "", filter=filter_)]
        show(TRANSACTIONS, rows, as_json=json)


@transaction.command()
def get(context: typer.Context, name: Transaction, *, json: Json = False) -> None:
    """Show one transaction, with its entries."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        found = as_dict(client.get_transaction(resource("transactions", name)))
        show_one(TRANSACTIONS, found, as_json=json)
        if not json:
            out.print(table(ENTRIES, found["entries"]))
            for name_, value in _more(found):
                out.print(f"{name_}: {value}")


def _more(found: Row) -> list[tuple[str, str]]:
    """Return the names and values of further fields that are set."""
    said = [(field.replace("_", " "), words(found[field])) for field in _MORE if found[field]]
    said += [("labels", labels(found))] if found["labels"] else []
    said += [("commission by", found["commission"]["rule"])] if "commission" in found else []
    said += [("reversed so far", amount(found["reversed_amount"]))] if found["reversals"] else []
    return said + [("reversed by", name) for name in found["reversals"]]
