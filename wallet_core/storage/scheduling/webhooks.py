"""Webhook deliveries: queued from the journal, claimed in order, and marked with what came of them.

One cursor goes along the journal for all enabled webhooks: each step reads a scan window of it once and queues one
delivery for each webhook whose filters match, in the transaction that moves the cursor. A webhook that was disabled is
behind; once it is enabled, steps of its own bring it to the cursor.

Of one webhook, a delivery waits while an earlier one that shares an ordinary wallet is pending. Only the earliest
pending deliveries are read, so a long queue costs no more than a short one.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, LiteralString

from wallet_core.domain.model.webhook import GONE, Answer, DeliveryClaim
from wallet_core.storage.connections.engine import Engine, Tx, pipelined, transaction
from wallet_core.storage.errors import served
from wallet_core.storage.posting.webhooks import COLUMNS, webhook_of

# Pending deliveries of one webhook that a claim reads.
LOOKED_AT = 1000

# One process at a time queues; the row is locked to the end of its transaction.
TAKE_CURSOR = "SELECT number FROM webhook_cursor FOR UPDATE SKIP LOCKED"

END_OF_STRETCH = """
SELECT max(number) FROM (SELECT number FROM journal WHERE number > %s ORDER BY number LIMIT %s) AS scan_window
"""

# Who may see an event, and what is shown of it, is decided again when it is sent (``EventView``); here is decided who
# gets it. A webhook that is confined to an owner gets events of that owner's wallets, and these alone keep their order.
QUEUE: LiteralString = """
WITH records AS MATERIALIZED (
    SELECT number, type, wallets FROM journal WHERE number > %(after)s AND number <= %(to)s
), concerned AS MATERIALIZED (
    SELECT records.number, records.type, w.key, w.owner, w.labels, w.role = 'ORDINARY' AS is_ordinary
    FROM records
    CROSS JOIN LATERAL unnest(records.wallets) AS named (id)
    JOIN wallets AS w ON w.id = named.id
), chosen AS (
    SELECT w.id, w.confined_to, r.number
    FROM webhooks AS w
    JOIN records AS r ON r.number > w.begins_after AND (w.types = '{{}}' OR r.type = ANY(w.types))
    WHERE {whose} AND w.confined_to IS NULL AND w.wallet IS NULL AND w.owner = '' AND w.label_key IS NULL
    UNION
    SELECT w.id, w.confined_to, c.number
    FROM webhooks AS w
    JOIN concerned AS c ON (w.confined_to IS NULL OR c.owner = w.confined_to)
        AND (w.wallet IS NULL OR c.key = w.wallet)
        AND (w.owner = '' OR c.owner = w.owner)
        AND (w.label_key IS NULL OR c.labels ->> w.label_key = w.label_value)
        AND c.number > w.begins_after AND (w.types = '{{}}' OR c.type = ANY(w.types))
    WHERE {whose} AND NOT (w.confined_to IS NULL AND w.wallet IS NULL AND w.owner = '' AND w.label_key IS NULL)
), kept AS MATERIALIZED (
    SELECT number, owner, array_agg(key ORDER BY key) AS keys
    FROM concerned
    WHERE is_ordinary
    GROUP BY GROUPING SETS ((number, owner), (number))
)
INSERT INTO webhook_deliveries (webhook, number, wallets, state, create_time, next_attempt_time)
SELECT chosen.id, chosen.number, coalesce(kept.keys, '{{}}'), 'PENDING', clock_timestamp(), clock_timestamp()
FROM chosen
LEFT JOIN kept ON kept.number = chosen.number AND kept.owner IS NOT DISTINCT FROM chosen.confined_to
ORDER BY chosen.number, chosen.id
ON CONFLICT DO NOTHING
"""
QUEUE_FOR_ALL = QUEUE.format(whose="w.state = 'ENABLED' AND w.queued_to IS NULL")
QUEUE_FOR_ONE = QUEUE.format(whose="w.id = %(webhook)s")

MOVE_CURSOR = "UPDATE webhook_cursor SET number = %s"

TAKE_BEHIND = """
SELECT id, queued_to
FROM webhooks
WHERE state = 'ENABLED' AND queued_to IS NOT NULL
ORDER BY id
LIMIT 1
FOR NO KEY UPDATE SKIP LOCKED
"""
CATCH_UP = "UPDATE webhooks SET queued_to = %s WHERE id = %s"

TAKE_REDELIVERY = """
SELECT id, redeliver_since, redeliver_until
FROM webhooks
WHERE redeliver_since IS NOT NULL
ORDER BY id
LIMIT 1
FOR NO KEY UPDATE SKIP LOCKED
"""
REDELIVER = """
UPDATE webhook_deliveries AS d
SET state = 'PENDING', tries = 0, next_attempt_time = clock_timestamp() + %(offset)s, end_time = NULL
FROM (
    SELECT number
    FROM webhook_deliveries
    WHERE webhook = %(webhook)s AND state = 'DEAD' AND number > 0 AND end_time >= %(since)s AND end_time <= %(until)s
    ORDER BY end_time, number
    LIMIT %(limit)s
    FOR NO KEY UPDATE
) AS dead
WHERE d.webhook = %(webhook)s AND d.number = dead.number
"""
END_REDELIVERY = "UPDATE webhooks SET redeliver_since = NULL, redeliver_until = NULL WHERE id = %s"

# A queue is read by its index, in order, and not beyond the part that is claimed from. With old statistics the planner
# prefers to read all that is pending, or the whole table, for each webhook.
READ_BY_KEY = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off"

# Webhooks with something due. Not a lock on ``webhooks``: no call of a caller waits for a claim.
LOCK_QUEUES = """
SELECT q.webhook
FROM webhook_queues AS q
JOIN webhooks AS w ON w.id = q.webhook
WHERE w.state <> 'DELETED'
    AND EXISTS (
        SELECT
        FROM webhook_deliveries AS d
        WHERE d.webhook = q.webhook
            AND d.state = 'PENDING'
            AND (w.state = 'ENABLED' OR d.number < 0)
            AND d.next_attempt_time <= clock_timestamp() + %(offset)s
            AND (d.lease_until IS NULL OR d.lease_until <= clock_timestamp() + %(offset)s)
    )
