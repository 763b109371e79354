"""Writes the journal: what has happened, in the one order in which it is told."""

from collections import Counter

from scheduler.worker_pool import Counts, SequentialWorker
from wallet_core.usecases.app import App

# Facts that are moved in one database transaction.
STEP = 1000


def worker(app: App) -> SequentialWorker:
    """Return the worker; of several processes one writes at a time."""

    def step() -> tuple[Counter[str], bool]:
        written = app.journal.write(STEP)
        return Counter(WRITTEN=written) if written else Counter(), written == STEP

    return SequentialWorker(step)


def run_once(app: App, *, limit: int = 1000) -> Counts:
    """Write up to *limit* times *STEP* lines."""
    return worker(app).once(limit)
