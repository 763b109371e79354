"""Verify in a long history: a slice reads what belongs to its rows, whatever the planner knows of the tables."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from tests.conftest import FAST
from tests.support.books import open_wallet
from tests.support.database import Cluster
from tests.support.long_history import write_history
from tests.support.plans import nodes
from wallet_core.bootstrap import open_app
from wallet_core.domain.model.wallet import WalletId
from wallet_core.settings import read_settings
from wallet_core.storage.connections.engine import AUDITING
from wallet_core.storage.verify.checks import WALKS
from wallet_core.storage.verify.walks import Walk

COUNT = 20_000
SLICE = 100
# Rows that one part of a plan may read: for each row of the slice some entries, a record, a wallet.
READ_MAX = 10 * SLICE
# Of totals at every thousandth entry the entries since the one before are read.
BLOCK = 1000

GROWING = {walk.table: walk for walk in WALKS if walk.table in {"journal", "entries", "transactions"}}


@pytest.fixture(scope="module", params=["analyzed", "without statistics"])
def owner(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[psycopg.Connection]:
    """Return a connection with the settings of an audit to a database with a long history, which is only read."""
    with (
        cluster.clone(f"history_{uuid4().hex[:8]}") as database,
        psycopg.connect(database.url, autocommit=True) as owner,
        open_app(read_settings(**{**FAST, "database_url": database.url}), name="tests") as app,
    ):
        for wallet in ("alice", "bob"):
            open_wallet(app, WalletId(wallet))
        write_history(owner, COUNT)
        while app.journal.write(1000):
            pass
        if request.param == "analyzed":
            owner.execute("VACUUM ANALYZE")
        for name, value in AUDITING.planner.items():
            owner.execute(sql.SQL("SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
        yield owner


def prepared(owner: psycopg.Connection, walk: Walk) -> list[dict[str, Any]]:
    """Return the nodes of the plan of a slice in the middle, as it was executed."""
    places: dict[str, Any] = {"rows": COUNT // 2, "journal_end": COUNT * 10, "start": 0}
    first = owner.execute(walk.bound(after=False).encode(), places).fetchone()
    assert first is not None
    places |= walk.places("after", first) | {"rows": SLICE}
    last = owner.execute(walk.bound(after=True).encode(), places).fetchone()
    assert last is not None
    places |= walk.places("upto", last)
    names: list[str] = []

    def numbered(found: re.Match[str]) -> str:
        if found[1] not in names:
            names.append(found[1])
        return f"${names.index(found[1]) + 1}"

    statement = re.sub(r"%\((\w+)\)s", numbered, walk.statement(after=True, upto=True)).replace("%%", "%")
    owner.execute("DEALLOCATE ALL")
    owner.execute(f"PREPARE slice_of AS {statement}".encode())
    arguments = sql.SQL(", ").join(sql.Literal(places[name]) for name in names)
    executed = sql.SQL("EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE slice_of({})").format(arguments)
    ((plan,),) = owner.execute(executed).fetchall()
    return list(nodes(plan[0]["Plan"]))


@pytest.mark.parametrize("table", GROWING)
def test_a_slice_reads_no_more_than_what_belongs_to_its_rows(owner: psycopg.Connection, table: str) -> None:
    """No part of its plan reads a whole table."""

    read = {
        f"{node['Node Type']} {node.get('Relation Name', '')}": rows_of(node)
        for node in prepared(owner, GROWING[table])
        if "Relation Name" in node
    }

    assert read
    most = READ_MAX + (BLOCK if table == "entries" else 0)
    assert {name: rows for name, rows in read.items() if rows > most} == {}


def rows_of(node: dict[str, Any]) -> int:
    """Return how many rows a node has read."""
    removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return int((node["Actual Rows"] + removed) * node["Actual Loops"])
