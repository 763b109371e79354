"""What is under way: which instants are over for good, because no transaction can still write an entry into them.

Whoever posts first takes a shared advisory lock whose key is the second that it is. Only then it reads its clock, by
which its entries are dated, and PostgreSQL lets go of the lock only once what was committed can be seen, also where the
COMMIT waits for a disk or a standby. So what a reader cannot see yet has a lock, of a second no later than its entries;
or it takes its lock after the reader has looked, and reads a clock that is later still.

Nobody waits for these locks: all are shared. Those of other schemas of the database count too, which at worst makes an
instant be over a moment later.
"""

from datetime import datetime

from sqlalchemy import Connection, text

from wallet_core.storage.connections.session import MARK

_LOCKS = 7236115  # the first of the two numbers of an advisory lock
_SINCE = 1704067200  # 2024 began: counted from here, seconds fit the second number until 2092

# Whose session it is comes with it, so that each batch knows whether its own answers (``session``).
ENTER = (
    f"SELECT current_setting('{MARK}', true), "
    f"pg_advisory_xact_lock_shared({_LOCKS}, (floor(extract(epoch FROM clock_timestamp())) - {_SINCE})::int)"
)

# The clock is that of the statement's arrival: it must be read before the locks are.
_OVER_UNTIL = text(f"""
SELECT least(statement_timestamp(), to_timestamp(min(objid::int4) + {_SINCE}::bigint))
FROM pg_locks
WHERE locktype = 'advisory' AND classid = {_LOCKS} AND objsubid = 2
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
""")


def over_until(tx: Connection) -> datetime:
    """Return the instant before which no entry can come any more that a snapshot taken from now on does not show.

    Where a snapshot has been taken before, what was committed in between is in neither: ``Reader.read_after``.
    """
    until: datetime = tx.execute(_OVER_UNTIL).scalar_one()
    return until
