"""Two logins: one migrates and owns, the other serves, and an intruder in its connections can undo no history."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import LiteralString
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
import pytest
import trustme
from psycopg import sql
from psycopg.errors import InsufficientPrivilege
from typer.testing import CliRunner

from bank_stub.server import BankServer
from scheduler.process import main as scheduler
from tests.conftest import FAST
from tests.support.batching import waiting_backends
from tests.support.books import balance_of, deposit, open_wallet, transfer
from tests.support.callers import balance, open_funded
from tests.support.issuer import ISSUER, Issuer
from tests.support.loaded_server import server_process
from tests.support.processes import environment, process
from tests.support.start_up import Main, StartUp
from tests.support.toolchain import some
from wallet_client import Tls, WalletClient
from wallet_core.bootstrap import migrate, open_app, verify
from wallet_core.domain.model.errors import DatabaseUnavailable, ServiceError
from wallet_core.settings import SettingsError, read_settings
from wallet_core.storage.connections.engine import SERVICE_ROLE, transaction
from wallet_core.storage.connections.logins import make_login
from wallet_core.usecases.app import App
from wallet_grpc.server.process import main as server
from walletctl.cli import cli
from walletctl.local.postgres import LocalPostgres
from walletctl.local.waiting import wait_until

DEPLOY = Path(__file__).parents[2] / "docs" / "how-to" / "deploy.md"
PASSWORD = "it's a 100% secret"  # of a cluster that ends with the tests
HISTORY = ("entries", "entry_totals", "transactions", "requests", "journal", "resolutions")

# A production by its settings; none of its files is read before the database was contacted.
PRODUCTION: Mapping[str, object] = {
    "mode": "production",
    "tls_certificate": "nowhere",
    "tls_key": "nowhere",
    "auth_issuer": ISSUER,
    "auth_keys": "nowhere",
    "callers": json.dumps({"shop": {"clients": ["shop-client"]}}),
    "bank_url": "http://127.0.0.1:1",
    "bank_token": "nobodys",
}


@dataclass(frozen=True, slots=True)
class Logins:
    """A cluster of these tests' own, which requires passwords, with a database as it is documented."""

    superuser: str
    log: Path

    def url(self, login: str, database: str = "wallet", password: str = PASSWORD) -> str:
        """Return a login's URL."""
        parts = urlsplit(self.superuser)
        netloc = f"{login}:{quote(password)}@127.0.0.1:{parts.port}"
        return urlunsplit(parts._replace(netloc=netloc, path=f"/{database}"))

    def superuser_url(self, database: str) -> str:
        """Return the superuser's URL."""
        return urlunsplit(urlsplit(self.superuser)._replace(path=f"/{database}"))

    def run(self, *statements: str, database: str = "wallet") -> None:
        """Run statements as the superuser, with the password where they leave it out."""
        with psycopg.connect(self.superuser_url(database), autocommit=True) as superuser:
            for statement in statements:
                superuser.execute(statement.replace("'…'", sql.Literal(PASSWORD).as_string()).encode())


@pytest.fixture(scope="module")
def logins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logins]:
    """Make logins and database by the statements of the documentation, and migrate as documented."""
    shown = re.search(r"```sql\n(.*?)```", DEPLOY.read_text(), re.DOTALL)
    assert shown is not None
    root = tmp_path_factory.mktemp("logins")
    with LocalPostgres(root, tcp=True, settings={"fsync": "off", "log_statement": "all"}) as postgres:
        logins = Logins(postgres.start(), postgres.log)
        logins.run(*(s for s in shown[1].split(";") if s.strip()), database="postgres")
        migrate(read_settings(database_url=logins.url("wallet_app")), owner_url=logins.url("wallet_owner"))
        yield logins
        checks = verify(read_settings(database_url=logins.url("wallet_app")))
        assert [check.name for check in checks if check.broken] == []


