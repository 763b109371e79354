"""Database errors as the ledger understands them. No driver exception leaves this room.

Told apart by SQLSTATE, never by message text: by the whole of it, else by its class, which is its first two characters.
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

    def __init__(self, told: ServiceError) -> None:
        super().__init__()
        self.told = told
        """What its callers hear if nothing better can be had."""


class BatchBlocked(BatchError):
    """A row stayed locked by somebody else for too long; nothing was stored."""


class BatchRefused(BatchError):
    """The database refused the batch, for one call in it or for a race it lost; nothing was stored."""


class DatabaseLost(BatchError):
    """The database cannot be reached, went away, or cannot serve: its connections are of no more use."""

    def __init__(self, *, may_be_stored: bool) -> None:
        super().__init__(DatabaseUnavailable() if may_be_stored else DatabaseNotServing())
        self.may_be_stored = may_be_stored
        """Whether COMMIT was sent, so that the batch may be stored."""


class PoolExhausted(BatchError):
    """No connection was free in time; nothing was stored."""

    def __init__(self) -> None:
        super().__init__(ServerOverloaded())


class Means(Enum):
    """What an SQLSTATE means for the batch that it struck."""

    BLOCKED = auto()
    """Somebody else holds a row."""
    RACE = auto()
    """It ends well when the same batch runs once more."""
    UNABLE = auto()
    """The server cannot serve, whatever it is asked: another one may, or the same one later."""
    DEFECT = auto()
    """Ours, or of the books: it stays INTERNAL, with a traceback for the operators."""


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
    """Return what an SQLSTATE means: the longest of its beginnings that stands in the table says it."""
    begins = (sqlstate[:size] for size in range(len(sqlstate), 1, -1))
    return next((SQLSTATES[begin] for begin in begins if begin in SQLSTATES), Means.DEFECT)


def still_answers_reads(error: psycopg.Error) -> bool:
    """Tell whether the server may answer reads all the same: its disk is full, or fails."""
    return (error.sqlstate or "").startswith(("53", "58"))


def batch_error(error: psycopg.Error, *, may_be_stored: bool = False) -> BatchError:
    """Return what a driver error means for the batch it struck; *may_be_stored*: its COMMIT had been sent."""
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
    # The driver's own, without a word of the server: the connection broke, cannot be made, or the answer cannot be read
    # (InternalError), as a pooler's whose server ended.
    is_lost = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError | psycopg.InternalError)
    return Means.UNABLE if is_lost else Means.DEFECT


@contextmanager
def served() -> Iterator[None]:
    """Tell the database's trouble as ours, outside of batches."""
    try:
        yield
    except BatchError as error:
        raise error.told from error