ORDER BY q.webhook
FOR NO KEY UPDATE OF q SKIP LOCKED
"""

# A later statement than the lock, so that it sees what the holder of the lock before has claimed. The first free
# delivery of each webhook comes before the second of any: none takes all slots.
CLAIM: LiteralString = f"""
WITH looked AS MATERIALIZED (
    SELECT q.webhook, q.failures, d.number, d.wallets, d.next_attempt_time, d.lease_until
    FROM webhook_queues AS q
    JOIN webhooks AS w ON w.id = q.webhook
    CROSS JOIN LATERAL (
        SELECT number, wallets, next_attempt_time, lease_until
        FROM webhook_deliveries AS open
        WHERE open.webhook = q.webhook AND open.state = 'PENDING' AND (w.state = 'ENABLED' OR open.number < 0)
        ORDER BY number
        LIMIT {LOOKED_AT}
    ) AS d
    WHERE q.webhook = ANY(%(webhooks)s)
), by_wallet AS (
    SELECT looked.*, wallet IS NULL OR number = min(number) OVER (PARTITION BY webhook, wallet) AS is_first
    FROM looked
    LEFT JOIN LATERAL unnest(wallets) AS wallet ON true
), heads AS (
    SELECT webhook, number, failures, next_attempt_time,
        coalesce(lease_until > clock_timestamp() + %(offset)s, false) AS is_busy
    FROM by_wallet
    GROUP BY webhook, number, failures, next_attempt_time, lease_until
    HAVING bool_and(is_first)
), free AS (
    SELECT webhook, number, failures, is_busy OR next_attempt_time > clock_timestamp() + %(offset)s AS is_taken,
        count(*) FILTER (WHERE is_busy) OVER (PARTITION BY webhook)
            + count(*) FILTER (WHERE NOT is_busy AND next_attempt_time <= clock_timestamp() + %(offset)s)
                OVER (PARTITION BY webhook ORDER BY number) AS place
    FROM heads
), due AS (
    SELECT webhook, number, place
    FROM free
    WHERE NOT is_taken AND place <= CASE WHEN failures > 0 THEN 1 ELSE %(at_once)s END
    ORDER BY place, number
    LIMIT %(limit)s
), claimed AS (
    UPDATE webhook_deliveries AS d
    SET fence = fence + 1, attempts = attempts + 1, tries = tries + 1,
        lease_until = clock_timestamp() + %(offset)s + %(lease)s
    FROM due
    WHERE d.webhook = due.webhook AND d.number = due.number AND d.state = 'PENDING'
    RETURNING d.webhook, d.number, d.fence, d.attempts, d.tries, due.place
)
SELECT claimed.number, claimed.fence, claimed.attempts, claimed.tries, clock_timestamp(), {COLUMNS}
FROM claimed
JOIN webhooks AS w ON w.id = claimed.webhook
LEFT JOIN wallets ON wallets.key = w.wallet
ORDER BY claimed.place, claimed.number
"""

# Before the delivery's row, as a claim locks them.
COUNT_FAILURE = "UPDATE webhook_queues SET failures = failures + 1 WHERE webhook = %s"
FORGET_FAILURES = "UPDATE webhook_queues SET failures = 0 WHERE webhook = %s AND failures > 0"

# Only the webhook that gave this answer: its URL may have been changed since.
DISABLE = """
UPDATE webhooks
SET state = 'DISABLED', disabled_reason = %(reason)s, revision = revision + 1, update_time = clock_timestamp(),
    queued_to = coalesce(queued_to, (SELECT number FROM webhook_cursor))
