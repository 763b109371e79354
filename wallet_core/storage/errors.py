"""Database errors as the ledger understands them. No driver exception leaves this room.

Told apart by SQLSTATE class, never by message text.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors as pg

from wallet_core.domain.errors import (
    DatabaseUnavailable,
    LedgerBroken,
    NotServed,
    ServerOverloaded,
    TransactionConflict,
)


class BatchError(Exception):
    """A batch was not stored, or it is not known whether it was."""

    def __init__(self, told: NotServed) -> None:
        super().__init__()
        self.told = told
        """What its callers hear if nothing better can be had."""


class BatchBlocked(BatchError):
    """A row stayed locked by somebody else for too long; nothing was stored."""


class BatchRefused(BatchError):
    """The database refused the batch, for one call in it or for a race it lost; nothing was stored."""


class DatabaseLost(BatchError):
    """The database cannot be reached, or went away: if that was during COMMIT, the batch may be stored."""


class PoolExhausted(BatchError):
    """No connection was free in time; nothing was stored."""

    def __init__(self) -> None:
        super().__init__(ServerOverloaded())


# Races that end well when the same batch runs once more.
_RACES = (
    pg.UniqueViolation,
    pg.DeadlockDetected,
    pg.SerializationFailure,
    pg.QueryCanceled,
    pg.IdleInTransactionSessionTimeout,
)
_LOST = (psycopg.OperationalError, psycopg.InterfaceError)


def batch_error(error: psycopg.Error) -> BatchError:
    """Return what a driver error means for the batch it struck."""
    if isinstance(error, pg.LockNotAvailable):
        return BatchBlocked(TransactionConflict())
    if isinstance(error, _RACES):
        return BatchRefused(TransactionConflict())
    if isinstance(error, _LOST) and not isinstance(error, pg.DiskFull):
        return DatabaseLost(DatabaseUnavailable())
    return BatchRefused(LedgerBroken())


@contextmanager
def served() -> Iterator[None]:
    """Tell the database's trouble as ours, outside of batches."""
    try:
        yield
    except BatchError as error:
        raise error.told from error
