"""The journal: the outbox's events in one order without gaps, chained by hashes.

One writer at a time takes the events that are visible and numbers them.
"""

from dataclasses import dataclass

from wallet_core.domain.model.event import JournalRecord
from wallet_core.storage.connections.engine import Engine, transaction
from wallet_core.storage.errors import served
from wallet_core.storage.posting.arrays import plain, texts
from wallet_core.storage.posting.outbox import columns, event_of

# Held to the end of the writer's transaction: whoever comes meanwhile leaves it to that one.
_WRITING = 7_236_114_902
TAKE_TURN = "SELECT pg_try_advisory_xact_lock(%s)"

LAST = "SELECT number, hash FROM journal ORDER BY number DESC LIMIT 1"

TAKE_OUTBOX_EVENTS = """
DELETE FROM outbox
WHERE position = ANY(ARRAY(SELECT position FROM outbox ORDER BY position LIMIT %s))
RETURNING position, type, subject, wallets, time
"""

INSERT_RECORDS = """
INSERT INTO journal (number, hash, type, subject, wallets, time)
SELECT number, decode(hash, 'hex'), type, subject, string_to_array(wallets, ' '), time
FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[])
    AS told (number, hash, type, subject, wallets, time)
"""


@dataclass(frozen=True, slots=True)
class Journal:
    """Where events become lines. Raises ``ServiceError`` where the database fails."""

    engine: Engine

    def write(self, limit: int) -> int:
        """Move up to *limit* events from the outbox into the journal; return how many there were to move.

        Zero too where another process is at it.
        """
        with served(), transaction(self.engine) as tx:
            ((ours,),) = tx.execute(TAKE_TURN, [_WRITING])
            if not ours:
                return 0
            number, hash_ = next(iter(tx.execute(LAST)), (0, b""))
            events = sorted(tx.execute(TAKE_OUTBOX_EVENTS, [limit]).fetchall())
            lines = []
            for _, type_, subject, wallets, time in events:
                number += 1
                line = JournalRecord(number, event_of(type_, subject, wallets, time)).chained(hash_)
                hash_ = line.hash
                lines.append(line)
            if lines:
                numbers, hashes = plain(line.number for line in lines), texts(line.hash.hex() for line in lines)
                tx.execute(INSERT_RECORDS, [numbers, hashes, *columns([line.event for line in lines])])
            return len(lines)
