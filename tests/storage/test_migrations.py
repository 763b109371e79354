"""Migrations: nothing where nothing is missing, and safe to start everywhere at once."""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunning
from pathlib import Path
from textwrap import indent
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from tests.support.books import deposit, open_wallet
from tests.support.database import Cluster, Database
from tests.support.together import together
from tools.dump_schema import SCHEMA, dump
from wallet_core.bootstrap import migrate, open_app, verify
from wallet_core.domain.model.errors import DatabaseNotReady, DatabaseUnavailable, cause_of
from wallet_core.domain.model.money import Money
from wallet_core.settings import read_settings
from wallet_core.storage import migrate as migrations
from wallet_core.storage.connections import readiness
from walletctl.local.binaries import find_binaries
from walletctl.local.waiting import wait_until

# The advisory lock that lets one migration run at a time; other versions of the code hold the same one.
MIGRATION_LOCK = 7_236_114_901

NEWEST = readiness.newest_version()


@pytest.fixture
def empty(cluster: Cluster) -> Iterator[str]:
    """Return the URL of a database with nothing in it."""
    name = f"empty_{uuid4().hex[:8]}"
    with psycopg.connect(cluster.url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield urlunsplit(urlsplit(cluster.url)._replace(path=f"/{name}"))
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Return a call that makes this a later release, whose further migration has this body."""

    def release(body: str) -> None:
        folder = tmp_path / "migrations"
        shutil.copytree(readiness.VERSIONS.parent, folder)
        versions = folder / "versions"
        (versions / "9999_made_up.py").write_text(_LATER.format(body=indent(body, "    "), newest=NEWEST))
        for module in (readiness, migrations):
            monkeypatch.setattr(module, "VERSIONS", versions)
        readiness.known_versions.cache_clear()

    yield release
    monkeypatch.undo()
    readiness.known_versions.cache_clear()


_LATER = """
from alembic import op

revision = "9999"
down_revision = "{newest}"


def upgrade() -> None:
{body}
"""


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
        assert deposit(app, open_wallet(app, "alice"), 5).available == Money("USD", 5)


def test_every_database_has_a_secret_of_its_own(empty: str) -> None:
    """Page tokens of one service are nothing to another."""

    migration(empty)()
    with psycopg.connect(empty) as connection:
        secrets = connection.execute("SELECT secret FROM page_token_keys").fetchall()

    assert [len(secret) for (secret,) in secrets] == [72]


def test_a_migration_waits_for_another_one_however_long_it_takes(empty: str) -> None:
    """The limits of a running service are not for migrations, which may take minutes."""

    with psycopg.connect(empty, autocommit=True) as other, ThreadPoolExecutor(1) as pool:
        other.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
        waiting: Future[None] = pool.submit(migration(empty, lock_timeout_s=0.05, statement_timeout_s=0.2))
        try:
            assert wait_until(lambda: waiting.done() or _is_waiting(other), timeout_s=30)
            with pytest.raises(StillRunning):
                waiting.exception(timeout=0.5)
        finally:
            other.execute("SELECT pg_advisory_unlock(%s)", [MIGRATION_LOCK])
        waiting.result(30)


def test_migrating_a_missing_database_fails_with_the_reason(cluster: Cluster) -> None:
    """After waiting for as long as the settings say."""

    nowhere = urlunsplit(urlsplit(cluster.url)._replace(path="/nowhere"))
    with pytest.raises(Exception, match="database"):
        migration(nowhere, database_wait_s=0.01)()


def _is_waiting(connection: psycopg.Connection) -> bool:
    row = connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").fetchone()
    return row is not None and row[0] > 0


def test_a_later_release_migrates_what_is_there(empty: str, later: Callable[[str], None]) -> None:
    """Only what is missing is applied, and the rows stay."""

    migration(empty)()
    with open_app(read_settings(database_url=empty, log_level="ERROR"), name="tests") as app:
        deposit(app, open_wallet(app, "alice"), 5)
    later('op.execute("ALTER TABLE wallets ADD COLUMN made_up text")')
    with pytest.raises(
        DatabaseNotReady, match=f"has the schema {NEWEST}, and this release needs 9999: run `walletctl mig"
    ):
        verify(read_settings(database_url=empty))
    migration(empty)()

    assert verify(read_settings(database_url=empty))
    with psycopg.connect(empty) as connection:
        rows = connection.execute("SELECT balance, made_up FROM wallets WHERE id = 'alice'").fetchall()
    assert rows == [(5, None)]


def test_a_migration_that_fails_changes_nothing_and_can_be_repeated(empty: str, later: Callable[[str], None]) -> None:
    """All of it is one transaction: killed or failed half-way, the database is as it was."""

    migration(empty)()
    before = shape(empty)
    later('op.execute("CREATE TABLE half (done text)")\nop.execute("SELECT 1 / 0")')

    for _ in range(2):
        with pytest.raises(DatabaseUnavailable) as failed:
            migration(empty)()
        assert "division by zero" in cause_of(failed.value)
        assert shape(empty) == before


def test_a_database_from_before_the_first_release_is_refused(empty: str) -> None:
    """With what to do about it, in place of a crash; nothing is changed."""

    migration(empty)()
    with psycopg.connect(empty) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0013'")
        connection.execute("CREATE TABLE bank_following (trouble text)")
    before = shape(empty)

    for refused in (migration(empty), lambda: verify(read_settings(database_url=empty))):
        with pytest.raises(DatabaseNotReady, match=r"made before the first release.* remove the folder \.wallet"):
            refused()
    assert shape(empty) == before


def test_the_schema_for_readers_is_what_the_migrations_make(database: Database) -> None:
    """``make schema`` writes it."""

    with psycopg.connect(database.url) as connection:
        if connection.info.server_version // 10_000 != find_binaries().major:
            pytest.skip("another PostgreSQL writes its dumps in another way")

    assert dump(database.url) == SCHEMA.read_text()
