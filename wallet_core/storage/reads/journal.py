"""What is told, line by line."""

from typing import Any

from sqlalchemy import Select, select

from wallet_core.domain.model.event import JournalRecord
from wallet_core.storage.connections.reader import Reader
from wallet_core.storage.posting.outbox import event_of
from wallet_core.storage.tables import journal


class JournalReads(Reader):
    """Reads of the journal."""

    def journal_after(self, number: int, limit: int) -> list[JournalRecord]:
        """Return the lines that follow a number, in their order."""
        found = select(journal).where(journal.c.number > number).order_by(journal.c.number).limit(limit)
        return self._lines(found)

    def journal_record(self, number: int) -> JournalRecord | None:
        """Return one line, None where there is none of that number."""
        return next(iter(self._lines(select(journal).where(journal.c.number == number))), None)

    def journal_end(self) -> JournalRecord | None:
        """Return the last line, None while there is none."""
        return next(iter(self._lines(select(journal).order_by(journal.c.number.desc()).limit(1))), None)

    def _lines(self, found: Select[Any]) -> list[JournalRecord]:
        return [
            JournalRecord(row.number, event_of(row.type, row.subject, row.wallets, row.time), row.hash)
            for row in self.read(lambda tx: tx.execute(found).all())
        ]
