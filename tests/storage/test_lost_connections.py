"""A server that went away takes all its connections with it: none of before is used again, none is left open."""

import gc
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from tests.support.database import Database
from wallet_core.storage.connections.engine import Engine, Limits, open_engine, transaction
from wallet_core.storage.errors import DatabaseLost
from walletctl.local.waiting import wait_until

LIMITS = Limits(
    pool_size=4,
    pool_timeout_s=1.0,
    connect_timeout_s=3,
    lock_timeout_s=1.0,
    statement_timeout_s=10.0,
    idle_in_transaction_timeout_s=10.0,
    transaction_timeout_s=12.0,
)
NAME = "lost-connections"
OURS = "SELECT pid FROM pg_stat_activity WHERE application_name = %s"


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """Return an engine of its own."""
    engine = open_engine(database.url, LIMITS, name=NAME)
    yield engine
    engine.dispose()


def pid_of(engine: Engine) -> int:
    """Return which backend answers."""
    with transaction(engine) as tx:
        return tx.info.backend_pid


def cut(owner: psycopg.Connection, *pids: int) -> None:
    """End backends, and wait until they are gone."""
    for pid in pids:
        owner.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def be_cut(engine: Engine, owner: psycopg.Connection) -> None:
    """Meet the end of one's own connection."""
    with transaction(engine) as tx:
        cut(owner, tx.info.backend_pid)
        tx.execute("SELECT 1")


def test_a_connection_in_use_elsewhere_is_closed_on_its_next_checkout(
    engine: Engine, owner: psycopg.Connection
) -> None:
    """One of two connections is cut; the other, under way then, ends its work, and neither is met again."""

    with transaction(engine) as under_way:
        with pytest.raises(DatabaseLost):
            be_cut(engine, owner)
        before = under_way.info.backend_pid
        assert under_way.execute("SELECT 1").fetchone() == (1,)
    with transaction(engine) as one, transaction(engine) as other:
        after = {one.info.backend_pid, other.info.backend_pid}
    gc.collect()

    assert before not in after
    # A backend ends a moment after its connection was closed.
    assert wait_until(lambda: {pid for (pid,) in owner.execute(OURS, [NAME]).fetchall()} == after, timeout_s=30)


def test_the_next_caller_meets_none_of_the_other_cut_connections(engine: Engine, owner: psycopg.Connection) -> None:
    """A restart cuts them all: one call fails by it, and no other."""

    with transaction(engine), transaction(engine), transaction(engine):
        pass
    cut(owner, *(pid for (pid,) in owner.execute(OURS, [NAME]).fetchall()))
    with pytest.raises(DatabaseLost), transaction(engine) as tx:
        tx.execute("SELECT 1")

    for _ in range(LIMITS.pool_size * 2):
        assert pid_of(engine)


def test_an_unreachable_server_is_reported() -> None:
    """Also by a pool that never had a connection."""

    nowhere = open_engine("postgresql://nobody@127.0.0.1:1/nowhere", replace(LIMITS, connect_timeout_s=1), name=NAME)
    with pytest.raises(DatabaseLost), transaction(nowhere):
        pass
    nowhere.dispose()
