"""Claims scheduled deposits that nobody has to be asked about, and credits them."""

from datetime import timedelta

from scheduler.jobs.bank_jobs import outcome_of
from scheduler.worker_pool import Counts, WorkerPool
from wallet_core.domain.model.payment_order import Claim
from wallet_core.usecases.app import App
from wallet_core.usecases.credit_deposit import credit_deposit
from wallet_core.usecases.pay_out import NO_TIME


def worker(app: App, *, clock_offset: timedelta = NO_TIME) -> WorkerPool[Claim]:
    """Return the worker."""

    def claim(limit: int) -> list[Claim]:
        return app.claims.to_credit(limit=limit, lease=app.payouts.policy.lease, clock_offset=clock_offset)

    def work(claim: Claim) -> str:
        return outcome_of(credit_deposit(app, claim))

    return WorkerPool("credit", slots=app.payouts.parallelism, claim=claim, work=work)


def run_once(app: App, *, limit: int = 1000, clock_offset: timedelta = NO_TIME) -> Counts:
    """Credit up to *limit* deposits that are due."""
    return worker(app, clock_offset=clock_offset).once(limit)
