"""The journal's writer: moves the outbox's events into one order without gaps, chained by hashes.

One writer at a time takes the events that are visible and numbers them.
"""

from dataclasses import dataclass

from wallet_core.domain.model.event import Event, JournalRecord
from wallet_core.storage.connections.engine import Engine, transaction
from wallet_core.storage.connections.wake_ups import NOTIFY_JOURNAL
from wallet_core.storage.errors import served
from wallet_core.storage.posting.columns import Column, Insert
from wallet_core.storage.posting.outbox import EVENT_COLUMNS, event_of

# Held to the end of the writer's transaction: another writer returns at once meanwhile.
_WRITING = 7_236_114_902
TAKE_TURN = "SELECT pg_try_advisory_xact_lock(%s)"

LAST = "SELECT number, hash FROM journal ORDER BY number DESC LIMIT 1"

TAKE_OUTBOX_EVENTS = """
DELETE FROM outbox
WHERE position = ANY(ARRAY(SELECT position FROM outbox ORDER BY position LIMIT %s))
RETURNING position, type, subject, wallets, time, facts
"""


def _of_event(column: Column[Event]) -> Column[JournalRecord]:
    return Column(column.name, column.type, lambda record: column.get(record.event))


INSERT_JOURNAL_RECORDS: Insert[JournalRecord] = Insert(
    "journal",
    [
        Column("number", "bigint", "number"),
        Column("hash", "bytea", "hash"),
        *(_of_event(column) for column in EVENT_COLUMNS),
    ],
)


@dataclass(frozen=True, slots=True)
class Journal:
    """The journal's writer. Raises ``ServiceError`` where the database fails."""

    engine: Engine

    def write(self, limit: int) -> int:
        """Move up to *limit* events from the outbox into the journal; return how many were moved.

        Zero too while another process writes.
        """
        with served(), transaction(self.engine) as tx:
            ((ours,),) = tx.execute(TAKE_TURN, [_WRITING])
            if not ours:
                return 0
            number, hash_ = next(iter(tx.execute(LAST)), (0, b""))
            events = sorted(tx.execute(TAKE_OUTBOX_EVENTS, [limit]).fetchall())
            records = []
            for _, *event in events:
                number += 1
                record = JournalRecord(number, event_of(*event)).chained(hash_)
                hash_ = record.hash
                records.append(record)
            INSERT_JOURNAL_RECORDS.write(tx, records)
            if records:
                tx.execute(NOTIFY_JOURNAL)  # there is one writer: no commit waits for another one
            return len(records)
