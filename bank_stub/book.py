"""The bank's book: one SQLite file that survives the bank being killed.

Every method runs inside :meth:`Book.transaction`, under the only lock; its writes are in the file when the block ends,
before any byte of a response is sent.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from threading import Lock

from bank_stub.contract import Json, Kind, State, Terms

SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('executed', 'failed', 'pending')),
    amount_minor INTEGER NOT NULL,
    currency TEXT NOT NULL,
    account TEXT NOT NULL,
    reference TEXT CHECK ((state = 'executed') = (reference IS NOT NULL)),
    reason TEXT NOT NULL,
    settled INTEGER NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT;
CREATE TABLE IF NOT EXISTS ledger (
    number INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('execution', 'return', 'collection')),
    key TEXT,
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
    currency TEXT NOT NULL,
    account TEXT NOT NULL,
    reference TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS ledger_by_key ON ledger (key, number);
CREATE TABLE IF NOT EXISTS calls (
    number INTEGER PRIMARY KEY,
    method TEXT NOT NULL CHECK (method IN ('GET', 'POST')),
    path TEXT NOT NULL,
    key TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS faults (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    match TEXT NOT NULL,
    times INTEGER,
    probability REAL NOT NULL,
    parameters TEXT NOT NULL,
    fired INTEGER NOT NULL
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Record:
    """What the bank stores for a key. Settled: by a person at the bank, so it is no longer pending."""

    kind: Kind
    key: str
    state: State
    terms: Terms
    reference: str | None = None
    reason: str = ""
    settled: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the statement: numbered from 1 without gaps, in the order of execution."""

    number: int
    kind: Kind
    key: str | None
    terms: Terms
    reference: str

    def as_json(self) -> dict[str, Json]:
        """Return the line as the contract has it."""
        return {
            "number": self.number,
            "kind": self.kind,
            "key": self.key,
            "amount": self.terms.amount_minor,
            "currency": self.terms.currency,
            "account": self.terms.account,
            "reference": self.reference,
        }


