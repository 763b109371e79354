"""Verify: events, journal and tables prove one another, and the owner of the tables cannot change one of them alone."""

from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import Engine

from tests.storage.test_verify import DAMAGE as DAMAGE_TO_TABLES
from tests.support.audited_books import Damage, Tampered, audited_books, run
from tests.support.database import Cluster
from tests.support.rows import without_triggers
from wallet_core.bootstrap import verify
from wallet_core.settings import Settings


@pytest.fixture(scope="module")
def written(cluster: Cluster) -> Iterator[Engine]:
    """Return the owner's engine of a database of books with a bit of everything, all events in the journal."""
    with audited_books(cluster, journaled=True) as engine:
        yield engine


TRANSFER = "(SELECT id FROM transactions WHERE type = 'TRANSFER' AND commission = 0 AND batch IS NULL LIMIT 1)"


def rewrite_a_transfer(owner: psycopg.Connection) -> None:
    """Move 7 where 10 were moved, in every table but the journal: no table contradicts another one."""
    for statement in (
        f"UPDATE transactions SET amount = amount - 3 WHERE id = {TRANSFER}",
        f"UPDATE entries SET amount = amount - 3 * sign(amount) WHERE transaction = {TRANSFER}",
        """UPDATE entries SET balance_after = history.balance
           FROM (SELECT wallet, sequence, sum(amount) OVER (PARTITION BY wallet ORDER BY sequence) AS balance
                 FROM entries) AS history
           WHERE history.wallet = entries.wallet AND history.sequence = entries.sequence""",
        """UPDATE wallets SET balance = (SELECT coalesce(sum(amount), 0) FROM entries WHERE wallet = key)
           WHERE role <> 'EXTERNAL'""",
    ):
        owner.execute(statement.encode())


def forge_a_transfer(owner: psycopg.Connection) -> None:
    """Add a transfer of 1 with its entries, and to its wallets what it moved."""
    for statement in (
        f"""INSERT INTO transactions (id, type, source, destination, amount, description, external_reference, time)
            SELECT gen_random_uuid(), type, source, destination, 1, 'forged', '', now()
            FROM transactions WHERE id = {TRANSFER}""",
        """INSERT INTO entries (wallet, sequence, transaction, type, amount, balance_after, time)
           SELECT wallets.key, wallets.sequence + 1, t.id, t.type, legs.amount, wallets.balance + legs.amount, t.time
           FROM transactions AS t
           CROSS JOIN LATERAL (VALUES (t.source, -1), (t.destination, 1)) AS legs (wallet, amount)
           JOIN wallets ON wallets.key = legs.wallet
           WHERE t.description = 'forged'""",
        """UPDATE wallets SET sequence = entries.sequence, balance = entries.balance_after, last_time = entries.time
           FROM entries JOIN transactions AS t ON t.id = entries.transaction
           WHERE t.description = 'forged' AND entries.wallet = wallets.key""",
    ):
        owner.execute(statement.encode())


def swap_two_entries(owner: psycopg.Connection) -> None:
    """Exchange the transactions of two neighbouring entries of a wallet."""
    owner.execute(
        b"""UPDATE entries SET transaction = (
                SELECT transaction FROM entries AS other
                WHERE other.wallet = entries.wallet AND other.sequence = 3 - entries.sequence
            )
            WHERE sequence IN (1, 2) AND wallet = (SELECT key FROM wallets WHERE id = 'bob')"""
    )


def cut_journal_after(type_: str) -> Damage:
    """Return the damage of a journal whose end is missing from the last record of a type on."""
    return run(f"DELETE FROM journal WHERE number >= (SELECT max(number) FROM journal WHERE type = '{type_}')")


def swap_two_records(owner: psycopg.Connection) -> None:
    """Exchange the places of a wallet's first two transactions in the journal, and chain it anew."""
    first, second = owner.execute(
        b"SELECT number FROM journal WHERE type = 'transaction.posted' AND 'bob' = ANY(wallets) ORDER BY number LIMIT 2"
    ).fetchall()
    owner.execute("UPDATE journal SET number = 1000000 WHERE number = %s", first)
    owner.execute("UPDATE journal SET number = %s WHERE number = %s", [*first, *second])
    owner.execute("UPDATE journal SET number = %s WHERE number = 1000000", second)
    chain_anew(owner)


def chain_anew(owner: psycopg.Connection) -> None:
    """Compute all hashes of the journal, as its owner can."""
    owner.execute(
        rb"""DO $$
        DECLARE record record; last bytea := '';
        BEGIN
            FOR record IN SELECT * FROM journal ORDER BY number LOOP
                last := sha256(last || convert_to(concat_ws(
                    chr(10), record.number, record.type, record.subject, array_to_string(record.wallets, ' '),
                    (extract(epoch FROM record.time) * 1000000)::bigint, record.facts
                ), 'UTF8'));
                UPDATE journal SET hash = last WHERE number = record.number;
            END LOOP;
        END $$"""
    )


