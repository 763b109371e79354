"""Verify: every kind of damage to the books is found by the rule that it breaks."""

from collections.abc import Iterator
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import Engine

from tests.support.audited_books import Damage, Tampered, audited_books, run, wallet_key
from tests.support.database import Cluster
from tests.support.rows import NOON, insert, insert_entries, insert_wallet, without_triggers
from wallet_core.bootstrap import verify
from wallet_core.settings import Settings


@pytest.fixture(scope="module")
def written(cluster: Cluster) -> Iterator[Engine]:
    """Return the owner's engine of a database of books with a bit of everything."""
    with audited_books(cluster) as engine:
        yield engine


def an_orphan_entry(owner: psycopg.Connection) -> None:
    """Write two entries of wallets and a transaction that do not exist."""
    insert_entries(owner, [(404, 1, 5, 5), (405, 1, -5, -5)])


def a_wallet_with_a_number_but_no_history(owner: psycopg.Connection) -> None:
    """Open a wallet that says it has entries."""
    insert_wallet(owner, 404, sequence=1)


def a_thousand_entries_without_totals(owner: psycopg.Connection) -> None:
    """Write a long history of a wallet, and nothing of what it amounts to."""
    insert_wallet(owner, 404, balance=1000, sequence=1000)
    insert_entries(owner, [(404, number, 1, number) for number in range(1, 1001)])


def a_request_answered_with(subject: str, id_: str = str(UUID(int=1))) -> Damage:
    """Record a request whose subject does not exist."""
    return lambda owner: insert(
        owner,
        "requests",
        caller="c",
        request_id=uuid4(),
        method="M",
        fingerprint=bytes(16),
        subject=f"{subject}/{id_}",
        time=NOON,
    )


PUBLISH_AGAIN = "INSERT INTO outbox (type, subject, wallets, time) SELECT type, subject, wallets, time FROM"

