"""Connections: pooled, acting as the service's role, with their limits set and nothing inherited."""

import weakref
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import inf
from time import monotonic
from typing import Any, cast

import psycopg
from sqlalchemy import URL, create_engine, event, make_url
from sqlalchemy import Engine as Engine  # noqa: PLC0414  # handed around by rooms that speak no SQL
from sqlalchemy.exc import ArgumentError, DisconnectionError, InvalidRequestError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from wallet_core.domain.errors import LedgerBroken
from wallet_core.storage.errors import (
    BatchError,
    BatchRefused,
    DatabaseLost,
    PoolExhausted,
    batch_error,
    lets_itself_be_read,
)

Tx = psycopg.Connection[tuple[Any, ...]]
Cursor = psycopg.Cursor[tuple[Any, ...]]

# Statements of a pipeline, each with the number of rows that it must have written.
Expected = list[tuple[Cursor, int]]

SERVICE_ROLE = "wallet_service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a connection waits for what. Values come from the settings, which explain them."""

    pool_size: int
    pool_timeout_s: float
    connect_timeout_s: int
    lock_timeout_s: float
    statement_timeout_s: float
    idle_in_transaction_timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What connections are for: how the planner is set, and whether every statement is a transaction of its own.

    Such a statement ends however long its caller takes to hear of it, so nobody waits for the lock of a frozen process.
    """

    planner: Mapping[str, str]
    autocommit: bool = False


ANYTHING = Use(planner={})
# Reads know their keys. A filter is guessed to let little through, and reading a whole table once then looks cheaper
# than so many look-ups; it is not, and less so the more history there is.
READING = Use(planner={"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"})
# What is due is found by walking an index in its order. Where nothing was open when the tables were last looked at, to
# read all that is open and sort it looks cheaper; with a million open it is not. The plan is always the same, and to
# look for it anew costs as much as to carry it out.
CLAIMING = Use(
    planner={**READING.planner, "plan_cache_mode": "force_generic_plan", "enable_sort": "off"}, autocommit=True
)
# An audit reads everything. What a table held when it was last looked at must not make it look up each row by itself.
AUDITING = Use(planner={"enable_nestloop": "off"})


def open_engine(
    url: str,
    limits: Limits,
    *,
    name: str,
    role: str | None = SERVICE_ROLE,
    use: Use = ANYTHING,
) -> Engine:
    """Return an engine whose connections act as *role* whatever login the URL names; None stays the login.

    Raises ValueError as ``parse_url`` does.
    """
    parsed = parse_url(url)
    parameters = {
        # Never inherited from a server's or a login's defaults: the ledger is right under READ COMMITTED.
        "default_transaction_isolation": r"read\ committed",
        # An acknowledged commit is on disk, and on the synchronous standbys where there are any.
        "synchronous_commit": "on",
        "lock_timeout": _ms(limits.lock_timeout_s),
        "statement_timeout": _ms(limits.statement_timeout_s),
        "idle_in_transaction_session_timeout": _ms(limits.idle_in_transaction_timeout_s),
        "timezone": "UTC",
        # Batches are short and their plans simple: compiling them costs more than it gives.
        "jit": "off",
        **use.planner,
    }
    if role is not None:
        parameters["role"] = role
    engine = create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        pool_size=limits.pool_size,
        max_overflow=0,
        pool_timeout=limits.pool_timeout_s,
        isolation_level="AUTOCOMMIT" if use.autocommit else "READ COMMITTED",
        connect_args={
            "options": " ".join(f"-c {name}={value}" for name, value in parameters.items()),
            "connect_timeout": limits.connect_timeout_s,
            "application_name": name,
            # A host that vanished is noticed in seconds, not after the kernel's two hours.
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
        },
    )
    _LOST_AT[engine] = 0.0
    event.listen(engine, "connect", _connected)
    event.listen(engine, "checkout", partial(_look_at, weakref.ref(engine)))
    return engine


def parse_url(url: str) -> URL:
    """Return the parts of a PostgreSQL's URL.

    Raises ValueError where it is none; the text does not repeat the URL, which holds a password.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None
    if parsed is None or parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise ValueError("is not a PostgreSQL URL: write it like postgresql://user:password@host/database")
    return parsed


# When an engine's server was last seen to be gone. What was connected before is not used again: each connection is
# closed when it is asked for next. (``Engine.dispose`` would leave open what others have in hand at that moment.)
_LOST_AT: MutableMapping[Engine, float] = weakref.WeakKeyDictionary()
_CONNECTED_AT = "connected_at"
# When and why an engine's server last lacked what it takes to store something, unless it has done so since.
_UNABLE: MutableMapping[Engine, tuple[float, psycopg.Error]] = weakref.WeakKeyDictionary()


def unable_lately(engine: Engine, within_s: float) -> psycopg.Error | None:
    """Return why the last transaction could not be stored, if the server lacked something so short a time ago."""
    at, why = _UNABLE.get(engine, (-inf, None))
    return why if monotonic() - at < within_s else None


def give_up_connections(engine: Engine) -> None:
    """Have every connection that there is closed when it is asked for next."""
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
    """Run one database transaction on a driver connection; raise a ``BatchError`` where the database objects.

    The driver's own connection, because a batch is sent in pipelines, which SQLAlchemy does not know.
    """
    try:
        pooled = engine.raw_connection()
    except PoolTimeout:
        raise PoolExhausted from None
    except (OperationalError, psycopg.OperationalError, InvalidRequestError) as error:  # the last: lost again and again
        raise DatabaseLost(may_be_stored=False) from error
    tx = cast("Tx", pooled.driver_connection)
    may_be_stored = tx.autocommit
    try:
        yield tx
        may_be_stored = True
        tx.commit()
        _UNABLE.pop(engine, None)
    except psycopg.Error as error:
        told = batch_error(error, may_be_stored=may_be_stored)
        if isinstance(told, DatabaseLost):
            # The next try must not meet another connection of the server that went away, or cannot serve.
            give_up_connections(engine)
            if lets_itself_be_read(error):
                _UNABLE[engine] = monotonic(), error
            pooled.invalidate(error)
        raise told from error
    except BatchError:
        raise
    except Exception as error:
        # Ours, before COMMIT: a defect in one call of a batch. Nothing was stored.
        raise BatchRefused(LedgerBroken()) from error
    finally:
        pooled.close()  # back to the pool, which rolls back what was not committed


def _ms(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))
