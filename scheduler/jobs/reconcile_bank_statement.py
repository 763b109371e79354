"""Follows the bank's own ledger: returns are booked, and what does not meet our books is listed."""

from collections import Counter

from scheduler.worker_pool import Counts, SequentialWorker
from wallet_core.usecases.app import App
from wallet_core.usecases.reconcile_statement import reconcile_statement


def worker(app: App) -> SequentialWorker:
    """Return the worker; it has no claims, because to follow twice is to follow once."""

    def page() -> tuple[Counter[str], bool]:
        followed = reconcile_statement(app)
        return followed.counts, followed.more

    return SequentialWorker(page)


def run_once(app: App, *, limit: int = 1000) -> Counts:
    """Follow up to *limit* pages."""
    return worker(app).once(limit)