def test_the_login_that_is_documented_serves_a_production(logins: Logins, bank: BankServer, tmp_path: Path) -> None:
    """Real processes: a server that takes a deposit over TLS, and a scheduler."""

    authority, issuer = trustme.CA(), Issuer()
    issued = authority.issue_cert("localhost")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
    issued.private_key_pem.write_to_path(tmp_path / "server-key.pem")
    issuer.add("ES256")
    (tmp_path / "keys.json").write_text(issuer.key_set())
    files = {
        "tls_certificate": tmp_path / "server.pem",
        "tls_key": tmp_path / "server-key.pem",
        "auth_keys": tmp_path / "keys.json",
    }
    url = logins.url("wallet_app")
    env = environment({**FAST, **PRODUCTION, **files, "log_level": "INFO", "bank_url": bank.url})
    with server_process(tmp_path / "server.log", url, **env) as served:
        target = served.target.replace("127.0.0.1", "localhost")
        token = issuer.token("wallet.read wallet.write money.deposit")
        with WalletClient(target, tls=Tls(ca=authority.cert_pem.bytes()), token=token) as client:
            open_funded(client, carol=5)
            assert balance(client, "carol") == 5
    log = tmp_path / "scheduler.log"
    with process(["-m", "scheduler", "--once"], env={**env, "WALLET_DATABASE_URL": url}, log=log) as once:
        assert once.wait(30) == 0, log.read_text()


def test_documented_commands_migrate_and_serve(logins: Logins, bank: BankServer, tmp_path: Path) -> None:
    """Each line of the deployment's commands, with this cluster's address and passwords in place of the examples."""

    (block,) = re.findall(r"```console\n(.*?)```", DEPLOY.read_text(), re.DOTALL)
    address = f"{quote(PASSWORD)}@127.0.0.1:{urlsplit(logins.superuser).port}/wallet"
    export, migrating, serving, scheduling = (
        block.replace("password@host/wallet", address).replace("$ ", "").splitlines()
    )
    tools = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "WALLET_BANK_URL": bank.url,
        "WALLET_GRPC_PORT": "0",
    }
    done = subprocess.run(
        ["bash", "-c", f"{export}\n{migrating}"], env=tools, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    for name, command, ready in (("server", serving, '"serving"'), ("scheduler", scheduling, '"running"')):
        log = tmp_path / f"{name}.log"
        script = f"{export}\nexec {command}"
        env = {**tools, "WALLET_LOG_LEVEL": "INFO"}
        with log.open("wb") as output, subprocess.Popen(["bash", "-c", script], env=env, stderr=output) as child:
            try:
                assert wait_until(lambda: ready in log.read_text(), timeout_s=60), log.read_text()  # noqa: B023  # now
            finally:
                child.terminate()
        assert child.returncode == 0


@pytest.fixture(scope="module")
def history(logins: Logins) -> Logins:
    """Return the same, with some history."""
    with open_app(read_settings(**dict(FAST, database_url=logins.url("wallet_app"))), name="tests") as app:
        alice, bob = open_wallet(app, "alice", 100), open_wallet(app, "bob")
        transfer(app, alice, bob, 5)
        app.journal.write(100)
    return logins


@pytest.mark.parametrize("leave", ["RESET ROLE", "SET ROLE NONE", "RESET ALL", "SET SESSION AUTHORIZATION DEFAULT"])
@pytest.mark.parametrize("table", HISTORY)
def test_a_session_that_leaves_the_role_can_undo_no_history(history: Logins, table: str, leave: LiteralString) -> None:
    """The login has no more rights than the role, and no way to the owner's."""

    tried: list[LiteralString] = [
        *["UPDATE {table} SET {column} = {column}", "DELETE FROM {table}", "TRUNCATE {table} CASCADE"],
        *["DROP TABLE {table} CASCADE", "DROP TRIGGER {trigger} ON {table}", "ALTER TABLE {table} OWNER TO wallet_app"],
        *["ALTER TABLE {table} DISABLE TRIGGER ALL", "ALTER TABLE {table} DISABLE TRIGGER {trigger}"],
        *["DROP SCHEMA public CASCADE", "DROP DATABASE wallet", "CREATE ROLE other"],
        *["SET ROLE wallet_owner", "SET SESSION AUTHORIZATION wallet_owner", "SET session_replication_role = replica"],
    ]
    options = f"-c role={SERVICE_ROLE}"
    with psycopg.connect(history.url("wallet_app"), autocommit=True, options=options) as taken_over:
        taken_over.execute(leave)
        column = taken_over.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table))).description
        assert column is not None
        names = {
            "table": sql.Identifier(table),
            "column": sql.Identifier(column[-1].name),
            "trigger": sql.Identifier(f"{table}_guarded"),
        }
        for statement in tried:
            with pytest.raises(InsufficientPrivilege):
                taken_over.execute(sql.SQL(statement).format(**names))


