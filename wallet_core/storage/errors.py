"""Database errors as the ledger handles them. No driver exception leaves the storage.

Errors are classified by SQLSTATE, never by message text: by all of it, or by its class, which is its first two
characters.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto

import psycopg

from wallet_core.domain.model.errors import (
    DatabaseNotServing,
    DatabaseUnavailable,
    LedgerBroken,
    ServerOverloaded,
    ServiceError,
    TransactionConflict,
)


class BatchError(Exception):
    """A batch was not stored, or it is not known whether it was."""

    def __init__(self, error: ServiceError) -> None:
        super().__init__()
        self.error = error
        """The error for its callers, if no retry succeeds."""


class BatchBlocked(BatchError):
    """Another transaction kept a lock for too long; nothing was stored."""


class BatchRefused(BatchError):
    """The database refused the batch, because of one call in it or a lost race; nothing was stored."""


class DatabaseLost(BatchError):
    """The database cannot be reached, was lost, or cannot serve: its connections must be closed."""

    def __init__(self, *, may_be_stored: bool) -> None:
        super().__init__(DatabaseUnavailable() if may_be_stored else DatabaseNotServing())
        self.may_be_stored = may_be_stored
        """Whether COMMIT was sent, so that the batch may be stored."""


class PoolExhausted(BatchError):
    """No connection was free in time; nothing was stored."""

    def __init__(self) -> None:
        super().__init__(ServerOverloaded())


class Means(Enum):
    """What an SQLSTATE means for its batch."""

    BLOCKED = auto()
    """Another transaction has locked a row."""
    RACE = auto()
    """The same batch succeeds when it runs once more."""
    UNABLE = auto()
    """The server cannot serve any request; another server may, or the same one later."""
    DEFECT = auto()
    """A defect of the code or of the data: INTERNAL to callers, with a traceback in the log."""


SQLSTATES = {
    "08": Means.UNABLE,  # connection exceptions, a pooler's too
    "23505": Means.RACE,  # unique_violation: the winner's record is seen at the next try
    "25006": Means.UNABLE,  # read_only_sql_transaction: a standby, or a primary that was fenced off
    "25P03": Means.RACE,  # idle_in_transaction_session_timeout: this process was frozen
    "25P04": Means.RACE,  # transaction_timeout: the same
    "28": Means.UNABLE,  # invalid authorization: found when a connection is made
    "3D000": Means.UNABLE,  # invalid_catalog_name: the same
    "40001": Means.RACE,  # serialization_failure; a read that a standby's replay has cancelled
    "40P01": Means.RACE,  # deadlock_detected
    "53": Means.UNABLE,  # insufficient resources: disk full, out of memory, too many connections
    "55P03": Means.BLOCKED,  # lock_not_available: the lock timeout
    "57014": Means.RACE,  # query_canceled: the statement timeout
    "57P": Means.UNABLE,  # operator intervention: shutting down, starting up, in recovery, database dropped
    "58": Means.UNABLE,  # system errors: the disk's input or output failed
}


def meaning(sqlstate: str) -> Means:
    """Return what an SQLSTATE means, by the longest prefix of it that is in the table."""
    begins = (sqlstate[:size] for size in range(len(sqlstate), 1, -1))
    return next((SQLSTATES[begin] for begin in begins if begin in SQLSTATES), Means.DEFECT)


def still_answers_reads(error: psycopg.Error) -> bool:
    """Return whether the server may still answer reads: its disk is full or fails."""
    return (error.sqlstate or "").startswith(("53", "58"))


def batch_error(error: psycopg.Error, *, may_be_stored: bool = False) -> BatchError:
    """Return what a driver error means for its batch; *may_be_stored*: its COMMIT had been sent."""
    match _meaning(error):
        case Means.BLOCKED:
            return BatchBlocked(TransactionConflict())
        case Means.RACE:
            return BatchRefused(TransactionConflict())
        case Means.UNABLE:
            return DatabaseLost(may_be_stored=may_be_stored)
        case Means.DEFECT:
            return BatchRefused(LedgerBroken())


def _meaning(error: psycopg.Error) -> Means:
    if error.sqlstate is not None:
        return meaning(error.sqlstate)
    # An error of the driver itself: the connection broke or cannot be made, or its answer cannot be read
    # (InternalError), like that of a pooler whose server has ended.
    is_lost = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError | psycopg.InternalError)
    return Means.UNABLE if is_lost else Means.DEFECT


@contextmanager
def served() -> Iterator[None]:
    """Raise database errors as ``ServiceError``, outside of batches."""
    try:
        yield
    except BatchError as error:
        raise error.error from error
