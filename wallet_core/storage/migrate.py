"""Bring a database to the newest shape."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text

# One migration at a time per database, whoever starts it.
_MIGRATION_LOCK = 7_236_114_901


def migrate(engine: Engine) -> None:
    """Apply what is missing; nothing where nothing is. *engine* must act as the database's owner."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
