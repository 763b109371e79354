"""The writer of summaries: what the journal has said up to a checkpoint, so that its records can be dropped.

Each summary continues the one before it, so each record is read once. Its digests are those that verify makes from the
tables (``Walk.summed``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from wallet_core.domain.model.checkpoint import Checkpoint, statement_of
from wallet_core.domain.model.summary import Digest, Summary, SummaryStatement, summary_statement_of
from wallet_core.storage.connections.engine import Engine, Tx, transaction
from wallet_core.storage.errors import served
from wallet_core.storage.scheduling.checkpoints import INSERT_KEY
from wallet_core.storage.verify.checks import KEYS
from wallet_core.storage.verify.records import HASHED_LAST_EVENT, JOURNAL
from wallet_core.storage.verify.walks import hashed

# Records that are read at once; a summary adds no more to the one before it, unless two checkpoints are further apart.
STEP = 50_000

# The lock lasts until the writer's transaction ends; another writer that finds it locked returns at once.
_SUMMARIZING = 7_236_114_903
TAKE_TURN = "SELECT pg_try_advisory_xact_lock(%s)"

LAST = "SELECT number, statement, key_id, signature FROM journal_summaries ORDER BY number DESC LIMIT 1"

# Checkpoints that are old enough, and below everything that webhooks may still need: what is queued for none of them,
# for one of them, or is stored as a delivery, which can be sent again.
DUE = """
SELECT number, statement, key_id, signature
FROM checkpoints
WHERE number > %(after)s AND time <= clock_timestamp() - %(kept)s AND number < (SELECT min(needed) FROM (
    SELECT number AS needed FROM webhook_cursor
    UNION ALL
    SELECT queued_to FROM webhooks WHERE queued_to IS NOT NULL AND state <> 'DELETED'
    UNION ALL
    SELECT first.number - 1
    FROM webhooks
    CROSS JOIN LATERAL (
        SELECT number FROM webhook_deliveries
        WHERE webhook = webhooks.id AND number > 0
        ORDER BY number
        LIMIT 1
    ) AS first
) AS webhooks (needed)) + 1
ORDER BY number <= %(after)s + %(step)s DESC, CASE WHEN number <= %(after)s + %(step)s THEN -number ELSE number END
LIMIT 1
"""

# Of the records up to a checkpoint: the hashes of transactions and of their requests, and how many state no facts.
SUM_UP = f"""
SELECT coalesce(string_agg({hashed("subject", "coalesce(request ->> 0, '')", "facts - 'request'")}, ''::bytea), ''),
    coalesce(string_agg({hashed("request ->> 0", "request ->> 1", "request ->> 2", "requested")}, ''::bytea)
        FILTER (WHERE request IS NOT NULL AND requested IS NOT NULL), ''),
    count(*) FILTER (WHERE facts IS NULL)
FROM (
    SELECT subject, facts, facts -> 'request' AS request,
        CASE
            WHEN facts ->> 'batch_item' = '0' THEN 'batches/' || (facts ->> 'batch')
            WHEN NOT facts ? 'batch' AND facts ->> 'type' NOT IN (
                'RETURN_APPLICATION', 'WITHDRAWAL_SETTLEMENT', 'WITHDRAWAL_RELEASE', 'COLLECTION',
                'COLLECTION_APPLICATION'
            ) THEN subject
        END AS requested
    FROM (
        SELECT subject, facts::jsonb AS facts
        FROM journal
        WHERE number > %(after)s AND number <= %(upto)s AND type = 'transaction.posted'
        OFFSET 0
    ) AS posted
) AS parsed
"""

# The last events of everything else, added to the earlier ones; returns the hashes of the rows that are new, and of
# those that they replace.
ADD_LAST_EVENTS = f"""
WITH newer AS (
    SELECT subject, count(*) AS events, array_agg(type ORDER BY number) AS types,
        (array_agg(facts - 'request' ORDER BY number DESC))[1] AS facts,
        coalesce(jsonb_agg(facts -> 'resolution' ORDER BY number) FILTER (WHERE facts ? 'resolution'), '[]')
            AS resolutions
    FROM (
        SELECT subject, type, number, facts::jsonb AS facts
        FROM journal
        WHERE number > %(after)s AND number <= %(upto)s AND type <> 'transaction.posted'
    ) AS parsed
    GROUP BY subject
), earlier AS MATERIALIZED (
    SELECT before.*
    FROM newer
    CROSS JOIN LATERAL (
        SELECT * FROM journal_last_events WHERE subject = newer.subject ORDER BY number DESC LIMIT 1
    ) AS before
), added AS MATERIALIZED (
    SELECT newer.subject, newer.events + coalesce(earlier.events, 0) AS events,
        coalesce(earlier.types, '{{}}') || newer.types AS types, newer.facts,
        coalesce(earlier.resolutions, '[]') || newer.resolutions AS resolutions
    FROM newer
    LEFT JOIN earlier ON earlier.subject = newer.subject
), stored AS (
    INSERT INTO journal_last_events (subject, number, events, types, facts, resolutions)
    SELECT subject, %(upto)s, events, types, facts, resolutions FROM added
)
SELECT coalesce((SELECT string_agg({HASHED_LAST_EVENT}, ''::bytea) FROM added), ''),
    coalesce((SELECT string_agg({HASHED_LAST_EVENT}, ''::bytea) FROM earlier), '')
