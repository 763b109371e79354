"""Plans of claims: among 100,000 orders and holds a claim reads about as many rows as it takes, by its own index.

Among a third of that where not everything is required.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.support.database import Database
from tests.support.plans import nodes
from tests.support.rows import without_triggers
from tests.support.toolchain import often
from wallet_core.storage.connections.engine import CLAIMING
from wallet_core.storage.scheduling.claims import (
    CLAIM_TO_COLLECT,
    CLAIM_TO_CREDIT,
    CLAIM_TO_EXPIRE,
    CLAIM_TO_PAY,
    CLAIM_TO_RECONCILE,
    CLAIM_TO_RECONCILE_COLLECTIONS,
)

# Each by the index that is there for it alone.
CLAIMS = {
    "withdrawals_to_pay": CLAIM_TO_PAY,
    "withdrawals_to_reconcile": CLAIM_TO_RECONCILE,
    "scheduled_deposits_to_collect": CLAIM_TO_COLLECT,
    "scheduled_deposits_to_reconcile": CLAIM_TO_RECONCILE_COLLECTIONS,
    "scheduled_deposits_to_credit": CLAIM_TO_CREDIT,
    "holds_to_expire": CLAIM_TO_EXPIRE,
}
TABLES = ("withdrawals", "scheduled_deposits", "holds")
LIMIT = 10
# No claim is delayed by the rate limit.
PARAMETERS = {
    "limit": LIMIT,
    "lease": timedelta(seconds=30),
    "offset": timedelta(),
    "calls": 1,
    "most": 1000.0,
    "per_s": 1000.0,
}
# After five executions a connection decides whether to keep a generic plan.
OFTEN = 6

_WALLETS = """
INSERT INTO currencies VALUES ('USD', 2);
INSERT INTO wallets (key, id, role, currency, owner, display_name, state, balance, held, overdraft_limit, sequence,
    last_time, create_time)
SELECT n, 'w' || n, 'ORDINARY', 'USD', '', '', 'ACTIVE', 0, 0, 0, 0, now(), now()
FROM generate_series(1, 1000) AS n
"""

# Of a hundred that are open one is due to be done, one is in doubt, one was left behind; the others wait, of deposits
# that only those due are queried.
_ORDERS = """
SELECT gen_random_uuid() AS id, 1 + mod(n * 7919, %(wallets)s) AS wallet, 1 AS amount, '' AS bank_account,
    '' AS description, at AS execute_time, now() AS create_time, now() AS update_time, state,
    CASE WHEN state <> 'SUCCEEDED' THEN at END AS next_attempt_time,
    CASE WHEN state = 'PROCESSING' THEN now() - interval '1 minute' END AS lease_until,
    0 AS fence, 0 AS inquiries, CASE WHEN state = 'SUCCEEDED' AND {collect} THEN 'ref' ELSE '' END AS bank_reference,
    '' AS attention
FROM generate_series(1::bigint, {count}) AS n,
    LATERAL (SELECT CASE WHEN mod(n, 100) < 3 THEN now() - n * interval '1 s' ELSE now() + n * interval '1 s' END)
        AS times (at),
    LATERAL (
        SELECT CASE
            WHEN %(ended)s THEN 'SUCCEEDED'
            WHEN mod(n, 100) = 1 AND {collect} THEN 'IN_DOUBT'
            WHEN mod(n, 100) = 2 AND {collect} THEN 'PROCESSING'
            ELSE 'SCHEDULED'
        END
    ) AS states (state)
"""
_COLUMNS = """id, wallet, amount, bank_account, description, execute_time, create_time, update_time, state,
    next_attempt_time, lease_until, fence, inquiries, bank_reference, attention"""
_WITHDRAWALS = f"INSERT INTO withdrawals ({_COLUMNS}) {_ORDERS.format(collect='true', count=often(50_000))}"
_DEPOSITS = """
INSERT INTO scheduled_deposits ({columns}, external_reference, collect, credit)
SELECT *, '', {collect}, CASE WHEN state = 'SUCCEEDED' THEN id END
FROM ({orders}) AS asked
"""
_COLLECTIONS, _CREDITS = (
    _DEPOSITS.format(columns=_COLUMNS, collect=collect, orders=_ORDERS.format(collect=collect, count=often(20_000)))
    for collect in ("true", "false")
)
_HOLDS = """
INSERT INTO holds (id, wallet, amount, captured, state, expire_time, description, create_time, update_time, fence)
SELECT gen_random_uuid(), 1 + mod(n * 7919, %(wallets)s), 1, 0, CASE WHEN %(ended)s THEN 'VOIDED' ELSE 'ACTIVE' END,
    CASE WHEN mod(n, 100) < 3 THEN now() - n * interval '1 s' ELSE now() + n * interval '1 s' END,
    '', now() - interval '1 day', now(), 0
