"""Group commit against itself switched off: the same server, the same load, in turns. Prints one table of ratios.

Each server has a database of its own; 64 callers, 10,000 wallets, unary ``Transfer``; *spread* over all wallets, or
every transfer into one *hot* wallet. Ratios are taken round by round, so that what else the machine does falls on both
sides alike.
"""

import sys
from contextlib import ExitStack
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
    copy_of,
    empty_database,
    seed_wallets,
    transfer_rate,
)

ROUNDS = 5
BARS = {"spread": 1.7, "hot": 3.0}


def main() -> int:
    """Measure and print; return 1 if a ratio is below its bar, or the books are wrong afterwards."""
    console = Console()
    rates: dict[tuple[str, bool], list[float]] = {}
    with ExitStack() as stack:
        root, cluster = stack.enter_context(a_cluster())
        status = stack.enter_context(console.status("seeding 10,000 wallets"))
        seeded = empty_database(cluster, "bench_on")
        seed_wallets(seeded)
        urls = {"on": seeded, "off": copy_of(cluster, seeded, "bench_off")}
        for url in urls.values():
            analyze(url)
        targets = {
            on: stack.enter_context(
                a_server(
                    urls["on" if on else "off"],
                    root / f"server-{on}.log",
                    WALLET_GROUP_COMMIT=str(on),
                    # Off, every call has a connection of its own, and where it is hot 64 of them wait for one row.
                    WALLET_POOL_SIZE="80",
                    WALLET_LOCK_TIMEOUT_S="10",
                )
            )
            for on in (True, False)
        }
        for round_ in range(ROUNDS + 1):
            for load in BARS:
                for on in (False, True):
                    status.update(f"round {round_} of {ROUNDS}: {load}, group commit {'on' if on else 'off'}")
                    rate = transfer_rate(targets[on], hot=load == "hot", seed=round_ * 10 + on)
                    if round_:  # round 0 warms up
                        rates.setdefault((load, on), []).append(rate)
        status.update("verifying the books")
        broken = broken_rules(urls)
    console.print(_table(rates))
    if broken:
        console.print(f"[red]the books are broken: {broken}[/]")
    missed = [load for load in BARS if median(_ratios(rates, load)) < BARS[load]]
    return 1 if broken or missed else 0


def _table(rates: dict[tuple[str, bool], list[float]]) -> Table:
    table = Table(
        title=f"Transfer, {CALLERS} callers, {WALLETS:,} wallets, medians of {ROUNDS} rounds of {ROUND_S:g} s"
    )
    for heading in ("load", "off, calls/s", "on, calls/s", "ratio", "spread of ratios", "bar"):
        table.add_column(heading, justify="right")
    for load, bar in BARS.items():
        ratios = _ratios(rates, load)
        table.add_row(
            load,
            f"{median(rates[load, False]):,.0f}",
            f"{median(rates[load, True]):,.0f}",
            f"{median(ratios):.2f}",
            f"{min(ratios):.2f} to {max(ratios):.2f}",
            f"{bar:g}",
        )
    return table


def _ratios(rates: dict[tuple[str, bool], list[float]], load: str) -> list[float]:
    return [on / off for on, off in zip(rates[load, True], rates[load, False], strict=True)]


if __name__ == "__main__":
    sys.exit(main())
