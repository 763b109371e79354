"""The writer of checkpoints: states the journal's end and the money at it, from one snapshot, and stores it signed."""

from collections.abc import Callable
from dataclasses import dataclass

from wallet_core.domain.model.checkpoint import Checkpoint, Statement
from wallet_core.storage.connections.engine import Engine, transaction
from wallet_core.storage.errors import served

# Whether a checkpoint is due: after a number of records, or after a number of seconds with at least one record.
IS_DUE = """
SELECT last.number IS NOT NULL AND (
    signed.number IS NULL
    OR last.number - signed.number >= %(every_records)s
    OR last.number > signed.number AND clock_timestamp() - signed.time >= make_interval(secs => %(every_s)s)
)
FROM (SELECT max(number) AS number FROM journal) AS last
LEFT JOIN (SELECT number, time FROM checkpoints ORDER BY number DESC LIMIT 1) AS signed ON true
"""

# One statement, so one snapshot: what is committed and not yet in the journal is in the outbox, and is subtracted.
STATE = """
WITH unwritten AS MATERIALIZED (
    SELECT type, facts::jsonb AS facts FROM outbox
),
moved AS (
    SELECT entry.key AS wallet, sum((entry.value ->> 1)::numeric) AS amount
    FROM unwritten, jsonb_each(facts -> 'entries') AS entry
    WHERE type = 'transaction.posted'
    GROUP BY entry.key
),
totals AS (
    SELECT currency, lower(role) AS role, sum(balance - coalesce(moved.amount, 0)) AS total
    FROM wallets
    LEFT JOIN moved ON moved.wallet = wallets.id
    GROUP BY currency, role
),
currencies AS (
    SELECT currency, jsonb_object_agg(role, total) AS totals FROM totals GROUP BY currency
)
SELECT last.number, last.hash, clock_timestamp(),
    (SELECT count(*) FROM wallets WHERE role = 'ORDINARY')
        - (SELECT count(*) FROM unwritten WHERE type = 'wallet.created'),
    coalesce((SELECT jsonb_object_agg(currency, totals) FROM currencies), '{}'),
    EXISTS (SELECT FROM unwritten WHERE facts IS NULL)
FROM (SELECT number, hash FROM journal ORDER BY number DESC LIMIT 1) AS last
"""

INSERT_KEY = "INSERT INTO checkpoint_keys (key_id, public_key) VALUES (%s, %s) ON CONFLICT DO NOTHING"

# Another scheduler may have written the same one.
INSERT = """
INSERT INTO checkpoints (number, statement, key_id, signature, time)
VALUES (%s, %s, %s, %s, %s)
ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """The writer of checkpoints. Raises ``ServiceError`` where the database fails."""

    engine: Engine

    def write_if_due(
        self, sign: Callable[[Statement], Checkpoint], public_key: bytes, *, every_records: int, every_s: float
    ) -> bool:
        """Sign and store the state of now where a checkpoint is due; return whether it was."""
        with served(), transaction(self.engine) as tx:
            ((is_due,),) = tx.execute(IS_DUE, {"every_records": every_records, "every_s": every_s})
            if not is_due:
                return False
            ((number, hash_, time, wallets, totals, unknown),) = tx.execute(STATE)
            if unknown:
                return False  # events of release 0.2 wait for the journal; they do not state what they moved
            signed = sign(Statement(number, hash_, time, wallets, totals))
            tx.execute(INSERT_KEY, [signed.key_id, public_key])
            tx.execute(INSERT, [signed.number, signed.statement, signed.key_id, signed.signature, time])
            return True
