"""The check of new entries looks each of them up, with any statistics of the planner."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg

from tests.support.books import open_wallet
from tests.support.plans import nodes
from wallet_core.domain.model.wallet import WalletId
from wallet_core.usecases.app import App

# Many rows, nearly all of them deleted, then counted: the planner believes in one row on a few hundred pages.
MISLEAD = """
ALTER TABLE entries DISABLE TRIGGER entries_checked;
INSERT INTO entries (wallet, sequence, transaction, amount, balance_after, time, type)
SELECT -1, n, gen_random_uuid(), 1, n, now(), 'DEPOSIT' FROM generate_series(1, 30000) AS n;
ALTER TABLE entries ENABLE TRIGGER entries_checked;
SET session_replication_role = replica;
DELETE FROM entries WHERE wallet = -1;
SET session_replication_role = origin;
ANALYZE entries, wallets;
"""

EXPLAIN = """
LOAD 'auto_explain';
SET auto_explain.log_min_duration = 0;
SET auto_explain.log_nested_statements = on;
SET auto_explain.log_format = json;
SET auto_explain.log_level = notice;
"""

# A thousand deposits in one statement each, as a large commit stores them.
MOVE = """
UPDATE wallets
SET balance = balance + way * 1000, sequence = sequence + 1000, last_time = now()
FROM (VALUES ('alice', 1), ('system:external:USD', -1)) AS ends (id, way)
WHERE wallets.id = ends.id;
INSERT INTO entries (wallet, sequence, transaction, amount, balance_after, time, type)
SELECT key, sequence - 1000 + n, lpad(n::text, 32, '0')::uuid, way, balance - 1000 * way + n * way, now(), 'DEPOSIT'
FROM wallets
JOIN (VALUES ('alice', 1), ('system:external:USD', -1)) AS ends (id, way) ON wallets.id = ends.id
CROSS JOIN generate_series(1, 1000) AS n;
"""


def plans(owner: psycopg.Connection) -> Iterator[dict[str, Any]]:
    """Yield the plans of the statements that the trigger ran."""
    results: list[str] = []

    def note(diagnostic: psycopg.errors.Diagnostic) -> None:
        results.append(diagnostic.message_primary or "")

    owner.execute(EXPLAIN)
    owner.add_notice_handler(note)
    try:
        with owner.transaction(force_rollback=True):
            owner.execute(MOVE)
    finally:
        owner.remove_notice_handler(note)
    for one in results:
        _, _, explained = one.partition("plan:\n")
        if explained and "FROM fresh" in (plan := json.loads(explained))["Query Text"]:
            yield plan["Plan"]


def test_each_new_entry_is_looked_up_by_its_key_when_the_tables_seem_empty(app: App, owner: psycopg.Connection) -> None:
    """No index is read whole, and nothing is kept to be gone through once for each entry."""

    open_wallet(app, WalletId("alice"), 5)
    owner.execute(MISLEAD)

    used = [node for plan in plans(owner) for node in nodes(plan)]

    assert sorted((node["Index Name"], node["Index Cond"]) for node in used if "Index Name" in node) == [
        ("entries_pkey", "((wallet = fresh.wallet) AND (sequence = (fresh.sequence + 1)))"),
        ("entries_pkey", "((wallet = fresh.wallet) AND (sequence = (fresh.sequence - 1)))"),
        ("wallets_pkey", "(key = fresh.wallet)"),
        ("wallets_pkey", "(key = fresh.wallet)"),
    ]
    assert not {"Materialize", "Hash", "Seq Scan"} & {node["Node Type"] for node in used}
