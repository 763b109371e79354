"""Journal records."""

from sqlalchemy import text

from wallet_core.domain.model.event import JournalRecord
from wallet_core.storage.connections.reader import Reader
from wallet_core.storage.posting.outbox import event_of

_COLUMNS = "SELECT number, hash, type, subject, wallets, time, facts FROM journal"


class JournalReads(Reader):
    """Reads of the journal."""

    def journal_after(self, number: int, limit: int) -> list[JournalRecord]:
        """Return the records that follow a number, in their order."""
        return self._records("WHERE number > :number ORDER BY number LIMIT :limit", number=number, limit=limit)

    def journal_record(self, number: int) -> JournalRecord | None:
        """Return one record, None where there is none of that number."""
        return next(iter(self._records("WHERE number = :number", number=number)), None)

    def journal_start(self) -> JournalRecord | None:
        """Return the first record that is kept, None while there is none."""
        return next(iter(self._records("ORDER BY number LIMIT 1")), None)

    def journal_end(self) -> JournalRecord | None:
        """Return the last record, None while there is none."""
        return next(iter(self._records("ORDER BY number DESC LIMIT 1")), None)

    def _records(self, which: str, **parameters: int) -> list[JournalRecord]:
        rows = self.read(lambda tx: tx.execute(text(f"{_COLUMNS} {which}"), parameters).all())
        return [JournalRecord(number, event_of(*event), hash_) for number, hash_, *event in rows]
