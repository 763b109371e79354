"""Whether the database can serve: it takes writes, and its schema is the one that this release is made for."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast

from sqlalchemy import Connection, text

from wallet_core.domain.model.errors import DatabaseNotReady, DatabaseNotServing, DatabaseUnavailable
from wallet_core.storage.connections.engine import Engine, Tx, discard_connections, recently_unable, transaction
from wallet_core.storage.connections.reader import Reader
from wallet_core.storage.connections.session import ASK_MARK, require_mark, require_own
from wallet_core.storage.errors import served

VERSIONS = Path(__file__).parents[1] / "migrations" / "versions"

# For how long a server counts as unable to store, unless it has stored something since.
_UNABLE_S = 5.0

_TAKES_WRITES = text("SELECT current_setting('transaction_read_only') = 'off'")
_IS_MIGRATED = text("SELECT coalesce(has_table_privilege(to_regclass('alembic_version'), 'SELECT'), false)")
_VERSION = text("SELECT version_num FROM alembic_version")
# A table that only schemas from before the first release have.
_IS_PRE_RELEASE = text("SELECT to_regclass('bank_following') IS NOT NULL")


@dataclass(frozen=True)
class Readiness(Reader):
    """Checks whether the database can serve. Every method raises ``ServiceError`` where it cannot."""

    others: tuple[Engine, ...] = ()
    """Further engines of the same database, whose connections are closed too where it cannot serve."""

    def ping(self) -> None:
        """Check that the database answers and takes writes, which a standby or a fenced primary does not."""
        self._ask(_require_own, _require_writes)

    def check(self) -> None:
        """Check the same, and that it has this release's schema; raise ``DatabaseNotReady`` where it has not."""
        self._ask(_require_own, _require_writes, require_schema)

    def _ask(self, *questions: Callable[[Connection], None]) -> None:
        try:
            self.read(lambda tx: [question(tx) for question in questions])
        except DatabaseUnavailable:
            # The next call uses a new connection, which may lead to another server.
            for engine in (self.engine, *self.others):
                discard_connections(engine)
            raise
        if (why := recently_unable(self.engine, _UNABLE_S)) is not None:
            raise DatabaseNotServing from _Because(f"its last write could not be stored: {why}")


def newest_version() -> str:
    """Return the version of the schema that this release is made for."""
    return max(known_versions())


@cache
def known_versions() -> frozenset[str]:
    """Return all versions that this release can migrate from: the beginnings of the files' names."""
    return frozenset(file.stem.partition("_")[0] for file in VERSIONS.glob("[0-9]*.py"))


def require_no_newer(tx: Connection) -> None:
    """Raise ``DatabaseNotReady`` where the schema is of a release that this one does not know."""
    _require_known(tx, _version(tx))


def require_schema(tx: Connection) -> None:
    """Raise ``DatabaseNotReady`` where the schema is not the one that this release is made for."""
    found, ours = _version(tx), newest_version()
    _require_known(tx, found)
    if found != ours:
        has = "no schema of ours" if found is None else f"the schema {found}"
        raise DatabaseNotReady(f"the database has {has}, and this release needs {ours}: run `walletctl migrate`")


def _require_known(tx: Connection, found: str | None) -> None:
    if found is None or found in known_versions():
        return
    if tx.execute(_IS_PRE_RELEASE).scalar_one():
        raise DatabaseNotReady(
            "the database was made before the first release, and no release can migrate it: nothing was changed; use "
            "a new database (for development, remove the folder .wallet, or run `make clean`)"
        )
    raise DatabaseNotReady(
        f"the database has the schema {found}, and this release knows none beyond {newest_version()}: this release "
        "is older than the database; run the newer one"
    )


def _version(tx: Connection) -> str | None:
    """Return the version of the schema; None where it was never migrated, or the role may not read it."""
    if not tx.execute(_IS_MIGRATED).scalar_one():
        return None
    found: str | None = tx.execute(_VERSION).scalar_one_or_none()
    return found


def require_sessions_of_their_own(*engines: Engine) -> None:
    """Raise ``DatabaseNotReady`` where connections of several engines share a session, as with some poolers."""
    with served(), ExitStack() as open_:
        for tx in [open_.enter_context(transaction(engine)) for engine in engines]:
            require_own(tx)
            tx.rollback()


def _require_own(tx: Connection) -> None:
    require_mark(cast("Tx", tx.connection.driver_connection), tx.exec_driver_sql(ASK_MARK).scalar_one())


def _require_writes(tx: Connection) -> None:
    if not tx.execute(_TAKES_WRITES).scalar_one():
        raise DatabaseNotServing from _Because("the database is read-only: a standby, or a primary that is fenced off")


class _Because(Exception):
    """Why a server cannot serve, where this follows from an earlier answer of it."""