def test_the_way_back_leads_to_the_login(logins: Logins) -> None:
    """What the test above tries, it tries as the login."""

    with psycopg.connect(logins.url("wallet_app"), options=f"-c role={SERVICE_ROLE}") as taken_over:
        taken_over.execute("SET ROLE NONE")
        assert taken_over.execute("SELECT current_user, session_user").fetchone() == ("wallet_app", "wallet_app")


REFUSED = {
    "superuser": (["CREATE ROLE superuser LOGIN SUPERUSER PASSWORD '…'"], "superuser is a superuser"),
    "maker": (
        ["CREATE ROLE maker LOGIN CREATEROLE PASSWORD '…' IN ROLE wallet_service"],
        "maker may create roles:",
    ),
    "wallet_owner": ([], "wallet_owner owns the database or something in it:"),
    "table_owner": (
        [
            "CREATE ROLE table_owner LOGIN PASSWORD '…' IN ROLE wallet_service",
            "CREATE TABLE stray ()",
            "ALTER TABLE stray OWNER TO table_owner",
        ],
        "table_owner owns the database or something in it:",
    ),
    "member": (
        ["CREATE ROLE member LOGIN NOINHERIT PASSWORD '…' IN ROLE wallet_service, wallet_owner"],
        "member owns the database or something in it, as a member of wallet_owner:",
    ),
}


@pytest.fixture(scope="module")
def refused(logins: Logins) -> Logins:
    """Return the same, with the logins that a production refuses."""
    for statements, _ in REFUSED.values():
        logins.run(*statements)
    return logins


@pytest.mark.parametrize("login", REFUSED)
@pytest.mark.parametrize("main", [server, scheduler], ids=["server", "scheduler"])
def test_a_production_refuses_a_login_that_may_do_more_than_serve(
    refused: Logins, start_up: StartUp, main: Main, login: str
) -> None:
    """A line that names what is wrong and what to do; exit code 1, no traceback, no password."""

    ended = start_up(main, **{**FAST, **PRODUCTION, "database_url": refused.url(login)})

    assert ended.code == 1
    (output,) = ended.error_output.splitlines()
    assert f"WALLET_MODE is production, but the database login {REFUSED[login][1]}" in f"{output}:"
    assert "CREATE ROLE wallet_app LOGIN PASSWORD '…' IN ROLE wallet_service" in output
    assert "WALLET_DATABASE_OWNER_URL" in output
    assert "secret" not in output


