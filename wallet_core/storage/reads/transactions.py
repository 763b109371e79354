"""Transactions with their entries and reversals."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from wallet_core.domain.model.errors import ResourceNotFound
from wallet_core.domain.model.transaction import Entry, Transaction, transaction_name
from wallet_core.domain.model.wallet import WalletId
from wallet_core.domain.queries.filter import Condition, Op
from wallet_core.domain.queries.lists import TRANSACTION_FIELDS, Page
from wallet_core.storage.connections.reader import Reader, wallet_key
from wallet_core.storage.posting.transactions import COLUMNS, REVERSED, TRANSACTIONS, transaction_of
from wallet_core.storage.reads.pages import Listing, Narrowed, Place, instant_after, narrowed, where
from wallet_core.storage.reads.search import first_from

# Most fields are columns of the same name.
_COLUMNS = {name: f"t.{name}" for name in TRANSACTION_FIELDS} | {
    "state": """CASE reversed.amount
        WHEN 0 THEN 'POSTED' WHEN t.amount THEN 'REVERSED' ELSE 'PARTIALLY_REVERSED'
    END""",
    "source": "('wallets/' || source.id)",
    "destination": "('wallets/' || destination.id)",
    "execute_time": "t.time",
}

_SHOWN = f"{COLUMNS}, reversed.ids, reversed.amount"

# Each row of the scan window is looked up by itself (LIMIT keeps the filter out of the look-up): a filter on an indexed
# column would otherwise make the database begin with all rows of the table that match.
_JOINS = f"""
CROSS JOIN LATERAL (SELECT * FROM transactions WHERE id = scan_window.transaction LIMIT 1) AS t
JOIN wallets AS source ON source.key = t.source
JOIN wallets AS destination ON destination.key = t.destination
CROSS JOIN LATERAL ({REVERSED}) AS reversed
"""

_ALL = Listing(
    scan_window="""SELECT sequence, transaction FROM entries
        WHERE wallet = :wallet AND sequence >= :first AND sequence < :before ORDER BY sequence DESC""",
    columns=f"{_SHOWN}, scan_window.sequence",
    joins=_JOINS,
    position=("sequence",),
)
_OF_A_TYPE = Listing(
    scan_window="""SELECT sequence, transaction FROM entries
        WHERE wallet = :wallet AND type = :type AND sequence >= :first AND sequence < :before ORDER BY sequence DESC""",
    columns=f"{_SHOWN}, scan_window.sequence",
    joins=_JOINS,
    position=("sequence",),
)

_ENTRIES = text("""
SELECT entries.transaction, wallets.id, entries.wallet, entries.sequence, entries.amount, entries.balance_after
FROM entries
JOIN wallets ON wallets.key = entries.wallet
WHERE entries.transaction = ANY(:transactions)
ORDER BY entries.transaction, entries.wallet
""")

_BATCH = "SELECT id FROM transactions WHERE batch = :batch ORDER BY batch_item"


class TransactionReads(Reader):
    """Reads of transactions."""

    def transaction(self, transaction: UUID) -> Transaction:
        """Return one transaction with its entries."""
        found = self.read(lambda tx: _transactions(tx, [transaction]))
        if not found:
            raise ResourceNotFound(transaction_name(transaction))
        return found[0]

    def transactions(self, transactions: Sequence[UUID]) -> list[Transaction]:
        """Return those of some transactions that exist, with their entries."""
        return self.read(lambda tx: _transactions(tx, transactions))

    def batch(self, batch: UUID) -> list[Transaction]:
        """Return the transactions of an atomic batch, in the order of its items."""
        return self.read(lambda tx: _transactions(tx, tx.execute(text(_BATCH), {"batch": batch}).scalars().all()))

    def list_transactions(
        self, wallet: WalletId, *, size: int, before: int | None, conditions: Sequence[Condition]
    ) -> Page[Transaction]:
        """Return a wallet's transactions, newest first, from below its sequence *before*."""

        def read(tx: Connection) -> Page[Transaction]:
            key = wallet_key(tx, wallet)
            scan_window = _ScanWindow(tx, key, before)
            others = [condition for condition in conditions if not scan_window.narrows(condition)]
            listing = _OF_A_TYPE if scan_window.type is not None else _ALL
            page = listing.page(tx, size=size, where=where(others, _COLUMNS), parameters=scan_window.parameters)
            rows = [tuple(row)[:-1] for row in page.items]
            return page.showing(_with_entries(tx, rows))

        return self.read(read)

    def list_all_transactions(
        self, *, size: int, before: Place | None, conditions: Sequence[Condition]
    ) -> Page[Transaction]:
        """Return the transactions of all wallets, newest first, from below the time and id *before*."""
        by = ("external_reference", "labels", "caller")
        narrow = narrowed(conditions, by=by, time="execute_time", before=before)
        listing = _across_wallets(narrow)

        def read(tx: Connection) -> Page[Transaction]:
            others = where(narrow.others, _COLUMNS)
            page = listing.page(tx, size=size, where=others, parameters=narrow.parameters)
            return page.showing(_with_entries(tx, [tuple(row)[:-2] for row in page.items]))

        return self.read(read)