DAMAGE: list[tuple[str, Damage]] = [
    ("events", rewrite_a_transfer),
    ("events", forge_a_transfer),
    ("events", swap_two_entries),
    ("order", swap_two_records),
    *[
        ("events", run(f"UPDATE transactions SET {change} WHERE external_reference = 'order-7'"))
        for change in (
            "description = 'another'",
            "external_reference = ''",
            "labels = '{}'",
            "batch_item = batch_item + 2",
            "batch = gen_random_uuid(), batch_item = 0",
        )
    ],
    (
        "events",  # written one after another, the two texts would be the same
        run(
            """UPDATE transactions SET description = 'card","external_reference":"card-7', external_reference = ''
               WHERE external_reference = 'card-7'"""
        ),
    ),
    ("events", run("UPDATE transactions SET commission_rule = gen_random_uuid() WHERE commission > 0")),
    *[
        ("requested", run(f"DELETE FROM requests WHERE method = '{method}'"))
        for method in ("Transfer", "Deposit", "ReverseTransaction", "CaptureHold", "BatchTransfer")
    ],
    ("requested", run("UPDATE requests SET fingerprint = '\\x00112233445566778899aabbccddeeff'")),
    ("requested", run("UPDATE requests SET request_id = gen_random_uuid() WHERE method = 'Transfer'")),
    ("requested", run("UPDATE requests SET caller = 'another'")),
    ("wallet_events", run("UPDATE wallets SET display_name = 'Mallory' WHERE id = 'erin'")),
    ("wallet_events", run("UPDATE wallets SET owner = 'mallory' WHERE id = 'alice'")),
    ("wallet_events", run("UPDATE wallets SET overdraft_limit = 1000 WHERE id = 'alice'")),
    ("wallet_events", run("UPDATE wallets SET labels = '{}' WHERE id = 'erin'")),
    ("wallet_events", run("UPDATE wallets SET state = 'ACTIVE' WHERE id = 'erin'")),
    ("wallet_events", run("UPDATE wallets SET revision = revision + 1 WHERE id = 'erin'")),
    ("wallet_events", cut_journal_after("wallet.frozen")),
    ("wallet_events", cut_journal_after("wallet.created")),
    ("hold_events", run("UPDATE holds SET amount = amount + 1 WHERE state = 'VOIDED'")),
    ("hold_events", run("UPDATE holds SET state = 'EXPIRED' WHERE state = 'VOIDED'")),
    ("hold_events", run("UPDATE holds SET description = 'another'")),
    ("hold_events", cut_journal_after("hold.voided")),
    ("hold_events", cut_journal_after("hold.captured")),
    ("withdrawal_events", run("UPDATE withdrawals SET bank_account = 'mallory' WHERE state = 'SCHEDULED'")),
    ("withdrawal_events", run("UPDATE withdrawals SET bank_reference = 'x' WHERE state = 'RETURNED'")),
    ("withdrawal_events", cut_journal_after("withdrawal.succeeded")),
    ("withdrawal_events", cut_journal_after("withdrawal.applied_to_wallet")),
    ("withdrawal_attempts", run("DELETE FROM bank_attempts")),
    ("withdrawal_attempts", run("UPDATE bank_attempts SET reference = 'another'")),
    (
        "withdrawal_attempts",
        run(
            "INSERT INTO bank_attempts (key, number, is_resend, start_time, in_flight_until, reference, detail)"
            " SELECT key, number + 1, false, start_time, in_flight_until, '', '' FROM bank_attempts"
        ),
    ),
    ("scheduled_deposit_events", run("UPDATE scheduled_deposits SET description = 'x'")),
    ("scheduled_deposit_events", cut_journal_after("scheduled_deposit.succeeded")),
    (
        "scheduled_deposit_attempts",
        run(
            "INSERT INTO bank_attempts (key, number, is_resend, start_time, in_flight_until, reference, detail)"
            " SELECT 'sd-' || id, 1, false, now(), now(), '', '' FROM scheduled_deposits WHERE state = 'SUCCEEDED'"
        ),
    ),
    ("collections", run("UPDATE scheduled_deposits SET unapplied = true, attention = 'x' WHERE state = 'SUCCEEDED'")),
    ("resolutions", run("UPDATE resolutions SET reason = 'another'")),
    ("resolutions", cut_journal_after("withdrawal.applied_to_wallet")),
    ("commission_rules", run("UPDATE commission_rules SET rate_millionths = 1")),
    ("commission_rules", run("UPDATE commission_rules SET end_time = NULL")),
    ("commission_rules", cut_journal_after("commission_rule.ended")),
    ("line_events", run("UPDATE bank_statement_lines SET resolution = 'another' WHERE resolution <> ''")),
    ("line_events", cut_journal_after("discrepancy.resolved")),
    ("statement_events", run("UPDATE bank_statements SET reason = 'another' WHERE number = 2")),
    ("statement_events", cut_journal_after("bank_statement.accepted")),
    ("subjects", run("DELETE FROM holds WHERE state = 'VOIDED'")),
    ("subjects", run("DELETE FROM bank_statements WHERE number = 2")),
    ("labels", run("DELETE FROM transaction_labels")),
    ("labels", run("UPDATE transaction_labels SET value = 'another'")),
    ("listed_labels", run("UPDATE transaction_labels SET time = now()")),
    ("listed_labels", run("UPDATE transactions SET labels = '{}'")),
    ("requested", run("UPDATE transactions SET caller = 'another' WHERE external_reference = 'card-7'")),
    ("references", run("UPDATE unique_references SET payment = 'transactions/' || gen_random_uuid()")),
    ("references", run("UPDATE unique_references SET reference = 'another'")),
    ("hold_events", run("UPDATE holds SET caller = 'another'")),
    ("withdrawal_events", run("UPDATE withdrawals SET caller = 'another'")),
    ("journal", run("UPDATE journal SET facts = replace(facts, '10', '11') WHERE type = 'transaction.posted'")),
    ("journal", run("UPDATE journal SET facts = NULL WHERE number = 1")),
    ("readable", run("UPDATE journal SET facts = left(facts, -1) WHERE number = 1")),
]