"""

INSERT = """
INSERT INTO journal_summaries (number, statement, key_id, signature, time) VALUES (%s, %s, %s, %s, %s)
"""

IsTrusted = Callable[[Checkpoint, Mapping[str, bytes]], bool]
"""Whether a trusted key has signed it; the keys that the database has are given."""


@dataclass(frozen=True, slots=True)
class Summaries:
    """The writer of summaries. Raises ``ServiceError`` where the database fails."""

    engine: Engine

    def write_if_due(
        self, sign: Callable[[SummaryStatement], Summary], is_trusted: IsTrusted, public_key: bytes, *, kept: timedelta
    ) -> bool:
        """Sum up the records that are older than they are kept, a step of them; return whether there were any.

        Nothing is summed up where the journal is not what its checkpoint states, or *is_trusted* knows no signature of
        it; nor where records state no facts: those of release 0.2.
        """
        with served(), transaction(self.engine) as tx:
            ((ours,),) = tx.execute(TAKE_TURN, [_SUMMARIZING])
            if not ours:
                return False
            last = next((Summary(*row) for row in tx.execute(LAST)), None)
            before = summary_statement_of(last.statement) if last is not None else None
            after = before.number if before is not None else 0
            due = tx.execute(DUE, {"after": after, "kept": kept, "step": STEP}).fetchone()
            if due is None:
                return False
            checkpoint = Checkpoint(*due)
            keys = {key_id: bytes(public) for key_id, public in tx.execute(KEYS)}
            if not all(is_trusted(one, keys) for one in (checkpoint, last) if one is not None):
                return False
            statement = _summed_up(tx, before, checkpoint.number)
            if statement is None or statement.hash != statement_of(checkpoint.statement).hash:
                tx.rollback()
                return False
            signed = sign(statement)
            tx.execute(INSERT_KEY, [signed.key_id, public_key])
            tx.execute(INSERT, [signed.number, signed.statement, signed.key_id, signed.signature, statement.time])
            return True


def _summed_up(tx: Tx, before: SummaryStatement | None, number: int) -> SummaryStatement | None:
    """Return the summary up to a number; None where the records are not chained, or state no facts."""
    after = before.number if before is not None else 0
    transactions, requests, last_events = (
        (before.transactions, before.requests, before.last_events) if before is not None else (Digest(),) * 3
    )
    while after < number:
        places = {"after": after, "upto": min(after + STEP, number)}
        chain = {"after_number": after, "upto_number": places["upto"], "journal_end": number, "start": after}
        ((rows, wrong, *_),) = tx.execute(JOURNAL.statement(after=after > 0, upto=True), chain)
        ((posted, requested, unstated),) = tx.execute(SUM_UP, places)
        if wrong or unstated or rows != places["upto"] - after:
            return None
        ((added, replaced),) = tx.execute(ADD_LAST_EVENTS, places)
        transactions, requests = transactions.plus(posted), requests.plus(requested)
        last_events = last_events.minus(replaced).plus(added)
        after = places["upto"]
    ((hash_, time),) = tx.execute("SELECT hash, clock_timestamp() FROM journal WHERE number = %s", [number])
    return SummaryStatement(
        number=number, hash=hash_, time=time, transactions=transactions, requests=requests, last_events=last_events
    )
