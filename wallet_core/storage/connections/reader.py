"""How reads run: each of one instant, without locks, with database errors raised as ``ServiceError``."""

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
Looked = TypeVar("Looked")

_WALLET_KEY = text("SELECT key FROM wallets WHERE id = :id")

# Statement timeouts; a caller with more time than the longest gets the connection's own.
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
        """Run a read; once more where the pooled connection is lost, or its prepared statement is out of date."""
        return self._run(lambda tx: _of_one_instant(tx, read))

    def read_after(self, look: Callable[[Connection], Looked], read: Callable[[Connection, Looked], Result]) -> Result:
        """Run a read with the result of *look*: one statement, which ends before the read's snapshot is taken."""

        def both(tx: Connection) -> Result:
            looked = look(tx.execution_options(isolation_level="AUTOCOMMIT"))
            tx.commit()
            return _of_one_instant(tx, lambda tx: read(tx, looked))

        return self._run(both)

    def _run(self, read: Callable[[Connection], Result]) -> Result:
        try:
            return self._run_once(read)
        except DBAPIError as error:
            if not (error.connection_invalidated or _is_out_of_date(error)):
                raise _service_error(error) from error.orig
        try:
            return self._run_once(read)
        except DBAPIError as error:
            raise _service_error(error) from error.orig

    def _run_once(self, read: Callable[[Connection], Result]) -> Result:
        try:
            with self.engine.connect() as tx:
                _apply_time_remaining(tx)
                result = read(tx)
                tx.commit()  # after a rollback the driver would forget its prepared statements
                return result
        except PoolTimeout:
            raise ServerOverloaded from None


def _of_one_instant(tx: Connection, read: Callable[[Connection], Result]) -> Result:
    """Run a read with one snapshot for all its statements, taken by the first of them."""
    return read(tx.execution_options(isolation_level="REPEATABLE READ"))


def _apply_time_remaining(tx: Connection) -> None:
    """Set the statement timeout to the caller's time remaining.

    In steps, which a connection keeps: most callers have equal deadlines, and setting it costs a round trip.
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


def _is_out_of_date(error: DBAPIError) -> bool:
    """Return whether a table was changed since the statement was prepared; the next try prepares it anew."""
    return isinstance(error.orig, psycopg.errors.FeatureNotSupported)


def _service_error(error: DBAPIError) -> ServiceError:
    """Return what a failed read means: the database failed, or the code has a defect."""
    result = batch_error(error.orig).error if isinstance(error.orig, psycopg.Error) else LedgerBroken()
    # A read has no conflicts: what it waited for in vain was the database.
    return DatabaseUnavailable() if isinstance(result, TransactionConflict) else result
