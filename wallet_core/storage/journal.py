"""The journal: facts from the outbox in one order without gaps, each line chained to the one before it.

Facts are committed side by side, so their positions in the outbox have gaps and are not seen in order. One writer at a
time takes what is there to see and numbers it. What happened to a wallet stays in order: the wallet's lock is held from
before a fact gets its position until it is committed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from wallet_core.domain.event import Fact, JournalLine
from wallet_core.domain.wallet import WalletId
from wallet_core.storage.arrays import plain, texts, times
from wallet_core.storage.engine import Engine, transaction
from wallet_core.storage.errors import served

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
INSERT INTO journal (number, type, subject, wallets, time, hash)
SELECT number, type, subject, string_to_array(wallets, ' '), time, decode(hash, 'hex')
FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::text[])
    AS told (number, type, subject, wallets, time, hash)
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
                tx.execute(INSERT_LINES, _columns(lines))
            return len(lines)


def fact_of(type_: str, subject: str, wallets: Sequence[str], time: datetime) -> Fact:
    """Return the fact of a row."""
    return Fact(type_, subject, tuple(map(WalletId, wallets)), time)


def _columns(lines: Sequence[JournalLine]) -> list[object]:
    return [
        plain(line.number for line in lines),
        texts(line.fact.type for line in lines),
        texts(line.fact.subject for line in lines),
        texts(" ".join(line.fact.wallets) for line in lines),
        times(line.fact.time for line in lines),
        texts(line.hash.hex() for line in lines),
    ]
