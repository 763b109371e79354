"""One PostgreSQL cluster per run, one migrated template, one database per worker cleaned before each test.

Tests that start processes take a database of their own (``own_database``). Every test that touches a database ends with
``verify``: the ledger must be right after every test.
"""

import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import create_engine, make_url

from bank_stub.server import BankServer, running_bank
from tests.support.database import AUDIT_OPTIONS, SHARED_NAME, Cluster, Database, close_idle_connection
from tests.support.shared_app import SharedApp
from tests.support.start_up import StartUp
from tests.support.surroundings import prepare, programs, service_url
from wallet_client import WalletClient
from wallet_core.gateways.checkpoint_keys import is_signed
from wallet_core.logs import set_up_own_logs
from wallet_core.settings import Settings, read_settings
from wallet_core.storage.verify.audit import Audit
from wallet_core.storage.verify.checks import result, verify
from wallet_core.usecases.app import App
from walletctl.local.postgres import LocalPostgres

# Everything waits in fractions of a second here, in the proportions of production.
FAST: dict[str, object] = {
    "log_level": "ERROR",
    "grpc_port": 0,
    "grpc_threads": 64,
    "amount_max": 2**63 - 1,  # so that balances can be filled to their end in one step
    "health_interval_s": 0.5,
    "lock_timeout_s": 0.3,
    "bank_call_deadline_s": 0.5,
    "bank_calls_per_s": 100_000,
    "bank_statement_poll_s": 0.2,
    "payout_poll_s": 0.1,
    "payout_lease_s": 1.5,
    "payout_backoff_first_s": 0.05,
    "payout_backoff_max_s": 0.2,
    "payout_send_window_s": 1.0,
    "payout_grace_s": 3.2,
    "payout_retry_after_max_s": 30.0,
    "journal_write_s": 0.05,
    "watch_poll_s": 0.02,
    "webhook_private_networks": ["127.0.0.0/8"],
    "webhook_poll_s": 0.1,
}

# For tests that are about something else than time: a busy machine makes no doubt of a call to the bank.
PATIENT: dict[str, object] = {
    "bank_call_deadline_s": 10.0,
    "payout_lease_s": 30.0,
    "payout_send_window_s": 10.0,
    "payout_grace_s": 60.0,
}

# Modules that take a worker for a minute and more, most of it waiting for processes.
LONGEST = ("tests/interop/", "tests/faults/test_storm.py", "tests/e2e/test_demo.py")

_cluster = pytest.StashKey[LocalPostgres]()


def pytest_configure(config: pytest.Config) -> None:
    """Start the run's cluster, in the controlling process only."""
    set_up_own_logs("ERROR")
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    root = Path(tempfile.mkdtemp(prefix="wallet-tests-"))
    # A test machine may lose power; its tests then run again. Commits stay synchronous, as in production.
    postgres = LocalPostgres(root, settings={"fsync": "off", "max_connections": "400"}, bindir=programs())
    config.stash[_cluster] = postgres
    cluster = Cluster(postgres.start())
    cluster.make_template()
    prepare(cluster)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the cluster and remove what it kept."""
    postgres = config.stash.get(_cluster, None)
    if postgres is not None:
        postgres.stop()
        shutil.rmtree(postgres.data.parent.parent, ignore_errors=True)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """Pass each xdist worker the cluster's URL."""
    node.workerinput["cluster"] = node.config.stash[_cluster].start()  # type: ignore[attr-defined]  # xdist's own object


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """Return the run's cluster."""
    worker_input = getattr(request.config, "workerinput", None)
    return Cluster(worker_input["cluster"] if worker_input else request.config.stash[_cluster].start())


@pytest.fixture(scope="session")
def worker_database(cluster: Cluster) -> Iterator[Database]:
    """Return this worker's database."""
    with cluster.clone(f"worker_{uuid4().hex[:8]}") as database:
        yield database
        close_idle_connection(database.url)


