"""Schema and code fit, or nothing starts; and nothing continues where the schema changes under it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg import sql
from typer.testing import CliRunner

import scheduler.process
import wallet_grpc.server.process
from scheduler.process import DatabaseReadiness
from tests.conftest import FAST
from tests.support.books import open_wallet
from tests.support.database import Cluster, Database
from tests.support.loaded_server import events, server_process
from tests.support.processes import environment
from tests.support.start_up import StartUp
from wallet_client import WalletClient
from wallet_core.bootstrap import migrate, open_app, verify
from wallet_core.domain.model.errors import DatabaseNotReady
from wallet_core.settings import read_settings
from wallet_core.storage.connections.readiness import VERSIONS, known_versions, newest_version
from wallet_core.usecases.app import App
from walletctl.cli import cli
from walletctl.local.waiting import wait_until

AFTER = "9999"


@contextmanager
def schema(database: Database, version: str | None) -> Iterator[None]:
    """Set the database's schema version to another one; None: none at all."""
    with psycopg.connect(database.url, autocommit=True) as owner:
        ((was,),) = owner.execute("SELECT version_num FROM alembic_version").fetchall()
        if version is None:
            owner.execute("DELETE FROM alembic_version")
        else:
            owner.execute("UPDATE alembic_version SET version_num = %s", [version])
        try:
            yield
        finally:
            owner.execute("DELETE FROM alembic_version")
            owner.execute("INSERT INTO alembic_version VALUES (%s)", [was])


@pytest.fixture
def empty(cluster: Cluster) -> Iterator[str]:
    """Return the URL of a database that was never migrated."""
    with cluster.clone(f"never_{uuid4().hex[:8]}", template="template0") as database:
        yield database.url


def test_the_version_that_is_needed_is_the_head_of_the_migrations() -> None:
    """It is read from the names of their files: to load Alembic takes longer than most starts."""

    config = Config()
    config.set_main_option("script_location", str(VERSIONS.parent))
    scripts = ScriptDirectory.from_config(config)

    assert newest_version() == scripts.get_current_head()
    assert known_versions() == {script.revision for script in scripts.walk_revisions()}


@pytest.mark.parametrize("process", [wallet_grpc.server.process, scheduler.process], ids=["server", "scheduler"])
@pytest.mark.parametrize(
    ("version", "what"),
    [
        (None, "the database has no schema of ours, and this release needs {}: run `walletctl migrate`"),
        (AFTER, "this release is older than the database; run the newer one"),
    ],
    ids=["empty", "newer"],
)
def test_no_process_starts_on_another_schema(
    start_up: StartUp, database: Database, process: object, version: str | None, what: str
) -> None:
    """At once, with what to do and no trace of a stack."""

    with schema(database, version):
        ended = start_up(process.main, **{**FAST, "database_url": database.url, "bank_url": "http://127.0.0.1:1"})  # type: ignore[attr-defined]

    assert (ended.code, what.format(newest_version()) in ended.error_output) == (1, True), ended.error_output
    assert "Traceback" not in ended.error_output


def test_a_database_never_migrated_is_distinguished_from_one_unavailable(empty: str, database: Database) -> None:
    """It has not even the table with its version."""

    del database  # its cluster has the role that is taken on
    with (
        pytest.raises(DatabaseNotReady, match="no schema of ours"),
        open_app(read_settings(database_url=empty), name="t"),
    ):
        pass


def test_the_ledger_is_not_verified_by_the_rules_of_another_schema(database: Database) -> None:
    """They would be found broken, or right, by chance."""

    with schema(database, AFTER), pytest.raises(DatabaseNotReady, match="run the newer one"):
        verify(read_settings(database_url=database.url))


def test_a_newer_database_is_not_migrated(database: Database) -> None:
    """Nothing is touched, and the command prints why."""

    with schema(database, AFTER):
        done = CliRunner().invoke(cli, ["migrate"], env=environment({"database_url": database.url}))

    assert (done.exit_code, "this release is older than the database" in done.output) == (1, True), done.output


def test_a_schema_that_changes_under_a_server_is_not_served_from(
    app: App, client: WalletClient, database: Database
) -> None:
    """Health reports it until it is ours again; so does each claim."""

    open_wallet(app, "alice", 5)
    fit = DatabaseReadiness(app, every_s=1e-9)
    fit.require()
    with schema(database, AFTER):
        assert wait_until(lambda: not client.is_serving(), timeout_s=30)
        with pytest.raises(DatabaseNotReady):
            fit.require()
    assert wait_until(client.is_serving, timeout_s=30)
    fit.require()


def test_the_log_has_the_cause_why_a_server_does_not_serve(own_database: Database, tmp_path: Path) -> None:
    """Probes see no more than that it does not."""

    settings = environment({**FAST, "log_level": "INFO"})
    with server_process(tmp_path / "log", own_database.url, **settings) as served, schema(own_database, AFTER):

        def why() -> list[object]:
            return [event["cause"] for event in events(served.log) if event.get("serving") is False]

        assert wait_until(lambda: why() != [], timeout_s=30)
        assert "this release is older than the database" in str(why())


def test_a_recently_checked_database_is_not_checked_on_each_call(app: App, database: Database) -> None:
    """Jobs run several times a second."""

    hourly, always = DatabaseReadiness(app, every_s=3600), DatabaseReadiness(app, every_s=1e-9)

    with schema(database, AFTER):
        assert (passes(hourly), passes(always)) == (True, False)


def passes(readiness: DatabaseReadiness) -> bool:
    """Return whether it finds the database ready, or does not check it."""
    try:
        readiness.require()
    except DatabaseNotReady:
        return False
    return True


def test_a_database_that_keeps_no_utf8_is_not_migrated(cluster: Cluster) -> None:
    """Text would be refused or mangled later, byte by byte."""

    name = f"latin_{uuid4().hex[:8]}"
    with psycopg.connect(cluster.url, autocommit=True) as admin:
        make = "CREATE DATABASE {} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"
        admin.execute(sql.SQL(make).format(sql.Identifier(name)))
        try:
            settings = read_settings(database_url=cluster._url_of(name))  # noqa: SLF001  # of one of its databases
            with pytest.raises(DatabaseNotReady, match="keeps text in LATIN1, not in UTF8"):
                migrate(settings)
        finally:
            admin.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))
