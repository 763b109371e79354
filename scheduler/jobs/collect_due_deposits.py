"""Claims scheduled deposits that are to be collected and asks the bank for them."""

from datetime import timedelta

from scheduler.jobs.bank_jobs import bank_call_worker
from scheduler.worker_pool import Counts, WorkerPool
from wallet_core.domain.model.payment_order import Claim
from wallet_core.usecases.app import App
from wallet_core.usecases.pay_out import NO_TIME


def worker(app: App, *, clock_offset: timedelta = NO_TIME) -> WorkerPool[Claim]:
    """Return the worker."""
    return bank_call_worker("collect", app, app.claims.to_collect, clock_offset)


def run_once(app: App, *, limit: int = 1000, clock_offset: timedelta = NO_TIME) -> Counts:
    """Collect up to *limit* deposits that are due, to the end of one attempt each."""
    return worker(app, clock_offset=clock_offset).once(limit)
