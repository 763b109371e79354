"""The rate limit of calls to the bank: a token bucket in one row, shared by all schedulers.

Calls are taken in the statement that claims, so no lease runs while a scheduler waits for calls. The row is locked for
that statement only, even where its caller is frozen.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, LiteralString

from wallet_core.storage.connections.engine import Engine, transaction
from wallet_core.storage.errors import served

# The calls that are left now. The row's lock makes the next statement wait until this one has taken its calls; the
# clock is read after the lock is acquired.
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

# A clock that was set back would otherwise stop the filling until it has caught up.
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

# How long a round waits for a call before it ends.
WAIT_S = 1.0


@dataclass(frozen=True, slots=True)
class BankRateLimit:
    """At most *per_s* calls a second, with bursts of one second's calls."""

    per_s: float

    def take_one(self, engine: Engine) -> bool:
        """Take one call, waiting up to ``WAIT_S`` for it. Raises ``ServiceError`` where the database fails."""
        ((calls,),) = self.take(engine, TAKE_ONE, {})
        return bool(calls >= 1)

    def take(self, engine: Engine, statement: LiteralString, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run a statement that takes calls, again for up to ``WAIT_S`` where none was left, without a lock in between.

        Return its rows, each with the calls that were left first.
        """
        until = monotonic() + WAIT_S
        while True:
            with served(), transaction(engine) as tx:
                rows = tx.execute(
                    statement, {**parameters, "most": max(1.0, self.per_s), "per_s": self.per_s}
                ).fetchall()
            wait_s = (1 - rows[0][0]) / self.per_s
            if wait_s <= 0 or monotonic() + wait_s > until:
                return rows
            threading.Event().wait(wait_s)
