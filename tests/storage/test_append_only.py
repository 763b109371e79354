"""Append-only: with any login the service acts as a role that cannot rewrite history."""

from collections.abc import Iterator
from typing import LiteralString

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from tests.support.books import deposit, open_wallet, transfer
from tests.support.database import Database
from tests.support.payouts import schedule
from wallet_core.bootstrap import open_app
from wallet_core.domain.model.money import Money
from wallet_core.settings import Settings
from wallet_core.storage.connections.engine import SERVICE_ROLE, Limits, open_engine, transaction
from wallet_core.usecases.app import App

HISTORY = (
    *("entries", "transactions", "transaction_labels", "requests", "resolutions", "bank_statements", "journal"),
    *("checkpoints", "journal_summaries"),
)


@pytest.fixture
def service(app: App, database: Database) -> Iterator[psycopg.Connection]:
    """Return a connection that acts as the service does, on books with a little history."""
    alice, bob = open_wallet(app, "alice", 100), open_wallet(app, "bob")
    transfer(app, alice, bob, 5)
    schedule(app, alice, 5)
    with psycopg.connect(database.url, autocommit=True, options=f"-c role={SERVICE_ROLE}") as connection:
        yield connection


@pytest.mark.parametrize("table", HISTORY)
@pytest.mark.parametrize(
    "statement", ["UPDATE {table} SET time = time", "DELETE FROM {table}", "TRUNCATE {table}", "DROP TABLE {table}"]
)
def test_history_can_be_neither_changed_nor_removed(
    service: psycopg.Connection, table: str, statement: LiteralString
) -> None:
    """Not by a defect of ours, not by an intruder in our connection pool."""

    with pytest.raises(InsufficientPrivilege):
        service.execute(statement.format(table=table))


@pytest.mark.parametrize(
    "column",
    [
        *["wallets.key", "wallets.id", "wallets.role", "wallets.currency", "wallets.owner", "wallets.create_time"],
        *["withdrawals.id", "withdrawals.wallet", "withdrawals.amount", "withdrawals.bank_account"],
        *["withdrawals.description", "withdrawals.execute_time", "withdrawals.create_time", "withdrawals.reserve"],
        *["scheduled_deposits.id", "scheduled_deposits.wallet", "scheduled_deposits.amount"],
        *["scheduled_deposits.bank_account", "scheduled_deposits.description", "scheduled_deposits.execute_time"],
        *["scheduled_deposits.create_time", "scheduled_deposits.external_reference", "scheduled_deposits.collect"],
        *["bank_attempts.number", "bank_attempts.key", "bank_attempts.start_time", "bank_statement_lines.statement"],
        *["holds.id", "holds.wallet", "holds.amount", "holds.expire_time", "holds.description", "holds.create_time"],
        *["commission_rules.id", "commission_rules.currency", "commission_rules.threshold"],
        *["commission_rules.rate_millionths", "commission_rules.fixed", "commission_rules.minimum"],
        *["commission_rules.maximum", "commission_rules.payer", "commission_rules.wallet"],
        *["commission_rules.label_key", "commission_rules.label_value", "commission_rules.start_time"],
        *["commission_rules.create_time"],
        *["withdrawals.caller", "scheduled_deposits.caller", "holds.caller"],
        *["entry_totals.wallet", "entry_totals.sequence", "entry_totals.type", "entry_totals.count"],
        *["entry_totals.credited", "entry_totals.debited"],
        *[
            "unique_references.caller",
            "unique_references.reference",
            "unique_references.payment",
            "outbox.type",
            "outbox.subject",
            "page_token_keys.secret",
            "currencies.exponent",
            "alembic_version.version_num",
        ],
    ],
)
def test_what_a_row_is_cannot_be_changed(service: psycopg.Connection, column: str) -> None:
    """Balances and states move; names, currencies and amounts stay."""

    table, name = map(sql.Identifier, column.split("."))

    with pytest.raises(InsufficientPrivilege):
        service.execute(sql.SQL("UPDATE {} SET {} = {}").format(table, name, name))


