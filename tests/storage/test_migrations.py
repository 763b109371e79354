"""Migrations: nothing where nothing is missing, and safe to start everywhere at once."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunning
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from tests.support.books import deposit, open_wallet
from tests.support.database import Cluster, Database
from tests.support.together import together
from wallet_core.bootstrap import migrate, open_app
from wallet_core.settings import read_settings
from walletctl.local.waiting import wait_until

# The advisory lock that lets one migration run at a time; other versions of the code hold the same one.
MIGRATION_LOCK = 7_236_114_901


@pytest.fixture
def empty(cluster: Cluster) -> Iterator[str]:
    """Return the URL of a database with nothing in it."""
    name = f"empty_{uuid4().hex[:8]}"
    with psycopg.connect(cluster.url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield urlunsplit(urlsplit(cluster.url)._replace(path=f"/{name}"))
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def shape(url: str) -> list[tuple[object, ...]]:
    """Return everything that the migrations made, as the catalogue sees it."""
    with psycopg.connect(url) as connection:
        return connection.execute(
            """
            SELECT 'column', table_name, column_name, data_type, is_nullable FROM information_schema.columns
            WHERE table_schema = 'public'
            UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), ''
            FROM pg_constraint WHERE connamespace = 'public'::regnamespace
            UNION ALL SELECT 'index', tablename, indexname, indexdef, '' FROM pg_indexes WHERE schemaname = 'public'
            UNION ALL SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid), '' FROM pg_trigger
            WHERE NOT tgisinternal
            UNION ALL SELECT 'version', version_num, '', '', '' FROM alembic_version
            ORDER BY 1, 2, 3
            """
        ).fetchall()


def migration(url: str, **limits: object) -> Callable[[], None]:
    """Return a call that migrates the database at *url*."""
    return lambda: migrate(read_settings(database_url=url, **limits))


def test_migrating_again_changes_nothing(app: object, database: Database) -> None:
    """Every start of a process may do it."""

    del app
    before = shape(database.url)
    migration(database.url)()

    assert before == shape(database.url)


def test_two_migrations_at_once_end_well(empty: str, database: Database) -> None:
    """Two hosts are deployed at the same moment: one migrates, the other waits and finds it done."""

    assert together([migration(empty)] * 2) == [None, None]
    assert shape(empty) == shape(database.url)


def test_a_migrated_database_is_ready_for_use(empty: str) -> None:
    """A wallet, a deposit, nothing else needed."""

    migration(empty)()
    with open_app(read_settings(database_url=empty, log_level="ERROR"), name="tests") as app:
        assert deposit(app, open_wallet(app, "alice"), 5).available.minor == 5


def test_every_database_has_a_secret_of_its_own(empty: str) -> None:
    """Page tokens of one service are nothing to another."""

    migration(empty)()
    with psycopg.connect(empty) as connection:
        secrets = connection.execute("SELECT secret FROM page_token_keys").fetchall()

    assert [len(secret) for (secret,) in secrets] == [72]


@pytest.mark.alone
def test_a_migration_waits_for_another_one_however_long_it_takes(empty: str) -> None:
    """The limits of a running service are not for migrations, which may take minutes."""

    with psycopg.connect(empty, autocommit=True) as other, ThreadPoolExecutor(1) as pool:
        other.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
        waiting: Future[None] = pool.submit(migration(empty, lock_timeout_s=0.05, statement_timeout_s=0.2))
        try:
            assert wait_until(lambda: waiting.done() or _is_waiting(other), timeout_s=10)
            with pytest.raises(StillRunning):
                waiting.exception(timeout=0.5)
        finally:
            other.execute("SELECT pg_advisory_unlock(%s)", [MIGRATION_LOCK])
        waiting.result(10)


def test_migrating_a_database_that_is_not_there_says_so(cluster: Cluster) -> None:
    """After waiting for as long as the settings say."""

    nowhere = urlunsplit(urlsplit(cluster.url)._replace(path="/nowhere"))
    with pytest.raises(Exception, match="database"):
        migration(nowhere, database_wait_s=0.01)()


def _is_waiting(connection: psycopg.Connection) -> bool:
    row = connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").fetchone()
    return row is not None and row[0] > 0
