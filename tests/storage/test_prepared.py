"""Prepared statements: planned once for each connection, and again after a change of a table."""

import psycopg
import pytest
from sqlalchemy import Engine

from tests.support.books import balance_of, deposit, open_wallet, transfer
from tests.support.database import Database
from wallet_core.bootstrap import open_app
from wallet_core.domain.model.wallet import WalletId
from wallet_core.settings import Settings
from wallet_core.usecases.app import App

# A driver prepares a statement at its sixth execution.
OFTEN = 8
ALICE, BOB = WalletId("alice"), WalletId("bob")


def plans_of(engine: Engine, like: str) -> tuple[int, int]:
    """Return how often a prepared statement was run by its kept plan, and how often it was planned anew."""
    with engine.connect() as tx:
        row = tx.exec_driver_sql(
            "SELECT coalesce(sum(generic_plans), 0)::int, coalesce(sum(custom_plans), 0)::int"
            " FROM pg_prepared_statements WHERE statement LIKE %s",
            (like,),
        ).one()
        tx.commit()
    return row[0], row[1]


@pytest.mark.own_app
def test_reads_and_batches_are_planned_once_for_a_connection(app: App) -> None:
    """Whatever their parameters: otherwise planning costs as much as execution."""

    open_wallet(app, ALICE, 100)
    open_wallet(app, BOB)
    for amount in range(1, OFTEN + 1):
        transfer(app, ALICE, BOB, amount)
        app.reads.list_transactions(ALICE, size=5, before=None, conditions=())

    for engine, like in (
        (app.reads.engine, "%scan_window%"),
        (app.ledger._engine, "%INSERT INTO entries%"),  # noqa: SLF001  # its connections
        (app.ledger._engine, "%UPDATE wallets%"),  # noqa: SLF001
        (app.ledger._engine, "%INSERT INTO transactions%"),  # noqa: SLF001
    ):
        kept, anew = plans_of(engine, like)
        assert (kept > 0, anew) == (True, 0), like


def test_a_table_that_has_changed_since_is_read_and_written(own_database: Database, settings: Settings) -> None:
    """A migration adds a column while statements on it are prepared."""

    with (
        open_app(settings.replaced(database_url=own_database.url), name="tests") as app,
        psycopg.connect(own_database.url, autocommit=True) as owner,
    ):
        alice = open_wallet(app, ALICE, 100)
        for table in ("wallets", "transactions", "entries"):
            for _ in range(OFTEN):
                deposit(app, alice, 1)
                before = balance_of(app, alice)
                app.reads.list_transactions(ALICE, size=5, before=None, conditions=())
            owner.execute(f"ALTER TABLE {table} ADD COLUMN added integer NOT NULL DEFAULT 0".encode())
            assert balance_of(app, alice) == before
            assert len(app.reads.list_transactions(ALICE, size=5, before=None, conditions=()).items) == 5
            deposit(app, alice, 1)
            assert balance_of(app, alice) == before + 1
