"""How fast verify checks a ledger, with nothing beside it. Prints a table of entries per second.

Ledgers of transfers between 10,000 wallets, in batches of 1000, one twice as long as the other: the time must grow with
the length and no faster. By one connection, and by two, each of which keeps one processor of the database busy. The
processor time of the database does not depend on what else the machine does; it is known on Linux alone.
"""

import os
import random
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks.stand import WALLETS, a_cluster, a_request, analyze, empty_database, seed_wallets
from wallet_core.bootstrap import open_app, open_auditor
from wallet_core.domain.commands.transfers.batch_transfer import BatchTransfer
from wallet_core.domain.commands.transfers.transfer import TransferTerms
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.wallet import WalletId
from wallet_core.settings import read_settings
from wallet_core.usecases.app import new_id

BATCHES = 100
BATCH = 1000
# Entries per second by two connections.
BAR = 100_000
# The second half may take this much longer than the first.
GROWTH_MAX = 1.3


@dataclass(frozen=True, slots=True)
class Measured:
    """One check of a ledger."""

    entries: int
    connections: int
    wall_s: float
    cpu_s: float

    @property
    def rate(self) -> float:
        """Entries per second."""
        return self.entries / self.wall_s


def main() -> int:
    """Measure and print; return 1 if the bar is missed."""
    console = Console()
    found: list[Measured] = []
    with ExitStack() as stack:
        _, cluster = stack.enter_context(a_cluster())
        status = stack.enter_context(console.status(f"seeding {WALLETS:,} wallets"))
        url = empty_database(cluster, "bench_proving")
        seed_wallets(url)
        for half in range(2):
            status.update(f"writing {BATCHES * BATCH:,} transfers")
            write_transfers(url, seed=half)
            analyze(url)
            for connections in (1, 2):
                status.update(f"checking by {connections}")
                found.append(checked(url, connections))
    table = Table(title="walletctl verify")
    for heading in ("entries", "connections", "seconds", "entries per second", "and per second of the database's time"):
        table.add_column(heading, justify="right")
    for one in found:
        per_cpu = f"{one.entries / one.cpu_s:,.0f}" if one.cpu_s else "unknown"
        row = (f"{one.entries:,}", str(one.connections), f"{one.wall_s:.1f}", f"{one.rate:,.0f}", per_cpu)
        table.add_row(*row)
    console.print(table)
    _, shorter, _, longer = found
    return int(longer.rate < BAR or shorter.rate / longer.rate > GROWTH_MAX)


def write_transfers(url: str, *, seed: int) -> None:
    """Transfer between the wallets, and write the journal."""
    chance = random.Random(seed)  # noqa: S311  # the same load each time
    wallets = [WalletId(f"w{number}") for number in range(WALLETS)]
    with open_app(read_settings(database_url=url, log_level="ERROR"), name="bench-write") as app:
        for _ in range(BATCHES):
            pairs = (chance.sample(wallets, 2) for _ in range(BATCH))
            items = tuple(
                TransferTerms(id=new_id(), source=one, destination=other, amount=Money("USD", 1))
                for one, other in pairs
            )
            app.ledger.post(BatchTransfer(request=a_request(), id=new_id(), items=items))
            while app.journal.write(1000):
                pass


def checked(url: str, connections: int) -> Measured:
    """Check the ledger once."""
    settings = read_settings(database_url=url, log_level="ERROR")
    with psycopg.connect(url, autocommit=True) as observer, open_auditor(settings, connections=connections) as auditor:
        ((entries,),) = observer.execute("SELECT count(*) FROM entries").fetchall()
        begun = monotonic()
        *_, last = auditor.verify()
        wall_s = monotonic() - begun
        cpu_s = cpu_seconds(lambda: [pid for (pid,) in observer.execute(_CHECKERS)])
    if last.is_broken:
        sys.exit("the ledger is broken: nothing was measured")
    return Measured(entries, connections, wall_s, cpu_s)


_CHECKERS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'wallet-verify'"


def cpu_seconds(pids: Callable[[], list[int]]) -> float:
    """Return the processor time of processes so far; 0 where it is unknown."""
    try:
        fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids()]
    except OSError:
        return 0.0
    return sum(int(one[11]) + int(one[12]) for one in fields) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
