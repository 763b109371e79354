"""Verify: check every rule of the ledger, from the entries up, on a live database.

Tables are walked in slices, each in a snapshot of its own, so that no transaction is open for long and memory does not
grow with the ledger. Several connections check one slice each at a time. The journal is walked up to its end at the
start.
"""

import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from functools import cache, partial
from time import monotonic
from typing import Any, cast
from uuid import UUID

import psycopg
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from wallet_core.domain.model.checkpoint import Checkpoint, statement_of
from wallet_core.domain.model.errors import DatabaseUnavailable, ServerOverloaded
from wallet_core.storage.connections.engine import Tx
from wallet_core.storage.verify import checkpoints, summaries
from wallet_core.storage.verify.audit import Audit, IsSigned
from wallet_core.storage.verify.bank_statements import BANK_STATEMENT_LINES, BANK_STATEMENTS
from wallet_core.storage.verify.holds import HOLDS
from wallet_core.storage.verify.payments import ATTEMPTS, RESOLUTIONS, SCHEDULED_DEPOSITS, WITHDRAWALS
from wallet_core.storage.verify.records import COMMISSION_RULES, JOURNAL, LAST_EVENTS, REQUESTS
from wallet_core.storage.verify.summaries import Beginning, beginning, first_number
from wallet_core.storage.verify.totals import TOTALS
from wallet_core.storage.verify.transactions import LABELS, REFERENCES, TRANSACTIONS
from wallet_core.storage.verify.walks import Total, Walk
from wallet_core.storage.verify.wallets import ENTRIES, WALLETS

WALKS = (
    *(JOURNAL, WALLETS, ENTRIES, TRANSACTIONS, HOLDS, WITHDRAWALS, SCHEDULED_DEPOSITS, ATTEMPTS, RESOLUTIONS),
    *(COMMISSION_RULES, BANK_STATEMENTS, BANK_STATEMENT_LINES, REQUESTS, LABELS, REFERENCES, LAST_EVENTS),
)
# Walked from the beginning only where nothing was proven before: they grow with every transaction.
_ONLY_IN_FULL = (ENTRIES, REQUESTS, ATTEMPTS, LABELS, REFERENCES, LAST_EVENTS)
MEANINGS: Mapping[str, str] = {
    **{name: total.meaning for name, total in TOTALS.items()},
    **{name: rule.meaning for walk in WALKS for name, rule in walk.rules.items()},
    "readable": "every row can be read and compared, and so can every event about it",
    **checkpoints.MEANINGS,
    **summaries.MEANINGS,
}

# How long a check runs before its progress is reported, at most.
LOOK_S = 0.5

JOURNAL_END = "SELECT coalesce(max(number), 0) FROM journal"
# As the database last counted them: enough to show how much is left.
ESTIMATE = "SELECT coalesce(sum(greatest(reltuples, 0)), 0)::bigint FROM pg_class WHERE oid = ANY(%s::regclass[])"
KEYS = "SELECT key_id, public_key FROM checkpoint_keys"

# Ids of transactions begin with their time. Clocks of servers may differ by less than this.
_CLOCKS_DIFFER = timedelta(hours=1)

Snapshot = Callable[[], AbstractContextManager[Tx]]
"""Opens the transaction of a slice."""


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

    journal_end: int = 0
    """The last journal record that is checked."""
    rows_estimated: int = 0
    """About how many rows there are to check."""
    rows: int = 0
    """How many were checked."""
    table: str = ""
    """The table that was checked last."""
    checks: dict[str, Check] = field(default_factory=dict)

    @property
    def is_broken(self) -> bool:
        """Whether a rule is broken, as far as was checked."""
        return any(check.broken for check in self.checks.values())

    def begin(self, journal_end: int, rows_estimated: int) -> None:
        """Begin, or begin anew."""
        self.journal_end, self.rows_estimated, self.rows = journal_end, rows_estimated, 0
        self.checks = {name: Check(name, text) for name, text in MEANINGS.items()}

    def add(self, found: "_Found") -> None:
        """Add what a part has found."""
        self.table = found.table
        self.rows += found.rows
        for name, count, first in found.broken:
            check = self.checks[name]
            check.first = check.first or first
            check.broken += count


def verify(engine: Engine, audit: Audit) -> Generator[Progress, None, None]:
    """Check everything in one snapshot, on one connection, else like ``verify_in_slices``."""
    with _errors(), engine.connect().execution_options(isolation_level="REPEATABLE READ") as tx:
        yield from verify_in(tx, audit)


def verify_in(tx: Connection, audit: Audit) -> Iterator[Progress]:
    """Do so as one transaction reads the tables."""
    return _checked(lambda: _same(_driver(tx)), replace(audit, pace=replace(audit.pace, connections=1)))


