"""A server that is frozen within a batch, by SIGSTOP, blocks others no longer than a bound; then it finds out."""

import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import monotonic
from uuid import uuid4

import psycopg
import pytest

from tests.support.callers import balance, open_funded, served, usd
from tests.support.payout_service import Child
from tests.support.ports import free_ports
from tests.support.processes import environment, process
from tests.support.toolchain import older_postgres
from wallet_client import CallError, Payer, WalletClient
from wallet_core.bootstrap import migrate, verify
from wallet_core.settings import read_settings
from walletctl.local.postgres import LocalPostgres
from walletctl.local.waiting import wait_until

ALICE, BOB = "wallets/alice", "wallets/bob"
SHORT: dict[str, object] = {
    "idle_in_transaction_timeout_s": 3.0,
    "transaction_timeout_s": 3.0,
    "lock_timeout_s": 0.3,
    "health_interval_s": 0.5,
}

# While it holds locks, by their places in the code: between the two halves of a batch, in the middle of the
# first, and before COMMIT.
LOADED = ("after", "wallet_core.storage.posting.load_and_store:load")
LOADING = ("after", "wallet_core.storage.posting.load_and_store:read_dependent_rows")
STORED = ("after", "wallet_core.storage.posting.load_and_store:store")

# The default limits are 10 s and 12 s.
BOUND_S = 15.0


@pytest.fixture(scope="module", params=["newest", "older"])
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a PostgreSQL that ends long transactions by itself, and one that does not know how; migrated."""
    bindir = older_postgres() if request.param == "older" else None
    root = tmp_path_factory.mktemp("postgres")
    with LocalPostgres(root, settings={"fsync": "off"}, bindir=bindir) as postgres:
        url = postgres.start()
        with psycopg.connect(url) as connection:
            assert (connection.info.server_version < 170000) is (request.param == "older")
        yield url


def test_a_frozen_server_releases_its_locks(database_url: str, tmp_path: Path) -> None:
    """With short limits; woken up it makes its transfer, once."""

    assert_others_continue_while_frozen(database_url, tmp_path, LOADED, SHORT)


@pytest.mark.long
@pytest.mark.parametrize("point", [LOADING, LOADED, STORED], ids=["loading", "loaded", "stored"])
def test_a_frozen_server_releases_its_locks_within_the_default_limits(
    database_url: str, tmp_path: Path, point: tuple[str, str]
) -> None:
    """Nothing is set but where the database is."""

    assert_others_continue_while_frozen(database_url, tmp_path, point, {})


def assert_others_continue_while_frozen(
    url: str, folder: Path, point: tuple[str, str], limits: Mapping[str, object]
) -> None:
    """Freeze a server in a transfer that costs a commission; see the other one make its own within the bound."""
    name = f"frozen_{uuid4().hex[:8]}"
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
    mine = url.replace("/postgres?", f"/{name}?")
    (port,) = free_ports(1)
    settings = {"database_url": mine, "log_level": "INFO", "grpc_port": port, **limits}
    other = read_settings(**{**settings, "grpc_port": 0, "log_level": "ERROR"})
    migrate(other)
    frozen_id = str(uuid4())
    log = folder / "frozen.log"
    with (
        served(other) as client,
        process(["-m", "tests.support.stop_at", *point, "wallet_grpc"], env=environment(settings), log=log) as server,
        WalletClient(f"127.0.0.1:{port}", timeout_s=5.0) as late,
        ThreadPoolExecutor(1) as pool,
        psycopg.connect(mine, autocommit=True) as owner,
    ):
        child = Child(server, log)
        open_funded(client, alice=1000, bob=1000, carol=1000)
        client.create_commission_rule("USD", Payer.SOURCE, fixed_minor_units=1)
        child.until_logged('"event": "serving"')
        pending = pool.submit(late.transfer, ALICE, BOB, usd(10), request_id=frozen_id)
        child.until_stopped()
        frozen_at = monotonic()
        assert holds_locks(owner)
        # Its own wallet, and another one's: all transfers use the commission wallet.
        for source in (ALICE, "wallets/carol"):
            assert wait_until(partial(transfers, client, source), timeout_s=BOUND_S)
        assert monotonic() - frozen_at < BOUND_S
        # Its caller calls the other one. Resumed, it finds its transaction ended, and the outcome of its request.
        made = client.transfer(ALICE, BOB, usd(10), request_id=frozen_id)
        server.send_signal(signal.SIGCONT)
        with suppress(CallError):  # of a caller whose deadline was shorter than its wait
            assert pending.result(30).transaction == made.transaction
        assert late.transfer(ALICE, BOB, usd(10), request_id=frozen_id).transaction == made.transaction
        assert [balance(client, name) for name in ("alice", "bob", "carol")] == [978, 1030, 989]
    assert [check.name for check in verify(other) if check.broken] == []


def holds_locks(owner: psycopg.Connection) -> bool:
    """Return whether the frozen server's connection is in a transaction that has locked rows; its reads lock none."""
    begun = "SELECT FROM pg_stat_activity WHERE application_name = 'wallet-grpc' AND backend_xid IS NOT NULL"
    return owner.execute(begun).rowcount == 1


def transfers(client: WalletClient, source: str) -> bool:
    """Try to move money; return whether it was moved."""
    try:
        client.transfer(source, BOB, usd(10), request_id=str(uuid4()))
    except CallError:
        return False
    return True
