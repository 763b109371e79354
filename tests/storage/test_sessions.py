"""A session is as configured, or it is not used; with anything between, and under any defaults."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from tests.support.books import balance_of, deposit, open_wallet
from tests.support.database import Database
from tests.support.pooler import pooled
from wallet_core.bootstrap import migrate, open_app, verify
from wallet_core.domain.model.errors import DatabaseNotReady
from wallet_core.settings import Settings, SettingsError
from wallet_core.storage.connections.engine import (
    ANYTHING,
    AUDITING,
    CLAIMING,
    READING,
    Engine,
    Limits,
    Use,
    open_engine,
    transaction,
)
from wallet_core.storage.connections.session import options_in
from wallet_core.usecases.app import App

LIMITS = Limits(
    pool_size=2,
    pool_timeout_s=1.0,
    connect_timeout_s=3,
    lock_timeout_s=0.25,
    statement_timeout_s=9.0,
    idle_in_transaction_timeout_s=8.0,
    transaction_timeout_s=7.0,
)

# What every session is, by the names under which PostgreSQL shows it.
CONFIGURED = {
    "role": "wallet_service",
    "default_transaction_isolation": "read committed",
    "synchronous_commit": "on",
    "lock_timeout": "250ms",
    "statement_timeout": "9s",
    "idle_in_transaction_session_timeout": "8s",
    "transaction_timeout": "7s",
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "client_encoding": "UTF8",
    "jit": "off",
}
# The opposite of all that, as a database's defaults.
OTHERWISE = {
    "default_transaction_isolation": "serializable",
    "synchronous_commit": "off",
    "lock_timeout": "0",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "transaction_timeout": "0",
    "timezone": "Asia/Tehran",
    "datestyle": "SQL, DMY",
    "intervalstyle": "iso_8601",
    "client_encoding": "LATIN1",
    "jit": "on",
    "enable_seqscan": "on",
    "plan_cache_mode": "auto",
}


def opened(url: str, use: Use = ANYTHING, role: str | None = "wallet_service") -> Engine:
    """Return an engine with the limits of this page."""
    return open_engine(url, LIMITS, name="tests", use=use, role=role)


def shown(url: str, *names: str, use: Use = ANYTHING) -> dict[str, str]:
    """Return settings of a session that is made by a URL."""
    engine = opened(url, use)
    try:
        with transaction(engine) as tx:
            request = "SELECT name, current_setting(name) FROM unnest(%s::text[]) AS asked (name)"
            return dict(tx.execute(request, [list(names)]).fetchall())
    finally:
        engine.dispose()


@pytest.fixture(params=["straight", "by a pooler of sessions"])
def url(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> Iterator[str]:
    """Return the database's URL: to itself, and to a pooler that drops startup options."""
    if request.param == "straight":
        yield database.url
    else:
        with pooled(database, tmp_path / "pooler", "session") as url:
            yield url


def test_a_session_is_as_configured_under_any_defaults(url: str, owner: psycopg.Connection) -> None:
    """Those of the database here; those of a login and of a server count for less."""

    name = sql.Identifier(owner.info.dbname)
    for setting, value in OTHERWISE.items():
        alter = sql.SQL("ALTER DATABASE {} SET {} = {}")
        owner.execute(alter.format(name, sql.Identifier(setting), sql.Literal(value)))
    try:
        assert shown(url, *CONFIGURED) == CONFIGURED
        planner = shown(url, *CLAIMING.planner, use=CLAIMING)
        assert planner == dict(CLAIMING.planner)
        assert shown(url, *READING.planner, use=READING) == dict(READING.planner)
        unbounded = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout", "transaction_timeout")
        assert shown(url, *unbounded, use=AUDITING) == dict.fromkeys(unbounded, "0")
    finally:
        owner.execute(sql.SQL("ALTER DATABASE {} RESET ALL").format(name))


def test_the_service_serves_by_a_pooler_of_sessions(own_database: Database, settings: Settings, tmp_path: Path) -> None:
    """Money moves, a migration and an audit run.

    A session that is returned is another connection's, configured again.
    """

    with pooled(own_database, tmp_path / "pooler", "session") as url:
        mine = settings.replaced(database_url=SecretStr(url))
        migrate(mine)
        for name in ("alice", "bob"):
            with open_app(mine, name="tests") as app:
                app.ping()
                wallet = open_wallet(app, name, 100)
                deposit(app, wallet, 5)
                assert balance_of(app, wallet) == 105
        assert [check.name for check in verify(mine) if check.broken] == []


