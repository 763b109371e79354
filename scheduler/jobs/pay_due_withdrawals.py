"""Claims withdrawals that are due and pays them out."""

from datetime import timedelta

from scheduler.jobs.bank_work import asking_lane
from scheduler.lane import Counts, Lane
from wallet_core.domain.order import Claim
from wallet_core.usecases.app import App
from wallet_core.usecases.pay_out import NO_TIME


def lane(app: App, *, clock_offset: timedelta = NO_TIME) -> Lane[Claim]:
    """Return the lane."""
    return asking_lane("pay", app, app.claims.to_pay, clock_offset)


def run_once(app: App, *, limit: int = 1000, clock_offset: timedelta = NO_TIME) -> Counts:
    """Pay up to *limit* withdrawals that are due, to the end of one attempt each."""
    return lane(app, clock_offset=clock_offset).once(limit)
