"""Verify: check every rule of the ledger, from the entries up, on a live database.

Tables are walked in slices, each in a snapshot of its own, so that no transaction is open for long and memory does not
grow with the ledger. The journal is walked up to its end at the start.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any, cast

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from wallet_core.domain.model.errors import DatabaseUnavailable
from wallet_core.storage.connections.engine import Tx
from wallet_core.storage.verify.bank_statements import BANK_STATEMENT_LINES, BANK_STATEMENTS
from wallet_core.storage.verify.holds import HOLDS
from wallet_core.storage.verify.payments import ATTEMPTS, RESOLUTIONS, SCHEDULED_DEPOSITS, WITHDRAWALS
from wallet_core.storage.verify.records import COMMISSION_RULES, JOURNAL, REQUESTS
from wallet_core.storage.verify.totals import TOTALS
from wallet_core.storage.verify.transactions import TRANSACTIONS
from wallet_core.storage.verify.walks import Walk
from wallet_core.storage.verify.wallets import ENTRIES, WALLETS

WALKS = (
    *(JOURNAL, WALLETS, ENTRIES, TRANSACTIONS, HOLDS, WITHDRAWALS, SCHEDULED_DEPOSITS, ATTEMPTS, RESOLUTIONS),
    *(COMMISSION_RULES, BANK_STATEMENTS, BANK_STATEMENT_LINES, REQUESTS),
)
MEANINGS: Mapping[str, str] = {
    **{name: total.meaning for name, total in TOTALS.items()},
    **{name: rule.meaning for walk in WALKS for name, rule in walk.rules.items()},
}

# Rows that one statement reads.
SLICE_ROWS = 20_000

JOURNAL_END = "SELECT coalesce(max(number), 0) FROM journal"


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
    table: str = ""
    """The table that is walked."""
    slices: int = 0
    """Slices that were checked, of all tables."""
    checks: dict[str, Check] = field(
        default_factory=lambda: {name: Check(name, text) for name, text in MEANINGS.items()}
    )

    def found(self, name: str, count: int, first: str) -> None:
        """Add rows that break a rule."""
        check = self.checks[name]
        check.first = check.first or first
        check.broken += count


def verify(engine: Engine) -> list[Check]:
    """Check everything in one snapshot; return every rule: none is broken in a correct ledger.

    Raises ``DatabaseUnavailable``.
    """
    try:
        with engine.connect().execution_options(isolation_level="REPEATABLE READ") as tx:
            return checks(tx)
    except DBAPIError as error:
        raise DatabaseUnavailable from error.orig


def checks(tx: Connection) -> list[Check]:
    """Return every rule as one transaction reads the tables."""
    *_, last = walked(lambda: _always(_driver(tx)), slice_rows=SLICE_ROWS)
    return list(last.checks.values())


def walked(snapshot: Callable[[], Any], *, slice_rows: int) -> Iterator[Progress]:
    """Check everything; yield the progress after each slice, the same object each time.

    *snapshot* opens the transaction of a slice.
    """
    with snapshot() as tx:
        ((end,),) = tx.execute(JOURNAL_END)
    progress = Progress(journal_end=end)
    yield progress
    for walk in WALKS:
        progress.table = walk.table
        for _ in _slices(walk, snapshot, progress, slice_rows):
            progress.slices += 1
            yield progress
    progress.table = "totals"
    for name, total in TOTALS.items():
        with snapshot() as tx:
            rows = tx.execute(total.query).fetchall()
        if rows:
            progress.found(name, len(rows), str(rows[0][0]))
    yield progress


def _slices(walk: Walk, snapshot: Callable[[], Any], progress: Progress, slice_rows: int) -> Iterator[None]:
    after: dict[str, Any] = {}
    while True:
        with snapshot() as tx:
            parameters = {**after, "rows": slice_rows, "journal_end": progress.journal_end}
            last = tx.execute(_bound(walk, bool(after)), parameters).fetchone()
            if last is not None:
                parameters |= walk.places("upto", last)
            for name, count, first in tx.execute(_statement(walk, bool(after), last is not None), parameters):
                progress.found(name, count, first)
        yield
        if last is None:
            return
        after = walk.places("after", last)


# Made once, so that the driver recognizes and prepares them.


@cache
def _bound(walk: Walk, after: bool) -> str:  # noqa: FBT001  # of a cache's key
    return walk.bound(after=after)


@cache
def _statement(walk: Walk, after: bool, upto: bool) -> str:  # noqa: FBT001  # of a cache's key
    return walk.statement(after=after, upto=upto)


@contextmanager
def _always(tx: Tx) -> Iterator[Tx]:
    """Take every slice from one transaction."""
    yield tx


def _driver(tx: Connection) -> Tx:
    return cast("Tx", tx.connection.driver_connection)