WHERE id = %(webhook)s AND state = 'ENABLED' AND revision = %(revision)s
"""

END = """
UPDATE webhook_deliveries
SET state = %(state)s, next_attempt_time = NULL, lease_until = NULL, end_time = clock_timestamp() + %(offset)s
WHERE webhook = %(webhook)s AND number = %(number)s AND fence = %(fence)s AND state = 'PENDING'
"""
TRY_LATER = """
UPDATE webhook_deliveries
SET next_attempt_time = clock_timestamp() + %(offset)s + %(wait)s, lease_until = NULL
WHERE webhook = %(webhook)s AND number = %(number)s AND fence = %(fence)s AND state = 'PENDING'
"""
# The attempt did not count: the webhook is disabled, and is asked again once it is enabled.
WAIT = """
UPDATE webhook_deliveries
SET next_attempt_time = clock_timestamp() + %(offset)s, lease_until = NULL, tries = 0
WHERE webhook = %(webhook)s AND number = %(number)s AND fence = %(fence)s AND state = 'PENDING'
"""
RECORD = """
INSERT INTO webhook_attempts (webhook, number, attempt, time, status, latency_ms, response, error)
SELECT %(webhook)s, %(number)s, %(attempt)s, clock_timestamp() + %(offset)s, %(status)s, %(latency_ms)s, %(response)s,
    %(error)s
