"""Transfers with a commission on each against transfers without: what one wallet that earns from all of them costs."""

import sys
from contextlib import ExitStack

from rich.console import Console

from benchmarks.stand import (
    a_cluster,
    a_request,
    a_server,
    analyze,
    broken_rules,
    compared,
    copy_of,
    empty_database,
    seed_wallets,
    transfer_rate,
)
from wallet_core.bootstrap import open_app
from wallet_core.domain.commands.commission.change_rules import CreateCommissionRule
from wallet_core.domain.model.commission_rule import Payer
from wallet_core.settings import read_settings
from wallet_core.usecases.app import new_id

ROUNDS = 5
BAR = 0.8


def main() -> int:
    """Measure and print; return 1 if the ratio is below its bar, or the books are wrong afterwards."""
    console = Console()
    rates: dict[bool, list[float]] = {False: [], True: []}
    with ExitStack() as stack:
        root, cluster = stack.enter_context(a_cluster())
        status = stack.enter_context(console.status("seeding 10,000 wallets"))
        seeded = empty_database(cluster, "bench_free")
        seed_wallets(seeded)
        urls = {"free": seeded, "charged": copy_of(cluster, seeded, "bench_charged")}
        _charge_everything(urls["charged"])
        for url in urls.values():
            analyze(url)
        targets = {
            charged: stack.enter_context(a_server(urls["charged" if charged else "free"], root / f"{charged}.log"))
            for charged in (False, True)
        }
        for round_ in range(ROUNDS + 1):
            for charged in (False, True):
                status.update(f"round {round_} of {ROUNDS}: {'with' if charged else 'without'} commission")
                rate = transfer_rate(targets[charged], hot=False, seed=round_ * 10 + charged)
                if round_:  # round 0 warms up
                    rates[charged].append(rate)
        status.update("verifying the books")
        broken = broken_rules(urls)
    table, ratio = compared(rates[False], rates[True], name="with commission", rounds=ROUNDS, bar=BAR)
    console.print(table)
    if broken:
        console.print(f"[red]the books are broken: {broken}[/]")
    return 1 if broken or ratio < BAR else 0


def _charge_everything(url: str) -> None:
    """Take one minor unit of every transfer."""
    with open_app(read_settings(database_url=url, log_level="ERROR"), name="bench-seed") as app:
        app.ledger.post(
            CreateCommissionRule(
                request=a_request(),
                id=new_id(),
                currency="USD",
                listed=None,
                threshold=0,
                rate_millionths=100_000,
                fixed=1,
                minimum=0,
                maximum=None,
                payer=Payer.SOURCE,
                wallet=None,
                label=None,
                start_time=None,
                end_time=None,
            )
        )


if __name__ == "__main__":
    sys.exit(main())
