"""Writes the journal: what has happened, in the one order in which it is told."""

from collections import Counter

from scheduler.lane import Counts, StepLane
from wallet_core.usecases.app import App

# Facts that are moved in one database transaction.
STEP = 1000


def lane(app: App) -> StepLane:
    """Return the lane; of several processes one writes at a time."""

    def step() -> tuple[Counter[str], bool]:
        written = app.journal.write(STEP)
        return Counter(WRITTEN=written) if written else Counter(), written == STEP

    return StepLane(step)


def run_once(app: App, *, limit: int = 1000) -> Counts:
    """Write up to *limit* times *STEP* lines."""
    return lane(app).once(limit)
