"""Rows written past the service, as the database's owner, to check which of them the database refuses."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SYSTEM_KEY = 2**62

# wallet key, sequence, amount, balance after
Leg = tuple[int, int, int, int]


def insert(connection: psycopg.Connection, table: str, **values: object) -> None:
    """Insert one row."""
    connection.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, values)),
            sql.SQL(", ").join([sql.Placeholder()] * len(values)),
        ),
        list(values.values()),
    )


def insert_wallet(connection: psycopg.Connection, key: int, **changes: object) -> None:
    """Insert a wallet, with *changes* to an empty, active one in USD."""
    values: dict[str, object] = {
        "key": key,
        "id": f"wallet-{key}",
        "role": "ORDINARY",
        "currency": "USD",
        "owner": "",
        "display_name": "",
        "state": "ACTIVE",
        "balance": 0,
        "held": 0,
        "overdraft_limit": 0,
        "sequence": 0,
        "last_time": NOON,
        "create_time": NOON,
    }
    values |= changes
    written = "INSERT INTO currencies SELECT %(code)s, 2 WHERE %(code)s ~ '^[A-Z]{3}$' ON CONFLICT DO NOTHING"
    connection.execute(written, {"code": values["currency"]})
    insert(connection, "wallets", **values)


def insert_transaction(connection: psycopg.Connection, id_: UUID, **changes: object) -> None:
    """Insert a transaction, with *changes* to a transfer of five from wallet 1 to wallet 2."""
    values: dict[str, object] = {
        "id": id_,
        "type": "TRANSFER",
        "source": 1,
        "destination": 2,
        "amount": 5,
        "description": "",
        "external_reference": "",
        "cause": None,
        "time": NOON,
    }
    insert(connection, "transactions", **(values | changes))


def insert_withdrawal(connection: psycopg.Connection, **changes: object) -> None:
    """Insert a withdrawal, with *changes* to a scheduled one of five from wallet 1."""
    insert(connection, "withdrawals", **(_an_order() | changes))


def insert_scheduled_deposit(connection: psycopg.Connection, **changes: object) -> None:
    """Insert a scheduled deposit, with *changes* to one of five into wallet 1 that is to be collected."""
    insert(connection, "scheduled_deposits", **(_an_order() | {"external_reference": "", "collect": True} | changes))


def _an_order() -> dict[str, object]:
    return {
        "id": uuid4(),
        "wallet": 1,
        "amount": 5,
        "bank_account": "",
        "description": "",
        "execute_time": NOON,
        "create_time": NOON,
        "update_time": NOON,
        "state": "SCHEDULED",
        "next_attempt_time": NOON,
        "lease_until": None,
        "fence": 0,
        "inquiries": 0,
        "bank_reference": "",
        "failure_reason": None,
        "attention": "",
    }


def insert_hold(connection: psycopg.Connection, **changes: object) -> None:
    """Insert a hold, with *changes* to an active one of five in wallet 1 of which two were captured."""
    values: dict[str, object] = {
        "id": uuid4(),
        "wallet": 1,
        "amount": 5,
        "captured": 2,
        "state": "ACTIVE",
        "expire_time": NOON + timedelta(days=1),
        "description": "",
        "create_time": NOON,
        "update_time": NOON,
        "fence": 0,
    }
    insert(connection, "holds", **(values | changes))


def insert_rule(connection: psycopg.Connection, **changes: object) -> None:
    """Insert a commission rule, with *changes* to one of a percent for all of USD, from one to nine."""
    values: dict[str, object] = {
        "id": uuid4(),
        "currency": "USD",
        "threshold": 0,
        "rate_millionths": 10_000,
        "fixed": 0,
        "minimum": 1,
        "maximum": 9,
        "payer": "SOURCE",
        "start_time": NOON,
        "create_time": NOON,
    }
    insert(connection, "commission_rules", **(values | changes))


def insert_entries(
    connection: psycopg.Connection, legs: Sequence[Leg], transaction: UUID | None = None, time: datetime = NOON
) -> None:
    """Insert the entries of one transaction in one statement."""
    id_ = transaction or uuid4()
    rows = [(key, sequence, id_, amount, after, time) for key, sequence, amount, after in legs]
    connection.execute(
        sql.SQL(
            "INSERT INTO entries (wallet, sequence, transaction, amount, balance_after, time, type) VALUES {}"
        ).format(sql.SQL(", ").join([sql.SQL("(%s, %s, %s, %s, %s, %s, 'TRANSFER')")] * len(rows))),
        [value for row in rows for value in row],
    )


def set_wallet(connection: psycopg.Connection, key: int, **values: object) -> None:
    """Change a wallet's row."""
    connection.execute(
        sql.SQL("UPDATE wallets SET {} WHERE key = {}").format(
            sql.SQL(", ").join(
                sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in values
            ),
            sql.Placeholder("wanted"),
        ),
        values | {"wanted": key},
    )


@contextmanager
def without_triggers(connection: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """Let the owner damage history: triggers and foreign keys look away."""
    connection.execute("SET session_replication_role = replica")
    try:
        yield connection
    finally:
        connection.execute("SET session_replication_role = origin")


def rewrite(owner: psycopg.Connection, statement: str, parameters: Sequence[object] = ()) -> None:
    """Change rows past the service.

    Events that are still in the outbox then state nothing, as those of the first release did: they would contradict
    the rows.
    """
    with owner.transaction():
        owner.execute(statement.encode(), parameters)
        owner.execute("UPDATE outbox SET facts = NULL")


def refused_by(write: Callable[[], None]) -> str | None:
    """Return the name of the constraint that refuses a write."""
    with pytest.raises(psycopg.IntegrityError) as refused:
        write()
    return refused.value.diag.constraint_name


# One event for each order, each hold and each wallet that has none.
_PUBLISH = """
INSERT INTO outbox (type, subject, wallets, time)
SELECT due.type, due.subject, '{}', now()
FROM (
    SELECT 'withdrawal.' || lower(state), 'withdrawals/' || id FROM withdrawals
    UNION ALL
    SELECT 'scheduled_deposit.' || lower(state), 'scheduledDeposits/' || id FROM scheduled_deposits
    UNION ALL
    SELECT 'hold.placed', 'holds/' || id FROM holds
    UNION ALL
    SELECT 'hold.' || lower(state), 'holds/' || id FROM holds WHERE state IN ('VOIDED', 'EXPIRED')
    UNION ALL
    SELECT 'wallet.created', 'wallets/' || id FROM wallets WHERE role = 'ORDINARY'
) AS due (type, subject)
LEFT JOIN outbox AS published ON published.subject = due.subject
WHERE published.subject IS NULL
"""
_LIST_LABELS = """
INSERT INTO transaction_labels
SELECT label.key, label.value, time, id
FROM transactions CROSS JOIN LATERAL jsonb_each_text(labels) AS label
"""


def publish_rows(owner: psycopg.Connection) -> None:
    """Publish what was written past the service, by events that state nothing, and list the labels anew."""
    with without_triggers(owner), owner.transaction():
        owner.execute("UPDATE outbox SET facts = NULL")
        owner.execute(_PUBLISH)
        owner.execute("DELETE FROM transaction_labels")
        owner.execute(_LIST_LABELS)
