"""Verify: every kind of damage to the books is found by the rule that it breaks."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.support.books import deposit, open_wallet, transfer
from tests.support.database import Database
from tests.support.payouts import schedule
from tests.support.rows import NOON, insert, insert_entries, insert_wallet, without_triggers
from wallet_core.bootstrap import open_app, verify
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_core.usecases.pay_out import pay_out

Damage = Callable[[psycopg.Connection], object]

RULES = {
    *["balances", "zero_sum", "nothing_invented", "histories", "transactions", "floors", "in_transit"],
    *["withdrawals", "requests"],
}
LEASE = timedelta(seconds=30)


def pay_all(app: App) -> None:
    """Pay out whatever is due."""
    for claim in app.claims.to_pay(limit=10, lease=LEASE, clock_offset=timedelta()):
        pay_out(app, claim)


@pytest.fixture
def books(settings: Settings, bank: object, database: Database) -> Iterator[psycopg.Connection]:
    """Return the owner's connection to books with a bit of everything; nobody verifies them afterwards."""
    del bank
    with open_app(settings, name="tests") as app:
        alice, bob = open_wallet(app, "alice", 100), open_wallet(app, "bob")
        open_wallet(app, "carol", 50, currency="EUR")
        transfer(app, alice, bob, 10)
        deposit(app, bob, 7)
        schedule(app, alice, 5)
        pay_all(app)
        schedule(app, bob, 1000)
        pay_all(app)
        schedule(app, alice, 3)
    with psycopg.connect(database.url, autocommit=True) as owner:
        yield owner
    database.clean()


def broken(settings: Settings) -> set[str]:
    """Return the names of the broken rules."""
    return {check.name for check in verify(settings) if check.broken}


def run(statement: str) -> Damage:
    """Return the damage that a statement does."""
    alice = "(SELECT key FROM wallets WHERE id = 'alice')"
    return lambda owner: owner.execute(statement.replace(":alice", alice).encode())


def wallet_key(owner: psycopg.Connection, wallet: str) -> int:
    """Return a wallet's key."""
    row = owner.execute("SELECT key FROM wallets WHERE id = %s", [wallet]).fetchone()
    assert row is not None
    return int(row[0])


def an_orphan_entry(owner: psycopg.Connection) -> None:
    """Write two entries of wallets and a transaction that do not exist."""
    insert_entries(owner, [(404, 1, 5, 5), (405, 1, -5, -5)])


def a_wallet_with_a_number_but_no_history(owner: psycopg.Connection) -> None:
    """Open a wallet that says it has entries."""
    insert_wallet(owner, 404, sequence=1)


def a_request_answered_with(subject: str) -> Damage:
    """Record a request whose subject does not exist."""
    return lambda owner: insert(
        owner,
        "requests",
        caller="c",
        request_id=uuid4(),
        method="M",
        fingerprint=bytes(16),
        subject=f"{subject}/{UUID(int=1)}",
        time=NOON,
    )