class Book:
    """The file and its lock. *path* may be ``:memory:``, which ends with the bank."""

    def __init__(self, path: str) -> None:
        self._lock = Lock()
        self.connection = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
        self.connection.execute("PRAGMA journal_mode = WAL")
        # NORMAL: a killed process loses nothing, because the kernel has the bytes. A power cut could, which a stub need
        # not survive.
        self.connection.execute("PRAGMA synchronous = NORMAL")
        self.connection.executescript(SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run a block under the lock as one transaction: all of it is stored, or, on an error, none."""
        with self._lock:
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self.connection.execute("ROLLBACK")
                raise
            self.connection.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self.connection.close()

    def records(self, key: str) -> list[Record]:
        """Read the records of *key*: at most one payout and one collection."""
        rows = self.connection.execute(
            """
            SELECT kind, key, state, amount_minor, currency, account, reference, reason, settled
            FROM records
            WHERE key = ?
            ORDER BY kind DESC
            """,
            (key,),
        )
        return [Record(Kind(r[0]), r[1], State(r[2]), Terms(*r[3:6]), r[6], r[7], bool(r[8])) for r in rows]

    def record(self, kind: Kind, key: str) -> Record | None:
        """Read the record of *key* as a payout or as a collection."""
        return next((record for record in self.records(key) if record.kind == kind), None)

    def remember(self, record: Record) -> None:
        """Store *record*, replacing an earlier one; a first execution is never overwritten."""
        self.connection.execute(
            """
            INSERT INTO records (kind, key, state, amount_minor, currency, account, reference, reason, settled)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (kind, key) DO UPDATE
            SET state = excluded.state, amount_minor = excluded.amount_minor, currency = excluded.currency,
                account = excluded.account, reference = excluded.reference, reason = excluded.reason,
                settled = excluded.settled
            WHERE records.state <> 'executed'
               OR records.reference = excluded.reference
            """,
            (
                record.kind,
                record.key,
                record.state,
                record.terms.amount_minor,
                record.terms.currency,
                record.terms.account,
                record.reference,
                record.reason,
                int(record.settled),
            ),
        )

    def forget(self, key: str | None) -> int:
        """Delete the records of *key*, or of every key, and return their number; the statement stays."""
        return self.connection.execute("DELETE FROM records WHERE ?1 IS NULL OR key = ?1", (key,)).rowcount

    def append_line(self, kind: Kind, key: str | None, terms: Terms, reference: str | None = None) -> Line:
        """Write the next line of the statement, with a new reference unless it refers to an earlier line."""
        number = self.last_number() + 1
        reference = reference or f"bank-{self.setting('reference_prefix', '000000')}-{number:08d}"
        self.connection.execute(
            """
            INSERT INTO ledger (number, kind, key, amount_minor, currency, account, reference)
            VALUES (?, ?, ?, ?, ?, ?, ?)
            """,
            (number, kind, key, terms.amount_minor, terms.currency, terms.account, reference),
        )
        return Line(number, kind, key, terms, reference)

    def lines(self, after: int, limit: int) -> list[Line]:
        """Read up to *limit* lines numbered above *after*, in order."""
        rows = self.connection.execute(
            """
            SELECT number, kind, key, amount_minor, currency, account, reference
            FROM ledger
            WHERE number > ?
            ORDER BY number
            LIMIT ?
            """,
            (after, limit),
        )
        return [_line(row) for row in rows]

    def last_number(self) -> int:
        """Read the highest line number, 0 if there is none."""
        with closing(self.connection.execute("SELECT COALESCE(MAX(number), 0) FROM ledger")) as cursor:
            return int(cursor.fetchone()[0])

    def first_unreturned(self, key: str) -> Line | None:
        """Return the first execution of *key* that was not returned."""
        rows = self.connection.execute(
            """
            SELECT number, kind, key, amount_minor, currency, account, reference
            FROM ledger AS executed
            WHERE key = ?
              AND kind <> 'return'
              AND NOT EXISTS (SELECT 1 FROM ledger AS back
                              WHERE back.key = executed.key
                                AND back.kind = 'return'
                                AND back.reference = executed.reference)
            ORDER BY number
            LIMIT 1
            """,
            (key,),
        ).fetchall()
        return _line(rows[0]) if rows else None

    def executions_by_key(self, after: int) -> dict[str, int]:
        """Count executions after line *after*, by key; those without one under the empty key."""
        rows = self.connection.execute(
            """
            SELECT COALESCE(key, ''), COUNT(*)
            FROM ledger
            WHERE number > ?
              AND kind <> 'return'
            GROUP BY 1
            ORDER BY 1
            """,
            (after,),
        )
        return dict(rows.fetchall())

    def note_call(self, method: str, path: str, key: str | None, body: bytes) -> None:
        """Store a call as it arrived, before it is decided."""
        self.connection.execute(
            "INSERT INTO calls (method, path, key, body) VALUES (?, ?, ?, ?)",
            (method, path, key or "", body.decode(errors="replace")),
        )

    def calls_by_key(self, method: str) -> dict[str, int]:
        """Count the stored calls, by key; those without one under the empty key."""
        rows = self.connection.execute(
            "SELECT key, COUNT(*) FROM calls WHERE method = ? GROUP BY key ORDER BY key", (method,)
        )
        return dict(rows.fetchall())

    def bodies(self, key: str) -> list[str]:
        """Read what was POSTed with *key*, in order of arrival."""
        rows = self.connection.execute(
            "SELECT body FROM calls WHERE key = ? AND method = 'POST' ORDER BY number LIMIT 1000", (key,)
        )
        return [row[0] for row in rows]

    def forget_calls(self) -> None:
        """Delete the stored calls; counting starts again."""
        self.connection.execute("DELETE FROM calls")

    def setting(self, name: str, default: str) -> str:
        """Read a setting of the bank."""
        row = self.connection.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return default if row is None else str(row[0])

    def set_setting(self, name: str, value: str) -> None:
        """Store a setting of the bank."""
        self.connection.execute("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", (name, value))


def _line(row: tuple[int, str, str | None, int, str, str, str]) -> Line:
    return Line(row[0], Kind(row[1]), row[2], Terms(row[3], row[4], row[5]), row[6])