DAMAGE: list[tuple[str, Damage]] = [
    ("balances", run("UPDATE wallets SET balance = balance + 1 WHERE id = 'alice'")),
    ("balances", run("UPDATE wallets SET balance = balance + 1 WHERE id = 'system:commission:USD'")),
    ("histories", run("UPDATE entries SET amount = amount + 1 WHERE sequence = 1 AND wallet = :alice")),
    ("currencies", run("DELETE FROM currencies WHERE code = 'EUR'")),
    ("currencies", run("UPDATE wallets SET currency = 'QQQ' WHERE id = 'alice'")),
    ("zero_sum", run("UPDATE entries SET amount = amount + 1 WHERE sequence = 1 AND wallet = :alice")),
    ("zero_sum", run("DELETE FROM entries WHERE sequence = 2 AND wallet = :alice")),
    ("nothing_invented", run("UPDATE wallets SET balance = balance + 1 WHERE id = 'alice'")),
    ("nothing_invented", run("UPDATE wallets SET currency = 'EUR' WHERE id = 'alice'")),
    ("histories", run("DELETE FROM entries WHERE sequence = 2 AND wallet = :alice")),
    ("histories", run("DELETE FROM entries WHERE sequence = 1 AND wallet = :alice")),
    ("balances", run("DELETE FROM entries WHERE wallet = :alice")),
    ("histories", run("UPDATE entries SET balance_after = balance_after + 1 WHERE sequence = 1 AND wallet = :alice")),
    ("histories", run("UPDATE entries SET sequence = 99 WHERE sequence = 3 AND wallet = :alice")),
    (
        "histories",
        run("UPDATE entries SET time = time + interval '1 day' WHERE sequence = 1 AND wallet = :alice"),
    ),
    ("balances", run("UPDATE wallets SET sequence = sequence + 1 WHERE id = 'alice'")),
    ("balances", run("UPDATE wallets SET last_time = last_time + interval '1 day' WHERE id = 'alice'")),
    ("histories", run("DELETE FROM wallets WHERE id = 'alice'")),
    ("clock", run("UPDATE wallets SET last_time = last_time + interval '1 day' WHERE id = 'alice'")),
    ("histories", an_orphan_entry),
    ("balances", a_wallet_with_a_number_but_no_history),
    ("posted", an_orphan_entry),
    ("subjects", run("DELETE FROM transactions WHERE type = 'TRANSFER'")),
    ("transactions", run("DELETE FROM entries WHERE sequence = 2 AND wallet = :alice")),
    ("transactions", run("UPDATE transactions SET amount = amount + 1 WHERE type = 'TRANSFER'")),
    ("transactions", run("UPDATE transactions SET amount = amount - 1 WHERE type = 'TRANSFER' AND amount > 1")),
    ("transactions", run("UPDATE transactions SET destination = source WHERE type = 'TRANSFER'")),
    ("transactions", run("UPDATE transactions SET source = destination, destination = source WHERE type = 'TRANSFER'")),
    ("transactions", run("UPDATE transactions SET commission = commission + 1 WHERE commission > 0")),
    ("transactions", run("UPDATE transactions SET commission_payer = 'DESTINATION' WHERE commission > 0")),
    ("transactions", run("UPDATE entries SET type = 'DEPOSIT' WHERE type = 'TRANSFER' AND wallet = :alice")),
    ("transactions", run("UPDATE transactions SET time = time + interval '1 day' WHERE type = 'TRANSFER'")),
    ("reversals", run("UPDATE transactions SET amount = 21 WHERE type = 'REVERSAL'")),
    ("reversals", run("UPDATE transactions SET commission = -3 WHERE type = 'REVERSAL'")),
    ("reversals", run("UPDATE transactions SET source = destination, destination = source WHERE type = 'REVERSAL'")),
    (
        "reversals",
        run(
            "UPDATE transactions SET cause = (SELECT id FROM transactions WHERE type = 'HOLD_CAPTURE')"
            " WHERE type = 'REVERSAL'"
        ),
    ),
    ("reversals", run("DELETE FROM transactions WHERE commission > 0")),
    ("held", run("UPDATE wallets SET held = held + 1 WHERE id = 'alice'")),
    ("held", run("UPDATE holds SET state = 'VOIDED'")),
    ("holds", run("UPDATE holds SET captured = captured + 1")),
    ("held", run("UPDATE withdrawals SET reserve = true WHERE state = 'SCHEDULED'")),
    ("holds", run("UPDATE transactions SET amount = amount + 1 WHERE type = 'HOLD_CAPTURE'")),
    ("holds", run("DELETE FROM transactions WHERE type = 'HOLD_CAPTURE'")),
    ("held", run("DELETE FROM holds")),
    ("closed", run("UPDATE wallets SET state = 'CLOSED' WHERE id = 'dave'")),
    ("closed", run("UPDATE wallets SET state = 'CLOSED', balance = 0, held = 0 WHERE id = 'alice'")),
    (
        "closed",
        run(
            "UPDATE holds SET wallet = wallets.key FROM wallets WHERE wallets.id = 'carol';"
            " UPDATE wallets SET state = 'CLOSED', balance = 0 WHERE id = 'carol'"
        ),
    ),
    ("totals", a_thousand_entries_without_totals),
    ("totals_beyond", run("INSERT INTO entry_totals VALUES (:alice, 1000, 'TRANSFER', 1, 0, 10)")),
    ("in_transit", run("UPDATE withdrawals SET state = 'PROCESSING' WHERE state = 'SCHEDULED'")),
    ("in_transit", run("UPDATE wallets SET balance = balance + 1 WHERE id = 'system:in_transit:USD'")),
    ("withdrawals", run("UPDATE withdrawals SET state = 'PROCESSING' WHERE state = 'SCHEDULED'")),
    (
        "withdrawals",
        run("UPDATE withdrawals SET wallet = (SELECT key FROM wallets WHERE id = 'system:commission:USD')"),
    ),
    ("holds", run("UPDATE holds SET wallet = (SELECT key FROM wallets WHERE id = 'system:commission:USD')")),
    ("causes", run("UPDATE transactions SET commission_rule = gen_random_uuid() WHERE commission > 0")),
    (
        "attempts",
        run(
            "UPDATE bank_attempts SET key = 'wd-00000000-0000-0000-0000-000000000000'"
            " WHERE ctid = (SELECT min(ctid) FROM bank_attempts)"
        ),
    ),
    ("attempts", run("UPDATE bank_attempts SET number = number + 1")),
    ("batches", run("UPDATE transactions SET batch = gen_random_uuid(), batch_item = 1 WHERE commission > 0")),
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
            "UPDATE withdrawals SET state = 'FAILED', bank_reference = '', failure_reason = 'BANK_DECLINED'"
            " WHERE state = 'SUCCEEDED'"
        ),
    ),
    (
        "withdrawals",
        run(
            "UPDATE transactions SET type = 'WITHDRAWAL', cause = (SELECT id FROM withdrawals"
            " WHERE state = 'SCHEDULED') WHERE type = 'TRANSFER' AND commission = 0 AND batch IS NULL"
        ),
    ),
    ("attempts", run("DELETE FROM withdrawals WHERE state = 'SUCCEEDED'")),
    ("scheduled_deposits", run("UPDATE scheduled_deposits SET amount = amount + 1 WHERE state = 'SUCCEEDED'")),
    ("scheduled_deposits", run("UPDATE scheduled_deposits SET credit = gen_random_uuid() WHERE state = 'SUCCEEDED'")),
    (
        "scheduled_deposits",
        run("UPDATE scheduled_deposits SET state = 'CANCELLED', credit = NULL WHERE state = 'SUCCEEDED'"),
    ),
    (
        "scheduled_deposits",
        run(
            "UPDATE scheduled_deposits SET state = 'SUCCEEDED', credit = id, next_attempt_time = NULL"
            " WHERE state = 'SCHEDULED'"
        ),
    ),
    (
        "scheduled_deposits",
        run("UPDATE transactions SET type = 'COLLECTION' WHERE type = 'DEPOSIT' AND cause IS NOT NULL"),
    ),
    (
        "scheduled_deposits",
        run(
            "DROP INDEX transactions_once_per_order;"
            "UPDATE transactions SET cause = (SELECT id FROM scheduled_deposits WHERE state = 'SUCCEEDED')"
            " WHERE type = 'DEPOSIT'"
        ),
    ),
    ("scheduled_deposits", run("DELETE FROM transactions WHERE type = 'DEPOSIT' AND cause IS NOT NULL")),
    ("causes", run("DELETE FROM holds")),
    ("causes", run("DELETE FROM withdrawals WHERE state = 'SUCCEEDED'")),
    ("causes", run("DELETE FROM scheduled_deposits WHERE state = 'SUCCEEDED'")),
    ("causes", run("UPDATE transactions SET cause = gen_random_uuid() WHERE type = 'DEPOSIT'")),
    ("causes", run("UPDATE transactions SET cause = gen_random_uuid() WHERE type = 'REVERSAL'")),
    *[
        ("requests", a_request_answered_with(collection))
        for collection in (
            *("transactions", "withdrawals", "scheduledDeposits", "holds", "commissionRules", "batches", "wallets"),
        )
    ],
    ("requests", run("DELETE FROM commission_rules")),
    ("requests", run("DELETE FROM scheduled_deposits WHERE state = 'SCHEDULED'")),
    ("requests", run("DELETE FROM withdrawals WHERE state = 'SCHEDULED'")),
    ("requests", run("DELETE FROM transactions WHERE type = 'TRANSFER'")),
    ("requests", a_request_answered_with("bankStatementLines", "77")),
    ("withdrawals", run("UPDATE withdrawals SET state = 'SUCCEEDED' WHERE state = 'RETURNED'")),
    ("withdrawals", run("DELETE FROM transactions WHERE type = 'WITHDRAWAL_RETURN'")),
    ("returns", run("DELETE FROM transactions WHERE type = 'RETURN_APPLICATION'")),
    ("withdrawals", run("UPDATE transactions SET amount = amount + 1 WHERE type = 'RETURN_APPLICATION'")),
    ("returns", run("UPDATE transactions SET type = 'COLLECTION_APPLICATION' WHERE type = 'RETURN_APPLICATION'")),
    ("returns", run("UPDATE transactions SET destination = source WHERE type = 'WITHDRAWAL_RETURN'")),
    ("bank_statement_lines", run("UPDATE bank_statement_lines SET amount = amount + 1 WHERE kind = 'RETURN'")),
    ("bank_statement_lines", run("UPDATE bank_statement_lines SET kind = 'RETURN' WHERE kind = 'EXECUTION'")),
    ("bank_statement_lines", run("UPDATE bank_statement_lines SET currency = 'EUR'")),
    ("bank_statement_lines", run("DELETE FROM withdrawals WHERE state = 'RETURNED'")),
    ("bank_statements", run("UPDATE bank_statement_cursor SET statement = 1")),
    ("bank_statements", run("UPDATE bank_statement_cursor SET line_offset = 1")),
    ("bank_statements", run("UPDATE bank_statement_lines SET statement = 2 WHERE number = 1")),
    ("requests", a_request_answered_with("bankStatements", "77")),
    ("events", run("DELETE FROM outbox WHERE type = 'transaction.posted'")),
    ("events", run("DELETE FROM journal WHERE number = (SELECT max(number) FROM journal WHERE type LIKE 'tr%')")),
    ("events", run("UPDATE journal SET type = 'wallet.updated' WHERE number = 2")),
    ("events", run("UPDATE outbox SET subject = 'transactions/other' WHERE type = 'transaction.posted'")),
    ("events", run(f"{PUBLISH_AGAIN} outbox")),
    ("events", run(f"{PUBLISH_AGAIN} journal")),
    ("posted", run("DELETE FROM transactions WHERE type = 'REVERSAL'")),
    ("journal", run("UPDATE journal SET subject = 'wallets/mallory' WHERE number = 3")),
    ("journal", run("UPDATE journal SET wallets = '{mallory}' WHERE number = 2")),
    ("journal", run("UPDATE journal SET time = time + interval '1 microsecond' WHERE number = 1")),
    ("journal", run("UPDATE journal SET type = 'wallet.closed' WHERE number = 1")),
    ("journal", run("DELETE FROM journal WHERE number = 2")),
    ("journal", run("DELETE FROM journal WHERE number = 1")),
    ("journal", run("UPDATE journal SET number = 1000 WHERE number = (SELECT max(number) FROM journal)")),
    ("journal", run("UPDATE journal SET hash = sha256(hash) WHERE number = (SELECT max(number) FROM journal)")),
]


