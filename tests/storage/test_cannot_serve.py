"""A database that is there and cannot serve: callers learn it, and whether anything was done; it recovers by itself."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr
from wallet.v1 import transaction_service_pb2 as pb

from tests.support.api import Api
from tests.support.callers import balance, open_funded, usd
from tests.support.commands import a_deposit
from tests.support.database import Cluster, Database, cut_all_others
from tests.support.requests import money, new_id
from wallet_client import CallError, WalletClient
from wallet_core.bootstrap import open_app
from wallet_core.domain.model.errors import (
    DatabaseNotServing,
    DatabaseUnavailable,
    ServiceError,
    TransactionConflict,
    cause_of,
)
from wallet_core.domain.model.money import Money
from wallet_core.settings import Settings
from wallet_core.storage.errors import SQLSTATES, Means, batch_error, meaning
from wallet_core.usecases.app import App
from wallet_grpc.server.serving import serving
from walletctl.local.waiting import wait_until

# One of each entry of the table, as PostgreSQL or a pooler raises it.
EXAMPLES = {
    "08": "08P01",
    "23505": "23505",
    "25006": "25006",
    "25P03": "25P03",
    "25P04": "25P04",
    "28": "28000",
    "3D000": "3D000",
    "40001": "40001",
    "40P01": "40P01",
    "53": "53100",
    "55P03": "55P03",
    "57014": "57014",
    "57P": "57P01",
    "58": "58030",
}
UNABLE = sorted(
    {"53200", "53300", "57P03", *(EXAMPLES[key] for key, means in SQLSTATES.items() if means is Means.UNABLE)}
)
RACES = sorted(EXAMPLES[key] for key, means in SQLSTATES.items() if means is Means.RACE)

RAISE = """
CREATE OR REPLACE FUNCTION fail_for_a_test() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'raised for a test' USING ERRCODE = {};
END
$$
"""
AT_ONCE = "CREATE TRIGGER fails BEFORE INSERT ON entries FOR EACH STATEMENT EXECUTE FUNCTION fail_for_a_test()"
AT_COMMIT = (
    "CREATE CONSTRAINT TRIGGER fails AFTER INSERT ON entries DEFERRABLE INITIALLY DEFERRED"
    " FOR EACH ROW EXECUTE FUNCTION fail_for_a_test()"
)


@pytest.fixture
def funded(app: App, client: WalletClient) -> WalletClient:
    """Return a client of a service where Alice has ten dollars."""
    del app
    open_funded(client, alice=1000)
    return client


@contextmanager
def failing(owner: psycopg.Connection, sqlstate: str, when: str = AT_ONCE) -> Iterator[None]:
    """Have the database fail what writes an entry."""
    owner.execute(sql.SQL(RAISE).format(sql.Literal(sqlstate)))
    owner.execute(when.encode())
    try:
        yield
    finally:
        owner.execute("DROP TRIGGER fails ON entries")
        owner.execute("DROP FUNCTION fail_for_a_test")


def failure_of(app: App) -> ServiceError:
    """Return the error of a deposit whose database call fails."""
    with pytest.raises(ServiceError) as caught:
        app.ledger.post(a_deposit("alice", Money("USD", 5)))
    return caught.value


def test_every_sqlstate_of_the_table_has_an_example_here() -> None:
    """Or the next tests would not see all of them. A whole SQLSTATE comes before its class."""

    assert EXAMPLES.keys() == SQLSTATES.keys()
    assert {key: meaning(code) for key, code in EXAMPLES.items()} == SQLSTATES
    assert [meaning(code) for code in ("57014", "57P01", "25001", "42P01", "XX000")] == [
        *(Means.RACE, Means.UNABLE),
        *(Means.DEFECT, Means.DEFECT, Means.DEFECT),
    ]


@pytest.mark.parametrize("sqlstate", UNABLE)
def test_a_server_that_cannot_serve_has_done_nothing(
    app: App, funded: WalletClient, owner: psycopg.Connection, sqlstate: str
) -> None:
    """Before COMMIT that is sure. The cause is for operators; then the next call is served."""

    with failing(owner, sqlstate):
        error = failure_of(app)
    assert (type(error), "raised for a test" in cause_of(error)) == (DatabaseNotServing, True)
    assert app.ledger.post(a_deposit("alice", Money("USD", 5))).replayed is False
    assert balance(funded, "alice") == 1005


@pytest.mark.parametrize("sqlstate", UNABLE)
def test_a_server_that_cannot_serve_at_commit_may_have_done_it(
    app: App, funded: WalletClient, owner: psycopg.Connection, sqlstate: str
) -> None:
    """COMMIT was sent: only a repeat finds the outcome."""

    with failing(owner, sqlstate, AT_COMMIT):
        assert type(failure_of(app)) is DatabaseUnavailable
    assert balance(funded, "alice") == 1000


@pytest.mark.parametrize("sqlstate", RACES)
def test_a_race_that_is_lost_again_is_a_conflict(
    app: App, funded: WalletClient, owner: psycopg.Connection, sqlstate: str
) -> None:
    """Nothing was done, and it is not reported as a defect."""

    del funded
    with failing(owner, sqlstate):
        assert type(failure_of(app)) is TransactionConflict


def test_what_no_table_knows_stays_internal(funded: WalletClient, owner: psycopg.Connection) -> None:
    """A defect of ours must not look like a transient error."""

    with failing(owner, "22012"), pytest.raises(CallError) as refused:
        funded.deposit("wallets/alice", usd(5))
    assert (refused.value.code, refused.value.reason) == ("INTERNAL", "INTERNAL")


def test_errors_of_the_driver_alone_are_a_lost_connection_or_a_defect() -> None:
    """They have no SQLSTATE."""

    lost = [psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError]
    defects = [psycopg.ProgrammingError, psycopg.DataError]

    assert {type(batch_error(kind("…")).error).__name__ for kind in lost} == {"DatabaseNotServing"}
    assert {type(batch_error(kind("…")).error).__name__ for kind in defects} == {"LedgerBroken"}


def test_health_reports_a_full_disk_until_a_write_succeeds(
    funded: WalletClient, server: str, owner: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    """Reads still work, so the question whether the database is there does not show it. No call leaves a traceback."""

    # By a bare channel: our clients send a server nothing while its health is NOT_SERVING.
    with Api(server) as api, failing(owner, "53100"):
        assert refused(api) == NOT_STORED
        assert wait_until(lambda: not funded.is_serving(), timeout_s=30)
        assert api.balances("alice") == [1000]
    funded.deposit("wallets/alice", usd(5))
    assert wait_until(funded.is_serving, timeout_s=30)
    assert "Traceback" not in caplog.text


NOT_STORED = ("UNAVAILABLE", "DATABASE_UNAVAILABLE", "NOT_DONE_RETRY")


def refused(api: Api) -> tuple[str, str, str]:
    """Return how a deposit is refused."""
    answer = api.refused(pb.DepositRequest(wallet="wallets/alice", amount=money(5), request_id=new_id()))
    return answer.code, answer.reason, answer.outcome


@contextmanager
def read_only(cluster: Cluster, database: Database) -> Iterator[None]:
    """Let connections of a database only read, as those to a standby or to a primary that is fenced off."""
    name = sql.Identifier(database.url.rpartition("?")[0].rpartition("/")[2] or database.url.rpartition("/")[2])
    with psycopg.connect(cluster.url, autocommit=True) as admin:
        admin.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name))
        try:
            with psycopg.connect(database.url, autocommit=True) as owner:
                cut_all_others(owner)
            yield
        finally:
            admin.execute(sql.SQL("ALTER DATABASE {} RESET default_transaction_read_only").format(name))


def test_a_server_that_only_reads_is_not_serving_and_is_left(
    cluster: Cluster, own_database: Database, settings: Settings
) -> None:
    """Health finds it out without a call; no connection of then is used once it takes writes again."""

    mine = settings.replaced(database_url=SecretStr(own_database.url), database_wait_s=0.5)
    with open_app(mine, name="tests") as app, serving(app, mine) as port:
        target = f"127.0.0.1:{port}"
        with WalletClient(target) as client, Api(target) as api:
            open_funded(client, alice=1000)
            with read_only(cluster, own_database):
                assert refused(api) == NOT_STORED
                assert wait_until(lambda: not client.is_serving(), timeout_s=30)
                with pytest.raises(DatabaseNotServing) as waited, open_app(mine, name="tests-late"):
                    pass
                assert "the database is read-only" in cause_of(waited.value)
            assert wait_until(client.is_serving, timeout_s=30)
            client.deposit("wallets/alice", usd(5))
            assert balance(client, "alice") == 1005
