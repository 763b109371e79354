"""Databases for tests: clones of one migrated template."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from wallet_core.bootstrap import migrate, verify
from wallet_core.settings import read_settings
from wallet_core.storage.connections.engine import AUDITING

# For a connection as the owner that is kept from test to test, with the plans that were made while the tables were
# empty: without nested loops they suit some thousand rows, too. A real audit plans anew each time (``Auditor``).
_PLANNER = {"jit": "off", **AUDITING.planner, "enable_nestloop": "off"}
AUDIT_OPTIONS = " ".join(f"-c {name}={value}" for name, value in _PLANNER.items())

_TEMPLATE = "wallet_template"

# What connections call themselves that are kept from test to test.
SHARED_NAME = "tests-kept"

# In this order, because most of them depend on wallets.
_TABLES = (
    *(
        "bank_statement_lines",
        "resolutions",
        "bank_attempts",
        "withdrawals",
        "scheduled_deposits",
        "holds",
        "commission_rules",
        "webhook_attempts",
        "webhook_deliveries",
        "webhook_queues",
        "webhooks",
        "outbox",
        "journal",
        "checkpoints",
        "checkpoint_keys",
        "journal_summaries",
        "journal_last_events",
        "requests",
        "unique_references",
        "transaction_labels",
    ),
    *("entry_totals", "entries", "transactions", "wallets", "currencies"),
)

_FILLED = sql.SQL(" UNION ALL ").join(
    sql.SQL("SELECT {} WHERE EXISTS (SELECT FROM {})").format(table, sql.Identifier(table)) for table in _TABLES
)

_RESET = {
    "webhook_cursor": "UPDATE webhook_cursor SET number = 0 WHERE number <> 0",
    "bank_rate_limit": "UPDATE bank_rate_limit SET calls = 0, filled_at = now() - interval '1 day'",
    "bank_statements": "DELETE FROM bank_statements WHERE number > 1",
    "bank_statement_cursor": """
        UPDATE bank_statement_cursor
        SET error = '', error_since = now(), read_to_end_at = NULL, statement = 1, line_offset = 0""",
}
"""Of tables that always have rows, how they are as new."""

_KEPT = ("page_token_keys", "alembic_version")


@dataclass(frozen=True, slots=True)
class Database:
    """One database of a cluster, by its owner's URL."""

    url: str

    def clean(self) -> None:
        """Delete every row, as the owner: the service itself may delete nothing."""
        connection = _idle_connection(self.url)
        filled = self.filled_tables()
        with connection.transaction(), connection.pipeline():
            connection.execute("SET LOCAL session_replication_role = replica")  # history is guarded from its owner too
            for table in filled:
                connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
            for statement in _RESET.values():
                connection.execute(statement)

    def filled_tables(self) -> list[str]:
        """Return the tables that have rows, in the order in which they can be emptied."""
        found = _idle_connection(self.url).execute(_FILLED)
        return [name for (name,) in found]

    def broken_rules(self) -> list[str]:
        """Return the rules of the ledger that are broken."""
        return [check.name for check in verify(read_settings(database_url=self.url)) if check.broken]


def cut_all_others(owner: psycopg.Connection) -> None:
    """End all connections to the owner's database but the owner's, and wait until they have ended."""
    owner.execute(
        "SELECT pg_terminate_backend(pid, 3000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


@cache
def _connection(url: str) -> psycopg.Connection:
    return psycopg.connect(url, autocommit=True, application_name=SHARED_NAME)


def _idle_connection(url: str) -> psycopg.Connection:
    """Return a connection that is kept from test to test; another one where a test has cut it."""
    try:
        _connection(url).execute("SELECT")
    except psycopg.OperationalError:
        _connection.cache_clear()
    return _connection(url)


def close_idle_connection(url: str) -> None:
    """Close the connection that was kept."""
    _connection(url).close()
    _connection.cache_clear()


@dataclass(frozen=True, slots=True)
class Cluster:
    """A PostgreSQL that tests make databases in."""

    url: str

    def make_template(self) -> None:
        """Make the template that all databases are cloned from."""
        self._run(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_TEMPLATE)))
        migrate(read_settings(database_url=self._url_of(_TEMPLATE), log_level="ERROR"))
        with psycopg.connect(self._url_of(_TEMPLATE)) as connection:
            made = {name for (name,) in connection.execute("SELECT relname FROM pg_stat_user_tables")}
        assert made == {*_TABLES, *_RESET, *_KEPT}

    @contextmanager
    def clone(self, name: str, template: str = _TEMPLATE) -> Iterator[Database]:
        """Make a database of that name, as another one is now; drop it at the end."""
        named, like = sql.Identifier(name), sql.Identifier(template)
        self._run(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(named, like))
        try:
            yield Database(self._url_of(name))
        finally:
            self._run(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(named))

    def _url_of(self, name: str) -> str:
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    def _run(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)
