"""Commands that meet in one batch: the ledger is blocked by a locked wallet while they are queued."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import psycopg

from tests.support.books import deposit
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decision import Done
from wallet_core.domain.model.wallet import WalletId
from wallet_core.usecases.app import App
from walletctl.local.waiting import wait_until

GATE = WalletId("gate")


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


def post_as_one_batch(app: App, url: str, commands: Sequence[Command]) -> list[Done | Exception]:
    """Post *commands* so that they are one batch, in this order; return their outcomes. Needs a wallet ``gate``."""
    with ThreadPoolExecutor(len(commands) + 1) as pool:
        with locked(url, GATE):
            held_up = pool.submit(deposit, app, GATE, 1)
            assert wait_until(lambda: bool(waiting_backends(url)), timeout_s=30)
            futures = []
            for number, command in enumerate(commands, start=1):
                futures.append(pool.submit(_outcome, app, command))
                assert wait_until(partial(_is_queued, app, number), timeout_s=10, poll_s=0.001)
        held_up.result(30)
        return [future.result(30) for future in futures]


def _is_queued(app: App, number: int) -> bool:
    return len(app.ledger._queue._queue) == number  # noqa: SLF001  # its length is not public


def _outcome(app: App, command: Command) -> Done | Exception:
    try:
        return app.ledger.post(command)
    except Exception as error:  # noqa: BLE001  # what a call raises is its outcome
        return error
