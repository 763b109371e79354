"""The commands ``walletctl migrate`` and ``verify``, which use the database directly."""

import typer

from wallet_core import bootstrap, startup_checks
from wallet_core.settings import Settings, read_settings
from walletctl.context import CommandFailed, Context, report_errors
from walletctl.core_errors import core_errors
from walletctl.local.running import find_running
from walletctl.options import Json
from walletctl.output import Column, out, show

CHECKS = (
    Column("rule", lambda row: row["name"]),
    Column("meaning", lambda row: row["meaning"]),
    Column("broken", lambda row: "[green]0[/]" if not row["broken"] else f"[bold red]{row['broken']}[/]", right=True),
)


def migrate(context: typer.Context) -> None:
    """Migrate the database to this release's schema.

    Uses the login of WALLET_DATABASE_OWNER_URL if that is set.
    """
    with report_errors(), core_errors():
        settings = _settings(context.obj)
        startup_checks.require_production(settings, startup_checks.migrating)
        owner = settings.database.owner_url
        bootstrap.migrate(settings, owner_url=owner.get_secret_value() if owner is not None else None)
        out.print("the database has this release's schema")


def verify(context: typer.Context, *, json: Json = False) -> None:
    """Prove the ledger from its entries; exit code 1 if a rule is broken."""
    with report_errors(), core_errors():
        settings = _settings(context.obj)
        startup_checks.require_production(settings, startup_checks.database)
        checks = bootstrap.verify(settings)
        show(CHECKS, [check.as_row() for check in checks], as_json=json)
        if any(check.broken for check in checks):
            raise CommandFailed("the ledger is broken: stop servers and schedulers, and call the operators")
        if not json:
            out.print("[green]the ledger is consistent[/]")


def _settings(app: Context) -> Settings:
    """Return settings with a database: the environment's, or that of the local service; never a mixture."""
    settings = read_settings()
    if settings.database.url is not None or settings.database.owner_url is not None:
        return settings
    running = find_running(app.state)
    if running is None:
        raise CommandFailed("no database: set WALLET_DATABASE_URL, or run `make up`, which starts one")
    return read_settings(database_url=running.database_url, database_owner_url=running.database_owner_url)
