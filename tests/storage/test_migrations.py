"""Migrations: nothing where nothing is missing, and safe to start everywhere at once."""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunning
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import indent
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from alembic.script import ScriptDirectory
from psycopg import sql

from tests.support import commands
from tests.support.books import deposit, open_wallet
from tests.support.callers import everything
from tests.support.database import Cluster, Database
from tests.support.together import together
from tools.dump_schema import SCHEMA, dump
from wallet_core.bootstrap import migrate, open_app, verify
from wallet_core.domain.model.errors import DatabaseNotReady, DatabaseUnavailable, cause_of
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.transaction import TransactionDetails
from wallet_core.settings import read_settings
from wallet_core.storage import migrate as migrations
from wallet_core.storage.connections import readiness
from wallet_core.usecases.app import App
from walletctl.local.binaries import find_binaries
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


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Return a call that makes this a later release, whose last migration has this body."""

    def release(body: str) -> None:
        folder = tmp_path / "migrations"
        shutil.copytree(readiness.VERSIONS.parent, folder)
        versions = folder / "versions"
        made_up = _LAST.format(revision=LATER, before=readiness.newest_version(), body=indent(body, "    "))
        (versions / f"{LATER}_made_up.py").write_text(made_up)
        for module in (readiness, migrations):
            monkeypatch.setattr(module, "VERSIONS", versions)
        readiness.known_versions.cache_clear()

    yield release
    monkeypatch.undo()
    readiness.known_versions.cache_clear()


LATER = "9999"
_LAST = """
from alembic import op

revision = "{revision}"
down_revision = "{before}"


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


def test_callers_and_labels_of_what_is_there_are_filled_in(app: App, database: Database) -> None:
    """A database as it was before them gets, by the migration, what the release itself would have stored."""

    alice, bob = open_wallet(app, "alice", 100), open_wallet(app, "bob")
    marked = TransactionDetails(labels={"tier": "gold", "area": "شمال"})
    one, paid = Money("USD", 1), commands.a_transfer(alice, bob, Money("USD", 5), details=marked)
    held = commands.a_hold(alice, one, datetime.now(UTC) + timedelta(days=1))  # noqa: TID251  # to expire later
    for command in (
        paid,
        commands.a_reversal(paid.id),
        commands.a_batch(commands.an_item(alice, bob, one), commands.an_item(bob, alice, one)),
        commands.a_withdrawal(alice, one),
        commands.a_scheduled_deposit(alice, one),
        held,
        commands.a_capture(held.id, bob, one),
    ):
        app.ledger.post(command)
    with psycopg.connect(database.url, autocommit=True) as owner:
        before = everything(owner)
        owner.execute(AS_BEFORE)
        versions = ScriptDirectory(str(readiness.VERSIONS.parent))
        owner.execute("UPDATE alembic_version SET version_num = %s", [versions.get_revision("0004").down_revision])
        migration(database.url)()
        after = everything(owner)

    assert after == before


AS_BEFORE = """
DROP TABLE unique_references, transaction_labels;
ALTER TABLE transactions DROP COLUMN caller;
ALTER TABLE withdrawals DROP COLUMN caller;
ALTER TABLE scheduled_deposits DROP COLUMN caller;
ALTER TABLE holds DROP COLUMN caller;
DROP INDEX transactions_by_time, transactions_by_reference, scheduled_deposits_by_reference;
"""


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


def test_migrating_a_database_that_is_not_there_says_so(cluster: Cluster) -> None:
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
    now = readiness.newest_version()
    with open_app(read_settings(database_url=empty, log_level="ERROR"), name="tests") as app:
        deposit(app, open_wallet(app, "alice"), 5)
    later('op.execute("ALTER TABLE wallets ADD COLUMN made_up text")')
    with pytest.raises(
        DatabaseNotReady, match=f"has the schema {now}, and this release needs {LATER}: run `walletctl mig"
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
