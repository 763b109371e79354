"""Collections for tests: rounds of the jobs, and what each led to."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from scheduler.jobs import collect_due_deposits, credit_due_deposits, pay_due_withdrawals, reconcile_collections
from scheduler.worker_pool import Counts
from tests.support.books import balance_of, open_wallet
from tests.support.scheduled import CollectingBank, schedule_deposit, scheduled_deposit
from wallet_core.domain.model.bank import AnswerKind
from wallet_core.domain.model.payment_order import OrderState, ScheduledDeposit
from wallet_core.domain.model.wallet import Role, WalletId, system_wallet
from wallet_core.gateways.bank import HttpBank
from wallet_core.usecases.app import App

SOON = timedelta(seconds=1)  # past any backoff of the tests' settings, within the lease
PAST_LEASE = timedelta(seconds=2)
PAST_GRACE = timedelta(seconds=10)

IN_TRANSIT, EXTERNAL = system_wallet(Role.IN_TRANSIT, "USD"), system_wallet(Role.EXTERNAL, "USD")


def collect(app: App, clock_offset: timedelta = timedelta()) -> Counts:
    """Run one round of collections."""
    return collect_due_deposits.run_once(app, clock_offset=clock_offset)


def reconcile(app: App, clock_offset: timedelta = SOON) -> Counts:
    """Run one round of reconciliation."""
    return reconcile_collections.run_once(app, clock_offset=clock_offset)


def with_short_deadline(app: App) -> App:
    """Return the core with a bank that is not waited for long."""
    assert isinstance(app.bank, HttpBank)
    return replace(app, bank=replace(app.bank, deadline_s=0.25))


def run_all_jobs(app: App, clock_offset: timedelta) -> None:
    """Run one round of every job that could touch a scheduled deposit, and of one that must not."""
    collect(app, clock_offset)
    reconcile(app, clock_offset)
    credit_due_deposits.run_once(app, clock_offset=clock_offset)
    pay_due_withdrawals.run_once(app, clock_offset=clock_offset)


def answers(found: ScheduledDeposit) -> list[AnswerKind | None]:
    """Return the bank's answer to each attempt."""
    return [attempt.answer for attempt in found.attempts]


def balances(app: App) -> tuple[int, int, int]:
    """Return what is in Alice's wallet, in transit, and external."""
    return balance_of(app, WalletId("alice")), balance_of(app, IN_TRANSIT), balance_of(app, EXTERNAL)


UNTOUCHED, CREDITED = (1000, 0, -1000), (1300, 0, -1300)


def collection_per_fault(app: App, stub: CollectingBank, faults: dict[str, dict[str, object]]) -> dict[str, UUID]:
    """Schedule a collection of 300 for each fault, into a wallet of its own; return them by the fault's word."""
    for account, fault in faults.items():
        stub.order(**{"times": 1, "match": {"account": account}, **fault})  # type: ignore[arg-type]  # JSON
    return {
        account: schedule_deposit(
            app, open_wallet(app, f"w-{number}"), 300, collect=True, bank_account=account, external_reference=account
        )
        for number, account in enumerate(faults)
    }


def states_and_balances(app: App, ids: dict[str, UUID]) -> dict[str, tuple[OrderState, int]]:
    """Return each collection's state, and what is in its wallet."""
    found = {account: scheduled_deposit(app, id_) for account, id_ in ids.items()}
    return {account: (one.state, balance_of(app, one.wallet)) for account, one in found.items()}