def verify_in_slices(engine: Engine, audit: Audit) -> Generator[Progress, None, None]:
    """Check everything, each slice in a snapshot of its own; yield the progress often, the same object each time.

    Closing the iterator, which is possible at least every ``LOOK_S``, ends the check after the slices in progress.
    Raises ``DatabaseUnavailable``, and ``ServerOverloaded`` where the engine has no free connection.
    """

    @contextmanager
    def snapshot() -> Iterator[Tx]:
        with engine.connect().execution_options(isolation_level="REPEATABLE READ") as tx:
            yield _driver(tx)

    with _errors():
        yield from _checked(snapshot, audit)


def result(progress: Iterator[Progress]) -> list[Check]:
    """Go to the end; return every rule: none is broken in a correct ledger."""
    *_, last = progress
    return list(last.checks.values())


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except PoolTimeout:
        raise ServerOverloaded from None
    except DBAPIError as error:
        raise DatabaseUnavailable from error.orig
    except psycopg.Error as error:
        raise DatabaseUnavailable from error


def _checked(snapshot: Snapshot, audit: Audit) -> Iterator[Progress]:
    """Check everything; yield the progress often, the same object each time.

    Where records are dropped meanwhile, it begins anew: what it has missed is not missing.
    """
    progress = Progress()
    while True:
        with snapshot() as tx:
            start = beginning(tx)
            ((end,),) = tx.execute(JOURNAL_END)
            ((estimated,),) = tx.execute(ESTIMATE, [[walk.table for walk in _walks(audit)]])
        progress.begin(end, estimated)
        yield progress
        yield from _checked_from(snapshot, audit, start, progress)
        with snapshot() as tx:
            if first_number(tx) == start.first:
                break
    yield progress


def _checked_from(snapshot: Snapshot, audit: Audit, start: Beginning, progress: Progress) -> Iterator[Progress]:
    parts = _Parts(audit, start, progress.journal_end)
    stopping = threading.Event()

    def check_next() -> _Found | None:
        begun = monotonic()
        with snapshot() as tx:
            part = parts.take(tx)
            found = part(tx) if part is not None else None
        if found is not None:
            stopping.wait(audit.pace.pause_factor * (monotonic() - begun))
        return found

    with ThreadPoolExecutor(audit.pace.connections, thread_name_prefix="verify") as workers:
        running: set[Future[_Found | None]] = {workers.submit(check_next) for _ in range(audit.pace.connections)}
        try:
            while running:
                done, running = wait(running, timeout=LOOK_S, return_when=FIRST_COMPLETED)
                for found in [one.result() for one in done]:
                    if found is not None:
                        running.add(workers.submit(check_next))
                        progress.add(found)
                        start.add(found.table, found.summed)
                yield progress
        finally:
            stopping.set()
            parts.end()
    with snapshot() as tx:
        progress.add(_check_summary(start, parts.is_signed(tx), tx, compare=audit.since is None))


def _walks(audit: Audit) -> list[Walk]:
    return [walk for walk in WALKS if audit.since is None or walk not in _ONLY_IN_FULL]


@dataclass(frozen=True, slots=True)
class _Found:
    """What a part has found."""

    table: str
    rows: int = 0
    broken: Sequence[tuple[str, int, str]] = ()
    """Rules, each with the count of rows that break it, and the first of them."""
    summed: bytes = b""
    """The hashes of rows that the journal does not report any more."""


_Part = Callable[[Tx], _Found]
"""A part of what is to check: a slice, or a rule of the whole ledger."""


class _Parts:
    """The parts, each taken once, in any thread."""

    def __init__(self, audit: Audit, start: Beginning, journal_end: int) -> None:
        self._audit = audit
        self._start = start
        self._journal_end = journal_end
        self._taking = threading.Lock()
        self._tx: Tx | None = None
        self._parts = self._all()

    def take(self, tx: Tx) -> _Part | None:
        """Return the next part, which *tx* is to check; None where there is none left."""
        with self._taking:
            self._tx = tx
            return next(self._parts, None)

    def end(self) -> None:
        """Leave the rest."""
        with self._taking:
            self._parts.close()

    @property
    def _reading(self) -> Tx:
        if self._tx is None:
            raise AssertionError("parts are found in the transaction that takes them")
        return self._tx

    def _all(self) -> Generator[_Part, None, None]:
        for walk in _walks(self._audit):
            yield from self._slices(walk)
        for name, total in TOTALS.items():
            yield partial(_check_total, name, total)
        yield from self._checkpoints()

    def _slices(self, walk: Walk) -> Iterator[_Part]:
        after = _after(walk, self._audit.since, self._start.number)
        shared = {"rows": self._audit.pace.slice_rows, "journal_end": self._journal_end, "start": self._start.number}
        while True:
            places = {**after, **shared}
            last = self._reading.execute(_bound(walk, bool(after)), places).fetchone()
            if last is None:
                yield partial(_check_slice, walk, places)
                return
            places |= walk.places("upto", last)
            yield partial(_check_slice, walk, places)
            after = walk.places("after", last)

    def _checkpoints(self) -> Iterator[_Part]:
        is_signed = self.is_signed(self._reading)
        before = self._audit.since
        while (found := checkpoints.following(self._reading, before)) is not None:
            yield partial(_check_checkpoint, is_signed, before, found, self._start.number)
            before = found
        for kept in self._audit.kept:
            yield partial(_check_kept, is_signed, kept, self._start.number)

    def is_signed(self, tx: Tx) -> Callable[[Checkpoint], bool]:
        """Return what tells whether a trusted key has signed something."""
        trusted = self._audit.trusted
        if trusted is None:
            trusted = {key_id: bytes(public) for key_id, public in tx.execute(KEYS)}
        return partial(_is_signed, self._audit.is_signed, trusted)


