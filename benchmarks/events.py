"""What events cost: transfers with their events and the journal against transfers without both, in turns.

With events, a scheduler writes the journal and a watcher reads it meanwhile, on the same cores.
"""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from rich.console import Console

from benchmarks.stand import (
    a_cluster,
    a_server,
    analyze,
    broken_rules,
    compared,
    copy_of,
    empty_database,
    seed_wallets,
    transfer_rate,
)
from wallet_client import WalletClient
from wallet_core.bootstrap import open_app
from wallet_core.settings import read_settings

ROUNDS = 5
BAR = 0.9


def main() -> int:
    """Measure and print; return 1 if the ratio is below its bar, or the books are wrong afterwards."""
    console = Console()
    rates: dict[bool, list[float]] = {False: [], True: []}
    with ExitStack() as stack:
        root, cluster = stack.enter_context(a_cluster())
        status = stack.enter_context(console.status("seeding 10,000 wallets"))
        seeded = empty_database(cluster, "bench_events")
        seed_wallets(seeded)
        _write_journal(seeded)
        urls = {True: seeded, False: copy_of(cluster, seeded, "bench_no_events")}
        for url in urls.values():
            analyze(url)
        targets = {
            True: stack.enter_context(a_server(urls[True], root / "with.log")),
            False: stack.enter_context(a_server(urls[False], root / "without.log", module="benchmarks.without_events")),
        }
        for round_ in range(ROUNDS + 1):
            for events in (False, True):
                status.update(f"round {round_} of {ROUNDS}: {'with' if events else 'without'} events")
                if events:
                    with _journal_writer(urls[True]), _watcher(targets[True]):
                        rate = transfer_rate(targets[True], hot=False, seed=round_ * 10 + 1)
                else:
                    rate = transfer_rate(targets[False], hot=False, seed=round_ * 10)
                if round_:  # round 0 warms up
                    rates[events].append(rate)
        status.update("verifying the books")
        broken = broken_rules({"with events": urls[True]})
    table, ratio = compared(rates[False], rates[True], name="with events", rounds=ROUNDS, bar=BAR)
    console.print(table)
    if broken:
        console.print(f"[red]the books are broken: {broken}[/]")
    return 1 if broken or ratio < BAR else 0


def _write_journal(url: str) -> None:
    with open_app(read_settings(database_url=url, log_level="ERROR"), name="bench-seed") as app:
        while app.journal.write(1000):
            pass


@contextmanager
def _journal_writer(url: str) -> Iterator[None]:
    """Run a process that writes the journal like the scheduler, and nothing else."""
    code = "import sys; from benchmarks.events import write_journal_forever; write_journal_forever(sys.argv[1])"
    process = subprocess.Popen([sys.executable, "-c", code, url])  # our own code
    try:
        yield
    finally:
        process.kill()
        process.wait()


def write_journal_forever(url: str) -> None:
    """Write the journal at the scheduler's interval until the process is ended."""
    settings = read_settings(database_url=url, log_level="ERROR")
    pause = threading.Event()
    with open_app(settings, name="bench-journal") as app:
        while not pause.wait(settings.journal.write_s):
            while app.journal.write(1000):
                pass


@contextmanager
def _watcher(target: str) -> Iterator[None]:
    """Watch all events on a thread of this process."""
    with WalletClient(target) as client:
        thread = threading.Thread(target=lambda: [None for _ in client.watch_events()], daemon=True)
        thread.start()
        yield
        client.close()
        thread.join(10)


if __name__ == "__main__":
    sys.exit(main())
