"""Plans: in a history of 180,000 entries a page, a statement and an instant cost what they cost in a short one.

A third of that where not everything is required.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import event

from tests.conftest import FAST
from tests.support.books import open_wallet
from tests.support.database import Cluster, Database
from tests.support.long_history import BEGAN, write_history
from tests.support.plans import nodes
from tests.support.toolchain import often
from wallet_core.bootstrap import open_app
from wallet_core.domain.model.wallet import WalletId
from wallet_core.domain.queries.filter import Field, parse_filter
from wallet_core.domain.queries.lists import (
    HOLD_FIELDS,
    SCHEDULED_DEPOSIT_FIELDS,
    TRANSACTION_FIELDS,
    WITHDRAWAL_FIELDS,
)
from wallet_core.settings import read_settings
from wallet_core.storage.connections.engine import READING
from wallet_core.storage.reads.pages import SCAN_WINDOW
from wallet_core.usecases.app import App

ALICE, OUTSIDE = WalletId("alice"), WalletId("system:external:USD")
COUNT = often(90_000)
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
MIDDLE = BEGAN + timedelta(microseconds=COUNT // 3)

HISTORY = {
    *("entries", "transactions", "transaction_labels", "withdrawals", "scheduled_deposits", "holds"),
}

# Statements as the driver gets them, with their parameters.
Asked = list[tuple[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def history(cluster: Cluster) -> Iterator[Database]:
    """Return a database with a long history, which is only read; what writes it is verified where it is shorter."""
    with cluster.clone(f"history_{uuid4().hex[:8]}") as database:
        yield database


@pytest.fixture(scope="module")
def owner(history: Database) -> Iterator[psycopg.Connection]:
    """Return a connection as the owner, with what the planner knows of the history."""
    with psycopg.connect(history.url, autocommit=True) as owner:
        yield owner


@pytest.fixture(scope="module")
def books(history: Database, owner: psycopg.Connection) -> Iterator[App]:
    """Return the core on books with a history that is long."""
    with open_app(read_settings(**{**FAST, "database_url": history.url}), name="tests") as app:
        open_wallet(app, ALICE)
        open_wallet(app, WalletId("bob"))
        write_history(owner, COUNT)
        owner.execute(ORDERS_AND_HOLDS, {"count": COUNT // 4, "began": BEGAN})
        owner.execute("ANALYZE")
        yield app


def asked_by(app: App, read: Callable[[], object]) -> Asked:
    """Return the statements that a read makes."""
    asked: Asked = []

    def note(*statement: Any) -> None:  # noqa: ANN401  # what SQLAlchemy passes
        if isinstance(statement[3], Mapping):  # and not a read of rows by their ids
            asked.append((statement[2], dict(statement[3])))

    event.listen(app.reads.engine, "before_cursor_execute", note)
    try:
        read()
    finally:
        event.remove(app.reads.engine, "before_cursor_execute", note)
    return asked


def plans(owner: psycopg.Connection, statement: str, parameters: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the plan of a statement as it is made for these parameters, and as it is made for any."""
    for setting, value in READING.planner.items():  # as the connections of reads have it
        owner.execute(sql.SQL("SET {} = {}").format(sql.Identifier(setting), sql.Literal(value)))
    numbers = {name: f"${number}" for number, name in enumerate(parameters, start=1)}
    owner.execute(f"PREPARE asked AS {statement % numbers}")
    values = sql.SQL(", ").join(map(sql.Literal, parameters.values()))
    given = sql.SQL("({})").format(values) if parameters else sql.SQL("")
    run = sql.SQL("EXPLAIN (ANALYZE, TIMING off, FORMAT json) EXECUTE asked {}").format(given)
    for mode in ("force_custom_plan", "force_generic_plan"):
        owner.execute(sql.SQL("SET plan_cache_mode = {}").format(sql.Literal(mode)))
        row = owner.execute(run).fetchone()
        assert row is not None
        yield row[0][0]["Plan"]
    owner.execute("DEALLOCATE asked")


