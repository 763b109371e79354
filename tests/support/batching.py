"""Commands in one batch, and the locks that a batch meets."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg

from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decision import Done
from wallet_core.domain.model.errors import WalletError
from wallet_core.domain.model.wallet import WalletId
from wallet_core.usecases.app import App


@contextmanager
def locked(url: str, wallet: WalletId) -> Iterator[psycopg.Connection]:
    """Hold a wallet's row lock in a transaction of another session."""
    with psycopg.connect(url) as other:
        other.execute("SELECT FROM wallets WHERE id = %s FOR UPDATE", [wallet])
        yield other
        other.rollback()


def waiting_backends(url: str) -> list[int]:
    """Return the backends of this database that wait for a lock."""
    with psycopg.connect(url, autocommit=True) as connection:
        rows = connection.execute(
            """
            SELECT pid FROM pg_stat_activity
            WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0
            ORDER BY pid
            """
        ).fetchall()
    return [pid for (pid,) in rows]


def post_as_one_batch(app: App, commands: Sequence[Command]) -> list[Done | WalletError]:
    """Post *commands* in one batch, in this order; return their outcomes."""
    return app.ledger.post_all(commands)
