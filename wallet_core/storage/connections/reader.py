"""How reads are run: each of one instant, locking nothing, with the database's trouble told as ours."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import psycopg
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from wallet_core.deadline import time_remaining
from wallet_core.domain.model.errors import (
    DatabaseUnavailable,
    LedgerBroken,
    ResourceNotFound,
    ServerOverloaded,
    ServiceError,
    TransactionConflict,
)
from wallet_core.domain.model.wallet import WalletId, wallet_name
from wallet_core.storage.errors import batch_error

Result = TypeVar("Result")
Seen = TypeVar("Seen")

_WALLET_KEY = text("SELECT key FROM wallets WHERE id = :id")

# Statement timeouts; who waits longer than the longest is held to what the connection was opened with.
_STEPS_MS = (100, 250, 500, 1000, 2000, 4000, 8000)
_STEP = "statement_timeout_ms"
_SET_STEP = """
SELECT set_config(
    'statement_timeout',
    coalesce(least(%(wanted)s::bigint, nullif(current_setting('wallet.statement_timeout')::bigint, 0)), 0)::text,
    false
)
"""


@dataclass(frozen=True)
class Reader:
    """Reads from a database. Raises ``ResourceNotFound``, or ``ServiceError`` where the database fails."""

    engine: Engine

    def read(self, read: Callable[[Connection], Result]) -> Result:
        """Run a read; once more where the pool's connection turns out to be of a server that went away."""
        return self._run(lambda tx: _of_one_instant(tx, read))

    def read_after(self, look: Callable[[Connection], Seen], read: Callable[[Connection, Seen], Result]) -> Result:
        """Run a read, given what *look* has seen: one statement, which ends before the read's snapshot is taken."""

        def both(tx: Connection) -> Result:
            seen = look(tx.execution_options(isolation_level="AUTOCOMMIT"))
            tx.commit()
            return _of_one_instant(tx, lambda tx: read(tx, seen))

        return self._run(both)

    def _run(self, read: Callable[[Connection], Result]) -> Result:
        try:
            return self._run_once(read)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise _told(error) from error.orig
        try:
            return self._run_once(read)
        except DBAPIError as error:
            raise _told(error) from error.orig

    def _run_once(self, read: Callable[[Connection], Result]) -> Result:
        try:
            with self.engine.connect() as tx:
                _apply_time_remaining(tx)
                return read(tx)
        except PoolTimeout:
            raise ServerOverloaded from None


def _of_one_instant(tx: Connection, read: Callable[[Connection], Result]) -> Result:
    """Run a read with one snapshot for all its statements, taken by the first of them."""
    return read(tx.execution_options(isolation_level="REPEATABLE READ"))


def _apply_time_remaining(tx: Connection) -> None:
    """Have the database give up what its caller will not wait for.

    In steps, which a connection keeps: most callers wait equally long, and to say so each time costs a round trip.
    """
    left_s = time_remaining()
    wanted = None if left_s is None else next((step for step in _STEPS_MS if step >= left_s * 1000), None)
    if tx.info.get(_STEP) != wanted:
        tx.exec_driver_sql(_SET_STEP, {"wanted": wanted})
        tx.commit()
        tx.info[_STEP] = wanted


def wallet_key(tx: Connection, wallet: WalletId) -> int:
    """Return the key of a wallet that must exist."""
    key = tx.execute(_WALLET_KEY, {"id": wallet}).scalar_one_or_none()
    if key is None:
        raise ResourceNotFound(wallet_name(wallet))
    return int(key)


def _told(error: DBAPIError) -> ServiceError:
    """Return what a failed read means: the database's trouble, or a defect of ours."""
    told = batch_error(error.orig).told if isinstance(error.orig, psycopg.Error) else LedgerBroken()
    # A read conflicts with nobody: what it waited for in vain was the database.
    return DatabaseUnavailable() if isinstance(told, TransactionConflict) else told