def rows(node: dict[str, Any]) -> int:
    """Return how many rows a node has looked at."""
    return int((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])


def looked_at(owner: psycopg.Connection, asked: Asked) -> Iterator[tuple[str, dict[str, Any], int]]:
    """Yield the nodes of all plans of some statements that read history, or sort, with the rows that they look at."""
    for statement, parameters in asked:
        for plan in plans(owner, statement, parameters):
            for node in nodes(plan):
                if node.get("Relation Name") in HISTORY or node["Node Type"].endswith("Sort"):
                    yield statement, node, rows(node)


def check(owner: psycopg.Connection, what: object, asked: Asked) -> None:
    """Assert that nothing is scanned from end to end, and that no more is looked at or sorted than a scan window."""
    assert asked, what
    for statement, node, count in looked_at(owner, asked):
        assert node["Node Type"] != "Seq Scan", (what, statement)
        # PostgreSQL rounds the cost of one loop that it reports, up to twice the cost.
        assert count <= 2 * SCAN_WINDOW, (what, node["Node Type"], count, statement)


FILTERS = (
    "",
    "type = REVERSAL",
    "type = COLLECTION",
    'labels.tier = "gold"',
    "amount > 1000000",
    'state = REVERSED AND source = "wallets/alice"',
    "type = DEPOSIT AND amount > 1000000",
    'execute_time >= "2025-01-01T00:00:00.03Z" AND execute_time < "2025-01-01T00:00:00.06Z" AND amount = 3',
    'external_reference = "ref-77"',
    'caller = "rare" AND external_reference = "ref-77"',
    'caller = "shop" AND amount > 1000000',
)


ACROSS = (
    *FILTERS,
    'external_reference = "ref-77" AND caller = "rare" AND labels.tier = "gold"',
    'external_reference = "never"',
    'labels.tier = "gold" AND caller = "shop"',
    'labels.tier = "silver"',
    'caller = "shop"',
    'caller = "rare"',
    'caller = "nobody" AND amount = 3',
    'caller = "shop" AND execute_time < "2025-01-01T00:00:00.06Z"',
    'labels.tier = "gold" AND execute_time >= "2025-01-01T00:00:00.03Z"',
    'caller != "shop"',
)


def test_a_list_across_wallets_costs_no_more_than_a_scan_window(books: App, owner: psycopg.Connection) -> None:
    """First page and a middle one, whole and by each index; a value that is on nearly all rows, on few, on none."""

    for filter_, before, size in product(ACROSS, (None, (MIDDLE, UUID(int=0))), (50, 1000)):
        conditions = parse_filter(filter_, TRANSACTION_FIELDS)
        asked = asked_by(
            books,
            lambda: books.reads.list_all_transactions(size=size, before=before, conditions=conditions),  # noqa: B023  # called at once
        )
        check(owner, (filter_, before, size), asked)


def test_what_an_index_finds_is_on_the_first_page(books: App) -> None:
    """Ten among all: a scan through the list would take as many pages as it has windows."""

    for filter_ in ('caller = "rare"', 'external_reference = "ref-77"', 'labels.tier = "gold" AND caller = "shop"'):
        page = books.reads.list_all_transactions(
            size=5, before=None, conditions=parse_filter(filter_, TRANSACTION_FIELDS)
        )
        assert len(page.items) == 5, filter_


ORDERS_ACROSS = ("", 'caller = "shop"', 'caller = "rare"', 'caller = "nobody"', 'create_time < "2025-06-01T00:00:00Z"')


