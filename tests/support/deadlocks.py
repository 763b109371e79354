"""Whether the database had to break a deadlock."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tests.support.database import SHARED_NAME
from walletctl.local.waiting import wait_until


@contextmanager
def no_deadlock(owner: psycopg.Connection) -> Iterator[None]:
    """Check that no deadlock is reported meanwhile; the service's connections must be closed before the end."""

    def reported() -> int:
        owner.execute("SELECT pg_stat_clear_snapshot()")
        row = owner.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
        assert row is not None
        return int(row[0])

    def alone() -> bool:
        query = """
            SELECT count(*)
            FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name <> %s
        """
        return owner.execute(query, [SHARED_NAME]).fetchone() == (0,)

    # Connections report their deadlocks when they end, at the latest.
    assert wait_until(alone, timeout_s=30)
    before = reported()
    yield
    assert wait_until(alone, timeout_s=30)
    assert reported() == before