@pytest.mark.parametrize(
    "command", some([("wallet_grpc",), ("wallet_grpc", "--workers", "2"), ("scheduler",)]), ids=" ".join
)
def test_the_process_that_refuses_its_login_ends_with_1(
    refused: Logins, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """Each process of ours that opens the core, workers included."""

    log = tmp_path / "log"
    env = environment({**FAST, **PRODUCTION, "database_url": refused.url("wallet_owner")})
    with process(["-m", *command], env=env, log=log) as child:
        assert child.wait(30) == 1
    assert "the database login wallet_owner owns the database or something in it" in log.read_text()
    assert "Traceback" not in log.read_text()


def can_serve(app: App) -> bool:
    """Return whether the check that health reports lets this login serve."""
    try:
        app.ping()
    except ServiceError:
        return False
    return True


@pytest.mark.parametrize("login", REFUSED)
def test_a_development_starts_by_any_login(refused: Logins, login: str) -> None:
    """One login is enough to try it."""

    with open_app(read_settings(**dict(FAST, database_url=refused.url(login))), name="tests") as app:
        assert can_serve(app)


def test_migrating_makes_the_login_that_serves(logins: Logins) -> None:
    """By its URL's name and password, which the server's log does not show; one that is there keeps its password."""

    logins.run("CREATE DATABASE fresh", database="postgres")
    owner = logins.superuser_url("fresh")
    url, other = (logins.url("fresh_app", "fresh", password) for password in ("wanted-first", "wanted-later"))
    settings = read_settings(**dict(FAST, mode="production", database_url=url))
    migrate(settings, owner_url=owner)
    migrate(read_settings(**dict(FAST, database_url=other)), owner_url=owner)
    with open_app(settings, name="tests") as app:
        alice = open_wallet(app, "alice", 100)
        deposit(app, alice, 5)
        assert balance_of(app, alice) == 105
    assert [check.name for check in verify(settings) if check.broken] == []
    log = logins.log.read_text()
    assert ('CREATE ROLE "fresh_app" LOGIN PASSWORD' in log, "wanted-" in log) == (True, False)


def test_migrating_grants_an_existing_login_the_serving_role(logins: Logins) -> None:
    """It becomes a member of the role, by which production serves."""

    logins.run("CREATE ROLE bare LOGIN PASSWORD '…'")
    bare = read_settings(**dict(FAST, mode="production", database_url=logins.url("bare")))
    migrate(bare, owner_url=logins.superuser_url("wallet"))
    with open_app(bare, name="tests") as app:
        assert can_serve(app)


def test_a_login_that_is_made_twice_at_once_is_made_once(logins: Logins) -> None:
    """Logins belong to the cluster, and another database of it may be migrated: the second one finds it made."""

    with (
        psycopg.connect(logins.superuser) as first,
        psycopg.connect(logins.superuser_url("wallet")) as second,
        ThreadPoolExecutor(1) as pool,
    ):
        make_login(first, "both", PASSWORD)
        waiting = pool.submit(make_login, second, "both", PASSWORD)
        assert wait_until(lambda: waiting_backends(logins.superuser_url("wallet")) != [], timeout_s=30)
        first.commit()
        waiting.result(30)

    with open_app(read_settings(**dict(FAST, mode="production", database_url=logins.url("both"))), name="tests") as app:
        app.ping()


def test_an_owner_that_may_make_no_login_is_reported(logins: Logins) -> None:
    """The login is then made by a role that may."""

    settings = read_settings(**dict(FAST, database_url=logins.url("nobody_yet")))
    with pytest.raises(DatabaseUnavailable) as refused:
        migrate(settings, owner_url=logins.url("wallet_owner"))
    assert "permission denied to create role" in str(refused.value.__cause__)


def test_walletctl_migrates_by_the_owners_url(logins: Logins) -> None:
    """With the owner's URL alone, or with both; each is named where it is no URL."""

    owner, app = logins.url("wallet_owner"), logins.url("wallet_app")

    def migrated(**settings: str) -> tuple[int, str]:
        done = CliRunner().invoke(cli, ["migrate"], env={**environment(settings), "WALLET_LOG_LEVEL": "ERROR"})
        return done.exit_code, done.output

    up_to_date = (0, "the database has this release's schema\n")
    assert migrated(database_owner_url=owner) == up_to_date
    assert migrated(database_owner_url=owner, database_url=app) == up_to_date
    code, message = migrated(database_owner_url="nonsense", database_url=app)
    assert (code, "WALLET_DATABASE_OWNER_URL is not a PostgreSQL URL" in message) == (1, True)
    code, message = migrated(database_owner_url=owner, database_url="nonsense")
    assert (code, "WALLET_DATABASE_URL is not a PostgreSQL URL" in message) == (1, True)


def test_a_database_that_must_be_verified_and_cannot_be_is_not_spoken_to(logins: Logins) -> None:
    """The URL's TLS options are those of the connections: this cluster has none."""

    url = f"{logins.url('wallet_app')}?sslmode=verify-full&sslrootcert=system"
    verified = read_settings(**dict(FAST, database_url=url, database_wait_s=0.1))
    with pytest.raises(DatabaseUnavailable) as refused, open_app(verified, name="tests"):
        pass
    assert "SSL" in str(refused.value.__cause__)


def test_the_server_too_notices_a_host_that_vanished(logins: Logins) -> None:
    """By TCP, which this cluster is reached by: sockets have no TLS settings."""

    names = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "tcp_user_timeout")
    with open_app(read_settings(**dict(FAST, database_url=logins.url("wallet_app"))), name="tests") as app:
        for engine in (app.reads.engine, app.bank_statement_lines.engine, app.claims.engine):
            with transaction(engine) as tx:
                shown = tx.execute("SELECT current_setting(unnest(%s::text[]))", [list(names)]).fetchall()
            assert shown == [("5",), ("2",), ("3",), ("10000",)]


def test_only_settings_with_a_url_of_a_login_that_serves_open_the_core(logins: Logins) -> None:
    """The owner's URL is never fallen back to."""

    with (
        pytest.raises(SettingsError, match="WALLET_DATABASE_URL is not set"),
        open_app(read_settings(database_owner_url=logins.url("wallet_owner")), name="tests"),
    ):
        pass
