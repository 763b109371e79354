"""The command ``walletctl migrate``, and the settings of commands that use the database directly."""

import typer

from wallet_core import bootstrap, startup_checks
from wallet_core.settings import Settings, read_settings
from wallet_core.storage.retention.pruning import SummaryNotTrusted
from walletctl.context import CommandFailed, Context, report_errors
from walletctl.core_errors import core_errors
from walletctl.local.running import find_running
from walletctl.output import out


def migrate(context: typer.Context) -> None:
    """Migrate the database to this release's schema.

    Uses the login of WALLET_DATABASE_OWNER_URL if that is set.
    """
    with report_errors(), core_errors():
        settings = database_settings(context.obj)
        startup_checks.require_production(settings, startup_checks.migrating)
        owner = settings.database.owner_url
        bootstrap.migrate(settings, owner_url=owner.get_secret_value() if owner is not None else None)
        out.print("the database has this release's schema")


def prune_journal(context: typer.Context) -> None:
    """Drop the journal's records that are summed up.

    The scheduler sums up what is older than WALLET_JOURNAL_KEPT_S, under its signature; exit code 1 if that is none of
    a trusted key. Uses the login of WALLET_DATABASE_OWNER_URL if that is set. It can be ended and repeated at any time.
    """
    with report_errors(), core_errors():
        settings = database_settings(context.obj)
        startup_checks.require_production(settings, startup_checks.migrating)
        owner = settings.database.owner_url
        dropped = 0
        try:
            for count in bootstrap.prune_journal(
                settings, owner_url=owner.get_secret_value() if owner is not None else None
            ):
                dropped += count
        except SummaryNotTrusted:
            raise CommandFailed(
                "the newest summary of the journal has no signature of a trusted key: nothing was dropped. Check "
                "WALLET_CHECKPOINTS_TRUSTED_KEYS, and run `walletctl verify`"
            ) from None
        out.print(f"{dropped} journal records dropped")


def database_settings(app: Context, **overrides: object) -> Settings:
    """Return settings with a database: the environment's, or that of the local service; never a mixture."""
    settings = read_settings(**overrides)
    if settings.database.url is not None or settings.database.owner_url is not None:
        return settings
    running = find_running(app.state)
    if running is None:
        raise CommandFailed("no database: set WALLET_DATABASE_URL, or run `make up`, which starts one")
    urls = {"database_url": running.database_url, "database_owner_url": running.database_owner_url}
    return read_settings(**urls, **overrides)
