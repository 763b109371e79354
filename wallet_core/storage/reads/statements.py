"""Statements: a page of a day and a page of ten years cost the same.

Binary search finds the ends, stored totals at every thousandth entry give the sums, and pages go by sequence.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from wallet_core.domain.model.errors import LimitExceeded, ResourceNotFound
from wallet_core.domain.model.money import INT64_MAX
from wallet_core.domain.model.transaction import TransactionType
from wallet_core.domain.model.wallet import WalletId, wallet_name
from wallet_core.domain.queries.statement import Span, Statement, StatementEntry, StatementTotal
from wallet_core.storage.connections.reader import Reader
from wallet_core.storage.posting.in_progress import over_until
from wallet_core.storage.posting.totals import EVERY
from wallet_core.storage.reads.search import balance_before, first_from

_WALLET = text("SELECT key, currency FROM wallets WHERE id = :id")

# Totals up to a sequence: the last stored ones before it, and the entries since.
_TOTALS = text("""
SELECT type, sum(count), sum(credited), sum(debited)
FROM (
    SELECT type, count, credited, debited
    FROM entry_totals
    WHERE wallet = :wallet AND sequence = :kept
    UNION ALL
    SELECT type, count(*), sum(greatest(amount, 0)), -sum(least(amount, 0))
    FROM entries
    WHERE wallet = :wallet AND sequence > :kept AND sequence <= :sequence
    GROUP BY type
) AS parts
GROUP BY type
""")

_ENTRIES = text("""
SELECT e.sequence, e.transaction, e.type, CASE t.source WHEN e.wallet THEN destination.id ELSE source.id END AS other,
    e.amount, e.balance_after, e.time, t.description, t.external_reference
FROM (
    SELECT *
    FROM entries
    WHERE wallet = :wallet AND sequence >= :first AND sequence < :after
    ORDER BY sequence
    LIMIT :limit
) AS e
JOIN transactions AS t ON t.id = e.transaction
JOIN wallets AS source ON source.key = t.source
JOIN wallets AS destination ON destination.key = t.destination
ORDER BY e.sequence
""")


class StatementReads(Reader):
    """Reads of statements."""

    def span(self, wallet: WalletId, start: datetime, end: datetime) -> Span:
        """Return which entries of a wallet lie in ``[start, end)``."""
        return self.read(lambda tx: _span(tx, wallet, start, end))

    def statement(self, wallet: WalletId, start: datetime, end: datetime, *, size: int, first: int | None) -> Statement:
        """Return a page of the statement for ``[start, end)``, from the sequence *first* on.

        A late entry comes after all entries of the wallet. So one page that is not provisional shows that the entries
        of all pages before it are final, at whatever time these were read.
        """

        def read(tx: Connection, over: datetime) -> Statement:
            span = _span(tx, wallet, start, end)
            page = _entries(tx, span, max(first or 0, span.first), size + 1)
            return Statement(
                span=span,
                opening_balance=balance_before(tx, span.wallet_key, span.first),
                closing_balance=balance_before(tx, span.wallet_key, span.after),
                totals=_totals(tx, span),
                entries=tuple(page[:size]),
                provisional=end > over,
                next=page[size].sequence if len(page) > size else None,
            )

        return self.read_after(over_until, read)

    def statement_entries(self, span: Span, *, first: int, limit: int) -> list[StatementEntry]:
        """Return up to *limit* entries of a span, from the sequence *first* on. Posted entries never change."""
        return self.read(lambda tx: _entries(tx, span, first, limit))


def _span(tx: Connection, wallet: WalletId, start: datetime, end: datetime) -> Span:
    found = tx.execute(_WALLET, {"id": wallet}).one_or_none()
    if found is None:
        raise ResourceNotFound(wallet_name(wallet))
    return Span(
        wallet=wallet,
        wallet_key=found.key,
        currency=found.currency,
        first=first_from(tx, found.key, start),
        after=first_from(tx, found.key, end),
    )


def _entries(tx: Connection, span: Span, first: int, limit: int) -> list[StatementEntry]:
    parameters = {"wallet": span.wallet_key, "first": first, "after": span.after, "limit": limit}
    return [_entry(row) for row in tx.execute(_ENTRIES, parameters)]


def _entry(row: Row[Any]) -> StatementEntry:
    sequence, transaction, type_, other, amount, balance_after, time, description, external_reference = tuple(row)
    return StatementEntry(
        sequence=sequence,
        transaction=transaction,
        type=TransactionType(type_),
        counterparty=WalletId(other),
        amount=amount,
        balance_after=balance_after,
        time=time,
        description=description,
        external_reference=external_reference,
    )


def _totals(tx: Connection, span: Span) -> tuple[StatementTotal, ...]:
    before = _totals_up_to(tx, span.wallet_key, span.first - 1)
    upto = _totals_up_to(tx, span.wallet_key, span.after - 1)
    totals = []
    for type_ in TransactionType:
        count, credited, debited = (upto[type_, column] - before[type_, column] for column in range(3))
        if max(credited, debited) > INT64_MAX:
            raise LimitExceeded(wallet_name(span.wallet), INT64_MAX)
        if count:
            totals.append(StatementTotal(type=type_, count=count, credited=credited, debited=debited))
    return tuple(totals)


def _totals_up_to(tx: Connection, wallet: int, sequence: int) -> Counter[tuple[str, int]]:
    """Return count, credits and debits by type, up to and with a sequence."""
    parameters = {"wallet": wallet, "kept": sequence // EVERY * EVERY, "sequence": sequence}
    rows: Sequence[Row[Any]] = tx.execute(_TOTALS, parameters).all()
    return Counter({(row[0], column): int(row[column + 1]) for row in rows for column in range(3)})
