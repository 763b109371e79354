"""Claims holds whose time is over and lets them expire, the longest over first."""

from datetime import timedelta

from scheduler.jobs.bank_work import NOT_OURS
from scheduler.lane import Counts, Lane
from wallet_core.domain.hold import HoldClaim
from wallet_core.usecases.app import App
from wallet_core.usecases.expire_hold import expire_hold
from wallet_core.usecases.pay_out import NO_TIME


def lane(app: App, *, clock_offset: timedelta = NO_TIME) -> Lane[HoldClaim]:
    """Return the lane."""

    def claim(limit: int) -> list[HoldClaim]:
        return app.claims.to_expire(limit=limit, lease=app.payouts.policy.lease, clock_offset=clock_offset)

    def work(claim: HoldClaim) -> str:
        hold = expire_hold(app, claim, clock_offset=clock_offset)
        return hold.state if hold is not None else NOT_OURS

    return Lane("expire", slots=app.payouts.parallelism, claim=claim, work=work)


def run_once(app: App, *, limit: int = 1000, clock_offset: timedelta = NO_TIME) -> Counts:
    """Let up to *limit* holds expire."""
    return lane(app, clock_offset=clock_offset).once(limit)
