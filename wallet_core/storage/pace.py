"""The pace at which the bank is called, by all schedulers together: a bucket of calls that fills with time, in a row.

Taken with the claim, in its transaction: who may not call claims nothing, so no lease runs while anybody waits.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from wallet_core.storage.engine import Engine, Tx, transaction
from wallet_core.storage.errors import served

# What may be sent now. The row's lock keeps the next one waiting until it is known how many were.
LEFT = """
SELECT least(%(most)s::float8, calls + %(per_s)s * greatest(0, extract(epoch FROM clock_timestamp() - filled_at)))
FROM bank_pace
FOR NO KEY UPDATE
"""

KEEP = "UPDATE bank_pace SET calls = %s, filled_at = clock_timestamp()"


@dataclass(slots=True)
class Taking:
    """Calls that may be made now, and how many of them will be."""

    left: int
    taken: int = field(default=0)


@dataclass(frozen=True, slots=True)
class Pace:
    """So many calls a second, and no more than a second's worth at once."""

    per_s: float

    @contextmanager
    def taking(self, tx: Tx) -> Iterator[Taking]:
        """Say how many calls may be made; inside the block it is said how many will be."""
        # One piece of work may take two calls.
        ((calls,),) = tx.execute(LEFT, {"most": max(2.0, self.per_s), "per_s": self.per_s})
        taking = Taking(int(calls))
        yield taking
        if taking.taken:
            tx.execute(KEEP, [calls - taking.taken])

    def take_one(self, engine: Engine) -> bool:
        """Take one call, if there is one. Raises ``NotServed`` where the database fails."""
        with served(), transaction(engine) as tx, self.taking(tx) as taking:
            taking.taken = min(1, taking.left)
            return taking.taken == 1