@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_a_pooler_of_less_than_sessions_is_refused(
    database: Database, settings: Settings, tmp_path: Path, mode: str
) -> None:
    """At once, by what to do: a role and limits that are set would be another's in the next moment."""

    with pooled(database, tmp_path / "pooler", mode) as url:
        mine = settings.replaced(database_url=SecretStr(url))
        with pytest.raises(DatabaseNotReady, match="pool_mode = session"), open_app(mine, name="tests"):
            pass


def test_a_batch_that_meets_anothers_session_is_not_decided_in_it(app: App) -> None:
    """A pooler changed its mode meanwhile: the batch runs again on a new connection, and the old one is not used."""

    alice = open_wallet(app, "alice", 100)
    pids = []
    for _ in range(2):
        deposit(app, alice, 5)
        with transaction(app.bank_statement_lines.engine) as tx:
            pids.append(tx.execute("SELECT pg_backend_pid()").fetchone())
            tx.execute("SELECT set_config('wallet.session', 'of another', false)")
    deposit(app, alice, 5)

    assert pids[0] != pids[1]
    assert balance_of(app, alice) == 115


def test_health_checks_whose_session_it_is(app: App) -> None:
    """A server on which no money moves finds it out too; and is well again on a new connection."""

    app.ping()
    with transaction(app.bank_statement_lines.engine) as tx:
        tx.execute("SELECT set_config('wallet.session', '', false)")
    with pytest.raises(DatabaseNotReady, match="pool_mode = session"):
        app.ping()
    app.ping()


def test_a_role_that_cannot_be_assumed_is_reported_with_what_to_do(database: Database) -> None:
    """It is made by migrating."""

    engine = opened(database.url, role="no_such_role")
    with pytest.raises(DatabaseNotReady, match=r'role "no_such_role" does not exist.*walletctl migrate'):
        engine.connect()
    engine.dispose()


def test_options_of_the_url_and_of_the_environment_are_kept(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pooler drops them without a word, so they too are set once connected."""

    options = quote("-c work_mem=7MB --enable-material=off -capplication_name=mine\\ own")
    separator = "&" if "?" in url else "?"
    named = shown(
        f"{url}{separator}options={options}", "work_mem", "enable_material", "application_name", "lock_timeout"
    )
    assert named == {
        "work_mem": "7MB",
        "enable_material": "off",
        "application_name": "mine own",
        "lock_timeout": "250ms",
    }
    monkeypatch.setenv("PGOPTIONS", "-c work_mem=6MB")
    assert shown(url, "work_mem") == {"work_mem": "6MB"}


def test_the_urls_options_take_precedence_over_our_own(database: Database) -> None:
    """How long to wait for a connection, and by which name."""

    assert shown(f"{database.url}&application_name=theirs", "application_name") == {"application_name": "theirs"}


def test_several_hosts_are_tried_in_order(database: Database) -> None:
    """The one that is there and takes writes is found."""

    there = database.url.replace("host=", "host=/nowhere,").replace("port=5432", "port=5432,5432")

    assert there != database.url
    assert shown(f"{there}&target_session_attrs=read-write", "role") == {"role": "wallet_service"}


@pytest.mark.parametrize(
    ("query", "what"),
    [
        ("options=-c%20statement_timeout%3D0", "sets statement_timeout, which the service sets itself"),
        ("options=-c%20TimeZone%3DUTC", "sets timezone, which the service sets itself"),
        ("options=--role%3Dpostgres", "sets role, which the service sets itself"),
        ("client_encoding=latin1", "sets client_encoding, which the service sets itself"),
        ("options=-d%205", "has options that are not understood at '-d'"),
        ("options=-c", "has options that are not understood at '-c'"),
        ("nonsense=1", "is not a PostgreSQL URL"),
    ],
)
def test_what_cannot_be_kept_is_refused(database: Database, settings: Settings, query: str, what: str) -> None:
    """By the name of the variable, and without the URL."""

    mine = settings.replaced(database_url=SecretStr(f"{database.url}&{query}"))
    with pytest.raises(SettingsError) as refused, open_app(mine, name="tests"):
        pass
    assert f"WALLET_DATABASE_URL {what}" in str(refused.value)
    assert database.url not in str(refused.value)


def test_a_setting_that_a_session_cannot_have_is_refused(database: Database) -> None:
    """What only a start could set."""

    engine = opened(f"{database.url}&options=-c%20ignore_system_indexes%3Don")
    with pytest.raises(DatabaseNotReady, match="ignore_system_indexes"):
        engine.connect()
    engine.dispose()


def test_options_are_read_as_the_server_reads_them() -> None:
    """Words end at spaces, unless escaped by a backslash."""

    text = r"-c a=1  -cb=x\ y --work-mem=3 -c c=a=b\\"

    assert list(options_in(text)) == [("a", "1"), ("b", "x y"), ("work_mem", "3"), ("c", "a=b\\")]
