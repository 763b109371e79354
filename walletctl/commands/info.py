"""The command ``walletctl info``."""

import typer

from wallet_client import as_dict
from walletctl.context import Context, report_errors
from walletctl.options import Json
from walletctl.output import Column, out, show_json, table, words

_COLUMNS = (
    Column("of the service", lambda row: row["name"].replace("_", " ")),
    Column("is", lambda row: words(row["value"])),
)


def info(context: typer.Context, *, json: Json = False) -> None:
    """Show the service's version, modes and limits."""
    app: Context = context.obj
    with report_errors(), app.client() as client:
        found = as_dict(client.get_service_info())
    if json:
        show_json(found)
        return
    mode = str(found["mode"]).removeprefix("MODE_").lower()
    facts = {
        "version": found["version"],
        "schema_version": found["schema_version"],
        "mode": mode,
        **found["security"],
        "bank_statement": found["bank_statement"],
        "open_currencies": f"{len(found['open_currency_codes'])} (walletctl wallet currencies)",
        **found["limits"],
    }
    out.print(table(_COLUMNS, [{"name": name, "value": _shown(value)} for name, value in facts.items()]))


def _shown(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
