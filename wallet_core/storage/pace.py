"""The pace at which the bank is called, by all schedulers together: a bucket of calls that fills with time, in a row.

Taken with the claim, in its transaction: who may not call claims nothing, so no lease runs while anybody waits.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

from wallet_core.storage.engine import Engine, Tx, transaction
from wallet_core.storage.errors import served

# What may be sent now. The row's lock keeps the next one waiting until it is known how many were.
LEFT = """
SELECT least(%(most)s::float8, calls + %(per_s)s * greatest(0, extract(epoch FROM now - filled_at))), now,
    filled_at > now
FROM bank_pace
CROSS JOIN LATERAL (SELECT clock_timestamp()) AS clock (now)
FOR NO KEY UPDATE OF bank_pace
"""

KEEP = "UPDATE bank_pace SET calls = %s, filled_at = %s"

# A round that finds the pace used up waits for so long before it ends.
WAIT_S = 1.0


@dataclass(slots=True)
class Taking:
    """How many calls may be made now, and how many of them will be."""

    left: float
    taken: int = 0

    def pieces(self, calls: int) -> int:
        """Return how many pieces of work may begin that take so many *calls* each.

        One may as soon as one call is left, and what it takes beyond is owed: work that takes two would otherwise wait
        for ever behind work that takes one.
        """
        return max(1, int(self.left // calls)) if self.left >= 1 else 0


@dataclass(frozen=True, slots=True)
class Pace:
    """So many calls a second, and no more than a second's worth at once."""

    per_s: float

    @contextmanager
    def taking(self, tx: Tx) -> Iterator[Taking]:
        """Say how many calls may be made; inside the block it is said how many will be."""
        left, now, is_ahead = self._look(tx)
        taking = Taking(left)
        yield taking
        if taking.taken or is_ahead:  # the clock was set back: nothing would fill until it has caught up
            tx.execute(KEEP, [left - taking.taken, now])

    def pause(self, left: float, until: float) -> bool:
        """Wait for the next call to come free, holding nothing; False where that is *until* past."""
        wait_s = max(0.0, 1 - left) / self.per_s
        if monotonic() + wait_s > until:
            return False
        threading.Event().wait(wait_s)
        return True

    def take_one(self, engine: Engine) -> bool:
        """Take one call, waiting a moment for it. Raises ``NotServed`` where the database fails."""
        until = monotonic() + WAIT_S
        while True:
            with served(), transaction(engine) as tx, self.taking(tx) as taking:
                taking.taken = taking.pieces(1) and 1
                if taking.taken:
                    return True
            if not self.pause(taking.left, until):
                return False

    def _look(self, tx: Tx) -> tuple[float, datetime, bool]:
        ((left, now, is_ahead),) = tx.execute(LEFT, {"most": max(1.0, self.per_s), "per_s": self.per_s})
        return left, now, is_ahead
