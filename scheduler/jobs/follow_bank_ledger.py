"""Follows the bank's own ledger: returns are booked, and what does not meet our books is listed."""

from collections import Counter

from scheduler.lane import Counts, StepLane
from wallet_core.usecases.app import App
from wallet_core.usecases.follow_up import follow_up


def lane(app: App) -> StepLane:
    """Return the lane; it has no claims, because to follow twice is to follow once."""

    def page() -> tuple[Counter[str], bool]:
        followed = follow_up(app)
        return followed.counts, followed.more

    return StepLane(page)


def run_once(app: App, *, limit: int = 1000) -> Counts:
    """Follow up to *limit* pages."""
    return lane(app).once(limit)
