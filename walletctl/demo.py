"""The demo: the main job through real gRPC calls, with a person watching."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from uuid import uuid4

import httpx

from wallet_core import bootstrap
from wallet_core.settings import read_settings
from wallet_grpc.client import Amount, CallFailed, WalletClient, as_dict
from walletctl.context import Trouble
from walletctl.live import show_live
from walletctl.local.service import FREE_PORTS, Running, find_running, local_service
from walletctl.output import TRANSACTIONS, WALLETS, Row, amount, out, table
from walletctl.seed import CURRENCY, SEEDED, seed

# Returns the name of a process of ours that has ended, None while all live.
Dead = Callable[[], str | None]

_RACERS = 30
_WINNERS = 10
_PAYOUTS_LONGEST_S = 40.0
_FINAL = frozenset({"STATE_SUCCEEDED", "STATE_FAILED", "STATE_CANCELLED"})


class DemoFailed(Trouble):
    """The service did not do what the demo shows."""


def demo(state: Path) -> None:
    """Tell the story on the service that runs here, or on one started for it; raise ``DemoFailed`` if it goes wrong."""
    with _service(state) as (running, dead), WalletClient(running.target) as client:
        _wallets(client)
        _deposit_and_transfer(client)
        _race(client)
        _payouts(client, running.bank_url, dead)
        _verify(running.database_url)


@contextmanager
def _service(state: Path) -> Iterator[tuple[Running, Dead]]:
    """Return where the service is, and how to hear that a part of it has ended."""
    running = find_running(state)
    if running is not None:
        out.print(f"Using the service that runs at [bold]{running.target}[/].")
        yield running, lambda: None
        return
    with (
        out.status("starting") as status,
        local_service(state, ports=FREE_PORTS, bank_fail_rate=0.0, tell=status.update) as service,
    ):
        status.stop()
        out.print(
            "Started PostgreSQL, the bank stub, the gRPC server at "
            f"[bold]{service.running.target}[/] and the scheduler."
        )
        yield service.running, service.dead
        status.start()
    out.print("Stopped everything.")


def _wallets(client: WalletClient) -> None:
    _heading("a", "Wallets", "the first wallet of a currency brings the service's own with it")
    out.print(table(WALLETS, seed(client)))


def _deposit_and_transfer(client: WalletClient) -> None:
    _heading("b", "A deposit and a transfer", "each is one transaction whose entries sum to zero")
    before = _balances(client)
    salary, dinner = Amount(CURRENCY, 500_000), Amount(CURRENCY, 12_050)
    deposited = client.deposit("wallets/alice", salary, description="salary")
    moved = client.transfer("wallets/alice", "wallets/bob", dinner, description="dinner")
    out.print(table(TRANSACTIONS, [as_dict(deposited.transaction), as_dict(moved.transaction)]))
    after = _balances(client)
    for name in ("wallets/alice", "wallets/bob"):
        out.print(f"  {name.removeprefix('wallets/'):6} {_shown(before[name])} → [bold]{_shown(after[name])}[/]")
    _must(
        "alice has what came in less what went out",
        after["wallets/alice"] - before["wallets/alice"] == salary.minor_units - dinner.minor_units,
    )
    repeat = client.transfer("wallets/alice", "wallets/bob", Amount(CURRENCY, 100), request_id=(again := str(uuid4())))
    replay = client.transfer("wallets/alice", "wallets/bob", Amount(CURRENCY, 100), request_id=again)
    _must(
        "the same request id sent twice moved money once",
        replay.replayed and replay.transaction.name == repeat.transaction.name,
    )


def _race(client: WalletClient) -> None:
    _heading("c", "The race", f"1,000.00 in a wallet, {_RACERS} threads take 100.00 at the same moment")
    racer = f"race-{uuid4().hex[:8]}"
    client.create_wallet(racer, CURRENCY)
    client.deposit(f"wallets/{racer}", Amount(CURRENCY, 100_000))
    barrier = Barrier(_RACERS)

    def take(_: int) -> str:
        barrier.wait()
        try:
            client.transfer(f"wallets/{racer}", "wallets/bob", Amount(CURRENCY, 10_000))
        except CallFailed as refused:
            return refused.reason
        return "OK"

    with ThreadPoolExecutor(_RACERS) as pool:
        answers = list(pool.map(take, range(_RACERS)))
    for answer in sorted(set(answers)):
        out.print(f"  {answers.count(answer):3} times {answer}")
    left = client.get_wallet(f"wallets/{racer}").balance.minor_units
    _must(
        f"exactly {_WINNERS} succeeded, the others were refused, and the wallet is empty",
        answers.count("OK") == _WINNERS and answers.count("INSUFFICIENT_FUNDS") == _RACERS - _WINNERS and left == 0,
    )


def _payouts(client: WalletClient, bank_url: str, dead: Dead) -> None:
    _heading("d", "Payouts", "due in two seconds: one plain, one too large, one the bank pays but never answers")
    silent = f"silent-{uuid4().hex[:8]}"
    order = {"fault": "execute_then_silence", "match": {"account": silent}, "times": 1}
    httpx.post(f"{bank_url}/orders/faults", json=order, trust_env=False).raise_for_status()
    due = datetime.now(UTC) + timedelta(seconds=2)  # noqa: TID251  # the caller's own clock
    too_large = client.get_wallet("wallets/alice").available.minor_units + 1
    names = [
        client.schedule_withdrawal(
            "wallets/alice", Amount(CURRENCY, minor), execute_time=due, bank_account=account
        ).withdrawal.name
        for minor, account in ((12_000, "checking-1"), (too_large, "checking-1"), (3_000, silent))
    ]

    def read() -> list[Row]:
        return [as_dict(client.get_withdrawal(name)) for name in names]

    def settled(rows: Sequence[Row]) -> bool:
        return dead() is not None or all(row["state"] in _FINAL for row in rows)

    rows = show_live(read, until=settled, longest_s=_PAYOUTS_LONGEST_S)
    if (ended := dead()) is not None:
        raise DemoFailed(f"the {ended} ended by itself; nothing is lost: run the demo or `make up` again")
    _must(
        "one paid, one failed without asking the bank, one paid after the bank was asked what became of it",
        [row["state"] for row in rows] == ["STATE_SUCCEEDED", "STATE_FAILED", "STATE_SUCCEEDED"],
    )


def _verify(database_url: str) -> None:
    _heading("e", "Verify", "prove the books from the entries up")
    for check in bootstrap.verify(read_settings(database_url=database_url)):
        _must(check.meaning, not check.broken)


def _heading(letter: str, title: str, what: str) -> None:
    out.print(f"\n[bold cyan]({letter}) {title}[/] [dim]{what}[/]")


def _must(what: str, held: bool) -> None:  # noqa: FBT001  # reads as a sentence
    out.print(f"  [green]✓[/] {what}" if held else f"  [bold red]✗[/] {what}")
    if not held:
        raise DemoFailed(what)


def _balances(client: WalletClient) -> dict[str, int]:
    return {wallet.name: wallet.balance.minor_units for wallet in client.batch_get_wallets(list(SEEDED))}


def _shown(minor: int) -> str:
    return amount({"currency_code": CURRENCY, "minor_units": minor})