def _check_slice(walk: Walk, places: Mapping[str, Any], tx: Tx) -> _Found:
    key, _ = walk.key[0]
    after, upto = f"after_{key}" in places, f"upto_{key}" in places
    try:
        with tx.transaction():
            ((rows, *found),) = tx.execute(_statement(walk, after, upto=upto), places)
    except psycopg.DataError:
        return _check_parts(walk, places, tx.execute(walk.keys(after=after, upto=upto), places).fetchall(), tx)
    summed = found.pop() if walk.summed else None
    counts = zip(walk.rules, found[::2], found[1::2], strict=True)
    broken = [(name, count, first) for name, count, first in counts if count]
    return _Found(walk.table, rows, broken, bytes(summed or b""))


def _check_parts(walk: Walk, places: Mapping[str, Any], keys: Sequence[Sequence[Any]], tx: Tx) -> _Found:
    """Check a slice with a row that cannot be read, e.g. because an event about it is not JSON: all rows but that."""
    if len(keys) == 1:
        return _Found(walk.table, 1, [("readable", 1, " ".join(map(str, [walk.table, *keys[0]])))])
    middle = walk.places("upto", keys[len(keys) // 2 - 1])
    halves = {**places, **middle}, {**places, **walk.places("after", list(middle.values()))}
    parts = [_check_slice(walk, half, tx) for half in halves]
    return _Found(
        walk.table,
        sum(part.rows for part in parts),
        [one for part in parts for one in part.broken],
        b"".join(part.summed for part in parts),
    )


def _check_total(name: str, total: Total, tx: Tx) -> _Found:
    rows = tx.execute(total.query).fetchall()
    return _Found("totals", broken=[(name, len(rows), str(rows[0][0]))] if rows else [])


def _check_checkpoint(
    is_signed: Callable[[Checkpoint], bool], before: Checkpoint | None, found: Checkpoint, start: int, tx: Tx
) -> _Found:
    try:
        with tx.transaction():
            is_right = is_signed(found) and checkpoints.is_right(tx, before, found, start)
    except psycopg.DataError:  # a record before it is not JSON
        is_right = False
    return _Found("checkpoints", broken=[] if is_right else [("checkpoints", 1, _named(found))])


def _check_summary(start: Beginning, is_signed: Callable[[Checkpoint], bool], tx: Tx, *, compare: bool) -> _Found:
    is_right = start.is_right(tx, is_signed, compare=compare)
    return _Found("journal_summaries", broken=[] if is_right else [("summaries", 1, str(start))])


def _check_kept(is_signed: Callable[[Checkpoint], bool], kept: Checkpoint, start: int, tx: Tx) -> _Found:
    is_right = is_signed(kept) and checkpoints.is_stored(tx, kept, start)
    return _Found("checkpoints", broken=[] if is_right else [("kept_checkpoints", 1, _named(kept))])


def _is_signed(check: IsSigned, keys: Mapping[str, bytes], checkpoint: Checkpoint) -> bool:
    return check(checkpoint, keys)


def _after(walk: Walk, since: Checkpoint | None, start: int) -> dict[str, Any]:
    """Return the key after which a walk begins; empty where it begins with the table."""
    if walk is JOURNAL and (after := max(start, since.number if since is not None else 0)):
        return walk.places("after", [after])
    if since is not None and walk is TRANSACTIONS:
        earliest = statement_of(since.statement).time - _CLOCKS_DIFFER
        return walk.places("after", [UUID(int=int(earliest.timestamp() * 1000) << 80)])
    return {}


def _named(checkpoint: Checkpoint) -> str:
    return f"checkpoint {checkpoint.number}"


# Made once, so that the driver recognizes and prepares them.


@cache
def _bound(walk: Walk, after: bool) -> str:  # noqa: FBT001  # of a cache's key
    return walk.bound(after=after)


@cache
def _statement(walk: Walk, after: bool, *, upto: bool) -> str:  # noqa: FBT001  # of a cache's key
    return walk.statement(after=after, upto=upto)


@contextmanager
def _same(tx: Tx) -> Iterator[Tx]:
    """Take every slice from one transaction."""
    yield tx


def _driver(tx: Connection) -> Tx:
    return cast("Tx", tx.connection.driver_connection)
