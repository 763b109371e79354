"""Claims holds whose time is over and lets them expire, the longest over first."""

from datetime import timedelta

from scheduler.jobs.bank_jobs import NOT_OURS
from scheduler.worker_pool import Counts, WorkerPool
from wallet_core.domain.model.hold import HoldClaim
from wallet_core.usecases.app import App
from wallet_core.usecases.expire_hold import expire_hold
from wallet_core.usecases.pay_out import NO_TIME


def worker(app: App, *, clock_offset: timedelta = NO_TIME) -> WorkerPool[HoldClaim]:
    """Return the worker."""

    def claim(limit: int) -> list[HoldClaim]:
        return app.claims.to_expire(limit=limit, lease=app.payouts.policy.lease, clock_offset=clock_offset)

    def work(claim: HoldClaim) -> str:
        hold = expire_hold(app, claim, clock_offset=clock_offset)
        return hold.state if hold is not None else NOT_OURS

    return WorkerPool("expire", slots=app.payouts.parallelism, claim=claim, work=work)


def run_once(app: App, *, limit: int = 1000, clock_offset: timedelta = NO_TIME) -> Counts:
    """Let up to *limit* holds expire."""
    return worker(app, clock_offset=clock_offset).once(limit)
