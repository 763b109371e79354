"""What finding payments across wallets costs each posting: transfers with the indexes for it, and without them.

Two servers with a database each, the same load in turns; ratios are taken round by round. The transfers have neither
a reference nor labels, whose indexes only those pay for that have them.
"""

import sys
from contextlib import ExitStack
from statistics import median

import psycopg
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

ROUNDS = 9
BAR = 0.9
_INDEXES = "DROP INDEX transactions_by_time, transactions_by_caller"


def main() -> int:
    """Measure and print; return 1 if the ratio is below its bar, or the books are wrong afterwards."""
    console = Console()
    rates: dict[str, list[float]] = {"without": [], "with": []}
    with ExitStack() as stack:
        root, cluster = stack.enter_context(a_cluster())
        status = stack.enter_context(console.status("seeding 10,000 wallets"))
        seeded = empty_database(cluster, "bench_with")
        seed_wallets(seeded)
        urls = {"with": seeded, "without": copy_of(cluster, seeded, "bench_without")}
        with psycopg.connect(urls["without"], autocommit=True) as connection:
            connection.execute(_INDEXES)
        for url in urls.values():
            analyze(url)
        targets = {name: stack.enter_context(a_server(url, root / f"server-{name}.log")) for name, url in urls.items()}
        for round_ in range(ROUNDS + 1):
            for name in sorted(targets, reverse=bool(round_ % 2)):
                status.update(f"round {round_} of {ROUNDS}: {name} the indexes")
                rate = transfer_rate(targets[name], hot=False, seed=round_)
                if round_:  # round 0 warms up
                    rates[name].append(rate)
        status.update("verifying the books")
        broken = broken_rules(urls)
    ratios = [with_ / without for with_, without in zip(rates["with"], rates["without"], strict=True)]
    table = Table(
        title=f"Transfer, {CALLERS} callers, {WALLETS:,} wallets, medians of {ROUNDS} rounds of {ROUND_S:g} s"
    )
    for heading in ("without, calls/s", "with, calls/s", "ratio", "spread of ratios", "bar"):
        table.add_column(heading, justify="right")
    table.add_row(
        *(f"{median(rates[name]):,.0f}" for name in ("without", "with")),
        f"{median(ratios):.3f}",
        f"{min(ratios):.2f} to {max(ratios):.2f}",
        f"{BAR:g}",
    )
    console.print(table)
    if broken:
        console.print(f"[red]the books are broken: {broken}[/]")
    return 1 if broken or median(ratios) < BAR else 0


if __name__ == "__main__":
    sys.exit(main())
