"""The demo: the main job through real gRPC calls, printed for a person."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Barrier
from time import monotonic
from uuid import uuid4

import httpx

from wallet_client import Amount, CallFailed, WalletClient, as_dict
from wallet_core import bootstrap
from wallet_core.settings import read_settings
from walletctl import typed
from walletctl.context import CommandFailed, Context
from walletctl.demo_events import receiving
from walletctl.live import show_live
from walletctl.local.running import Running, find_running
from walletctl.local.service import FREE_PORTS, local_service
from walletctl.output import Row, minor, out, table
from walletctl.seed import CURRENCY, SEEDED, seed
from walletctl.tables import HOLDS, PAYOUTS_AND_DEPOSITS, RULES, TRANSACTIONS, WALLETS

# Returns the name of a process of ours that has ended, None while all live.
Dead = Callable[[], str | None]

_RACERS = 30
_WINNERS = 10
_DUE_LONGEST_S = 40.0
_EVENTS_RECEIVERS, _EVENTS_TRIES, _EVENTS_BEGIN_S = 2, 5, 2.0
_FINAL = frozenset({"STATE_SUCCEEDED", "STATE_FAILED", "STATE_CANCELLED"})


class DemoFailed(CommandFailed):
    """A result was not the expected one."""


def demo(app: Context) -> None:
    """Run on the local service, or on one started for it; raise ``DemoFailed`` if a result is not the expected one."""
    with _service(app) as (running, dead), app.connect(running.target) as client:
        _wallets(client)
        _deposit_and_transfer(client)
        _race(client)
        _commission(client)
        _hold(client)
        _due(client, running.bank_url, dead)
        _events(client)
        _verify(running.database_url)


@contextmanager
def _service(app: Context) -> Iterator[tuple[Running, Dead]]:
    """Return where the service is, and the check whether a part of it has ended."""
    running = find_running(app.state)
    if running is not None:
        out.print(f"Using the service that runs at [bold]{running.target}[/].")
        yield running, lambda: None
        out.print(f"The console shows all of it: [bold]{running.console_url}[/]")
        return
    with (
        out.terminal.status("starting") as status,
        local_service(app.state, ports=FREE_PORTS, bank_fail_rate=0.0, progress=status.update) as service,
    ):
        status.stop()
        out.print(
            "Started PostgreSQL, the bank stub, the gRPC server at "
            f"[bold]{service.running.target}[/], the scheduler, and the console at "
            f"[bold]{service.running.console_url}[/]."
        )
        yield service.running, service.dead
        status.start()
    out.print("Stopped everything. To see all of it in the console: `make up` keeps it running and prints its address.")


def _wallets(client: WalletClient) -> None:
    _heading("a", "Wallets", "the first wallet of a currency creates its system wallets")
    wallets, rule = seed(client)
    out.print(table(WALLETS, wallets))
    out.print(table(RULES, [rule]))
    below, above = (
        client.quote_commission("wallets/alice", "wallets/bob", _usd(minor)) for minor in (100_000, 200_000)
    )
    _must(
        "this rule, and no other (walletctl commission list), applies to what alice pays bob",
        not below.HasField("commission") and above.commission.rule == rule["name"],
    )


def _deposit_and_transfer(client: WalletClient) -> None:
    _heading("b", "A deposit and a transfer", "each is one transaction whose entries sum to zero")
    before = _balances(client)
    salary, dinner = _usd(500_000), _usd(12_050)
    deposited = client.deposit("wallets/alice", salary, description="salary")
    moved = client.transfer("wallets/alice", "wallets/bob", dinner, description="dinner")
    out.print(table(TRANSACTIONS, [as_dict(deposited.transaction), as_dict(moved.transaction)]))
    after = _balances(client)
    for name in ("wallets/alice", "wallets/bob"):
        out.print(f"  {name.removeprefix('wallets/'):6} {_shown(before[name])} → [bold]{_shown(after[name])}[/]")
    _must(
        "alice has what came in minus what went out",
        after["wallets/alice"] - before["wallets/alice"] == salary.minor_units - dinner.minor_units,
    )
    repeat = client.transfer("wallets/alice", "wallets/bob", _usd(100), request_id=(again := str(uuid4())))
    replay = client.transfer("wallets/alice", "wallets/bob", _usd(100), request_id=again)
    _must(
        "the same request id sent twice moved money once",
        replay.replayed and replay.transaction.name == repeat.transaction.name,
    )


def _race(client: WalletClient) -> None:
    _heading("c", "The race", f"1,000.00 in a wallet, {_RACERS} threads take 100.00 at the same moment")
    racer = f"race-{uuid4().hex[:8]}"
    client.create_wallet(racer, CURRENCY)
    client.deposit(f"wallets/{racer}", _usd(100_000))
    barrier = Barrier(_RACERS)

    def take(_: int) -> str:
        barrier.wait()
        try:
            client.transfer(f"wallets/{racer}", "wallets/bob", _usd(10_000))
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


def _commission(client: WalletClient) -> None:
    _heading("d", "Commission", "10% on top, for amounts above 1,000.00")
    before = _balances(client)
    quoted = client.quote_commission("wallets/alice", "wallets/bob", _usd(200_000)).commission.amount
    out.print(f"  sending 2,000.00 is quoted to cost {_shown(quoted.minor_units)}")
    free, charged = (
        client.transfer("wallets/alice", "wallets/bob", _usd(minor), max_commission=_usd(most)).transaction
        for minor, most in ((100_000, 0), (200_000, quoted.minor_units))
    )
    out.print(table(TRANSACTIONS, [as_dict(free), as_dict(charged)]))
    after = _balances(client)
    _must(
        "1,000.00 was free; 2,000.00 cost 200.00, as quoted",
        not free.HasField("commission") and charged.commission.amount == quoted == _usd(20_000).message(),
    )
    _must(
        "alice paid 3,200.00, bob got 3,000.00, the commission wallet 200.00",
        [after[name] - before[name] for name in SEEDED] == [-320_000, 300_000, 20_000],
    )


def _hold(client: WalletClient) -> None:
    _heading("e", "A hold", "300.00 reserved, 120.00 of it captured, the rest released")
    before, bob = client.get_wallet("wallets/alice"), _balances(client)["wallets/bob"]
    placed = client.place_hold("wallets/alice", _usd(30_000), _in(hours=1)).hold
    held = client.get_wallet("wallets/alice")
    captured = client.capture_hold(placed.name, "wallets/bob", amount=_usd(12_000), final=True).hold
    after = client.get_wallet("wallets/alice")
    out.print(table(HOLDS, [as_dict(captured)]))
    for when, wallet in (("before", before), ("held", held), ("captured", after)):
        balance, available = (_shown(money.minor_units) for money in (wallet.balance, wallet.available))
        out.print(f"  {when:8}  alice has {balance}, available [bold]{available}[/]")
    _must(
        "held money stayed in the balance, but was not available",
        held.balance == before.balance and held.available.minor_units == before.available.minor_units - 30_000,
    )
    _must(
        "bob has the captured money, and the rest is available again",
        _balances(client)["wallets/bob"] == bob + 12_000
        and after.balance.minor_units == before.balance.minor_units - 12_000
        and after.available.minor_units == before.available.minor_units - 12_000,
    )


def _due(client: WalletClient, bank_url: str, dead: Dead) -> None:
    _heading(
        "f",
        "Due in two seconds",
        "payouts: plain, too large, paid without a response; deposits: plain, collected by the bank",
    )
    silent = f"silent-{uuid4().hex[:8]}"
    order = {"fault": "execute_then_silence", "match": {"account": silent}, "times": 1}
    httpx.post(f"{bank_url}/orders/faults", json=order, trust_env=False).raise_for_status()
    bob, due = _balances(client)["wallets/bob"], _in(seconds=2)
    too_large = client.get_wallet("wallets/alice").available.minor_units + 1
    payouts = [
        client.schedule_withdrawal("wallets/alice", _usd(minor), execute_time=due, bank_account=account).withdrawal.name
        for minor, account in ((12_000, "checking-1"), (too_large, "checking-1"), (3_000, silent))
    ]
    deposits = [
        client.schedule_deposit(
            "wallets/bob", _usd(minor), execute_time=due, collect=collect, bank_account="checking-2"
        ).scheduled_deposit.name
        for minor, collect in ((7_000, False), (8_000, True))
    ]

    def read() -> list[Row]:
        found = [as_dict(client.get_withdrawal(name)) for name in payouts]
        return found + [as_dict(client.get_scheduled_deposit(name)) for name in deposits]

    def settled(rows: Sequence[Row]) -> bool:
        return dead() is not None or all(row["state"] in _FINAL for row in rows)

    rows = show_live(PAYOUTS_AND_DEPOSITS, read, until=settled, longest_s=_DUE_LONGEST_S)
    if (ended := dead()) is not None:
        raise DemoFailed(f"the {ended} ended by itself; nothing is lost: run the demo or `make up` again")
    *paid, plain, collected = rows
    _must(
        "one paid, one failed without a call to the bank, one paid after asking the bank for its outcome",
        [row["state"] for row in paid] == ["STATE_SUCCEEDED", "STATE_FAILED", "STATE_SUCCEEDED"],
    )
    _must(
        "bob was credited once with each deposit, and with the collected one only after the bank had executed it",
        bool(plain["transaction"] and collected["transaction"] and collected["bank_reference"])
        and _balances(client)["wallets/bob"] == bob + 15_000,
    )


def _events(client: WalletClient) -> None:
    _heading("g", "Events", "a watcher and a webhook's receiver print them as they happen")
    with receiving(client, "wallets/bob") as events:
        # Each begins with new events: small ones are sent until both have received one.
        for _ in range(_EVENTS_TRIES):
            begun = client.deposit("wallets/bob", _usd(1), description="hello?").transaction.name
            if len(events.wait_for(begun, "watch", "webhook", longest_s=_EVENTS_BEGIN_S)) == _EVENTS_RECEIVERS:
                break
        sent_at = monotonic()
        paid = client.transfer("wallets/bob", "wallets/alice", _usd(2_500), description="coffee").transaction.name
        received = events.wait_for(paid, "watch", "webhook")
    for by, at in sorted(received.items()):
        out.print(f"  by {by} after {round((at - sent_at) * 1000)} ms")
    _must("both received the event, the receiver by a signed request", len(received) == _EVENTS_RECEIVERS)


def _verify(database_url: str) -> None:
    _heading("h", "Verify", "prove the ledger from its entries")
    for check in bootstrap.verify(read_settings(database_url=database_url)):
        _must(check.meaning, not check.broken)


def _heading(letter: str, title: str, what: str) -> None:
    out.print(f"\n[bold cyan]({letter}) {title}:[/] [dim]{what}[/]")


def _must(what: str, held: bool) -> None:  # noqa: FBT001  # reads as a sentence
    out.print(f"  [green]✓[/] {what}" if held else f"  [bold red]✗[/] {what}")
    if not held:
        raise DemoFailed(what)


def _balances(client: WalletClient) -> dict[str, int]:
    return {wallet.name: wallet.balance.minor_units for wallet in client.batch_get_wallets(list(SEEDED))}


def _usd(minor_units: int) -> Amount:
    return Amount(CURRENCY, minor_units)


def _shown(minor_units: int) -> str:
    return minor(minor_units, CURRENCY)


def _in(**duration: int) -> datetime:
    return typed.now() + timedelta(**duration)
