"""Transfers beside the publishing of events, and without it: to no watcher, to some, to many that catch up."""

import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.stand import (
    CALLERS,
    ROUND_S,
    WALLETS,
    a_cluster,
    a_server,
    analyze,
    broken_rules,
    empty_database,
    seed_wallets,
    transfer_rate,
)
from walletctl.local.child import spawn

ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Beside:
    """What runs beside the transfers."""

    name: str
    journal: bool = True
    watchers: int = 0
    from_start: bool = False
    bar: float | None = None
    """How much of the rate alone is to be left."""


ALONE = Beside("no watcher, no journal", journal=False)
ALL = (
    ALONE,
    Beside("the journal is written"),
    Beside("16 watch", watchers=16, bar=0.6),
    # Many who catch up leave the others most of the time.
    Beside("60 catch up", watchers=60, from_start=True, bar=0.4),
)


def main() -> int:
    """Measure and print; return 1 if a ratio is below its bar, or the books are wrong afterwards."""
    console = Console()
    rates: dict[Beside, list[float]] = {beside: [] for beside in ALL}
    with ExitStack() as stack:
        root, cluster = stack.enter_context(a_cluster())
        status = stack.enter_context(console.status("seeding 10,000 wallets"))
        url = empty_database(cluster, "bench_watched")
        seed_wallets(url)
        analyze(url)
        target = stack.enter_context(a_server(url, root / "server.log"))
        for round_ in range(ROUNDS + 1):
            for number, beside in enumerate(ALL):
                status.update(f"round {round_} of {ROUNDS}: {beside.name}")
                with _running_beside(beside, target, url, root):
                    rate = transfer_rate(target, hot=False, seed=round_ * 10 + number)
                if round_:  # round 0 warms up
                    rates[beside].append(rate)
        status.update("verifying the books")
        broken = broken_rules({"watched": url})
    table = Table(title=f"Transfer, {CALLERS} callers, {WALLETS:,} wallets, {ROUNDS} rounds of {ROUND_S:g} s")
    for heading in ("beside it", "transfers/s", "of those alone", "from", "to", "bar"):
        table.add_column(heading, justify="right" if heading != "beside it" else "left")
    low = []
    for beside, found in rates.items():
        ratios = [one / alone for one, alone in zip(found, rates[ALONE], strict=True)]
        if beside.bar is not None and median(ratios) < beside.bar:
            low.append(beside.name)
        shown = (f"{one:.2f}" for one in (median(ratios), min(ratios), max(ratios)))
        bar = f"{beside.bar:.2f}" if beside.bar is not None else ""
        table.add_row(beside.name, f"{median(found):,.0f}", *shown, bar)
    console.print(table)
    for problem in (*(f"below its bar: {name}" for name in low), *broken):
        console.print(f"[red]{problem}[/]")
    return 1 if low or broken else 0


@contextmanager
def _running_beside(beside: Beside, target: str, url: str, root: Path) -> Iterator[None]:
    """Publish events as *beside* says, for as long as this lasts."""
    commands = []
    if beside.journal:
        commands.append(["-m", "scheduler"])
    if beside.watchers:
        watchers = ["-m", "benchmarks.watchers", "--target", target, "--count", str(beside.watchers)]
        commands.append([*watchers, *(["--from-start"] if beside.from_start else [])])
    processes = [
        spawn(
            [sys.executable, *command],
            death_signal=signal.SIGKILL,
            # A scheduler needs a bank, though nothing is paid here.
            extra_env={
                "WALLET_DATABASE_URL": url,
                "WALLET_BANK_URL": "http://127.0.0.1:1",
                "WALLET_LOG_LEVEL": "ERROR",
            },
            log=root / f"{command[1]}.log",
        )
        for command in commands
    ]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
