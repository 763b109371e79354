"""Facts as they are committed, into the outbox; and the journal: the same in one order without gaps, chained by hashes.

Facts are committed side by side, so their positions in the outbox have gaps and are not seen in order. One writer at a
time takes what is there to see and numbers it. What happened to a wallet stays in order: the wallet's lock is held from
before a fact gets its position until it is committed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from wallet_core.domain.books import Books
from wallet_core.domain.event import Fact, JournalLine
from wallet_core.domain.wallet import WalletId
from wallet_core.storage.arrays import plain, texts, times
from wallet_core.storage.engine import Engine, Tx, transaction
from wallet_core.storage.errors import served

INSERT_FACTS = """
INSERT INTO outbox (type, subject, wallets, time)
SELECT type, subject, string_to_array(wallets, ' '), time
FROM unnest(%s::text[], %s::text[], %s::text[], %s::timestamptz[]) AS happened (type, subject, wallets, time)
"""

# Held to the end of the writer's transaction: whoever comes meanwhile leaves it to that one.
_WRITING = 7_236_114_902
TAKE_TURN = "SELECT pg_try_advisory_xact_lock(%s)"

LAST = "SELECT number, hash FROM journal ORDER BY number DESC LIMIT 1"

TAKE_FACTS = """
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
    """Where facts become lines. Raises ``NotServed`` where the database fails."""

    engine: Engine

    def write(self, limit: int) -> int:
        """Move up to *limit* facts from the outbox into the journal; return how many there were to move.

        Zero too where another process is at it.
        """
        with served(), transaction(self.engine) as tx:
            ((ours,),) = tx.execute(TAKE_TURN, [_WRITING])
            if not ours:
                return 0
            number, hash_ = next(iter(tx.execute(LAST)), (0, b""))
            facts = sorted(tx.execute(TAKE_FACTS, [limit]).fetchall())
            lines = []
            for _, type_, subject, wallets, time in facts:
                number += 1
                line = JournalLine(number, fact_of(type_, subject, wallets, time)).chained(hash_)
                hash_ = line.hash
                lines.append(line)
            if lines:
                numbers, hashes = plain(line.number for line in lines), texts(line.hash.hex() for line in lines)
                tx.execute(INSERT_LINES, [numbers, hashes, *_columns([line.fact for line in lines])])
            return len(lines)


def fact_of(type_: str, subject: str, wallets: Sequence[str], time: datetime) -> Fact:
    """Return the fact of a row."""
    return Fact(type_, subject, tuple(map(WalletId, wallets)), time)


def store_facts(tx: Tx, books: Books) -> None:
    """Write down what a batch has done, in its own transaction."""
    if books.written.facts:
        tx.execute(INSERT_FACTS, _columns(books.written.facts))


def _columns(facts: Sequence[Fact]) -> list[str]:
    return [
        texts(fact.type for fact in facts),
        texts(fact.subject for fact in facts),
        texts(" ".join(fact.wallets) for fact in facts),
        times(fact.time for fact in facts),
    ]
