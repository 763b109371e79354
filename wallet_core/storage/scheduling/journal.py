"""Facts as they are committed, into the outbox; and the journal: the same in one order without gaps, chained by hashes.

Facts are committed side by side, so their positions in the outbox have gaps and are not seen in order. One writer at a
time takes what is there to see and numbers it. What happened to a wallet stays in order: the wallet's lock is held from
before a event gets its position until it is committed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.event import Event, JournalRecord
from wallet_core.domain.model.wallet import WalletId
from wallet_core.storage.connections.engine import Engine, Tx, transaction
from wallet_core.storage.errors import served
from wallet_core.storage.posting.arrays import plain, texts, times

INSERT_OUTBOX_EVENTS = """
INSERT INTO outbox (type, subject, wallets, time)
SELECT type, subject, string_to_array(wallets, ' '), time
FROM unnest(%s::text[], %s::text[], %s::text[], %s::timestamptz[]) AS happened (type, subject, wallets, time)
"""

# Held to the end of the writer's transaction: whoever comes meanwhile leaves it to that one.
_WRITING = 7_236_114_902
TAKE_TURN = "SELECT pg_try_advisory_xact_lock(%s)"

LAST = "SELECT number, hash FROM journal ORDER BY number DESC LIMIT 1"

TAKE_OUTBOX_EVENTS = """
DELETE FROM outbox
WHERE position = ANY(ARRAY(SELECT position FROM outbox ORDER BY position LIMIT %s))
RETURNING position, type, subject, wallets, time
"""

INSERT_LINES = """
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
                tx.execute(INSERT_LINES, [numbers, hashes, *_columns([line.event for line in lines])])
            return len(lines)


def event_of(type_: str, subject: str, wallets: Sequence[str], time: datetime) -> Event:
    """Return the event of a row."""
    return Event(type_, subject, tuple(map(WalletId, wallets)), time)


def store_events(tx: Tx, books: LedgerState) -> None:
    """Write down what a batch has done, in its own transaction."""
    if books.pending.events:
        tx.execute(INSERT_OUTBOX_EVENTS, _columns(books.pending.events))


def _columns(events: Sequence[Event]) -> list[str]:
    return [
        texts(event.type for event in events),
        texts(event.subject for event in events),
        texts(" ".join(event.wallets) for event in events),
        times(event.time for event in events),
    ]
