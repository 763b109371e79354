"""What needs a PostgreSQL of the test's own: another owner than the superuser, and a server that stops responding."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from tests.conftest import FAST
from tests.support.books import balance_of, open_wallet
from tests.support.commands import a_deposit, a_transfer
from tests.support.database import Cluster, Database
from tests.support.together import over_and_over
from wallet_client import WalletClient
from wallet_core.bootstrap import migrate, open_app, verify
from wallet_core.domain.commands.transfers.transfer import Transfer
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.wallet import WalletId
from wallet_core.settings import read_settings
from wallet_grpc.server.serving import serving
from walletctl.local.postgres import LocalPostgres
from walletctl.local.waiting import wait_until


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[LocalPostgres]:
    """Return a server of this test's own."""
    with LocalPostgres(tmp_path, settings={"fsync": "off"}) as postgres:
        yield postgres


def test_owner_that_is_no_superuser_can_migrate_and_serve(postgres: LocalPostgres) -> None:
    """From version 16 on the creator of a role must be granted the right to assume it."""

    url = postgres.start()
    with psycopg.connect(url, autocommit=True) as superuser:
        superuser.execute("CREATE ROLE shop LOGIN CREATEROLE")
        superuser.execute("CREATE DATABASE shop OWNER shop")
    parts = urlsplit(url)
    shop = urlunsplit(parts._replace(netloc="shop@", path="/shop"))
    settings = read_settings(**dict(FAST, database_url=shop))
    migrate(settings)
    with open_app(settings, name="tests") as app:
        alice = open_wallet(app, "alice", 100)
        assert balance_of(app, alice) == 100

    assert [check.name for check in verify(settings) if check.broken] == []


def test_a_dump_restored_into_another_cluster_serves_once_it_is_migrated(
    postgres: LocalPostgres, cluster: Cluster, own_database: Database
) -> None:
    """The role is not in the dump: ``migrate`` makes it and its grants. A repeated request is answered as before."""

    command = a_deposit("alice", Money("USD", 70))
    with open_app(read_settings(**dict(FAST, database_url=own_database.url)), name="before") as app:
        open_wallet(app, "alice", 100)
        app.ledger.post(command)
    url = postgres.start()
    programs = postgres.binaries.bindir
    dump = subprocess.run([programs / "pg_dump", own_database.url], capture_output=True, check=True).stdout
    with_errors = subprocess.run([programs / "psql", url], input=dump, capture_output=True, check=True).stderr
    assert b'role "wallet_service" does not exist' in with_errors
    settings = read_settings(**dict(FAST, database_url=url))
    migrate(settings)

    with open_app(settings, name="after") as app:
        assert app.ledger.post(command).replayed
        assert balance_of(app, WalletId("alice")) == 170
        open_wallet(app, "bob", 5)
    assert [check.name for check in verify(settings) if check.broken] == []
    del cluster


def test_a_base_backup_taken_while_money_moves_replays_what_it_holds_and_makes_the_rest(
    postgres: LocalPostgres, tmp_path: Path
) -> None:
    """It ends at one point in the order of commits. All requests are repeated at it: none is made twice."""

    url = postgres.start()
    settings = read_settings(**dict(FAST, database_url=url))
    migrate(settings)
    root = tmp_path / "restored"
    data = root / postgres.data.relative_to(tmp_path)
    data.parent.mkdir(parents=True)
    requests: list[Transfer] = []
    with open_app(settings, name="before") as app:
        alice, bob = open_wallet(app, "alice", 1_000_000), open_wallet(app, "bob")

        def transfer_one() -> None:
            command = a_transfer(alice, bob, Money("USD", 1))
            app.ledger.post(command)
            requests.append(command)

        transfer_one()
        program = postgres.binaries.bindir / "pg_basebackup"
        with over_and_over(transfer_one):
            begun = len(requests)
            options = ["--dbname", url, "--pgdata", str(data), "--checkpoint", "fast", "--no-sync"]
            subprocess.run([program, *options], capture_output=True, check=True)
            ended = len(requests)
        transfer_one()
    assert ended > begun, "no money moved during the backup: the test shows nothing"

    with LocalPostgres(root, settings={"fsync": "off"}) as second:
        restored = read_settings(**dict(FAST, database_url=second.start()))
        migrate(restored)
        assert [check.name for check in verify(restored) if check.broken] == []
        with open_app(restored, name="after") as app:
            held = balance_of(app, bob)
            replayed = [app.ledger.post(command).replayed for command in requests]
            assert balance_of(app, bob) == len(requests)
        assert [check.name for check in verify(restored) if check.broken] == []
    # One caller sent one after the other, so the first of them are in the backup, the last ones are not.
    assert replayed == [True] * held + [False] * (len(requests) - held)
    assert begun < held < len(requests)


def test_database_that_stops_responding_is_not_serving_until_it_responds_again(postgres: LocalPostgres) -> None:
    """Stopped, not dead: nothing is refused, nothing answers."""

    settings = read_settings(**dict(FAST, database_url=postgres.start()))
    migrate(settings)
    with (
        open_app(settings, name="tests") as app,
        serving(app, settings) as port,
        WalletClient(f"127.0.0.1:{port}") as client,
    ):
        assert client.is_serving()
        processes = _family(postgres.pid)
        try:
            _signal(processes, signal.SIGSTOP)
            assert wait_until(lambda: not client.is_serving(), timeout_s=30)
        finally:
            _signal(processes, signal.SIGCONT)
        assert wait_until(client.is_serving, timeout_s=30)


def test_database_that_goes_away_while_a_server_starts_is_waited_for(postgres: LocalPostgres) -> None:
    """The server is there, reports NOT_SERVING, and serves once the database is back."""

    settings = read_settings(**dict(FAST, database_url=postgres.start()))
    migrate(settings)
    with open_app(settings, name="tests") as app:
        postgres.stop()
        with serving(app, settings) as port, WalletClient(f"127.0.0.1:{port}") as client:
            assert not client.is_serving()
            assert postgres.start() == settings.required_database_url()
            assert wait_until(client.is_serving, timeout_s=30)
            assert list(client.list_wallets()) == []


def _family(parent: int) -> list[int]:
    """Return a process and its children."""
    children = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        fields = status.read_text().rsplit(")", 1)[1].split()
        if int(fields[1]) == parent:
            children.append(int(status.parent.name))
    return [parent, *children]


def _signal(processes: list[int], number: signal.Signals) -> None:
    for process in processes:
        os.kill(process, number)
