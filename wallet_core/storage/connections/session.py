"""Sessions: set before use, checked, and identified by a mark of their own.

Settings are set by statements once connected, not by startup options, which a pooler may drop silently. A pooler that
assigns sessions by transaction or by statement is detected: the mark is then another connection's, or missing. The mark
is checked when connections are made, with each batch (``in_progress.ENTER``), and with each health check.
"""

import re
import weakref
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import suppress
from uuid import uuid4

import psycopg

from wallet_core.domain.model.errors import DatabaseNotReady
from wallet_core.storage.errors import Means, meaning

# Custom settings of a session: its mark, and its longest statement timeout.
MARK = "wallet.session"
LONGEST_MS = "wallet.statement_timeout"

# With another value, triggers do not protect history.
_AS_IS = {"session_replication_role": "origin"}

# From these versions on.
_KNOWN_SINCE = {"transaction_timeout": 170000}

_SET = """
SELECT name, set_config(name, value, false)
FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS wanted (name, value, place)
ORDER BY place
"""
_READ_SETTINGS = "SELECT name, current_setting(name, true) FROM unnest(%s::text[]) AS requested (name)"
ASK_MARK = f"SELECT current_setting('{MARK}', true)"

_MARKS: MutableMapping[psycopg.Connection, str] = weakref.WeakKeyDictionary()

_SHARED = (
    "connections do not keep what they are set to, because a pooler gives out sessions by the transaction or by the "
    "statement: have it give out whole sessions (PgBouncer: pool_mode = session), or connect to PostgreSQL itself"
)


def set_up(connection: psycopg.Connection, wanted: Mapping[str, str]) -> None:
    """Apply settings to a new connection, and check them.

    Raises ``DatabaseNotReady`` where they do not hold or the server refuses them, and ``psycopg.OperationalError``
    where the connection is lost.
    """
    mark = uuid4().hex
    version = connection.info.server_version
    settings = {name: value for name, value in wanted.items() if version >= _KNOWN_SINCE.get(name, 0)} | {MARK: mark}
    # The role last: it may not be allowed to set the others.
    names = sorted(settings, key=lambda name: name == "role")
    was_autocommit, connection.autocommit = connection.autocommit, True
    try:
        # In a transaction of its own: a pooler may keep a session no longer than that.
        given: dict[str, str] = dict(connection.execute(_SET, [names, [settings[name] for name in names]]).fetchall())
        with connection.transaction():
            found: dict[str, str] = dict(connection.execute(_READ_SETTINGS, [[*given, *_AS_IS]]).fetchall())
    except psycopg.Error as error:
        if _is_refusal(error):
            raise _refused(error) from error
        raise
    connection.autocommit = was_autocommit
    if found[MARK] != mark:
        raise DatabaseNotReady(_SHARED)
    if wrong := [f"{name} is {found[name]}" for name, value in {**given, **_AS_IS}.items() if found[name] != value]:
        raise DatabaseNotReady(f"a session has not the settings that were requested: {', '.join(sorted(wrong))}")
    _MARKS[connection] = mark


def is_own(connection: psycopg.Connection, mark: str | None) -> bool:
    """Return whether a session's mark is that of this connection; a connection that was not set up has none."""
    return _MARKS.get(connection) == (mark or None)


def bounds_transactions(connection: psycopg.Connection) -> bool:
    """Return whether the server itself ends transactions that last too long."""
    return connection.info.server_version >= _KNOWN_SINCE["transaction_timeout"]


def require_own(connection: psycopg.Connection) -> None:
    """Raise ``DatabaseNotReady`` where the session is not the one that was set up for this connection."""
    row = connection.execute(ASK_MARK).fetchone()
    require_mark(connection, row[0] if row is not None else None)


def require_mark(connection: psycopg.Connection, mark: str | None) -> None:
    """Raise ``DatabaseNotReady`` where a session's mark is not that of this connection."""
    if not is_own(connection, mark):
        raise DatabaseNotReady(_SHARED)


def _is_refusal(error: psycopg.Error) -> bool:
    """Return whether the server or a pooler refuses for good; another error may go away."""
    if isinstance(error, psycopg.errors.ProtocolViolation):  # PgBouncer's answer to a transaction in statement mode
        return True
    return error.sqlstate is not None and meaning(error.sqlstate) is Means.DEFECT


def _refused(error: psycopg.Error) -> DatabaseNotReady:
    cause = error.diag.message_primary or str(error)
    remedy = ""
    if isinstance(error, psycopg.errors.ProtocolViolation):
        remedy = f": {_SHARED}"
    elif isinstance(error, psycopg.errors.InvalidParameterValue | psycopg.errors.InsufficientPrivilege):
        remedy = ": run `walletctl migrate`, which makes the role and lets the login take it on"
    return DatabaseNotReady(f"a session cannot be opened with the settings that it needs ({cause}){remedy}")


def options_in(text: str) -> Iterator[tuple[str, str]]:
    r"""Yield the settings that startup options name: ``-c name=value`` and ``--name=value``, a space in one as ``\ ``.

    Raises ValueError where there is something else.
    """
    words = iter([re.sub(r"\\(.)", r"\1", word) for word in re.findall(r"(?:\\.|[^\s\\])+", text)])
    for word in words:
        option = None
        if word == "-c":
            option = next(words, None)
        elif word.startswith(("-c", "--")):
            option = word[2:]
        name, is_set, value = (option or "").partition("=")
        if not is_set or not name:
            raise ValueError(f"has options that are not understood at {word!r}: write -c name=value")
        yield name.replace("-", "_").lower(), value


def close_quietly(connection: psycopg.Connection) -> None:
    """Close a connection, whatever its state."""
    with suppress(psycopg.Error):
        connection.close()
