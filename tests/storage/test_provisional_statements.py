"""A statement is provisional for as long as anything that could still fall into it is under way, and no longer."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection

from tests.conftest import FAST
from tests.support.books import deposit, open_wallet, transfer
from tests.support.commands import a_deposit
from tests.support.missing_standby import require_standby, waiting_commits
from wallet_core.bootstrap import migrate, open_app, verify
from wallet_core.domain.deciding.decide import decide
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.transaction import Transaction
from wallet_core.domain.model.wallet import WalletId
from wallet_core.domain.queries.statement import Statement
from wallet_core.settings import read_settings
from wallet_core.storage.connections.engine import transaction
from wallet_core.storage.errors import BatchRefused
from wallet_core.storage.posting import load_and_store as posting
from wallet_core.storage.posting.in_progress import over_until
from wallet_core.usecases.app import App
from walletctl.local.postgres import LocalPostgres
from walletctl.local.waiting import wait_until

ALICE, BOB, CAROL = map(WalletId, ("alice", "bob", "carol"))
FIRST = datetime.min.replace(tzinfo=UTC)
US, SECOND = timedelta(microseconds=1), timedelta(seconds=1)


def statement(app: App, end: datetime, wallet: WalletId = ALICE) -> Statement:
    """Return the statement of all that there was before a time."""
    return app.reads.statement(wallet, FIRST, end, size=100, first=None)


def statement_of(app: App, end: datetime, wallet: WalletId = ALICE) -> tuple[bool, int]:
    """Return whether a statement is provisional, and its closing balance."""
    found = statement(app, end, wallet)
    return found.provisional, found.closing_balance


def clock(connection: psycopg.Connection) -> datetime:
    """Return the database's time."""
    ((now,),) = connection.execute("SELECT clock_timestamp()").fetchall()
    assert isinstance(now, datetime)
    return now


@contextmanager
def a_deposit_under_way(app: App, units: int) -> Iterator[Transaction]:
    """Put money into Alice's wallet, by a transaction that is committed at the end only."""
    with transaction(app.ledger._engine) as tx:  # noqa: SLF001  # the ledger itself commits at once
        command = a_deposit(ALICE, Money("USD", units))
        books = posting.load(tx, [command]).ledger
        decide(books, [command])
        posting.store(tx, books)
        (made,) = books.pending.transactions
        yield made


def test_a_quiet_wallets_statement_is_final_at_once(app: App, owner: psycopg.Connection) -> None:
    """Up to the instant of its last entry, or to the clock; not beyond it."""

    open_wallet(app, "alice")
    last = deposit(app, ALICE, 5).transaction.time
    now = clock(owner)

    assert statement_of(app, last) == (False, 0)
    assert statement_of(app, last + US) == (False, 5)
    assert statement_of(app, now) == (False, 5)
    assert statement_of(app, now + timedelta(hours=1)) == (True, 5)


@pytest.mark.parametrize("commits", [True, False])
def test_a_transaction_that_is_not_committed_keeps_a_statement_provisional_however_long(
    app: App, owner: psycopg.Connection, *, commits: bool
) -> None:
    """Of any wallet, for it is unknown which wallets its entries will have.

    What ended before it began is final all the time.
    """

    open_wallet(app, "alice", 1)
    open_wallet(app, "bob", 2)
    try:
        with a_deposit_under_way(app, 5) as made:
            assert statement_of(app, made.time + US) == (True, 1)
            assert wait_until(lambda: clock(owner) > made.time + 2 * SECOND, timeout_s=30)
            assert statement_of(app, made.time + US) == (True, 1)
            assert statement_of(app, clock(owner), BOB) == (True, 2)
            assert statement_of(app, made.time - 2 * SECOND) == (False, 0)
            if not commits:
                raise InterruptedError
    except BatchRefused:
        assert not commits

    assert statement_of(app, made.time + US) == (False, 6 if commits else 1)
    assert statement_of(app, clock(owner), BOB) == (False, 2)


def test_what_is_committed_after_the_look_is_in_the_statement(app: App) -> None:
    """The snapshot is taken once the locks were looked at: nothing falls between the two."""

    open_wallet(app, "alice", 1)

    def look(tx: Connection) -> tuple[datetime, datetime]:
        return over_until(tx), deposit(app, ALICE, 5).transaction.time

    def read(tx: Connection, seen: tuple[datetime, datetime]) -> Any:  # noqa: ANN401  # a row of any columns
        return seen, tx.exec_driver_sql("SELECT balance, clock_timestamp() FROM wallets WHERE id = 'alice'").one()

    (over, booked), (balance, now) = app.reads.read_after(look, read)

    assert balance == 6
    assert over < booked < now


def test_a_posting_is_known_by_a_second_that_is_not_after_its_entries(app: App) -> None:
    """Others that post meanwhile do not wait for it, nor it for them; once it has ended nothing is left of it."""

    for wallet in ("alice", "bob", "carol"):
        open_wallet(app, wallet, 1)
    with app.reads.engine.connect() as tx:
        with a_deposit_under_way(app, 5) as made:
            transfer(app, BOB, CAROL, 1)
            until = over_until(tx)
        after = over_until(tx)

    assert until.microsecond == 0
    assert made.time - 2 * SECOND < until <= made.time < after


def test_a_pending_commit_keeps_a_statement_provisional_however_long(tmp_path: Path) -> None:
    """It waits for a standby that is not there; once it need not, the statement has the entry and is final at once."""

    with LocalPostgres(tmp_path, settings={"fsync": "off"}) as postgres:
        settings = read_settings(**dict(FAST, database_url=postgres.start()))
        migrate(settings)
        with (
            open_app(settings, name="tests") as app,
            psycopg.connect(settings.required_database_url(), autocommit=True) as owner,
            ThreadPoolExecutor(1) as pool,
        ):
            open_wallet(app, "alice", 1)
            began = clock(owner)
            require_standby(owner, required=True)
            try:
                waiting = pool.submit(deposit, app, ALICE, 5)
                assert wait_until(lambda: len(waiting_commits(owner)) == 1, timeout_s=30)
                end = clock(owner)
                assert statement_of(app, end) == (True, 1)
                assert wait_until(lambda: clock(owner) > end + 2 * SECOND, timeout_s=30)
                assert [statement_of(app, end), statement_of(app, clock(owner))] == [(True, 1)] * 2
                assert statement_of(app, began - 2 * SECOND) == (False, 0)
                assert not waiting.done()
            finally:
                require_standby(owner, required=False)
            booked = waiting.result(30).transaction.time

            assert booked < end
            assert statement_of(app, end) == (False, 6)
            assert [entry.amount for entry in statement(app, end).entries] == [1, 5]
        assert [check.name for check in verify(settings) if check.broken] == []
