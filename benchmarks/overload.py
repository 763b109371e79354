"""Ten times as many callers as the server takes on, against as many as it serves best: what is left of its rate.

The server and PostgreSQL have one processor to themselves and the callers another, or what is measured would be who
gets the processor. An overloaded server responds with how long to wait, and the callers' channels wait that long.
"""

import json
import os
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from statistics import median, quantiles
from time import monotonic
from urllib.request import urlopen

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from rich.console import Console
from rich.table import Table

from benchmarks.stand import WALLETS, a_cluster, a_server, analyze, broken_rules, empty_database, seed_wallets
from tests.support.ports import free_ports
from wallet_core.settings import read_settings

SECONDS = 9.0
ROUNDS = 3
BAR = 0.8
HEALTH_BAR_S = 0.05
_HEALTH_EVERY_S = 0.05


def main() -> int:
    """Measure and print; return 1 if a ratio is below its bar, health is late, or the books are wrong afterwards."""
    console = Console()
    defaults = read_settings(database_url="postgresql://nobody/nowhere")
    taken_on = defaults.grpc.threads + defaults.grpc.queue_max
    # Callers and connections: what it serves best, then ten times what it takes on, over few connections and over many.
    crowds = {"64 callers": (64, 4), f"{taken_on} callers": (taken_on, 4)}
    floods = {f"{10 * taken_on:,} callers, {n} connections": (10 * taken_on, n) for n in (4, 40)}
    rates: dict[str, list[float]] = {name: [] for name in (*crowds, *floods)}
    late: list[float] = []
    (metrics,) = free_ports(1)
    if (processors := sorted(os.sched_getaffinity(0)))[1:]:
        os.sched_setaffinity(0, processors[:1])  # inherited by all that is started
    with ExitStack() as stack:
        root, cluster = stack.enter_context(a_cluster())
        status = stack.enter_context(console.status("seeding 10,000 wallets"))
        url = empty_database(cluster, "bench_overload")
        seed_wallets(url)
        analyze(url)
        target = stack.enter_context(a_server(url, root / "server.log", WALLET_METRICS_PORT=str(metrics)))
        os.sched_setaffinity(0, processors[1:] or processors)
        for round_ in range(ROUNDS):
            for name, (callers, channels) in chain(crowds.items(), floods.items()):
                status.update(f"round {round_ + 1} of {ROUNDS}: {name}")
                with _health_asked(target, late if name in floods else []):
                    rates[name].append(_crowd(target, callers, channels))
        answers = _answers(metrics)
        status.update("verifying the books")
        broken = broken_rules({"overload": url})
    best = max(median(rates[name]) for name in crowds)
    table = Table(title=f"Transfer, {ROUNDS} rounds of {SECONDS:g} s; the server takes on {taken_on} calls")
    for heading in ("", "calls/s", "of the best", "bar"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, measured in rates.items():
        ratio, bar = median(measured) / best, f"{BAR:g}" if name in floods else ""
        table.add_row(name, f"{median(measured):,.0f}", f"{ratio:.2f}", bar)
    console.print(table)
    at_95 = quantiles(late, n=20)[-1]
    console.print(
        f"Health meanwhile: median {median(late) * 1000:.0f} ms, bar {HEALTH_BAR_S * 1000:g} ms;"
        f" 95 of 100 within {at_95 * 1000:.0f} ms. The server's answers: {dict(answers)}"
    )
    if broken:
        console.print(f"[red]the books are broken: {broken}[/]")
    lowest = min(median(rates[name]) for name in floods) / best
    return 1 if broken or lowest < BAR or median(late) > HEALTH_BAR_S else 0


def _crowd(target: str, callers: int, channels: int) -> float:
    """Return how many transfers a second a crowd got done."""
    command = [
        *(sys.executable, "-m", "benchmarks.crowd", "--target", target, "--callers", str(callers)),
        *("--channels", str(channels), "--seconds", str(SECONDS), "--wallets", str(WALLETS)),
    ]
    said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return float(said["rate"])


@contextmanager
def _health_asked(target: str, took: list[float]) -> Iterator[None]:
    """Ask for health all the time; write down how long each answer took."""
    stopping = threading.Event()

    def ask() -> None:
        with grpc.insecure_channel(target) as channel:
            check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined]  # its stubs leave it out
            while not stopping.wait(_HEALTH_EVERY_S):
                began_at = monotonic()
                check(health_pb2.HealthCheckRequest(), timeout=10)
                took.append(monotonic() - began_at)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        stopping.set()
        asking.join()


def _answers(port: int) -> Counter[str]:
    """Return how many calls the server ended with which reason; those that were done are OK."""
    page = urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
    refused = re.findall(r'wallet_refusals_total\{.*reason="(\w+)"\} (\S+)', page)
    done = re.findall(r'grpc_server_handled_total\{grpc_code="(OK)",.*\} (\S+)', page)
    answers: Counter[str] = Counter()
    for reason, count in (*done, *refused):
        answers[reason] += int(float(count))
    return answers


if __name__ == "__main__":
    sys.exit(main())
