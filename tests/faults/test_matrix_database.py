"""Fault matrix: the database goes away when the bank has just answered, and comes back."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from scheduler.jobs import reconcile_withdrawals
from tests.support.books import open_wallet
from tests.support.database import Database
from tests.support.payout_service import FOR_FIRST_CALLS, PAST_LEASE, PayoutService, end, payout_service
from tests.support.payouts import schedule
from tests.support.tcp_proxy import TcpProxy
from wallet_core.bootstrap import migrate, open_app
from wallet_core.domain.model.payment_order import OrderState
from wallet_core.domain.model.wallet import WalletId
from wallet_core.settings import read_settings
from walletctl.local.postgres import LocalPostgres

ANSWERED = ("after", "wallet_core.gateways.bank:HttpBank.pay")


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalPostgres]:
    """Return a server that may be killed."""
    with LocalPostgres(tmp_path_factory.mktemp("postgres"), settings={"fsync": "off"}) as postgres:
        yield postgres


@pytest.fixture(scope="module")
def service(postgres: LocalPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PayoutService]:
    """Return a service on that server."""
    database = Database(postgres.start())
    migrate(read_settings(database_url=database.url, log_level="ERROR"))
    with payout_service(database, tmp_path_factory.mktemp("service"), **FOR_FIRST_CALLS) as service:
        yield service


@pytest.fixture(scope="module")
def alice(service: PayoutService) -> WalletId:
    """Return a wallet with 1,000."""
    return open_wallet(service.app, "alice", 1000)


@pytest.fixture
def proxy(service: PayoutService) -> Iterator[TcpProxy]:
    """Return a connection to the server, which a test can break."""
    sockets = parse_qs(urlsplit(service.database.url).query)
    with TcpProxy(f"{sockets['host'][0]}/.s.PGSQL.{sockets['port'][0]}") as proxy:
        yield proxy


def kill_with_children(parent: int) -> None:
    """Kill a process and its children, so that none of them finishes what it is at."""
    processes = [(path, path.read_text().rsplit(")", 1)[1].split()) for path in Path("/proc").glob("[0-9]*/stat")]
    children = [int(path.parent.name) for path, fields in processes if int(fields[1]) == parent]
    for pid in (parent, *children):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("lost", ["cut off", "killed"], ids=lambda lost: f"row 13 / E14: {lost}")
def test_database_that_was_away_gets_the_missed_status_from_the_bank(
    service: PayoutService, postgres: LocalPostgres, proxy: TcpProxy, alice: WalletId, lost: str
) -> None:
    """Row 13: a scheduler has the bank's acceptance and cannot store it.

    When the database is back, the next one queries.
    """

    id_ = schedule(service.app, alice, 300)
    through_line = f"postgresql://wallet@127.0.0.1:{proxy.port}/postgres"
    scheduler = service.stop_at(*ANSWERED, database_url=through_line)
    if lost == "cut off":
        proxy.refuse()
    else:
        kill_with_children(postgres.pid)
    end(scheduler, by=signal.SIGCONT, code=1)
    proxy.restore()
    postgres.start()
    with open_app(read_settings(**service.settings), name="the next one") as app:
        reconcile_withdrawals.run_once(app, clock_offset=PAST_LEASE)

    found = service.now(id_)
    assert (found.state, [attempt.answer for attempt in found.attempts]) == (OrderState.SUCCEEDED, [None])
    assert service.bank.posts(id_) == 1
    service.assert_books_agree()