@pytest.mark.parametrize(("rule", "damage"), DAMAGE)
def test_damage_is_found_by_the_rule_that_it_breaks(books: Tampered, rule: str, damage: Damage) -> None:
    """Other rules may find the damage, too."""

    assert rule in books.broken_by(damage)


def test_a_wallet_below_its_floor_is_found(books: Tampered) -> None:
    """Should the constraint ever have been missing."""

    books.owner.execute("ALTER TABLE wallets DROP CONSTRAINT wallets_floor")
    books.owner.execute("UPDATE holds SET amount = amount + 1000")
    books.owner.execute("UPDATE wallets SET held = held + 1000 WHERE id = 'alice'")

    assert "floors" in books.broken()


def test_right_books_break_no_rule(books: Tampered) -> None:
    """With deposits, transfers, payouts paid, refused, returned and to come; a hold, commission, a reversal."""

    assert books.broken() == set()


def test_empty_books_are_right(settings: Settings) -> None:
    """Nothing is nowhere."""

    assert [check for check in verify(settings) if check.broken] == []


def test_damage_that_no_number_can_hold_is_reported_and_not_raised(books: Tampered) -> None:
    """An audit that fails on the damage that it looks for reports nothing."""

    with without_triggers(books.owner):
        books.owner.execute(
            "UPDATE entries SET balance_after = 9223372036854775807 WHERE sequence = 1 AND wallet = %s",
            [wallet_key(books.owner, "bob")],
        )

    assert "histories" in books.broken()