@pytest.mark.parametrize(
    "table",
    [
        *["wallets", "withdrawals", "scheduled_deposits", "bank_attempts", "holds", "commission_rules", "entry_totals"],
        *["page_token_keys", "currencies", "unique_references"],
    ],
)
@pytest.mark.parametrize("statement", ["DELETE FROM {table}", "TRUNCATE {table} CASCADE"])
def test_a_row_cannot_be_removed(service: psycopg.Connection, table: str, statement: LiteralString) -> None:
    """Neither one at a time nor all at once."""

    with pytest.raises(InsufficientPrivilege):
        service.execute(statement.format(table=table))


@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE outbox",
        "INSERT INTO page_token_keys VALUES ('mine')",
        "ALTER TABLE entries DISABLE TRIGGER ALL",
        "DROP TRIGGER entries_checked ON entries",
        "CREATE OR REPLACE FUNCTION check_entries() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "SET session_replication_role = replica",
        "CREATE TABLE mine (x int)",
        "SELECT setval('wallet_keys', 1)",
    ],
)
def test_the_rules_cannot_be_got_around(service: psycopg.Connection, statement: LiteralString) -> None:
    """Nor the check of the entries switched off."""

    with pytest.raises(InsufficientPrivilege):
        service.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM outbox",
        "UPDATE wallets SET display_name = 'x', state = state, balance = balance, sequence = sequence",
        "UPDATE wallets SET held = held, overdraft_limit = overdraft_limit, labels = labels, revision = revision",
        "UPDATE withdrawals SET fence = fence, lease_until = lease_until, attention = attention",
        "UPDATE scheduled_deposits SET fence = fence, state = state, credit = credit, bank_reference = bank_reference",
        "UPDATE holds SET fence = fence, lease_until = lease_until, state = state, captured = captured",
        "UPDATE commission_rules SET end_time = end_time",
        "SELECT * FROM wallets ORDER BY key FOR NO KEY UPDATE",
    ],
)
def test_what_the_service_has_to_do_it_may(service: psycopg.Connection, statement: LiteralString) -> None:
    """Published events are removed, wallets locked and moved: nothing objects."""

    with service.transaction(force_rollback=True):
        result = service.execute(statement).statusmessage

    assert result is not None
    assert result.startswith(statement.split()[0])


def test_the_app_acts_as_the_role_under_read_committed(settings: Settings) -> None:
    """Also on a connection that a read has used in between."""

    limits = Limits(
        pool_size=1,
        pool_timeout_s=1,
        connect_timeout_s=3,
        lock_timeout_s=0.25,
        statement_timeout_s=10,
        idle_in_transaction_timeout_s=10,
        transaction_timeout_s=12.0,
    )
    engine = open_engine(settings.required_database_url(), limits, name="tests")
    shown = "SELECT current_user, current_setting('transaction_isolation'), current_setting('lock_timeout')"
    try:
        with engine.connect().execution_options(isolation_level="REPEATABLE READ") as reading:
            assert reading.exec_driver_sql(shown).one()[1] == "repeatable read"
        with transaction(engine) as tx:
            assert tx.execute(shown).fetchone() == (SERVICE_ROLE, "read committed", "250ms")
    finally:
        engine.dispose()


def test_isolation_is_not_inherited_from_the_database(owner: psycopg.Connection, settings: Settings) -> None:
    """A server's or a login's default must not change what the ledger means."""

    database = sql.Identifier(owner.info.dbname)
    owner.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_isolation = 'serializable'").format(database))
    try:
        with open_app(settings, name="tests") as app:
            alice = open_wallet(app, "alice", 1)
            with transaction(app.bank_statement_lines.engine) as tx:
                assert tx.execute("SHOW transaction_isolation").fetchone() == ("read committed",)
            assert deposit(app, alice, 1).available == Money("USD", 2)
    finally:
        owner.execute(sql.SQL("ALTER DATABASE {} RESET default_transaction_isolation").format(database))
