"""Claims scheduled deposits that are to be collected and asks the bank for them."""

from datetime import timedelta

from scheduler.jobs.bank_work import asking_lane
from scheduler.lane import Counts, Lane
from wallet_core.domain.order import Claim
from wallet_core.usecases.app import App
from wallet_core.usecases.pay_out import NO_TIME


def lane(app: App, *, clock_offset: timedelta = NO_TIME) -> Lane[Claim]:
    """Return the lane."""
    return asking_lane("collect", app, app.claims.to_collect, clock_offset)


def run_once(app: App, *, limit: int = 1000, clock_offset: timedelta = NO_TIME) -> Counts:
    """Collect up to *limit* deposits that are due, to the end of one attempt each."""
    return lane(app, clock_offset=clock_offset).once(limit)
