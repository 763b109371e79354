"""Claims collections that are in doubt or were left behind, and asks the bank about them."""

from datetime import timedelta

from scheduler.jobs.bank_work import reconciling_lane
from scheduler.lane import Counts, Lane
from wallet_core.domain.order import Claim
from wallet_core.usecases.app import App
from wallet_core.usecases.pay_out import NO_TIME


def lane(app: App, *, clock_offset: timedelta = NO_TIME) -> Lane[Claim]:
    """Return the lane."""
    return reconciling_lane("reconcile-collections", app, app.claims.to_reconcile_collections, clock_offset)


def run_once(app: App, *, limit: int = 1000, clock_offset: timedelta = NO_TIME) -> Counts:
    """Ask about up to *limit* collections, once each."""
    return lane(app, clock_offset=clock_offset).once(limit)
