"""Transfers while events are told against transfers while they are not: to nobody, to some, to many who catch up."""

import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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
ALONE = "nobody is told, nothing is written down"
# What goes on beside the transfers, and how many watch.
BESIDE = {ALONE: 0, "the journal is written": 0, "16 watch": 16, "60 catch up": 60}
# Many who catch up leave the others most of the time.
BARS = {"16 watch": 0.6, "60 catch up": 0.4}


def main() -> int:
    """Measure and print; return 1 if a ratio is below its bar, or the books are wrong afterwards."""
    console = Console()
    rates: dict[str, list[float]] = {beside: [] for beside in BESIDE}
    with ExitStack() as stack:
        root, cluster = stack.enter_context(a_cluster())
        status = stack.enter_context(console.status("seeding 10,000 wallets"))
        url = empty_database(cluster, "bench_watched")
        seed_wallets(url)
        analyze(url)
        target = stack.enter_context(a_server(url, root / "server.log"))
        for round_ in range(ROUNDS + 1):
            for number, beside in enumerate(BESIDE):
                status.update(f"round {round_} of {ROUNDS}: {beside}")
                with _going_on(beside, target, url, root):
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
        bar = BARS.get(beside)
        if bar is not None and median(ratios) < bar:
            low.append(beside)
        shown = (f"{one:.2f}" for one in (median(ratios), min(ratios), max(ratios)))
        table.add_row(beside, f"{median(found):,.0f}", *shown, f"{bar:.2f}" if bar is not None else "")
    console.print(table)
    for problem in (*(f"below its bar: {beside}" for beside in low), *broken):
        console.print(f"[red]{problem}[/]")
    return 1 if low or broken else 0


@contextmanager
def _going_on(beside: str, target: str, url: str, root: Path) -> Iterator[None]:
    """Have events told as that says, for as long as this lasts."""
    commands = []
    if beside != ALONE:
        commands.append(["-m", "scheduler"])
    if BESIDE[beside]:
        watchers = ["-m", "benchmarks.watchers", "--target", target, "--count", str(BESIDE[beside])]
        commands.append([*watchers, *(["--from-start"] if "catch up" in beside else [])])
    processes = [
        spawn(
            [sys.executable, *command],
            death_signal=signal.SIGKILL,
            extra_env={"WALLET_DATABASE_URL": url, "WALLET_LOG_LEVEL": "ERROR"},
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
