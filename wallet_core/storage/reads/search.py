"""Binary search for an instant in a wallet's history.

A wallet's entries are numbered without gaps and their times never decrease, so twenty look-ups find an instant among a
million entries, without an index on time.
"""

from datetime import datetime

from sqlalchemy import Connection, text

_FIRST_FROM = text("""
WITH RECURSIVE search (low, high) AS (
    SELECT 1::bigint, sequence + 1
    FROM wallets
    WHERE key = :wallet
    UNION ALL
    SELECT CASE WHEN entries.time < :time THEN middle + 1 ELSE low END,
        CASE WHEN entries.time < :time THEN high ELSE middle END
    FROM search
    CROSS JOIN LATERAL (SELECT (low + high) / 2) AS halved (middle)
    JOIN entries ON entries.wallet = :wallet AND entries.sequence = middle
    WHERE low < high
)
SELECT low FROM search WHERE low = high
""")

_BALANCE = text("SELECT balance_after FROM entries WHERE wallet = :wallet AND sequence = :sequence")


def first_from(tx: Connection, wallet: int, time: datetime) -> int:
    """Return the sequence of a wallet's first entry at or after *time*; one more than its last where there is none."""
    return int(tx.execute(_FIRST_FROM, {"wallet": wallet, "time": time}).scalar_one())


def balance_before(tx: Connection, wallet: int, sequence: int) -> int:
    """Return a wallet's balance right before the entry of a sequence."""
    return int(tx.execute(_BALANCE, {"wallet": wallet, "sequence": sequence - 1}).scalar_one_or_none() or 0)
