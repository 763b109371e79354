"""Transactions in progress: before which instant no entry can appear any more.

A posting transaction first takes a shared advisory lock whose key is the present second. Only then does it read the
clock that dates its entries. PostgreSQL releases the lock once the commit is visible, even where the COMMIT waits for a
disk or a standby. So a transaction that a reader cannot see holds a lock of a second no later than its entries, or
takes its lock after the reader has looked and then reads a later clock.

No transaction waits for these locks, because all are shared. Locks of other schemas of the database count too: at worst
an instant is final a moment later.
"""

from datetime import datetime

from sqlalchemy import Connection, text

from wallet_core.storage.connections.session import MARK

_LOCKS = 7236115  # the first of the two numbers of an advisory lock
_SINCE = 1704067200  # the beginning of 2024: counted from here, seconds fit the second number until 2092

# Returns the session's mark too, so that each batch checks that the session is its own (``session``).
ENTER = (
    f"SELECT current_setting('{MARK}', true), "
    f"pg_advisory_xact_lock_shared({_LOCKS}, (floor(extract(epoch FROM clock_timestamp())) - {_SINCE})::int)"
)

# The clock of the statement's arrival: it is read before the locks are.
_OVER_UNTIL = text(f"""
SELECT least(statement_timestamp(), to_timestamp(min(objid::int4) + {_SINCE}::bigint))
FROM pg_locks
WHERE locktype = 'advisory' AND classid = {_LOCKS} AND objsubid = 2
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
""")


def over_until(tx: Connection) -> datetime:
    """Return the instant before which every entry is in any snapshot that is taken from now on.

    A snapshot that was taken before would miss what was committed in between: see ``Reader.read_after``.
    """
    until: datetime = tx.execute(_OVER_UNTIL).scalar_one()
    return until