def _across_wallets(narrow: Narrowed) -> Listing:
    """Return the listing of all wallets' transactions, by the index that narrows it."""
    table, id_, only = "transactions", "id", ""
    known: tuple[str, ...] = ()
    if narrow.by is not None and narrow.by.key:
        table, id_, known = "transaction_labels", "transaction", ("key", "value")
    elif narrow.by is not None:
        known, only = (narrow.by.field,), f"{narrow.by.field} <> '' AND "  # the index has no others
    columns = ", ".join([*known, "time", f"{id_} AS transaction"])
    return Listing(
        scan_window=f"SELECT {columns} FROM {table} WHERE {only}{narrow.keyset('time', id_, *known)}",
        columns=f"{_SHOWN}, scan_window.time, scan_window.transaction",
        joins=_JOINS,
        position=("time", "transaction"),
        known=known,
    )


class _ScanWindow:
    """The part of a wallet's history that can match, as far as indexes can narrow it."""

    def __init__(self, tx: Connection, wallet: int, before: int | None) -> None:
        self._tx = tx
        self._wallet = wallet
        self._first = 1
        self._before = before or 2**63 - 1
        self.type: object | None = None

    def narrows(self, condition: Condition) -> bool:
        """Narrow the window by a condition on time or for one type; return whether that has covered it."""
        if condition.field == "type" and condition.op is Op.EQUAL and self.type is None:
            self.type = condition.value
            return True
        if condition.field != "execute_time" or not isinstance(condition.value, datetime):
            return False
        match condition.op:
            case Op.LESS:
                self._end(condition.value)
            case Op.LESS_OR_EQUAL:
                self._end(instant_after(condition.value))
            case Op.GREATER:
                self._begin(instant_after(condition.value))
            case Op.GREATER_OR_EQUAL:
                self._begin(condition.value)
            case Op.EQUAL:
                self._begin(condition.value)
                self._end(instant_after(condition.value))
            case _:
                return False
        return True

    @property
    def parameters(self) -> dict[str, object]:
        """The parameters of the listing."""
        parameters: dict[str, object] = {"wallet": self._wallet, "first": self._first, "before": self._before}
        return parameters if self.type is None else {**parameters, "type": self.type}

    def _begin(self, time: datetime) -> None:
        self._first = max(self._first, first_from(self._tx, self._wallet, time))

    def _end(self, time: datetime) -> None:
        self._before = min(self._before, first_from(self._tx, self._wallet, time))


def _transactions(tx: Connection, ids: Sequence[UUID]) -> list[Transaction]:
    """Return those of some transactions that exist, in the requested order."""
    found = {row[0]: row for row in tx.exec_driver_sql(TRANSACTIONS, (list(ids),))}
    return _with_entries(tx, [found[id_] for id_ in ids if id_ in found])


def _with_entries(tx: Connection, rows: Sequence[Sequence[Any] | Row[Any]]) -> list[Transaction]:
    """Return the transactions of *rows*, in their order, each with its entries."""
    legs: dict[UUID, list[Entry]] = {}
    for transaction, *leg in tx.execute(_ENTRIES, {"transactions": [row[0] for row in rows]}):
        legs.setdefault(transaction, []).append(Entry(*leg))
    return [_in_order(transaction_of(row, tuple(legs[row[0]]))) for row in rows]


def _in_order(transaction: Transaction) -> Transaction:
    """Return it with its entries in posting order: source, destination, commission wallet."""
    places = {transaction.movement.source: 0, transaction.movement.destination: 1}
    return replace(transaction, entries=tuple(sorted(transaction.entries, key=lambda one: places.get(one.wallet, 2))))
