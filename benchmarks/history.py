"""Lists and statements over a long history: every page costs about the same, wherever it lies and whatever it filters.

One wallet gets a million entries through the ledger itself, a reversal among each thousand. Then pages of its list and
of its statement are read in turns, and their plans are looked at: none may read a whole table or sort more than a
scan window of it.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from statistics import median
from time import perf_counter
from typing import Any

import psycopg
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sqlalchemy import Engine, event

from benchmarks.stand import a_cluster, a_request, analyze, broken_rules, empty_database, open_wallet
from wallet_core.bootstrap import open_app
from wallet_core.domain.commands.transfers.batch_transfer import BatchTransfer
from wallet_core.domain.commands.transfers.reverse_transaction import ReverseTransaction
from wallet_core.domain.commands.transfers.transfer import TransferTerms
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.transaction import TransactionDetails
from wallet_core.domain.model.wallet import WalletId
from wallet_core.domain.queries.filter import parse_filter
from wallet_core.domain.queries.lists import TRANSACTION_FIELDS
from wallet_core.settings import read_settings
from wallet_core.storage.reads.pages import SCAN_WINDOW
from wallet_core.usecases.app import App, new_id

ENTRIES = 1_000_000
BATCH = 1000
PAGE = 50
ROUNDS = 200
_WARM_UP = 10
BAR = 2.0

HISTORY, PARTNER = WalletId("history"), WalletId("partner")
ALWAYS = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)

Read = Callable[[], object]


def main() -> int:
    """Measure and print; return 1 if a page costs more than its bar or is planned badly, or the books are wrong."""
    console = Console()
    with a_cluster() as (_, cluster):
        url = empty_database(cluster, "bench_history")
        with open_app(read_settings(database_url=url, log_level="ERROR"), name="bench") as app:
            _fill(app, console)
            analyze(url)
            reads = _reads(app)
            with _statements(app.reads.engine) as seen:
                bad = {name: _bad_plans(url, seen, read) for name, read in reads.items()}
            times = _times(reads)
        with console.status("verifying the books"):
            broken = broken_rules({"history": url})
    table = Table(title=f"Pages of {PAGE} from {ENTRIES:,} entries, medians of {ROUNDS} rounds")
    for heading in ("page", "ms", "to the first page", "bar", "bad plans"):
        table.add_column(heading, justify="right")
    missed = False
    for name, spent in times.items():
        first = times[f"{name.partition(',')[0]}, first"]
        ratio = median(spent) / median(first)
        missed |= ratio > BAR or bool(bad[name])
        table.add_row(name, f"{median(spent) * 1000:.2f}", f"{ratio:.2f}", f"{BAR:g}", "; ".join(bad[name]) or "none")
    console.print(table)
    if broken:
        console.print(f"[red]the books are broken: {broken}[/]")
    return 1 if broken or missed else 0


def _fill(app: App, console: Console) -> None:
    open_wallet(app, HISTORY, ENTRIES * 10)
    open_wallet(app, PARTNER, ENTRIES)
    for _ in track(range(ENTRIES // BATCH), description=f"making {ENTRIES:,} entries", console=console):
        done = app.ledger.post(
            BatchTransfer(request=a_request(), id=new_id(), items=tuple(map(_item, range(BATCH - 1))))
        )
        app.ledger.post(
            ReverseTransaction(
                request=a_request(),
                id=new_id(),
                transaction=done.transactions[0].id,
                amount=None,
                keep_commission=False,
            )
        )


def _item(number: int) -> TransferTerms:
    labels = {"order": "first"} if number == 0 else {}
    return TransferTerms(
        id=new_id(),
        source=HISTORY,
        destination=PARTNER,
        amount=Money("USD", 1 + number % 7),
        details=TransactionDetails(labels=labels),
    )


def _reads(app: App) -> dict[str, Read]:
    """Return every page that is compared, by name; each is compared with the first of its kind."""
    middle = ENTRIES // 2
    (halfway,) = app.reads.list_transactions(HISTORY, size=1, before=middle, conditions=()).items

    def listed(before: int | None, text: str) -> Read:
        conditions = parse_filter(text, TRANSACTION_FIELDS)
        return lambda: app.reads.list_transactions(HISTORY, size=PAGE, before=before, conditions=conditions)

    def stated(start: datetime, end: datetime, first: int | None) -> Read:
        return lambda: app.reads.statement(HISTORY, start, end, size=PAGE, first=first)

    time = halfway.time.isoformat()
    return {
        "list, first": listed(None, ""),
        "list, middle": listed(middle, ""),
        "list, middle by time": listed(None, f'execute_time < "{time}"'),
        "list, one type": listed(None, "type = REVERSAL"),
        "list, one type in the middle": listed(middle, "type = REVERSAL"),
        "list, amounts": listed(middle, "amount > 3"),
        "statement, first": stated(*ALWAYS, None),
        "statement, middle": stated(*ALWAYS, middle),
        "statement, a second in the middle": stated(halfway.time, halfway.time + timedelta(seconds=1), None),
    }


def _times(reads: dict[str, Read]) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in reads}
    for round_ in range(ROUNDS + _WARM_UP):
        for name, read in reads.items():
            started_at = perf_counter()
            read()
            if round_ >= _WARM_UP:
                times[name].append(perf_counter() - started_at)
    return times


Statements = list[tuple[str, Any]]


@contextmanager
def _statements(engine: Engine) -> Iterator[Statements]:
    """Yield a list that fills with what is sent to the database."""
    seen: Statements = []

    def note(_conn: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:  # noqa: ANN401  # the driver's
        seen.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


def _bad_plans(url: str, seen: Statements, read: Read) -> list[str]:
    """Return what is wrong with the plans of a read's statements."""
    seen.clear()
    read()
    bad: list[str] = []
    with psycopg.connect(url) as connection:
        for statement, parameters in seen:
            explained = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}".encode(), parameters)
            ((plans,),) = explained.fetchall()
            bad += [wrong for plan in plans for wrong in _wrong_in(plan["Plan"])]
    return bad


def _wrong_in(node: dict[str, Any]) -> Iterator[str]:
    table = node.get("Relation Name")
    if node["Node Type"] == "Seq Scan" and table in {"entries", "transactions"}:
        yield f"reads all of {table}"
    if node["Node Type"].endswith("Sort") and node["Actual Rows"] > SCAN_WINDOW:
        yield f"sorts {node['Actual Rows']} rows"
    for child in node.get("Plans", ()):
        yield from _wrong_in(child)


if __name__ == "__main__":
    sys.exit(main())