@pytest.fixture(scope="session")
def audit(worker_database: Database) -> Iterator[Callable[[], list[str]]]:
    """Return what names the broken rules of this worker's books, on one connection for all its tests.

    Of a ledger without a row there is nothing to verify.
    """
    url = make_url(worker_database.url).set(drivername="postgresql+psycopg")
    engine = create_engine(
        url,
        pool_size=1,
        max_overflow=0,
        pool_pre_ping=True,
        pool_reset_on_return="commit",  # after a rollback the driver would plan every statement again
        connect_args={"application_name": SHARED_NAME, "options": AUDIT_OPTIONS},
    )
    audit = Audit(is_signed=is_signed)

    def broken_rules() -> list[str]:
        if not worker_database.filled_tables():
            return []
        return [check.name for check in result(verify(engine, audit)) if check.broken]

    yield broken_rules
    engine.dispose()


@pytest.fixture(scope="session")
def shared_app(worker_database: Database) -> Iterator[SharedApp]:
    """Return the core and the server that stay open from test to test."""
    del worker_database  # which is there for longer
    shared_app = SharedApp()
    yield shared_app
    shared_app.close()


@pytest.fixture
def database(worker_database: Database, shared_app: SharedApp, request: pytest.FixtureRequest) -> Database:
    """Return an empty database that is migrated; other tests of this worker use it after this one."""
    if "app" not in request.fixturenames or request.node.get_closest_marker("own_app"):
        shared_app.close()  # no other connection to it is left
    worker_database.clean()
    return worker_database


@pytest.fixture
def own_database(cluster: Cluster) -> Iterator[Database]:
    """Return a database for this test alone, for tests that start processes."""
    with cluster.clone(f"own_{uuid4().hex[:8]}") as database:
        yield database
        assert database.broken_rules() == []


@pytest.fixture
def owner(database: Database) -> Iterator[psycopg.Connection]:
    """Return a connection as the database's owner, which may read and break everything."""
    with psycopg.connect(database.url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def bank() -> Iterator[BankServer]:
    """Return a bank stub that accepts everything until a fault is ordered."""
    with running_bank(state=":memory:", port=0, fail_rate=0.0, seed=1) as bank:
        yield bank


@pytest.fixture(scope="session")
def worker_url(worker_database: Database) -> Iterator[str]:
    """Return the URL by which the service reaches this worker's database."""
    with service_url(worker_database) as url:
        yield url


@pytest.fixture
def settings(database: Database, worker_url: str, request: pytest.FixtureRequest) -> Settings:
    """Return fast settings for the worker's database; a test's ``bank``, if it has one, is the bank."""
    bank_url = request.getfixturevalue("bank").url if "bank" in request.fixturenames else None
    del database  # which is clean
    return _settings(worker_url, bank_url)


@cache
def _settings(database_url: str, bank_url: str | None) -> Settings:
    return read_settings(**FAST, database_url=database_url, **({"bank_url": bank_url} if bank_url else {}))


@pytest.fixture
def app(
    shared_app: SharedApp, settings: Settings, audit: Callable[[], list[str]], request: pytest.FixtureRequest
) -> Iterator[App]:
    """Return the core on the worker's database; the ledger is verified at the end."""
    yield shared_app.app(request.module.__name__, settings)
    shared_app.settle()
    assert audit() == []


@pytest.fixture
def server(app: App, settings: Settings, shared_app: SharedApp) -> str:
    """Serve ``app`` in this process; return its address."""
    del app
    return shared_app.server(settings)


@pytest.fixture
def client(server: str) -> Iterator[WalletClient]:
    """Return a client of ``server``."""
    with WalletClient(server) as client:
        yield client


@pytest.fixture
def start_up(monkeypatch: pytest.MonkeyPatch) -> StartUp:
    """Return what calls the main function of a process that is expected to refuse its start."""
    return StartUp(monkeypatch)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no worker is left with it at the end."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


def pytest_collection_finish() -> None:
    """Take what was loaded out of the garbage collector's sight: it stays, and there is much of it."""
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Keep the machine's own settings out of the tests."""
    del item
    for name in [name for name in os.environ if name.startswith("WALLET_") and name != "WALLET_REQUIRE_ALL"]:  # noqa: TID251  # cleared, not read
        del os.environ[name]  # noqa: TID251  # cleared, not read
