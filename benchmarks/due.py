"""A million scheduled withdrawals, written as rows past the service, and what one claim among them reads.

The rows are right: nothing has moved for a withdrawal that is scheduled, so the books are those of its wallets.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier, Literal

from wallet_core.storage.connections.engine import CLAIMING
from wallet_core.storage.scheduling.claims import CLAIM_TO_PAY

# Spread over the wallets, and over the times in another order than that of the rows, as callers' wishes are.
_WITHDRAWALS = """
INSERT INTO withdrawals (id, wallet, amount, bank_account, description, execute_time, create_time, update_time, state,
    next_attempt_time, fence, inquiries, bank_reference, attention)
SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, keys[1 + mod(n, cardinality(keys))], 1,
    'account', '', at, now(), now(), 'SCHEDULED', at, 0, 0, '', ''
FROM (SELECT array_agg(key ORDER BY key) AS keys FROM wallets WHERE role = 'ORDINARY') AS owners,
    generate_series(%(first)s::bigint, %(first)s::bigint + %(count)s - 1) AS n,
    LATERAL (SELECT now() + %(start)s + %(span)s * (mod(n * 7919, %(count)s)::float8 / %(count)s)) AS times (at)
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one claim has read and how long it took."""

    claimed: int
    rows: int
    """Of withdrawals, looked at to find those."""
    pages: int
    """Touched in all, also to write."""
    ms: float
    paths: frozenset[str]
    """How withdrawals are found: by indexes, or by a scan."""


def write_waiting(owner: psycopg.Connection, count: int) -> None:
    """Write withdrawals that become due between a day and a month from now."""
    _write(owner, 0, count, timedelta(days=1), timedelta(days=29))


def write_due(owner: psycopg.Connection, first: int, count: int) -> None:
    """Write withdrawals that have become due in the last hour, the *first* of them with that number."""
    _write(owner, first, count, timedelta(hours=-1), timedelta(hours=1))


def delete_due(owner: psycopg.Connection) -> None:
    """Delete what is due, as if it had never been."""
    owner.execute("DELETE FROM withdrawals WHERE state = 'SCHEDULED' AND next_attempt_time <= now()")


def _write(owner: psycopg.Connection, first: int, count: int, start: timedelta, span: timedelta) -> None:
    with owner.transaction():
        owner.execute("SET LOCAL session_replication_role = replica")  # the wallets are there: they are selected
        owner.execute(_WITHDRAWALS, {"first": first, "count": count, "start": start, "span": span})


def explained_claim(owner: psycopg.Connection, limit: int) -> Reading:
    """Claim as a scheduler does, look at how that was done, and take it back."""
    asked = {"limit": limit, "lease": timedelta(seconds=30), "offset": timedelta(), "calls": 1}
    with owner.transaction(force_rollback=True):
        for setting, value in CLAIMING.planner.items():
            owner.execute(SQL("SET LOCAL {} = {}").format(Identifier(setting), Literal(value)))
        explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {CLAIM_TO_PAY}"
        row = owner.execute(explain.encode(), {**asked, "most": limit, "per_s": limit}).fetchone()
    if row is None:
        raise RuntimeError("nothing was explained")
    plan, ms = row[0][0]["Plan"], row[0][0]["Execution Time"]
    scans = [
        node for node in _nodes(plan) if node.get("Relation Name") == "withdrawals" and "Scan" in node["Node Type"]
    ]
    return Reading(
        claimed=sum(round(node["Actual Rows"]) for node in _nodes(plan) if node.get("Subplan Name") == "CTE claimed"),
        rows=sum(round(_looked_at(node)) for node in scans if node.get("Index Name") != "withdrawals_pkey"),
        pages=plan["Shared Hit Blocks"] + plan["Shared Read Blocks"],
        ms=ms,
        paths=frozenset(node.get("Index Name", node["Node Type"]) for node in scans),
    )


def _looked_at(node: dict[str, Any]) -> float:
    return float((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)