@pytest.mark.parametrize(("rule", "damage"), DAMAGE)
def test_damage_is_found_by_the_rule_that_it_breaks(books: Tampered, rule: str, damage: Damage) -> None:
    """Other rules may find the damage, too."""

    assert rule in books.broken_by(damage)


def test_correct_books_break_no_rule(books: Tampered) -> None:
    """O4: after a bit of everything, all events are in the journal."""

    assert books.broken() == set()
    assert books.owner.execute("SELECT count(*) FROM outbox").fetchone() == (0,)


def test_every_rule_has_a_damage_that_it_finds(settings: Settings) -> None:
    """A new rule needs one, here, in ``test_verify`` or in ``test_checkpoints``."""

    tried = {rule for rule, _ in [*DAMAGE_TO_TABLES, *DAMAGE]}
    assert {check.name for check in verify(settings)} == tried | {
        "floors",
        "checkpoints",
        "kept_checkpoints",
        "summaries",
    }


def test_the_first_broken_row_is_named(books: Tampered) -> None:
    """An operator looks there first."""

    with without_triggers(books.owner):
        books.owner.execute("UPDATE wallets SET balance = balance + 1 WHERE id = 'alice'")
        books.owner.execute("UPDATE holds SET description = 'another' WHERE state = 'VOIDED'")

    ((hold,),) = books.owner.execute("SELECT id FROM holds WHERE state = 'VOIDED'").fetchall()
    first = {check.name: check.first for check in books.checks() if check.broken}
    assert first["balances"] == "wallets/alice"
    assert first["hold_events"] == f"holds/{hold}"


def test_an_event_that_cannot_be_read_is_named_and_the_rest_is_checked(books: Tampered) -> None:
    """In every table that events are about; two of them in one slice, and a request whose subject is no id."""

    with without_triggers(books.owner):
        for subject in ("transactions/", "wallets/", "holds/", "withdrawals/", "scheduledDeposits/"):
            books.owner.execute(
                "UPDATE journal SET facts = left(facts, -1) WHERE number = "
                "(SELECT max(number) FROM journal WHERE starts_with(subject, %s))",
                [subject],
            )
        books.owner.execute("UPDATE requests SET subject = 'holds/7' WHERE method = 'VoidHold'")
        books.owner.execute("UPDATE wallets SET balance = balance + 1 WHERE id = 'alice'")

    checks = {check.name: check for check in books.checks()}
    ((transaction,),) = books.owner.execute(
        "SELECT split_part(subject, '/', 2) FROM journal WHERE type = 'transaction.posted' ORDER BY number DESC LIMIT 1"
    ).fetchall()
    assert (checks["readable"].broken, checks["balances"].first) == (6, "wallets/alice")
    assert checks["readable"].first.startswith("wallets ")
    with without_triggers(books.owner):
        books.owner.execute("UPDATE journal SET facts = '{}' WHERE subject NOT LIKE 'transactions/%'")
    assert {check.first for check in books.checks() if check.name == "readable"} == {f"transactions {transaction}"}