WHERE EXISTS (SELECT FROM webhook_deliveries WHERE webhook = %(webhook)s AND number = %(number)s)
ON CONFLICT DO NOTHING
"""

# With their attempts; those of deleted webhooks whatever their age. By now(), which an index can be searched by.
PRUNE: LiteralString = """
WITH old AS (
    (SELECT webhook, number FROM webhook_deliveries
     WHERE state = 'DELIVERED' AND end_time < now() + %(offset)s - %(delivered_kept)s
     ORDER BY end_time LIMIT %(limit)s)
    UNION ALL
    (SELECT d.webhook, d.number
     FROM webhooks AS w
     CROSS JOIN LATERAL (
         SELECT webhook, number FROM webhook_deliveries
         WHERE webhook = w.id AND state = 'DEAD' AND end_time < now() + %(offset)s - %(dead_kept)s
         ORDER BY end_time LIMIT %(limit)s
     ) AS d
     LIMIT %(limit)s)
    UNION
    (SELECT d.webhook, d.number
     FROM webhooks AS w
     CROSS JOIN LATERAL (SELECT webhook, number FROM webhook_deliveries WHERE webhook = w.id LIMIT %(limit)s) AS d
     WHERE w.state = 'DELETED'
     LIMIT %(limit)s)
), locked AS (
    SELECT d.webhook, d.number
    FROM webhook_deliveries AS d
    JOIN old USING (webhook, number)
    LIMIT %(limit)s
    FOR UPDATE OF d SKIP LOCKED
), attempts AS (
    DELETE FROM webhook_attempts AS a USING locked WHERE a.webhook = locked.webhook AND a.number = locked.number
)
DELETE FROM webhook_deliveries AS d USING locked WHERE d.webhook = locked.webhook AND d.number = locked.number
"""

GONE_REASON = f"the endpoint answered with status {GONE}: it wants no more events"


@dataclass(frozen=True, slots=True)
class WebhookQueue:
    """The deliveries. Every method raises ``ServiceError`` where the database fails."""

    engine: Engine

    def queue(self, limit: int, *, clock_offset: timedelta = timedelta(0)) -> tuple[int, bool]:
        """Queue the events of up to *limit* journal records; return how many deliveries, and whether there is more.

        Zero too while another process queues.
        """
        with served(), transaction(self.engine) as tx:
            cursor = tx.execute(TAKE_CURSOR).fetchone()
            if cursor is None:
                return 0, False
            (number,) = cursor
            queued, is_behind = catch_up(tx, number, limit)
            ((end,),) = tx.execute(END_OF_STRETCH, [number, limit])
            if end is not None:
                queued += tx.execute(QUEUE_FOR_ALL, {"after": number, "to": end}).rowcount
                tx.execute(MOVE_CURSOR, [end])
            again = redeliver_dead_letters(tx, limit, clock_offset)
            return queued + again, is_behind or again == limit or (end is not None and end - number == limit)

    def claim(
        self, *, limit: int, at_once: int, lease: timedelta, clock_offset: timedelta = timedelta(0)
    ) -> list[DeliveryClaim]:
        """Claim up to *limit* deliveries that are due, with *at_once* claims for one webhook at the most."""
        asked: dict[str, Any] = {"limit": limit, "at_once": at_once, "lease": lease, "offset": clock_offset}
        began = monotonic()
        with served(), transaction(self.engine) as tx:
            tx.execute(READ_BY_KEY)
            webhooks = [webhook for (webhook,) in tx.execute(LOCK_QUEUES, asked)]
            if not webhooks:
                return []
            return [
                _claim_of(number, fence, attempt, tries, now, began, row)
                for number, fence, attempt, tries, now, *row in tx.execute(CLAIM, {**asked, "webhooks": webhooks})
            ]

    def mark_delivered(self, claim: DeliveryClaim, answer: Answer, clock_offset: timedelta) -> None:
        """Mark a delivery that the endpoint has accepted, unless another worker has claimed it since."""
        self._mark(claim, answer, clock_offset, END, FORGET_FAILURES, state="DELIVERED")

    def mark_failed(
        self, claim: DeliveryClaim, answer: Answer, wait: timedelta | None, clock_offset: timedelta
    ) -> None:
        """Mark a failed attempt: the next one is after *wait*; None makes it a dead letter."""
        if wait is None:
            self._mark(claim, answer, clock_offset, END, COUNT_FAILURE, state="DEAD")
        else:
            self._mark(claim, answer, clock_offset, TRY_LATER, COUNT_FAILURE, wait=wait)

    def mark_gone(self, claim: DeliveryClaim, answer: Answer, clock_offset: timedelta) -> None:
        """Disable the webhook, whose endpoint wants no more events. The delivery waits for it to be enabled."""
        reason = {"reason": GONE_REASON, "revision": claim.webhook.revision}
        self._mark(claim, answer, clock_offset, WAIT, FORGET_FAILURES, disable=reason)

    def _mark(  # the statements of one mark
        self,
        claim: DeliveryClaim,
        answer: Answer,
        clock_offset: timedelta,
        statement: LiteralString,
        failures: LiteralString,
        disable: dict[str, Any] | None = None,
        **values: object,
    ) -> None:
        named = {
            **values,
            "webhook": claim.webhook.id,
            "number": claim.number,
            "fence": claim.fence,
            "offset": clock_offset,
            "attempt": claim.attempt,
            "status": answer.status,
            "latency_ms": round(answer.latency.total_seconds() * 1000),
            "response": answer.response,
            "error": answer.error,
        }
        with served(), transaction(self.engine) as tx, pipelined(tx):
            if disable is not None:
                tx.execute(DISABLE, {**named, **disable})
            tx.execute(failures, [claim.webhook.id])
            tx.execute(statement, named)
            tx.execute(RECORD, named)

    def prune(
        self,
        *,
        limit: int,
        delivered_kept: timedelta,
        dead_kept: timedelta,
        clock_offset: timedelta = timedelta(0),
    ) -> int:
        """Remove up to *limit* deliveries that are older than they are kept; return how many."""
        asked = {"limit": limit, "delivered_kept": delivered_kept, "dead_kept": dead_kept, "offset": clock_offset}
        with served(), transaction(self.engine) as tx:
            return tx.execute(PRUNE, asked).rowcount


def catch_up(tx: Tx, cursor: int, limit: int) -> tuple[int, bool]:
    """Bring one webhook that is behind nearer to the cursor; return how much was queued, and whether to go on."""
    behind = tx.execute(TAKE_BEHIND).fetchone()
    if behind is None:
        return 0, False
    webhook, queued_to = behind
    to = min(queued_to + limit, cursor)
    queued = tx.execute(QUEUE_FOR_ONE, {"after": queued_to, "to": to, "webhook": webhook}).rowcount
    tx.execute(CATCH_UP, [to if to < cursor else None, webhook])
    return queued, True


def redeliver_dead_letters(tx: Tx, limit: int, clock_offset: timedelta) -> int:
    """Queue dead letters of one webhook again, where that was requested."""
    asked = tx.execute(TAKE_REDELIVERY).fetchone()
    if asked is None:
        return 0
    webhook, since, until = asked
    values = {"webhook": webhook, "since": since, "until": until, "limit": limit, "offset": clock_offset}
    again = tx.execute(REDELIVER, values).rowcount
    if again < limit:
        tx.execute(END_REDELIVERY, [webhook])
    return again


def _claim_of(
    number: int, fence: int, attempt: int, tries: int, now: datetime, claimed_at: float, row: list[Any]
) -> DeliveryClaim:
    webhook = webhook_of(row)
    return DeliveryClaim(
        webhook=webhook,
        number=number,
        fence=fence,
        attempt=attempt,
        tries=tries,
        secrets=webhook.secrets(now),
        claimed_at=claimed_at,
        time=now,
    )