DAMAGE: list[tuple[str, Damage]] = [
    ("balances", run("UPDATE wallets SET balance = balance + 1 WHERE id = 'alice'")),
    ("balances", run("UPDATE wallets SET balance = balance + 1 WHERE id = 'system:commission:USD'")),
    ("balances", run("UPDATE entries SET amount = amount + 1 WHERE sequence = 1 AND wallet = :alice")),
    ("zero_sum", run("UPDATE entries SET amount = amount + 1 WHERE sequence = 1 AND wallet = :alice")),
    ("zero_sum", run("DELETE FROM entries WHERE sequence = 2 AND wallet = :alice")),
    ("nothing_invented", run("UPDATE wallets SET balance = balance + 1 WHERE id = 'alice'")),
    ("nothing_invented", run("UPDATE wallets SET currency = 'EUR' WHERE id = 'alice'")),
    ("histories", run("DELETE FROM entries WHERE sequence = 2 AND wallet = :alice")),
    ("histories", run("DELETE FROM entries WHERE sequence = 1 AND wallet = :alice")),
    ("histories", run("DELETE FROM entries WHERE wallet = :alice")),
    ("histories", run("UPDATE entries SET balance_after = balance_after + 1 WHERE sequence = 1 AND wallet = :alice")),
    ("histories", run("UPDATE entries SET sequence = 9 WHERE sequence = 3 AND wallet = :alice")),
    (
        "histories",
        run("UPDATE entries SET time = time + interval '1 day' WHERE sequence = 1 AND wallet = :alice"),
    ),
    ("histories", run("UPDATE wallets SET sequence = sequence + 1 WHERE id = 'alice'")),
    ("histories", run("UPDATE wallets SET last_time = last_time + interval '1 day' WHERE id = 'alice'")),
    ("histories", run("DELETE FROM wallets WHERE id = 'alice'")),
    ("histories", an_orphan_entry),
    ("histories", a_wallet_with_a_number_but_no_history),
    ("transactions", an_orphan_entry),
    ("transactions", run("DELETE FROM transactions WHERE type = 'TRANSFER'")),
    ("transactions", run("DELETE FROM entries WHERE sequence = 2 AND wallet = :alice")),
    ("transactions", run("UPDATE transactions SET amount = amount + 1 WHERE type = 'TRANSFER'")),
    ("transactions", run("UPDATE transactions SET amount = amount - 1 WHERE type = 'TRANSFER'")),
    ("transactions", run("UPDATE transactions SET destination = source WHERE type = 'TRANSFER'")),
    ("transactions", run("UPDATE transactions SET source = destination, destination = source WHERE type = 'TRANSFER'")),
    ("in_transit", run("UPDATE withdrawals SET state = 'PROCESSING' WHERE state = 'SCHEDULED'")),
    ("in_transit", run("UPDATE wallets SET balance = balance + 1 WHERE id = 'system:in_transit:USD'")),
    ("withdrawals", run("UPDATE withdrawals SET state = 'PROCESSING' WHERE state = 'SCHEDULED'")),
    ("withdrawals", run("UPDATE withdrawals SET amount = amount + 1 WHERE state = 'SUCCEEDED'")),
    ("withdrawals", run("UPDATE transactions SET amount = 4 WHERE type = 'WITHDRAWAL_SETTLEMENT'")),
    ("withdrawals", run("DELETE FROM transactions WHERE type = 'WITHDRAWAL_SETTLEMENT'")),
    ("withdrawals", run("UPDATE transactions SET type = 'WITHDRAWAL_RELEASE' WHERE type = 'WITHDRAWAL_SETTLEMENT'")),
    (
        "withdrawals",
        run(
            "UPDATE withdrawals SET state = 'CANCELLED', bank_reference = '', next_attempt_time = NULL"
            " WHERE state = 'SUCCEEDED'"
        ),
    ),
    (
        "withdrawals",
        run(
            "UPDATE withdrawals SET state = 'FAILED', bank_reference = '', failure_reason = 'BANK_REFUSED'"
            " WHERE state = 'SUCCEEDED'"
        ),
    ),
    (
        "withdrawals",
        run(
            "UPDATE transactions SET type = 'WITHDRAWAL', withdrawal = (SELECT id FROM withdrawals"
            " WHERE state = 'SCHEDULED') WHERE type = 'TRANSFER'"
        ),
    ),
    ("withdrawals", run("DELETE FROM withdrawals WHERE state = 'SUCCEEDED'")),
    ("requests", a_request_answered_with("transactions")),
    ("requests", a_request_answered_with("withdrawals")),
    ("requests", run("DELETE FROM withdrawals WHERE state = 'SCHEDULED'")),
    ("requests", run("DELETE FROM transactions WHERE type = 'TRANSFER'")),
]


@pytest.mark.parametrize(("rule", "damage"), DAMAGE)
def test_damage_is_found_by_the_rule_that_it_breaks(
    books: psycopg.Connection, settings: Settings, rule: str, damage: Damage
) -> None:
    """Every rule is there for a reason; whatever else the damage breaks is welcome."""

    with without_triggers(books):
        damage(books)

    assert rule in broken(settings)


def test_a_wallet_below_its_floor_is_found(books: psycopg.Connection, settings: Settings) -> None:
    """Should the constraint ever have been missing."""

    books.execute("ALTER TABLE wallets DROP CONSTRAINT wallets_floor")
    try:
        books.execute("UPDATE wallets SET held = 1000 WHERE id = 'bob'")
        assert broken(settings) == {"floors"}
    finally:
        books.execute("UPDATE wallets SET held = 0")
        books.execute(
            "ALTER TABLE wallets ADD CONSTRAINT wallets_floor"
            " CHECK (role = 'EXTERNAL' OR balance - held >= -overdraft_limit)"
        )


def test_right_books_break_no_rule(books: psycopg.Connection, settings: Settings) -> None:
    """With a deposit, a transfer, a payout, a refused one and one to come."""

    del books

    assert broken(settings) == set()


def test_every_rule_is_tried_above(settings: Settings) -> None:
    """A new check needs a damage that it finds."""

    assert {check.name for check in verify(settings)} == RULES == {rule for rule, _ in DAMAGE} | {"floors"}


def test_empty_books_are_right(settings: Settings) -> None:
    """Nothing is nowhere."""

    assert broken(settings) == set()


def test_damage_that_no_number_can_hold_is_reported_and_not_raised(
    books: psycopg.Connection, settings: Settings
) -> None:
    """An audit that breaks on what it looks for tells nobody anything."""

    with without_triggers(books):
        books.execute(
            "UPDATE entries SET balance_after = 9223372036854775807 WHERE sequence = 1 AND wallet = %s",
            [wallet_key(books, "bob")],
        )

    assert "histories" in broken(settings)
