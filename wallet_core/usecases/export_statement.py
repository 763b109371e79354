"""Export a statement of any length as CSV, in parts."""

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from wallet_core.domain.model.money import decimal_text
from wallet_core.domain.model.transaction import transaction_name
from wallet_core.domain.model.wallet import WalletId, wallet_name
from wallet_core.domain.queries.statement import StatementEntry
from wallet_core.usecases.app import App

# Entries of one part.
_LINES = 1000

_HEADER = (
    *("sequence", "time", "transaction", "type", "counterparty", "amount", "balance_after", "currency_code"),
    *("description", "external_reference"),
)

# A spreadsheet may run a cell that begins with one of these as a formula: line ends count, and in some languages wide
# forms do. The apostrophe is among them, so that an added one differs from an original one.
_FORMULA = (*"=+-@\t\r\n＝＋－＠", "'")  # noqa: RUF001  # wide forms are meant

# Embeddings, overrides and isolates of direction: they would display amounts and names, also of neighbouring cells, in
# another order. Marks (U+200E, U+200F) only place signs and are part of some languages.
_DIRECTION = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])


def export_statement(app: App, wallet: WalletId, start: datetime, end: datetime) -> Iterator[bytes]:
    """Return the entries of a wallet in ``[start, end)`` as parts of one CSV file in UTF-8, header first.

    Each part is a read of its own: posted entries never change, so no transaction stays open for a slow caller.
    """
    span = app.reads.span(wallet, start, end)
    exponent = app.currencies.exponent_of(span.currency)
    yield _csv([_HEADER])
    first = span.first
    while entries := app.reads.statement_entries(span, first=first, limit=_LINES):
        yield _csv(_line(entry, span.currency, exponent) for entry in entries)
        first = entries[-1].sequence + 1


def _line(entry: StatementEntry, currency: str, exponent: int) -> tuple[object, ...]:
    return (
        entry.sequence,
        entry.time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        transaction_name(entry.transaction),
        entry.type,
        wallet_name(entry.counterparty),
        decimal_text(entry.amount, exponent),
        decimal_text(entry.balance_after, exponent),
        currency,
        _inert(entry.description),
        _inert(entry.external_reference),
    )


def _inert(text: str) -> str:
    """Return a caller's text so that no spreadsheet runs it and it changes no direction of writing."""
    text = text.translate(_DIRECTION)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _csv(lines: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(lines)
    return text.getvalue().encode()
