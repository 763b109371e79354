"""Export a statement as CSV, of any length, a span of lines at a time."""

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from wallet_core.domain.model.money import decimal_text
from wallet_core.domain.model.transaction import transaction_name
from wallet_core.domain.model.wallet import WalletId, wallet_name
from wallet_core.domain.queries.statement import StatementEntry
from wallet_core.usecases.app import App

# Entries that are read, and sent, at once.
_LINES = 1000

_HEADER = (
    *("sequence", "time", "transaction", "type", "counterparty", "amount", "balance_after", "currency_code"),
    *("description", "external_reference"),
)

# A cell that begins with one of these may be run as a formula: the end of a line counts, and wide forms do in some
# languages. The apostrophe is among them, so that one that was added can be told from one that was there.
_RUN = (*"=+-@\t\r\n＝＋－＠", "'")  # noqa: RUF001  # wide forms are meant

# Embeddings, overrides and isolates of direction: they would show amounts and names, their own and the neighbours',
# in another order than they stand. Marks (U+200E, U+200F), which only place signs, are part of some languages.
_TURNING = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])


def export_statement(app: App, wallet: WalletId, start: datetime, end: datetime) -> Iterator[bytes]:
    """Return the entries of a wallet in ``[start, end)`` as parts of one CSV file in UTF-8, header first.

    Each part is read by itself: what is booked never changes, so no transaction stays open while a caller is slow.
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


def _inert(words: str) -> str:
    """Return words of a caller so that no spreadsheet runs them, and that they turn around nothing that is read."""
    words = words.translate(_TURNING)
    return f"'{words}" if words.startswith(_RUN) else words


def _csv(lines: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(lines)
    return text.getvalue().encode()
