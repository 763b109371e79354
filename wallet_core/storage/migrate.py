"""Bring a database to the newest shape."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from wallet_core.domain.errors import DatabaseUnavailable
from wallet_core.storage.grants import ROLE_AND_GRANTS

# One migration at a time per database, whoever starts it.
_MIGRATION_LOCK = 7_236_114_901


def migrate(engine: Engine) -> None:
    """Apply what is missing, and make the service's role and its grants; a repeat changes nothing.

    *engine* must act as the database's owner.

    Raises ``DatabaseUnavailable``, caused by what the database objected to.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    try:
        _migrate(engine, config)
    except DBAPIError as error:
        raise DatabaseUnavailable from error.orig


def _migrate(engine: Engine, config: Config) -> None:
    with engine.begin() as connection:
        # The service's limits are for calls, not for this: another migration, or a long one, is waited for.
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.execute(text(ROLE_AND_GRANTS))
