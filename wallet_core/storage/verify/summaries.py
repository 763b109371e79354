"""The journal's beginning: after its newest summary, which states the digests of what the dropped records have said."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from wallet_core.domain.model.checkpoint import Checkpoint
from wallet_core.domain.model.summary import Digest, Summary, SummaryStatement, summary_name, summary_statement_of
from wallet_core.storage.connections.engine import Tx
from wallet_core.storage.verify.checkpoints import HASH

MEANINGS: Mapping[str, str] = {
    "summaries": "the journal's newest summary is signed, and the tables still say what the records that it sums up "
    "have said",
}

NEWEST = "SELECT number, statement, key_id, signature FROM journal_summaries ORDER BY number DESC LIMIT 1"
FIRST = "SELECT min(number) FROM journal"


@dataclass(slots=True)
class Beginning:
    """Where the journal begins, and what the tables say of what lies before."""

    summary: Summary | None
    """None: nothing was summed up."""
    first: int | None
    """The first record that there is: pruning moves it."""
    digests: dict[str, Digest] = field(default_factory=dict)
    """Of the rows of each table that no event after the summary reports, as far as they were read."""

    @property
    def number(self) -> int:
        """The last number that is summed up; 0 without a summary."""
        return self.summary.number if self.summary is not None else 0

    def add(self, table: str, hashes: bytes) -> None:
        """Add what a slice of a table has."""
        self.digests[table] = self.digests.get(table, Digest()).plus(hashes)

    def is_right(self, tx: Tx, is_signed: Callable[[Checkpoint], bool], *, compare: bool) -> bool:
        """Return whether the summary is signed, and states the journal; *compare* its digests with the tables', too."""
        if self.summary is None:
            return True
        stated = self._stated(self.summary)
        rows = tx.execute(HASH, [self.number]).fetchall()
        if stated is None or not is_signed(self.summary) or rows != [(stated.hash,)]:
            return False
        summed_up = (stated.transactions, stated.requests, stated.last_events)
        tables = ("transactions", "requests", "journal_last_events")
        return not compare or summed_up == tuple(self.digests.get(table, Digest()) for table in tables)

    @staticmethod
    def _stated(summary: Summary) -> SummaryStatement | None:
        try:
            stated = summary_statement_of(summary.statement)
        except ValueError:
            return None
        return stated if stated.number == summary.number else None

    def __str__(self) -> str:
        return summary_name(self.number)


def beginning(tx: Tx) -> Beginning:
    """Return where the journal begins now."""
    row = tx.execute(NEWEST).fetchone()
    return Beginning(Summary(*row) if row is not None else None, first_number(tx))


def first_number(tx: Tx) -> int | None:
    """Return the number of the first record; None without one."""
    ((first,),) = tx.execute(FIRST)
    return None if first is None else int(first)
