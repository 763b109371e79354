"""Connections: pooled, acting as the service's role, with their limits set and nothing inherited."""

import weakref
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import inf
from time import monotonic
from typing import Any, cast

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo
from sqlalchemy import Dialect, create_engine, event
from sqlalchemy import Engine as Engine  # noqa: PLC0414  # handed around by rooms that speak no SQL
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError, InvalidRequestError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from wallet_core.domain.model.errors import DatabaseNotReady, LedgerBroken
from wallet_core.storage.connections.session import LONGEST_MS, bounds_transactions, close_quietly, options_in, set_up
from wallet_core.storage.errors import (
    BatchError,
    BatchRefused,
    DatabaseLost,
    PoolExhausted,
    batch_error,
    still_answers_reads,
)

Tx = psycopg.Connection[tuple[Any, ...]]
Cursor = psycopg.Cursor[tuple[Any, ...]]

# Statements of a pipeline, each with the number of rows that it must have written.
Expected = list[tuple[Cursor, int]]

SERVICE_ROLE = "wallet_service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Timeouts of a connection. Values come from the settings, which explain them."""

    pool_size: int
    pool_timeout_s: float
    connect_timeout_s: int
    lock_timeout_s: float
    statement_timeout_s: float
    idle_in_transaction_timeout_s: float
    transaction_timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What connections are for: planner settings, and what is unusual about them."""

    planner: Mapping[str, str]
    autocommit: bool = False
    """Whether every statement is a transaction of its own: a frozen process keeps no lock."""
    is_bounded: bool = True
    """Whether statements, transactions and waits for locks end in time."""


ANYTHING = Use(planner={})
# Reads have keys. The planner guesses that a filter lets few rows through, and then prefers one scan of a whole table
# to many look-ups; the scan is slower, the more so the longer the history is. For the same reason it would collect all
# rows of a wallet or a caller in a bitmap and sort them, where an index has them in the list's order.
READING = Use(
    planner={
        "enable_seqscan": "off",
        "enable_bitmapscan": "off",
        "enable_hashjoin": "off",
        "enable_mergejoin": "off",
        # The plan is always the same, and planning costs as much as execution. Left to itself PostgreSQL plans a
        # statement with an array each time: it guesses ten elements, and finds that a plan for fewer is cheaper.
        "plan_cache_mode": "force_generic_plan",
    }
)
# A batch looks up the rows that its commands need by their keys, too.
POSTING = Use(planner=READING.planner)
# Due work is found in the order of an index. Where nothing was open at the last ANALYZE, the planner prefers to read
# and sort everything open, which is slower with a million open orders.
CLAIMING = Use(planner={**READING.planner, "enable_sort": "off"}, autocommit=True)
# An audit looks up what belongs to the rows of a slice by index, whatever old statistics say of the tables' sizes, and
# keeps the slice in memory. The plan of each slice of a table is the same.
AUDITING = Use(
    planner={
        "enable_seqscan": "off",
        "enable_mergejoin": "off",
        "work_mem": "64MB",
        "plan_cache_mode": "force_generic_plan",
    },
    is_bounded=False,
)
# NOTIFY and LISTEN; a listener's connection waits for as long as it takes.
WAKING = Use(planner={}, autocommit=True, is_bounded=False)
# A migration may take any time, and waits for another one.
MIGRATING = Use(planner={}, is_bounded=False)

_KEEPALIVE_IDLE_S, _KEEPALIVE_INTERVAL_S, _KEEPALIVES = 5, 2, 3
_UNHEARD_MS = 10_000


def open_engine(
    url: str,
    limits: Limits,
    *,
    name: str,
    role: str | None = SERVICE_ROLE,
    use: Use = ANYTHING,
) -> Engine:
    """Return an engine whose connections act as *role* whatever login the URL names; None stays the login.

    Raises ValueError as ``parse_url`` does, and where the URL's options name what is set here.
    """
    found = parse_url(url)
    ours = _settings(limits, use, role)
    theirs = dict(options_in(found.pop("options", "")))
    if both := sorted((theirs.keys() | found.keys() & {"client_encoding"}) & {name.lower() for name in ours}):
        raise ValueError(f"sets {', '.join(both)}, which the service sets itself: take it out")
    engine = create_engine(
        "postgresql+psycopg://",
        pool_size=limits.pool_size,
        max_overflow=0,
        pool_timeout=limits.pool_timeout_s,
        isolation_level="AUTOCOMMIT" if use.autocommit else "READ COMMITTED",
        # The URL's own settings take precedence.
        connect_args={
            "connect_timeout": limits.connect_timeout_s,
            "application_name": name,
            # A lost host is detected in seconds, not after the kernel's two hours.
            "keepalives_idle": _KEEPALIVE_IDLE_S,
            "keepalives_interval": _KEEPALIVE_INTERVAL_S,
            "keepalives_count": _KEEPALIVES,
            "tcp_user_timeout": _UNHEARD_MS,
            **found,
            "options": "",
        },
    )
    _LOST_AT[engine] = 0.0
    event.listen(engine, "do_connect", partial(_connect, {**theirs, **ours}))
    event.listen(engine, "connect", _connected)
    event.listen(engine, "checkout", partial(_look_at, weakref.ref(engine)))
    return engine


def parse_url(url: str) -> dict[str, str]:
    """Return the parts of a PostgreSQL's URL as libpq understands them, options of its environment among them.

    Raises ValueError where it is none; the text does not repeat the URL, which holds a password.
    """
    try:
        found = conninfo_to_dict(url) if url.startswith(("postgresql://", "postgres://")) else None
    except psycopg.Error:
        found = None
    if found is None:
        raise ValueError(
            "is not a PostgreSQL URL: write it like postgresql://user:password@host/database, with no parameter that "
            "libpq does not know"
        )
    named = {name: str(value) for name, value in found.items() if value is not None}
    defaults = {one.keyword.decode(): one.val.decode() for one in Conninfo.get_defaults() if one.val is not None}
    return {"options": defaults.get("options", ""), **named}


def _settings(limits: Limits, use: Use, role: str | None) -> dict[str, str]:
    """Return what a session is set to."""
    statement_ms = _ms(limits.statement_timeout_s) if use.is_bounded else "0"
    settings = {
        # Never inherited from a server's or a login's defaults: the ledger is right under READ COMMITTED.
        "default_transaction_isolation": "read committed",
        # An acknowledged commit is on disk, and on the synchronous standbys where there are any.
        "synchronous_commit": "on",
        "lock_timeout": _ms(limits.lock_timeout_s) if use.is_bounded else "0",
        "statement_timeout": statement_ms,
        LONGEST_MS: statement_ms,
        "idle_in_transaction_session_timeout": _ms(limits.idle_in_transaction_timeout_s) if use.is_bounded else "0",
        "transaction_timeout": _ms(limits.transaction_timeout_s) if use.is_bounded else "0",
        "TimeZone": "UTC",
        "DateStyle": "ISO, MDY",
        "IntervalStyle": "postgres",
        "client_encoding": "UTF8",
        # Batches are short and their plans simple: compiling them costs more than it saves.
        "jit": "off",
        # The server detects a lost client too, and releases its locks.
        "tcp_keepalives_idle": str(_KEEPALIVE_IDLE_S),
        "tcp_keepalives_interval": str(_KEEPALIVE_INTERVAL_S),
        "tcp_keepalives_count": str(_KEEPALIVES),
        "tcp_user_timeout": str(_UNHEARD_MS),
        **use.planner,
    }
    return settings if role is None else {**settings, "role": role}


def _connect(
    wanted: Mapping[str, str], dialect: Dialect, record: object, arguments: Sequence[Any], named: dict[str, Any]
) -> DBAPIConnection:
    del record
    made = dialect.connect(*arguments, **named)
    connection = cast("Tx", made)
    try:
        set_up(connection, wanted)
    except BaseException:
        close_quietly(connection)
        raise
    return made


# When an engine's server was last found lost. Older connections are not used again: each is closed at its next
# checkout. (``Engine.dispose`` would leave connections open that are checked out at that moment.)
_LOST_AT: MutableMapping[Engine, float] = weakref.WeakKeyDictionary()
_CONNECTED_AT = "connected_at"
# When and why an engine's server could last not store something, unless it has done so since.
_UNABLE: MutableMapping[Engine, tuple[float, str]] = weakref.WeakKeyDictionary()


def recently_unable(engine: Engine, within_s: float) -> str | None:
    """Return why a transaction could not be stored within the last *within_s*, unless one was stored since."""
    at, why = _UNABLE.get(engine, (-inf, ""))
    return why if monotonic() - at < within_s else None


def discard_connections(engine: Engine) -> None:
    """Close every present connection at its next checkout."""
    _LOST_AT[engine] = monotonic()


def _connected(connection: object, record: ConnectionPoolEntry) -> None:
    del connection
    record.info[_CONNECTED_AT] = monotonic()


def _look_at(engine: weakref.ref[Engine], connection: object, record: ConnectionPoolEntry, proxy: object) -> None:
    del connection, proxy
    found = engine()
    if found is not None and record.info[_CONNECTED_AT] <= _LOST_AT[found]:
        raise DisconnectionError  # of this one: each is looked at


@contextmanager
def transaction(engine: Engine) -> Iterator[Tx]:
    """Run one database transaction on a driver connection; raise a ``BatchError`` where the database fails it.

    The driver's own connection, because a batch is sent in pipelines, which SQLAlchemy does not know.
    """
    try:
        pooled = engine.raw_connection()
    except PoolTimeout:
        raise PoolExhausted from None
    except (OperationalError, psycopg.OperationalError, InvalidRequestError, DatabaseNotReady) as error:
        # The third: lost again and again.
        raise DatabaseLost(may_be_stored=False) from error
    tx = cast("Tx", pooled.driver_connection)
    may_be_stored = tx.autocommit
    try:
        yield tx
        may_be_stored = True
        tx.commit()
        _UNABLE.pop(engine, None)
    except psycopg.Error as error:
        failed = batch_error(error, may_be_stored=may_be_stored)
        if isinstance(failed, DatabaseLost):
            # The retry must not get another connection to the server that was lost or cannot serve.
            discard_connections(engine)
            if still_answers_reads(error):
                _UNABLE[engine] = monotonic(), error.diag.message_primary or str(error)
            pooled.invalidate(error)
        raise failed from error
    except DatabaseLost as error:
        discard_connections(engine)
        pooled.invalidate(error)
        raise
    except (BatchError, DatabaseNotReady):
        raise
    except Exception as error:
        # Ours, before COMMIT: a defect in one call of a batch. Nothing was stored.
        raise BatchRefused(LedgerBroken()) from error
    finally:
        pooled.close()  # back to the pool, which rolls back what was not committed


@contextmanager
def pipelined(tx: Tx) -> Iterator[None]:
    """Send the statements inside in one round trip, on a server that ends the transactions of frozen processes.

    A server before version 17 ends them only while it is idle in transaction, which it is not in a pipeline: there each
    statement is a round trip of its own.
    """
    if bounds_transactions(tx):
        with tx.pipeline():
            yield
    else:
        yield


def _ms(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))
