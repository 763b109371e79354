"""Claims collections that are in doubt or were left behind, and asks the bank about them."""

from datetime import timedelta

from scheduler.jobs.bank_jobs import reconciliation_worker
from scheduler.worker_pool import Counts, WorkerPool
from wallet_core.domain.model.payment_order import Claim
from wallet_core.usecases.app import App
from wallet_core.usecases.pay_out import NO_TIME


def worker(app: App, *, clock_offset: timedelta = NO_TIME) -> WorkerPool[Claim]:
    """Return the worker."""
    return reconciliation_worker("reconcile-collections", app, app.claims.to_reconcile_collections, clock_offset)


def run_once(app: App, *, limit: int = 1000, clock_offset: timedelta = NO_TIME) -> Counts:
    """Ask about up to *limit* collections, once each."""
    return worker(app, clock_offset=clock_offset).once(limit)
