"""Bring a database to the newest schema."""

from dataclasses import dataclass
from typing import cast

import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from wallet_core.domain.model.errors import DatabaseNotReady, DatabaseUnavailable
from wallet_core.storage.connections.engine import Tx
from wallet_core.storage.connections.grants import ROLE_AND_GRANTS
from wallet_core.storage.connections.logins import make_login
from wallet_core.storage.connections.readiness import VERSIONS, require_no_newer

# One migration at a time for each database.
_MIGRATION_LOCK = 7_236_114_901


@dataclass(frozen=True, slots=True)
class Login:
    """A login of the database, and its password if it is created."""

    name: str
    password: str | None


def migrate(engine: Engine, *, serving: Login | None = None) -> None:
    """Apply the missing migrations, create the service's role and its grants, and let the login *serving* serve.

    *engine* must act as the database's owner, without timeouts (``MIGRATING``). A repeat changes nothing.

    Raises ``DatabaseUnavailable``, caused by the database's error, and ``DatabaseNotReady`` where the schema is of a
    newer release or from before the first one, or the encoding is not UTF-8.
    """
    config = Config()
    config.set_main_option("script_location", str(VERSIONS.parent))
    try:
        _migrate(engine, config, serving)
    except DBAPIError as error:
        raise DatabaseUnavailable from error.orig
    except psycopg.Error as error:
        raise DatabaseUnavailable from error


def _require_utf8(connection: Connection) -> None:
    encoding = connection.execute(text("SELECT current_setting('server_encoding')")).scalar_one()
    if encoding != "UTF8":
        raise DatabaseNotReady(
            f"the database keeps text in {encoding}, not in UTF8: nothing was changed; make another one, e.g. CREATE "
            "DATABASE wallet ENCODING 'UTF8' TEMPLATE template0 OWNER …"
        )


def _migrate(engine: Engine, config: Config, serving: Login | None) -> None:
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
        require_no_newer(connection)
        _require_utf8(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.execute(text(ROLE_AND_GRANTS))
        owner = connection.execute(text("SELECT session_user")).scalar_one()
        if serving is not None and serving.name != owner:
            make_login(cast("Tx", connection.connection.driver_connection), serving.name, serving.password)
