"""What the four jobs that talk to the bank have in common: a worker of claimed orders, each asked about once."""

from collections.abc import Callable
from datetime import timedelta

from scheduler.worker_pool import WorkerPool
from wallet_core.domain.model.bank import AnswerKind
from wallet_core.domain.model.payment_order import Claim, PaymentOrder
from wallet_core.usecases.app import App
from wallet_core.usecases.pay_out import pay_out
from wallet_core.usecases.reconcile_order import reconcile

NOT_SENT = "NOT_SENT"
NOT_OURS = "NOT_OURS"

# A claim of ``Claims``: so many, for so long, by the clock so far on.
Claiming = Callable[..., list[Claim]]


def bank_call_worker(name: str, app: App, claiming: Claiming, clock_offset: timedelta) -> WorkerPool[Claim]:
    """Return a worker that asks the bank to pay or to collect; it pauses while the bank cannot be reached."""

    def work(claim: Claim) -> str:
        order = pay_out(app, claim, clock_offset=clock_offset)
        unsent = order is not None and order.attempts and order.attempts[-1].answer is AnswerKind.NOT_SENT
        return NOT_SENT if unsent else outcome_of(order)

    return WorkerPool(
        name,
        slots=app.payouts.parallelism,
        claim=_claim(app, claiming, clock_offset),
        work=work,
        pausing=frozenset({NOT_SENT}),
        pause=lambda times: app.payouts.policy.backoff(times, 1.0).total_seconds(),
    )


def reconciliation_worker(name: str, app: App, claiming: Claiming, clock_offset: timedelta) -> WorkerPool[Claim]:
    """Return a worker that asks the bank what has become of what is in doubt or was left behind."""

    def work(claim: Claim) -> str:
        return outcome_of(reconcile(app, claim, clock_offset=clock_offset))

    return WorkerPool(name, slots=app.payouts.parallelism, claim=_claim(app, claiming, clock_offset), work=work)


def outcome_of(order: PaymentOrder | None) -> str:
    """Return a word for what became of an order."""
    return order.state if order is not None else NOT_OURS


def _claim(app: App, claiming: Claiming, clock_offset: timedelta) -> Callable[[int], list[Claim]]:
    def claim(limit: int) -> list[Claim]:
        return claiming(limit=limit, lease=app.payouts.policy.lease, clock_offset=clock_offset)

    return claim
