"""The pace at which the bank is called, by all schedulers together: a bucket of calls that fills with time, in a row.

Taken in the statement that claims: who may not call claims nothing, so no lease runs while anybody waits. The row is
locked for that statement only, however slow its caller is to hear the answer.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, LiteralString

from wallet_core.storage.connections.engine import Engine, transaction
from wallet_core.storage.errors import served

# What may be called now. The row's lock keeps the next one waiting until it is known how many calls this one takes; the
# clock is read once the lock is there.
BUCKET: LiteralString = """
locked AS MATERIALIZED (
    SELECT calls, filled_at FROM bank_rate_limit FOR NO KEY UPDATE
), looked AS MATERIALIZED (
    SELECT calls, filled_at, clock_timestamp() AS now FROM locked
), bucket AS MATERIALIZED (
    SELECT now, filled_at > now AS is_ahead,
        least(%(most)s::float8, calls + %(per_s)s::float8 * greatest(0, extract(epoch FROM now - filled_at))) AS calls
    FROM looked
)"""

# Where the clock was set back, nothing would fill until it has caught up.
KEPT: LiteralString = """
kept AS (
    UPDATE bank_rate_limit
    SET calls = bucket.calls - taken.calls, filled_at = bucket.now
    FROM bucket CROSS JOIN taken
    WHERE taken.calls > 0 OR bucket.is_ahead
)"""

TAKE_ONE: LiteralString = f"""
WITH {BUCKET}, taken AS (
    SELECT CASE WHEN calls >= 1 THEN 1 ELSE 0 END AS calls FROM bucket
), {KEPT}
SELECT calls FROM bucket
"""

# A round that finds the pace used up waits for so long before it ends.
WAIT_S = 1.0


@dataclass(frozen=True, slots=True)
class BankRateLimit:
    """So many calls a second, and no more than a second's worth at once."""

    per_s: float

    def take_one(self, engine: Engine) -> bool:
        """Take one call, waiting a moment for it. Raises ``ServiceError`` where the database fails."""
        ((calls,),) = self.take(engine, TAKE_ONE, {})
        return bool(calls >= 1)

    def take(self, engine: Engine, statement: LiteralString, asked: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run a statement that takes calls, again where there was none, for a moment, holding nothing in between.

        Return its rows; they begin with the calls that there were.
        """
        until = monotonic() + WAIT_S
        while True:
            with served(), transaction(engine) as tx:
                rows = tx.execute(statement, {**asked, "most": max(1.0, self.per_s), "per_s": self.per_s}).fetchall()
            wait_s = (1 - rows[0][0]) / self.per_s
            if wait_s <= 0 or monotonic() + wait_s > until:
                return rows
            threading.Event().wait(wait_s)
