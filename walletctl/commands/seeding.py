"""The command ``walletctl seed``."""

import typer

from walletctl.context import Context, report_errors
from walletctl.options import Json
from walletctl.output import out, show, table
from walletctl.seed import seed as create_seed
from walletctl.tables import RULES, WALLETS


def seed(context: typer.Context, *, json: Json = False) -> None:
    """Create the wallets alice and bob and a commission rule, unless they exist."""
    app: Context = context.obj
    # Its request ids are always the same, so a repeat needs none.
    with report_errors(), app.client(announces=False) as client:
        wallets, rule = create_seed(client)
        show(WALLETS, wallets, as_json=json)
        if not json:
            out.print(table(RULES, [rule]))