def test_lists_of_orders_and_holds_cost_no_more_than_a_scan_window(books: App, owner: psycopg.Connection) -> None:
    """By caller, by reference, by time; of all wallets, and of one that has nearly all of them."""

    reads = books.reads
    lists: dict[str, tuple[Callable[..., object], Mapping[str, Field], tuple[str, ...]]] = {
        "withdrawals": (reads.list_withdrawals, WITHDRAWAL_FIELDS, ()),
        "scheduled_deposits": (
            reads.list_scheduled_deposits,
            SCHEDULED_DEPOSIT_FIELDS,
            ('external_reference = "ref-7"', 'external_reference = "ref-7" AND caller = "rare"'),
        ),
        "holds": (reads.list_holds, HOLD_FIELDS, ()),
    }
    for what, (read, fields, more) in lists.items():
        for filter_, wallet, before in product((*ORDERS_ACROSS, *more), (None, ALICE), (None, (MIDDLE, UUID(int=0)))):
            conditions = parse_filter(filter_, fields)
            asked = asked_by(
                books,
                lambda: read(wallet=wallet, size=50, before=before, conditions=conditions),  # noqa: B023  # called at once
            )
            check(owner, (what, filter_, wallet, before), asked)
        (rare,) = [read(wallet=None, size=5, before=None, conditions=parse_filter('caller = "rare"', fields))]
        assert len(rare.items) == 5, what  # type: ignore[attr-defined]  # a page


ORDERS_AND_HOLDS = """
WITH made AS (
    SELECT gen_random_uuid() AS id, key, n, %(began)s + n * interval '1 microsecond' AS time,
        CASE WHEN mod(n, 1000) = 7 THEN 'rare' ELSE 'shop' END AS caller
    FROM wallets, generate_series(1, %(count)s::bigint) AS n
    WHERE wallets.id = 'alice'
), withdrawals_made AS (
    INSERT INTO withdrawals (id, wallet, amount, bank_account, description, execute_time, create_time, update_time,
        state, fence, inquiries, bank_reference, attention, caller)
    SELECT id, key, 1, '', '', time, time, time, 'CANCELLED', 0, 0, '', '', caller FROM made
), deposits_made AS (
    INSERT INTO scheduled_deposits (id, wallet, amount, collect, bank_account, description, external_reference,
        execute_time, create_time, update_time, state, fence, inquiries, bank_reference, attention, caller)
    SELECT id, key, 1, false, '', '', 'ref-' || mod(n, 100), time, time, time, 'CANCELLED', 0, 0, '', '', caller
    FROM made
)
INSERT INTO holds (id, wallet, amount, captured, description, state, expire_time, create_time, update_time, fence,
    caller)
SELECT id, key, 1, 0, '', 'VOIDED', time + interval '1 day', time, time, 0, caller FROM made
"""


def test_no_read_of_a_long_history_costs_more_than_a_scan_window(books: App, owner: psycopg.Connection) -> None:
    """Lists, first page and a middle one, whole, by type, by what must be looked at; statements; exports; instants."""

    reads = books.reads
    for filter_, before, (wallet, size) in product(
        FILTERS, (None, COUNT // 2), ((ALICE, 50), (ALICE, 1000), (OUTSIDE, 1000))
    ):
        conditions = parse_filter(filter_, TRANSACTION_FIELDS)
        asked = asked_by(
            books,
            lambda: reads.list_transactions(wallet, size=size, before=before, conditions=conditions),  # noqa: B023  # called at once
        )
        check(owner, (wallet, filter_, before, size), asked)
    for wallet, (start, end), size in product((ALICE, OUTSIDE), ((FIRST, LAST), (MIDDLE, LAST)), (50, 1000)):
        check(
            owner,
            (wallet, start, end, size),
            asked_by(books, lambda: reads.statement(wallet, start, end, size=size, first=None)),  # noqa: B023  # called at once
        )
    span = reads.span(ALICE, FIRST, LAST)
    assert span.after == COUNT + 1
    check(owner, "export", asked_by(books, lambda: reads.statement_entries(span, first=COUNT // 2, limit=1000)))
    # An instant is found by halving.
    for as_of in (FIRST, BEGAN, MIDDLE, BEGAN + timedelta(days=1)):
        found = asked_by(books, lambda: reads.wallet_at(ALICE, as_of))  # noqa: B023  # called at once
        assert sum(count for _, _, count in looked_at(owner, found)) <= 2 * 20, as_of