FROM generate_series(1::bigint, %(holds)s::bigint) AS n
"""


@pytest.fixture
def owner(own_database: Database) -> Iterator[psycopg.Connection]:
    """Return the owner of a database with a thousand wallets; all rows are gone at the end.

    The test alone decides when the tables are analysed.
    """
    with psycopg.connect(own_database.url, autocommit=True) as connection:
        for table in TABLES:
            connection.execute(sql.SQL("ALTER TABLE {} SET (autovacuum_enabled = off)").format(sql.Identifier(table)))
        connection.execute(_WALLETS)
        connection.execute("ANALYZE wallets")
        yield connection
        connection.execute("TRUNCATE wallets, withdrawals, scheduled_deposits, holds CASCADE")


@pytest.fixture
def claimer(own_database: Database) -> Iterator[psycopg.Connection]:
    """Return a connection that plans claims as a scheduler's does."""
    with psycopg.connect(own_database.url, autocommit=True) as connection:
        connection.prepare_threshold = None  # the driver forgets all that is prepared when something is taken back
        for setting, value in CLAIMING.planner.items():
            connection.execute(sql.SQL("SET {} = {}").format(sql.Identifier(setting), sql.Literal(value)))
        yield connection


def write_all(owner: psycopg.Connection, *, ended: bool, wallets: int = 1000) -> None:
    """Write all orders and holds, open or ended. Nothing has moved for them."""
    with without_triggers(owner):
        for rows in (_WITHDRAWALS, _COLLECTIONS, _CREDITS, _HOLDS):
            owner.execute(rows.encode(), {"ended": ended, "wallets": wallets, "holds": often(10_000)})


def plan_claims(claimer: psycopg.Connection) -> None:
    """Have every claim planned again, as often as it takes to settle on a plan."""
    claimer.execute("DEALLOCATE ALL")
    for index, claim in CLAIMS.items():
        numbered = claim % {name: f"${number}" for number, name in enumerate(PARAMETERS, start=1)}
        types = "bigint, interval, interval, bigint, float8, float8"
        claimer.execute(f"PREPARE {index} ({types}) AS {numbered}".encode())
        for _ in range(OFTEN):
            plan_of(claimer, index)


def plan_of(claimer: psycopg.Connection, index: str) -> dict[str, Any]:
    """Claim, return how that was done, and take it back."""
    run = sql.SQL("EXPLAIN (ANALYZE, TIMING off, FORMAT json) EXECUTE {} ({})")
    with claimer.transaction(force_rollback=True):
        given = sql.SQL(", ").join(map(sql.Literal, PARAMETERS.values()))
        row = claimer.execute(run.format(sql.Identifier(index), given)).fetchone()
    assert row is not None
    return dict(row[0][0]["Plan"])


def assert_rows_read(claimer: psycopg.Connection, when: str) -> None:
    """Assert of every claim that it takes all that it may, by its own index, and looks at and sorts hardly more."""
    for index in CLAIMS:
        plan = plan_of(claimer, index)
        assert plan["Actual Rows"] == LIMIT, (when, index)
        paths = set()
        for node in nodes(plan):
            if node.get("Relation Name") in TABLES and node["Node Type"].endswith("Scan"):
                paths.add(node.get("Index Name", node["Node Type"]).removesuffix("_pkey"))
                looked_at = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
                # Orders in progress or abandoned are between those that are due.
                assert looked_at <= 2 * LIMIT, (when, index, node)
            if node["Node Type"].endswith("Sort"):
                assert node["Actual Rows"] <= LIMIT, (when, index, node)
        assert index in paths, (when, index, paths)
        assert paths <= {index, *TABLES}, (when, index, paths)


def test_claim_reads_about_as_many_rows_as_it_takes(owner: psycopg.Connection, claimer: psycopg.Connection) -> None:
    """Whether it was planned while there was nothing, or among all that there is."""

    plan_claims(claimer)
    write_all(owner, ended=False)
    assert_rows_read(claimer, "planned before anything was there")
    owner.execute("ANALYZE")
    assert_rows_read(claimer, "the tables were looked at")
    plan_claims(claimer)
    assert_rows_read(claimer, "planned by what there is")


@pytest.mark.parametrize("wallets", [1, 1000])
def test_claim_after_a_long_history_reads_about_as_many_rows_as_it_takes(
    owner: psycopg.Connection, claimer: psycopg.Connection, wallets: int
) -> None:
    """Tables in which all had ended when they were last looked at do not mislead it, be it all of one wallet's."""

    write_all(owner, ended=True, wallets=wallets)
    for table in TABLES:
        owner.execute(sql.SQL("VACUUM ANALYZE {}").format(sql.Identifier(table)))
    plan_claims(claimer)
    write_all(owner, ended=False, wallets=wallets)
    assert_rows_read(claimer, "planned while all had ended")
    plan_claims(claimer)
    assert_rows_read(claimer, "planned by what was known of what had ended")
