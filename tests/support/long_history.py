"""A long and old history of a wallet, written as rows past the service, so quickly that it can be as long as it likes.

The rows are right: ``verify`` holds. Three entries in a row share an instant, because real ones do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg

from tests.support.rows import without_triggers

BEGAN = datetime(2025, 1, 1, tzinfo=UTC)
STEP = timedelta(microseconds=2)

# Of fifty transactions thirty are deposits and fifteen transfers, five come back from the wallet that those went to:
# four as transfers, one as the reversal of the transfer before it, by turns of a part and of all of it. Two in a
# thousand are marked.
_TRANSACTIONS = """
INSERT INTO transactions (id, type, source, destination, amount, description, external_reference, cause, time, labels,
    caller)
SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, type,
    CASE WHEN type = 'DEPOSIT' THEN outside WHEN mod(n, 10) = 9 THEN bob ELSE alice END,
    CASE WHEN mod(n, 10) BETWEEN 6 AND 8 THEN bob ELSE alice END,
    CASE
        WHEN type = 'DEPOSIT' THEN 100 + mod(n, 97)
        WHEN type = 'REVERSAL' AND mod(n, 100) = 49 THEN 1
        WHEN type = 'REVERSAL' THEN mod(n - 1, 7) + 2
        ELSE mod(n, 7) + 2
    END,
    %(description)s, 'ref-' || mod(n, 1000),
    CASE WHEN type = 'REVERSAL' THEN ('00000000-0000-7000-8000-' || lpad(to_hex(n - 1), 12, '0'))::uuid END,
    %(began)s + (n - 1) / 3 * %(step)s,
    CASE WHEN mod(n, 500) = 3 THEN '{"tier": "gold"}' ELSE '{}' END::jsonb,
    CASE WHEN mod(n, 5000) = 7 THEN 'rare' ELSE 'shop' END
FROM (SELECT key AS alice FROM wallets WHERE id = 'alice') AS a,
    (SELECT key AS bob FROM wallets WHERE id = 'bob') AS b,
    (SELECT key AS outside FROM wallets WHERE id = 'system:external:USD') AS o,
    generate_series(1, %(count)s::bigint) AS n,
    LATERAL (
        SELECT CASE WHEN mod(n, 10) < 6 THEN 'DEPOSIT' WHEN mod(n, 50) = 49 THEN 'REVERSAL' ELSE 'TRANSFER' END
    ) AS kind (type)
"""
_LABELS = """
INSERT INTO transaction_labels
SELECT label.key, label.value, time, id FROM transactions CROSS JOIN LATERAL jsonb_each_text(labels) AS label
"""
_ENTRIES = """
INSERT INTO entries (wallet, sequence, transaction, amount, balance_after, time, type)
SELECT wallet, row_number() OVER history, id, amount, sum(amount) OVER history, time, type
FROM (
    SELECT source AS wallet, id, -amount AS amount, time, type FROM transactions
    UNION ALL
    SELECT destination, id, amount, time, type FROM transactions
) AS legs
WINDOW history AS (PARTITION BY wallet ORDER BY id)
"""
_FACTS = """
INSERT INTO outbox (type, subject, wallets, time)
SELECT 'transaction.posted', 'transactions/' || transactions.id, ARRAY[s.id, d.id], time
FROM transactions
JOIN wallets AS s ON s.key = source
JOIN wallets AS d ON d.key = destination
ORDER BY transactions.id
"""
_WALLETS = """
UPDATE wallets SET balance = balance_after, sequence = last.sequence, last_time = time
FROM (SELECT DISTINCT ON (wallet) * FROM entries ORDER BY wallet, sequence DESC) AS last
WHERE key = last.wallet
"""
_TOTALS = """
INSERT INTO entry_totals (wallet, sequence, type, count, credited, debited)
SELECT wallet, sequence, type, sum(count) OVER upwards, sum(credited) OVER upwards, sum(debited) OVER upwards
FROM (
    SELECT wallet, (sequence + 999) / 1000 * 1000 AS sequence, type, count(*) AS count,
        sum(greatest(amount, 0)) AS credited, -sum(least(amount, 0)) AS debited
    FROM entries
    GROUP BY 1, 2, 3
) AS blocks
WHERE sequence <= (SELECT wallets.sequence FROM wallets WHERE key = wallet)
WINDOW upwards AS (PARTITION BY wallet, type ORDER BY sequence)
"""
_READ = """
SELECT e.sequence, e.amount, e.balance_after, e.time, e.type, 'transactions/' || t.id, t.description,
    t.external_reference
FROM entries AS e
JOIN wallets ON wallets.key = e.wallet
JOIN transactions AS t ON t.id = e.transaction
WHERE wallets.id = %s
ORDER BY e.sequence
"""


@dataclass(frozen=True, slots=True)
class Line:
    """An entry as it was written."""

    sequence: int
    amount: int
    balance_after: int
    time: datetime
    type: str
    transaction: str
    description: str
    external_reference: str


def write_history(owner: psycopg.Connection, count: int, *, step: timedelta = STEP, description: str = "") -> None:
    """Write *count* transactions of the wallets ``alice`` and ``bob``, which must be open and empty.

    All of them concern ``alice``, from ``BEGAN`` on, three every *step*.
    """
    fields = {"count": count, "began": BEGAN, "step": step, "description": description}
    with without_triggers(owner), owner.transaction():
        owner.execute(_TRANSACTIONS, fields)
        owner.execute(_LABELS)
        owner.execute(_ENTRIES)
        owner.execute(_FACTS)
        owner.execute(_WALLETS)
        owner.execute(_TOTALS)


def history(owner: psycopg.Connection, wallet: str) -> Sequence[Line]:
    """Return a wallet's entries, oldest first, past the service."""
    return [Line(*row) for row in owner.execute(_READ, [wallet]).fetchall()]
