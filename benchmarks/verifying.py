"""VerifyLedger beside transfers: the same server and load with and without a check, in turns. Prints a table of ratios.

64 callers, 10,000 wallets, unary ``Transfer``, with the default pause of the check; *spread* over all wallets, or every
transfer into one *hot* wallet. A check begins again when it ends.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
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
    empty_database,
    seed_wallets,
    transfer_rate,
)
from wallet_client import CallError, WalletClient

ROUNDS = 5
# Transfers may slow by less than a fifth.
BAR = 0.8


def main() -> int:
    """Measure and print; return 1 if a ratio is below the bar."""
    console = Console()
    ratios: dict[str, list[float]] = {"spread": [], "hot": []}
    with ExitStack() as stack:
        root, cluster = stack.enter_context(a_cluster())
        status = stack.enter_context(console.status(f"seeding {WALLETS:,} wallets"))
        url = empty_database(cluster, "bench_verify")
        seed_wallets(url)
        analyze(url)
        target = stack.enter_context(a_server(url, root / "server.log"))
        for round_ in range(ROUNDS + 1):
            for load, found in ratios.items():
                status.update(f"round {round_} of {ROUNDS}: {load}")
                alone = transfer_rate(target, hot=load == "hot", seed=round_ * 10)
                with _checking(target):
                    beside = transfer_rate(target, hot=load == "hot", seed=round_ * 10 + 1)
                if round_:  # round 0 warms up
                    found.append(beside / alone)
    table = Table(title=f"Transfer beside VerifyLedger, {CALLERS} callers, medians of {ROUNDS} rounds of {ROUND_S:g} s")
    for heading in ("load", "ratio", "spread of ratios", "bar"):
        table.add_column(heading, justify="right")
    for load, found in ratios.items():
        table.add_row(load, f"{median(found):.2f}", f"{min(found):.2f} to {max(found):.2f}", f"{BAR:.2f}")
    console.print(table)
    return int(any(median(found) < BAR for found in ratios.values()))


@contextmanager
def _checking(target: str) -> Iterator[None]:
    """Check the ledger again and again."""
    stopping = threading.Event()

    def check() -> None:
        with WalletClient(target) as client:
            while not stopping.is_set():
                with suppress(CallError):
                    for _ in client.verify_ledger():
                        if stopping.is_set():
                            return

    checking = threading.Thread(target=check)
    checking.start()
    try:
        yield
    finally:
        stopping.set()
        checking.join()


if __name__ == "__main__":
    sys.exit(main())
