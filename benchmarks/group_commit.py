"""Group commit against itself switched off: the same server, the same load, in turns. Prints one table of ratios.

Each server has a database of its own on one PostgreSQL that really syncs; 64 callers, 10,000 wallets, unary
``Transfer``; *spread* over all wallets, or every transfer into one *hot* wallet. Ratios are taken round by round, so
that what else the machine does falls on both sides alike.
"""

import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
from rich.console import Console
from rich.table import Table

from wallet_core.bootstrap import migrate, open_app, verify
from wallet_core.domain.command import Request
from wallet_core.domain.create_wallet import CreateWallet
from wallet_core.domain.deposit import Deposit
from wallet_core.domain.money import Money
from wallet_core.domain.wallet import WalletId
from wallet_core.settings import read_settings
from wallet_core.usecases.app import App, new_id
from walletctl.local.child import spawn
from walletctl.local.postgres import LocalPostgres
from walletctl.local.waiting import wait_until

CALLERS = 64
WALLETS = 10_000
ROUNDS = 5
ROUND_S = 4.0
BARS = {"spread": 1.7, "hot": 3.0}
_SEEDERS = 64
_CREDIT = 1_000_000


def main() -> int:
    """Measure and print; return 1 if a ratio is below its bar, or the books are wrong afterwards."""
    console = Console()
    rates: dict[tuple[str, bool], list[float]] = {}
    with ExitStack() as stack:
        root = Path(tempfile.mkdtemp(prefix="wallet-bench-"))
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        postgres = stack.enter_context(LocalPostgres(root, settings={"shared_buffers": "512MB"}))
        status = stack.enter_context(console.status("seeding 10,000 wallets"))
        urls = _seeded_databases(postgres.start())
        targets = {on: stack.enter_context(_server(urls[on], root, group_commit=on)) for on in (True, False)}
        for round_ in range(ROUNDS + 1):
            for load in BARS:
                for on in (False, True):
                    status.update(f"round {round_} of {ROUNDS}: {load}, group commit {'on' if on else 'off'}")
                    rate = _rate(targets[on], hot=load == "hot", seed=round_ * 10 + on)
                    if round_:  # round 0 warms up
                        rates.setdefault((load, on), []).append(rate)
        status.update("verifying the books")
        broken = [
            check.name for url in urls.values() for check in verify(read_settings(database_url=url)) if check.broken
        ]
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


def _rate(target: str, *, hot: bool, seed: int) -> float:
    command = [
        *(sys.executable, "-m", "benchmarks.load", "--target", target, "--callers", str(CALLERS)),
        *("--seconds", str(ROUND_S), "--wallets", str(WALLETS), "--seed", str(seed), *(["--hot"] if hot else [])),
    ]
    said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    if said["failures"]:
        sys.exit(f"calls failed: {said['failures']}")
    return float(said["calls"] / said["seconds"])


def _seeded_databases(cluster: str) -> dict[bool, str]:
    """Make one seeded database and a copy of it; analyzed, because plans made for empty tables would be kept."""
    urls = {on: urlunsplit(urlsplit(cluster)._replace(path=f"/bench_{on}".lower())) for on in (True, False)}
    with psycopg.connect(cluster, autocommit=True) as connection:
        connection.execute("CREATE DATABASE bench_true")
        settings = read_settings(database_url=urls[True], log_level="ERROR")
        migrate(settings)
        with open_app(settings, name="bench-seed") as app, ThreadPoolExecutor(_SEEDERS) as pool:
            list(pool.map(lambda number: _seed_wallet(app, f"w{number}"), range(WALLETS)))
        connection.execute("CREATE DATABASE bench_false TEMPLATE bench_true")
    for url in urls.values():
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
    return urls


def _seed_wallet(app: App, name: str) -> None:
    wallet = WalletId(name)
    create = CreateWallet(
        request=Request("bench", uuid4()), id=wallet, asked_id=wallet, currency="USD", owner="", display_name=""
    )
    app.ledger.post(create)
    deposit = Deposit(
        request=Request("bench", uuid4()),
        id=new_id(),
        wallet=wallet,
        amount=Money("USD", _CREDIT),
        description="",
        external_reference="",
    )
    app.ledger.post(deposit)


@contextmanager
def _server(database_url: str, root: Path, *, group_commit: bool) -> Iterator[str]:
    """Start a server as in production; without group commit every call has a connection of its own."""
    log = root / f"server-{group_commit}.log"
    env = {
        "WALLET_DATABASE_URL": database_url,
        "WALLET_GRPC_PORT": "0",
        "WALLET_GROUP_COMMIT": str(group_commit),
        "WALLET_POOL_SIZE": "80",
        "WALLET_LOCK_TIMEOUT_S": "10",  # off and hot: 64 calls wait for one row, and none is to be turned away
    }
    command = [sys.executable, "-m", "wallet_grpc"]
    process = spawn(command, death_signal=signal.SIGTERM, extra_env=env, log=log)
    try:
        wait_until(lambda: '"port"' in log.read_text(), timeout_s=30)
        port = re.search(r'"port": (\d+)', log.read_text())
        if port is None:
            sys.exit(f"the server did not start:\n{log.read_text()}")
        yield f"127.0.0.1:{port[1]}"
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
