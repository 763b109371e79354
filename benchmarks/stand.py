"""What benchmarks stand on: a PostgreSQL that really syncs, seeded databases, servers as in production, and load."""

import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
from psycopg import sql
from rich.table import Table

from wallet_core.bootstrap import migrate, open_app, verify
from wallet_core.domain.commands.transfers.deposit import Deposit
from wallet_core.domain.commands.wallets.create_wallet import CreateWallet
from wallet_core.domain.deciding.decision import Request
from wallet_core.domain.model.money import Currency, Money
from wallet_core.domain.model.wallet import WalletId
from wallet_core.settings import read_settings
from wallet_core.usecases.app import App, new_id
from walletctl.local.child import spawn
from walletctl.local.postgres import LocalPostgres
from walletctl.local.waiting import wait_until

CALLERS = 64
WALLETS = 10_000
ROUND_S = 4.0
_SEEDERS = 64
_CREDIT = 1_000_000


@contextmanager
def a_cluster() -> Iterator[tuple[Path, str]]:
    """Start a PostgreSQL of our own; yield a place for logs, and its URL."""
    root = Path(tempfile.mkdtemp(prefix="wallet-bench-"))
    try:
        with LocalPostgres(root, settings={"shared_buffers": "512MB"}) as postgres:
            yield root, postgres.start()
    finally:
        shutil.rmtree(root, ignore_errors=True)


def empty_database(cluster: str, name: str) -> str:
    """Make a migrated database; return its URL."""
    with psycopg.connect(cluster, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = urlunsplit(urlsplit(cluster)._replace(path=f"/{name}"))
    migrate(read_settings(database_url=url, log_level="ERROR"))
    return url


def copy_of(cluster: str, url: str, name: str) -> str:
    """Copy a database that nobody uses; return the copy's URL."""
    origin = urlsplit(url).path.removeprefix("/")
    with psycopg.connect(cluster, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(origin))
        )
    return urlunsplit(urlsplit(cluster)._replace(path=f"/{name}"))


def seed_wallets(url: str) -> None:
    """Open the wallets w0, w1, … that the load uses, each with money."""
    settings = read_settings(database_url=url, log_level="ERROR")
    with open_app(settings, name="bench-seed") as app, ThreadPoolExecutor(_SEEDERS) as pool:
        list(pool.map(lambda number: open_wallet(app, f"w{number}", _CREDIT), range(WALLETS)))


def open_wallet(app: App, name: str, credit: int) -> None:
    """Open a wallet in USD with this many minor units."""
    wallet = WalletId(name)
    app.ledger.post(
        CreateWallet(
            request=a_request(),
            id=wallet,
            asked_id=wallet,
            currency="USD",
            listed=Currency("USD", 2),
            owner="",
            display_name="",
        )
    )
    app.ledger.post(
        Deposit(
            request=a_request(),
            id=new_id(),
            wallet=wallet,
            amount=Money("USD", credit),
        )
    )


def a_request() -> Request:
    """Return a new request."""
    return Request("bench", uuid4())


def analyze(url: str) -> None:
    """Let the planner see what is there: plans made for empty tables would be kept."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


@contextmanager
def a_server(url: str, log: Path, *, module: str = "wallet_grpc", **env: str) -> Iterator[str]:
    """Start a server as in production; yield its address."""
    settings = {"WALLET_DATABASE_URL": url, "WALLET_GRPC_PORT": "0", **env}
    process = spawn([sys.executable, "-m", module], death_signal=signal.SIGTERM, extra_env=settings, log=log)
    try:
        wait_until(lambda: '"port"' in log.read_text(), timeout_s=30)
        port = re.search(r'"port": (\d+)', log.read_text())
        if port is None:
            sys.exit(f"the server did not start:\n{log.read_text()}")
        yield f"127.0.0.1:{port[1]}"
    finally:
        process.terminate()
        process.wait()


def transfer_rate(target: str, *, hot: bool, seed: int) -> float:
    """Return how many transfers a second a server answers, from a load generator in a process of its own."""
    command = [
        *(sys.executable, "-m", "benchmarks.load", "--target", target, "--callers", str(CALLERS)),
        *("--seconds", str(ROUND_S), "--wallets", str(WALLETS), "--seed", str(seed), *(["--hot"] if hot else [])),
    ]
    said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    if said["failures"]:
        sys.exit(f"calls failed: {said['failures']}")
    return float(said["calls"] / said["seconds"])


def compared(
    without: Sequence[float], with_: Sequence[float], *, name: str, rounds: int, bar: float
) -> tuple[Table, float]:
    """Return a table of two rates, round by round without something and with it, and the median of their ratios."""
    ratios = [one / other for one, other in zip(with_, without, strict=True)]
    table = Table(title=f"Transfer, {CALLERS} callers, {WALLETS:,} wallets, {rounds} rounds of {ROUND_S:g} s")
    for heading in ("without, calls/s", f"{name}, calls/s", "ratio", "spread of ratios", "bar"):
        table.add_column(heading, justify="right")
    table.add_row(
        f"{median(without):,.0f}",
        f"{median(with_):,.0f}",
        f"{median(ratios):.2f}",
        f"{min(ratios):.2f} to {max(ratios):.2f}",
        f"{bar:g}",
    )
    return table, median(ratios)


def broken_rules(urls: Mapping[str, str]) -> list[str]:
    """Return which rules of the books are broken in which database."""
    return [
        f"{name}: {check.name}"
        for name, url in urls.items()
        for check in verify(read_settings(database_url=url))
        if check.broken
    ]
