"""Verify: check every rule of the ledger, from the entries up, on a live database.

Tables are walked in slices, each in a snapshot of its own, so that no transaction is open for long and memory does not
grow with the ledger. The journal is walked up to its end at the start.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any, cast
from uuid import UUID

import psycopg
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from wallet_core.domain.model.checkpoint import Checkpoint, statement_of
from wallet_core.domain.model.errors import DatabaseUnavailable
from wallet_core.storage.connections.engine import Tx
from wallet_core.storage.verify import checkpoints
from wallet_core.storage.verify.bank_statements import BANK_STATEMENT_LINES, BANK_STATEMENTS
from wallet_core.storage.verify.holds import HOLDS
from wallet_core.storage.verify.payments import ATTEMPTS, RESOLUTIONS, SCHEDULED_DEPOSITS, WITHDRAWALS
from wallet_core.storage.verify.records import COMMISSION_RULES, JOURNAL, REQUESTS
from wallet_core.storage.verify.totals import TOTALS
from wallet_core.storage.verify.transactions import TRANSACTIONS
from wallet_core.storage.verify.walks import ROWS, Walk
from wallet_core.storage.verify.wallets import ENTRIES, WALLETS

WALKS = (
    *(JOURNAL, WALLETS, ENTRIES, TRANSACTIONS, HOLDS, WITHDRAWALS, SCHEDULED_DEPOSITS, ATTEMPTS, RESOLUTIONS),
    *(COMMISSION_RULES, BANK_STATEMENTS, BANK_STATEMENT_LINES, REQUESTS),
)
# Walked from the beginning only where nothing was proven before: they grow with every transaction.
_ONLY_IN_FULL = (ENTRIES, REQUESTS, ATTEMPTS)
MEANINGS: Mapping[str, str] = {
    **{name: total.meaning for name, total in TOTALS.items()},
    **{name: rule.meaning for walk in WALKS for name, rule in walk.rules.items()},
    **checkpoints.MEANINGS,
}

# Rows that one statement reads.
SLICE_ROWS = 20_000

JOURNAL_END = "SELECT coalesce(max(number), 0) FROM journal"
# As the database last counted them: enough to show how much is left.
ESTIMATE = "SELECT coalesce(sum(greatest(reltuples, 0)), 0)::bigint FROM pg_class WHERE oid = ANY(%s::regclass[])"
KEYS = "SELECT key_id, public_key FROM checkpoint_keys"

# Ids of transactions begin with their time. Clocks of servers may differ by less than this.
_CLOCKS_DIFFER = timedelta(hours=1)

IsSigned = Callable[[Checkpoint, Mapping[str, bytes]], bool]
"""Whether one of the keys, each under its id, has signed a checkpoint."""

Snapshot = Callable[[], AbstractContextManager[Tx]]
"""Opens the transaction of a slice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What to check, and against what."""

    is_signed: IsSigned
    trusted: Mapping[str, bytes] | None = None
    """The public keys that are trusted, each under its id; None: those in the database, which its owner can change."""
    kept: Sequence[Checkpoint] = ()
    """Checkpoints that were kept outside the database."""
    since: Checkpoint | None = None
    """Check the journal and the transactions from this checkpoint on only: what lies before it was checked before."""
    slice_rows: int = SLICE_ROWS


@dataclass(slots=True)
class Check:
    """One rule, how many rows break it, and the first of them that was found."""

    name: str
    meaning: str
    broken: int = 0
    first: str = ""

    def as_row(self) -> dict[str, str | int]:
        """Return it as a row of a table."""
        return asdict(self)


@dataclass(slots=True)
class Progress:
    """How far verify has come."""

    journal_end: int
    """The last journal record that is checked."""
    rows_estimated: int
    """About how many rows there are to check."""
    rows: int = 0
    """How many were checked."""
    table: str = ""
    """The table that is walked."""
    checks: dict[str, Check] = field(
        default_factory=lambda: {name: Check(name, text) for name, text in MEANINGS.items()}
    )

    @property
    def is_broken(self) -> bool:
        """Whether a rule is broken, as far as was checked."""
        return any(check.broken for check in self.checks.values())

    def found(self, name: str, count: int, first: str) -> None:
        """Add rows that break a rule."""
        check = self.checks[name]
        check.first = check.first or first
        check.broken += count


def verify(engine: Engine, audit: Audit) -> Iterator[Progress]:
    """Check everything in one snapshot, else like ``verify_in_slices``."""
    with _database_errors(), engine.connect().execution_options(isolation_level="REPEATABLE READ") as tx:
        yield from verify_in(tx, audit)


def verify_in(tx: Connection, audit: Audit) -> Iterator[Progress]:
    """Do so as one transaction reads the tables."""
    return _walked(lambda: _same(_driver(tx)), audit)


def verify_in_slices(engine: Engine, audit: Audit) -> Iterator[Progress]:
    """Check everything, each slice in a snapshot of its own; yield the progress after each, the same object each time.

    Raises ``DatabaseUnavailable``.
    """

    @contextmanager
    def snapshot() -> Iterator[Tx]:
        with engine.connect().execution_options(isolation_level="REPEATABLE READ") as tx:
            yield _driver(tx)

    with _database_errors():
        yield from _walked(snapshot, audit)


def result(progress: Iterator[Progress]) -> list[Check]:
    """Go to the end; return every rule: none is broken in a correct ledger."""
    *_, last = progress
    return list(last.checks.values())


@contextmanager
def _database_errors() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise DatabaseUnavailable from error.orig
    except psycopg.Error as error:
        raise DatabaseUnavailable from error


def _walked(snapshot: Snapshot, audit: Audit) -> Iterator[Progress]:
    """Check everything; yield the progress after each slice, the same object each time."""
    walks = [walk for walk in WALKS if audit.since is None or walk not in _ONLY_IN_FULL]
    with snapshot() as tx:
        ((end,),) = tx.execute(JOURNAL_END)
        ((estimated,),) = tx.execute(ESTIMATE, [[walk.table for walk in walks]])
    progress = Progress(journal_end=end, rows_estimated=estimated)
    yield progress
    for walk in walks:
        progress.table = walk.table
        for _ in _slices(walk, snapshot, progress, audit):
            yield progress
    progress.table = "totals"
    for name, total in TOTALS.items():
        with snapshot() as tx:
            rows = tx.execute(total.query).fetchall()
        if rows:
            progress.found(name, len(rows), str(rows[0][0]))
    progress.table = "checkpoints"
    for _ in _checkpoints(snapshot, progress, audit):
        yield progress
    yield progress


def _slices(walk: Walk, snapshot: Snapshot, progress: Progress, audit: Audit) -> Iterator[None]:
    after = _beginning(walk, audit.since)
    while True:
        with snapshot() as tx:
            parameters = {**after, "rows": audit.slice_rows, "journal_end": progress.journal_end}
            last = tx.execute(_bound(walk, bool(after)), parameters).fetchone()
            if last is not None:
                parameters |= walk.places("upto", last)
            for name, count, first in tx.execute(_statement(walk, bool(after), last is not None), parameters):
                if name == ROWS:
                    progress.rows += count
                else:
                    progress.found(name, count, first)
        yield
        if last is None:
            return
        after = walk.places("after", last)


def _beginning(walk: Walk, since: Checkpoint | None) -> dict[str, Any]:
    """Return the key after which a walk begins; empty where it begins with the table."""
    if since is not None and walk is JOURNAL:
        return walk.places("after", [since.number])
    if since is not None and walk is TRANSACTIONS:
        earliest = statement_of(since.statement).time - _CLOCKS_DIFFER
        return walk.places("after", [UUID(int=int(earliest.timestamp() * 1000) << 80)])
    return {}


def _checkpoints(snapshot: Snapshot, progress: Progress, audit: Audit) -> Iterator[None]:
    with snapshot() as tx:
        stored = {key_id: bytes(public) for key_id, public in tx.execute(KEYS)}
    keys = audit.trusted if audit.trusted is not None else stored

    def is_signed(one: Checkpoint) -> bool:
        return audit.is_signed(one, keys)

    last = audit.since
    while True:
        with snapshot() as tx:
            found = checkpoints.checked(tx, last, is_signed)
        if found is None:
            break
        last, is_right = found
        if not is_right:
            progress.found("checkpoints", 1, _named(last))
        yield
    with snapshot() as tx:
        for one in checkpoints.missing(tx, audit.kept, is_signed):
            progress.found("kept_checkpoints", 1, _named(one))


def _named(checkpoint: Checkpoint) -> str:
    return f"checkpoint {checkpoint.number}"


# Made once, so that the driver recognizes and prepares them.


@cache
def _bound(walk: Walk, after: bool) -> str:  # noqa: FBT001  # of a cache's key
    return walk.bound(after=after)


@cache
def _statement(walk: Walk, after: bool, upto: bool) -> str:  # noqa: FBT001  # of a cache's key
    return walk.statement(after=after, upto=upto)


@contextmanager
def _same(tx: Tx) -> Iterator[Tx]:
    """Take every slice from one transaction."""
    yield tx


def _driver(tx: Connection) -> Tx:
    return cast("Tx", tx.connection.driver_connection)
