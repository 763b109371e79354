"""Rules of checkpoints: each is signed, and the journal is still what it states."""

from collections.abc import Mapping, Sequence

from wallet_core.domain.model.checkpoint import Checkpoint, Statement, statement_of
from wallet_core.storage.connections.engine import Tx

MEANINGS: Mapping[str, str] = {
    "checkpoints": "every checkpoint is signed, and states hash and totals of the journal at its number",
    "kept_checkpoints": "every checkpoint that was kept elsewhere is signed, and is stored here unchanged",
}

NEXT = "SELECT number, statement, key_id, signature FROM checkpoints WHERE number > %s ORDER BY number LIMIT 1"

HASH = "SELECT hash FROM journal WHERE number = %s"

# What the records between two checkpoints have moved, by currency and role; unknown where a record states no facts.
MOVED = """
SELECT currency, role, sum(amount)::numeric, bool_or(amount IS NULL)
FROM (
    SELECT facts::jsonb ->> 'currency' AS currency,
        CASE WHEN entry.key LIKE 'system:%%' THEN split_part(entry.key, ':', 2) ELSE 'ordinary' END AS role,
        (entry.value ->> 1)::numeric AS amount
    FROM journal
    LEFT JOIN LATERAL jsonb_each(facts::jsonb -> 'entries') AS entry ON true
    WHERE number > %s AND number <= %s AND type = 'transaction.posted'
) AS legs
GROUP BY currency, role
"""


def following(tx: Tx, before: Checkpoint | None) -> Checkpoint | None:
    """Return the checkpoint after another one; None after the last one."""
    row = tx.execute(NEXT, [before.number if before is not None else 0]).fetchone()
    return Checkpoint(*row) if row is not None else None


def is_right(tx: Tx, before: Checkpoint | None, found: Checkpoint, start: int) -> bool:
    """Return whether the journal, from its *start* on, is what a checkpoint, and the one before it, state."""
    return found.number < start or (_states(tx, found) and (found.number == start or _follows(tx, before, found)))


def is_stored(tx: Tx, kept: Checkpoint, start: int) -> bool:
    """Return whether a kept checkpoint is stored unchanged, and the journal, from its *start* on, is what it states."""
    stored = tx.execute(NEXT, [kept.number - 1]).fetchone()
    return stored is not None and Checkpoint(*stored) == kept and (kept.number < start or _states(tx, kept))


def _stated(checkpoint: Checkpoint) -> Statement | None:
    try:
        return statement_of(checkpoint.statement)
    except ValueError:
        return None


def _states(tx: Tx, checkpoint: Checkpoint) -> bool:
    """Return whether the journal has the hash that a checkpoint states."""
    stated = _stated(checkpoint)
    rows: Sequence[tuple[bytes]] = tx.execute(HASH, [checkpoint.number]).fetchall()
    return stated is not None and stated.number == checkpoint.number and rows == [(stated.hash,)]


def _follows(tx: Tx, before: Checkpoint | None, checkpoint: Checkpoint) -> bool:
    """Return whether the totals follow from those before and from what the records between them have moved."""
    earlier = _stated(before) if before is not None else None
    stated = _stated(checkpoint)
    if stated is None or (before is not None and earlier is None):
        return False
    rows = tx.execute(MOVED, [before.number if before is not None else 0, checkpoint.number]).fetchall()
    if any(unknown for *_, unknown in rows):
        return True
    moved = {(currency, role): int(amount) for currency, role, amount, _ in rows}
    totals = _flat(stated)
    begun = _flat(earlier) if earlier is not None else {}
    places = totals.keys() | begun.keys() | moved.keys()
    return all(totals.get(one, 0) - begun.get(one, 0) == moved.get(one, 0) for one in places)


def _flat(statement: Statement) -> dict[tuple[str, str], int]:
    return {(currency, role): total for currency, roles in statement.totals.items() for role, total in roles.items()}
