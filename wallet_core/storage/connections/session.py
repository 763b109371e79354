"""Sessions: what each is set to before it is used, asked back, and known by a mark of its own.

Set by statements once connected and not by startup options, which a pooler may drop without a word. A pooler that gives
out sessions by the transaction or by the statement is found out: what was set, the mark above all, is then another's or
nobody's. That is asked when connections are made, with each batch (``under_way.ENTER``), and each time health is asked.
"""

import re
import weakref
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import suppress
from uuid import uuid4

import psycopg

from wallet_core.domain.model.errors import DatabaseNotReady
from wallet_core.storage.errors import Means, meaning

# Settings of our own, which PostgreSQL keeps for whoever makes them up: whose session it is, and its longest statement.
MARK = "wallet.session"
LONGEST_MS = "wallet.statement_timeout"

# Without it history is not guarded.
_AS_IS = {"session_replication_role": "origin"}

# From these versions on.
_KNOWN_SINCE = {"transaction_timeout": 170000}

_SET = """
SELECT name, set_config(name, value, false)
FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS wanted (name, value, place)
ORDER BY place
"""
_ASK = "SELECT name, current_setting(name, true) FROM unnest(%s::text[]) AS asked (name)"
ASK_MARK = f"SELECT current_setting('{MARK}', true)"

_MARKS: MutableMapping[psycopg.Connection, str] = weakref.WeakKeyDictionary()

_SHARED = (
    "connections do not keep what they are set to, because a pooler gives out sessions by the transaction or by the "
    "statement: have it give out whole sessions (PgBouncer: pool_mode = session), or connect to PostgreSQL itself"
)


def set_up(connection: psycopg.Connection, wanted: Mapping[str, str]) -> None:
    """Set a new connection to what is wanted, and ask whether it is.

    Raises ``DatabaseNotReady`` where it is not, or the server refuses it, and ``psycopg.OperationalError`` where it is
    lost.
    """
    mark = uuid4().hex
    version = connection.info.server_version
    settings = {name: value for name, value in wanted.items() if version >= _KNOWN_SINCE.get(name, 0)} | {MARK: mark}
    # The role last: it may have fewer rights.
    names = sorted(settings, key=lambda name: name == "role")
    was_autocommit, connection.autocommit = connection.autocommit, True
    try:
        # In a transaction of its own: a pooler may keep no more than that together.
        given: dict[str, str] = dict(connection.execute(_SET, [names, [settings[name] for name in names]]).fetchall())
        with connection.transaction():
            found: dict[str, str] = dict(connection.execute(_ASK, [[*given, *_AS_IS]]).fetchall())
    except psycopg.Error as error:
        if _is_refusal(error):
            raise _refused(error) from error
        raise
    connection.autocommit = was_autocommit
    if found[MARK] != mark:
        raise DatabaseNotReady(_SHARED)
    if wrong := [f"{name} is {found[name]}" for name, value in {**given, **_AS_IS}.items() if found[name] != value]:
        raise DatabaseNotReady(f"a session is not as it was asked for: {', '.join(sorted(wrong))}")
    _MARKS[connection] = mark


def is_own(connection: psycopg.Connection, mark: str | None) -> bool:
    """Tell whether a mark that a session has is that of this connection; one that was never set up has none."""
    return _MARKS.get(connection) == (mark or None)


def bounds_transactions(connection: psycopg.Connection) -> bool:
    """Tell whether the server ends a transaction by itself that lasts too long, whatever it waits for."""
    return connection.info.server_version >= _KNOWN_SINCE["transaction_timeout"]


def require_own(connection: psycopg.Connection) -> None:
    """Raise ``DatabaseNotReady`` where the session that answers is not the one that was set up for this connection."""
    row = connection.execute(ASK_MARK).fetchone()
    require_mark(connection, row[0] if row is not None else None)


def require_mark(connection: psycopg.Connection, mark: str | None) -> None:
    """Raise ``DatabaseNotReady`` where a mark that a session has is not that of this connection."""
    if not is_own(connection, mark):
        raise DatabaseNotReady(_SHARED)


def _is_refusal(error: psycopg.Error) -> bool:
    """Tell whether the server, or a pooler, says that it never does this; else it may do so later."""
    if isinstance(error, psycopg.errors.ProtocolViolation):  # what PgBouncer says of transactions, by the statement
        return True
    return error.sqlstate is not None and meaning(error.sqlstate) is Means.DEFECT


def _refused(error: psycopg.Error) -> DatabaseNotReady:
    said = error.diag.message_primary or str(error)
    remedy = ""
    if isinstance(error, psycopg.errors.ProtocolViolation):
        remedy = f": {_SHARED}"
    elif isinstance(error, psycopg.errors.InvalidParameterValue | psycopg.errors.InsufficientPrivilege):
        remedy = ": run `walletctl migrate`, which makes the role and lets the login take it on"
    return DatabaseNotReady(f"a session cannot be had as it must be ({said}){remedy}")


def options_in(text: str) -> Iterator[tuple[str, str]]:
    r"""Yield the settings that startup options name: ``-c name=value`` and ``--name=value``, a space in one as ``\ ``.

    Raises ValueError where there is something else.
    """
    words = iter([re.sub(r"\\(.)", r"\1", word) for word in re.findall(r"(?:\\.|[^\s\\])+", text)])
    for word in words:
        asked = None
        if word == "-c":
            asked = next(words, None)
        elif word.startswith(("-c", "--")):
            asked = word[2:]
        name, is_set, value = (asked or "").partition("=")
        if not is_set or not name:
            raise ValueError(f"has options that are not understood at {word!r}: write -c name=value")
        yield name.replace("-", "_").lower(), value


def close_quietly(connection: psycopg.Connection) -> None:
    """Close a connection that is of no use."""
    with suppress(psycopg.Error):
        connection.close()
