"""Queries of webhook deliveries among long queues: what they read, and what one step of a redelivery takes."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, LiteralString
from uuid import UUID

import psycopg
import pytest

from tests.conftest import FAST
from tests.support.database import Database
from tests.support.plans import nodes
from wallet_core.bootstrap import open_app
from wallet_core.settings import read_settings
from wallet_core.storage.scheduling.webhooks import CLAIM, LOCK_QUEUES, LOOKED_AT, PRUNE, READ_BY_KEY

WEBHOOKS = [UUID(int=number) for number in range(1, 4)]
PENDING = 5_000
ASKED: dict[str, Any] = {
    "limit": 10,
    "at_once": 5,
    "lease": timedelta(seconds=30),
    "offset": timedelta(),
    "webhooks": WEBHOOKS,
    "delivered_kept": timedelta(days=7),
    "dead_kept": timedelta(days=90),
}

_WEBHOOKS = """
INSERT INTO webhooks (id, creator, rights, url, description, types, owner, state, disabled_reason, secret,
    secret_number, previous_secret, revision, create_time, update_time, begins_after)
SELECT id, 'c', '{}', 'https://hooks.example', '', '{}', '', 'ENABLED', '', 's', 1, '', 1, now(), now(), 0
FROM unnest(%s::uuid[]) AS id
"""
_QUEUES = "INSERT INTO webhook_queues (webhook) SELECT id FROM webhooks"
# As many are pending as were delivered or are dead, each event of one of a thousand wallets.
_DELIVERIES = """
INSERT INTO webhook_deliveries (webhook, number, wallets, state, create_time, next_attempt_time, end_time)
SELECT webhooks.id, n, ARRAY[1 + mod(n, 1000)], kind, now(), CASE kind WHEN 'PENDING' THEN now() END,
    CASE WHEN kind <> 'PENDING' THEN now() END
FROM webhooks
CROSS JOIN generate_series(1::bigint, 3 * %s::bigint) AS n
CROSS JOIN LATERAL (
    SELECT CASE mod(n, 3) WHEN 1 THEN 'DEAD' WHEN 2 THEN 'PENDING' ELSE 'DELIVERED' END AS kind
) AS kinds
"""


@pytest.fixture
def owner(own_database: Database) -> Iterator[psycopg.Connection]:
    """Return the owner of a database with webhooks and nothing else; the test alone decides when it is analysed."""
    with psycopg.connect(own_database.url, autocommit=True) as connection:
        connection.execute("ALTER TABLE webhook_deliveries SET (autovacuum_enabled = off)")
        connection.execute(_WEBHOOKS, [WEBHOOKS])
        connection.execute(_QUEUES)
        yield connection


def read(owner: psycopg.Connection, statement: LiteralString) -> dict[str, int]:
    """Return how many deliveries a statement reads, by the index that it reads them by; it is undone."""
    with owner.transaction(force_rollback=True):
        owner.execute(READ_BY_KEY)
        ((plan,),) = owner.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", ASKED).fetchall()
    found: dict[str, int] = {}
    for node in nodes(plan[0]["Plan"]):
        if node.get("Relation Name") == "webhook_deliveries" and node["Node Type"].endswith("Scan"):
            by = node.get("Index Name", node["Node Type"])
            found[by] = found.get(by, 0) + _rows(node)
    return found


def _rows(node: dict[str, Any]) -> int:
    return int((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])


def test_a_claim_reads_the_beginning_of_each_queue(owner: psycopg.Connection) -> None:
    """However long the queue, and whatever was delivered before; with old statistics and with new ones."""

    owner.execute("ANALYZE")
    owner.execute(_DELIVERIES, [PENDING])
    for when in ("analysed while empty", "analysed"):
        locked, claimed = read(owner, LOCK_QUEUES), read(owner, CLAIM)

        assert locked.keys() == {"webhook_deliveries_open"}, when
        assert locked["webhook_deliveries_open"] <= len(WEBHOOKS), when  # one that is due is enough
        assert claimed.keys() <= {"webhook_deliveries_open", "webhook_deliveries_pkey"}, when
        assert sum(claimed.values()) <= len(WEBHOOKS) * LOOKED_AT + ASKED["limit"], when
        owner.execute("ANALYZE")


def test_pruning_reads_no_more_than_it_removes(owner: psycopg.Connection) -> None:
    """Of what has not ended long enough ago nothing is read."""

    owner.execute(_DELIVERIES, [PENDING])
    owner.execute("UPDATE webhook_deliveries SET end_time = now() - interval '1 year' WHERE number IN (1, 3)")
    owner.execute("ANALYZE")

    assert sum(read(owner, PRUNE).values()) <= 10 * len(WEBHOOKS) * ASKED["limit"]


def test_a_redelivery_of_more_than_a_step_is_done_in_steps(own_database: Database, owner: psycopg.Connection) -> None:
    """Each dead letter from the time on is queued again, once; a later one stays dead."""

    chosen = WEBHOOKS[0]
    owner.execute(_DELIVERIES, [2_600])  # of one webhook 2,600 are dead
    owner.execute("UPDATE webhook_deliveries SET end_time = now() + interval '1 hour' WHERE number = 1")
    owner.execute(
        "UPDATE webhooks SET redeliver_since = now() - interval '1 hour', redeliver_until = now() WHERE id = %s",
        [chosen],
    )
    before = states(owner)
    with open_app(read_settings(**{**FAST, "database_url": own_database.url}), name="tests") as app:
        steps = [app.webhook_queue.queue(1000) for _ in range(4)]

    assert steps == [(1000, True), (1000, True), (599, False), (0, False)]
    after = states(owner)
    assert after[chosen] == {"DEAD": 1, "PENDING": before[chosen]["PENDING"] + 2599, "DELIVERED": 2600}
    assert {webhook: after[webhook] for webhook in WEBHOOKS[1:]} == {
        webhook: before[webhook] for webhook in WEBHOOKS[1:]
    }


def states(owner: psycopg.Connection) -> dict[UUID, dict[str, int]]:
    """Return how many deliveries of each webhook are in each state."""
    rows = owner.execute("SELECT webhook, state, count(*) FROM webhook_deliveries GROUP BY webhook, state").fetchall()
    return {webhook: {state: count for of, state, count in rows if of == webhook} for webhook in WEBHOOKS}
