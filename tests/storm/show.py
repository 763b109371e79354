"""The storm's display: a bar while it runs, a line an injection, and the tables of the ledgers at the end."""

from collections import Counter
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table

from tests.storm.comparison import expected_balances
from tests.storm.journal import Refused, longest_silence_s
from tests.storm.load import Load
from tests.storm.orders import PaymentOrder, state_of
from tests.storm.plan import Verb
from tests.storm.storm import Report, Watcher
from walletctl.output import minor, out, state

_FINDINGS_SHOWN = 40


class Screen:
    """The terminal while the storm runs; a file gets the lines alone."""

    def __init__(self, seconds: float) -> None:
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[counts]}"),
            console=out.terminal,
            transient=True,
        )
        self._task = self._bar.add_task("", total=seconds, counts="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def watcher(self) -> Watcher:
        """Return the function that prints the storm's events."""
        return Watcher(log=self._log, tick=self._tick, phase=self._phase)

    def _log(self, at_s: float, what: str) -> None:
        self._bar.console.print(f"[dim]{at_s:6.1f} s[/]  {what}")

    def _tick(self, at_s: float, load: Load) -> None:
        outcomes = Counter(type(call.outcome).__name__ for journal in load.journals for call in list(journal.calls))
        counts = f"{outcomes['Done']} done, {outcomes['Refused']} refused, {outcomes['NoneType']} open"
        self._bar.update(self._task, completed=at_s, counts=counts)

    def _phase(self, what: str) -> None:
        self._bar.update(self._task, description=what)
        self._bar.console.print(f"[bold]{what}[/]")


def show(report: Report) -> None:
    """Print what the storm came to."""
    for table in (_blows(report), _calls(report), _orders(report), _bank(report), _wallets(report)):
        out.print(table)
    took = ", ".join(f"{what} {seconds:.1f} s" for what, seconds in report.took_s.items())
    out.print(f"took: {took}")
    for finding in report.findings[:_FINDINGS_SHOWN]:
        out.print(f"[bold red]✗[/] {escape(finding)}")
    again = f"make storm SEED={report.seed} SECONDS={report.seconds:g}"
    if report.findings:
        out.print(f"[bold red]{len(report.findings)} findings.[/] Data and logs are in {report.root}. Again: {again}")
    else:
        out.print(f"[green]✓[/] All books agree. Again: {again}")


def _table(title: str, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    drawn = Table(title=title, title_justify="left", header_style="bold")
    for place, heading in enumerate(headings):
        drawn.add_column(heading, justify="right" if place and heading else "left")
    for row in rows:
        drawn.add_row(*map(str, row))
    return drawn


def _blows(report: Report) -> Table:
    rows = [(component, how, times) for (component, how), times in sorted(report.injected.injections.items())]
    return _table(f"The storm of seed {report.seed}", ("process", "", "times"), rows)


def _calls(report: Report) -> Table:
    calls = [call for journal in report.journals for call in journal.calls]

    def row(name: str, verb: Verb | None) -> Sequence[object]:
        ours = [call for call in calls if verb in {None, call.verb}]
        done = sum(call.done is not None for call in ours)
        refused = sum(isinstance(call.outcome, Refused) for call in ours)
        return name, done, refused, sum(call.tries > 1 for call in ours), len(ours) - done - refused

    headings = ("call", "done", "refused", "asked more than once", "unknown")
    passed_over = sum(journal.passed_over for journal in report.journals)
    title = (
        f"Calls; {report.repeated} repeated in the end, {passed_over} passed over for want of what they are about; "
        f"the longest time without an answer to anybody was {longest_silence_s(report.journals):.1f} s"
    )
    return _table(title, headings, [*(row(verb, verb) for verb in Verb), row("all", None)])


def _orders(report: Report) -> Table:
    books = report.books
    collected = [order for order in books.scheduled_deposits if order.collect]
    plain = [order for order in books.scheduled_deposits if not order.collect]
    kinds: dict[str, list[PaymentOrder]] = {
        "withdrawals": [order for order in books.withdrawals if not order.reserve],
        "withdrawals, reserved": [order for order in books.withdrawals if order.reserve],
        "deposits, collected": list(collected),
        "deposits, plain": list(plain),
    }
    states = ("SUCCEEDED", "FAILED", "CANCELLED", "SCHEDULED")
    rows = [
        (kind, *(sum(state_of(order) == name for order in orders) for name in states)) for kind, orders in kinds.items()
    ]
    title = (
        f"Orders; in doubt were {books.doubted_withdrawals} withdrawals and {books.doubted_collections} collections; "
        f"a person at the bank decided on {report.quiet.decided} and did {report.quiet.by_hand} that never came"
    )
    return _table(title, ("orders", *map(state, states)), rows)


def _bank(report: Report) -> Table:
    """Show both sides of every attempt."""
    ours = [f"{count} {answer.replace('_', ' ').lower()}" for answer, count in report.books.answers.most_common()]
    theirs = [f"{times} {fault.replace('_', ' ')}" for fault, times in sorted(report.faults.items()) if times]
    lines = Counter(line.kind for line in report.books.lines)
    rows = [
        ("attempts, by our books", ", ".join(ours)),
        ("payments asked of it, by its books", sum(report.books.asked.values())),
        ("done, by its ledger", ", ".join(f"{count} {kind}s" for kind, count in sorted(lines.items()))),
        ("faults", ", ".join(theirs)),
    ]
    return _table("The bank", ("", ""), rows)


def _wallets(report: Report) -> Table:
    expected = expected_balances(report.journals, report.books)
    rows = []
    for name, wallet in report.books.wallets.items():
        balance, follows = wallet.balance.minor_units, expected[name]
        shown = (minor(amount, wallet.currency_code) for amount in (balance, follows))
        rows.append((name.removeprefix("wallets/"), *shown, "[green]✓[/]" if balance == follows else "[red]✗[/]"))
    return _table("Wallets", ("wallet", "balance", "by the answers, and by the bank", ""), rows)
