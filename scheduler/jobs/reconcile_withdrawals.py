"""Claims withdrawals that are in doubt or were left behind, and asks the bank about them."""

from datetime import timedelta

from scheduler.jobs.pay_due_withdrawals import NOT_OURS
from scheduler.lane import Counts, Lane
from wallet_core.domain.withdrawal import Claim
from wallet_core.usecases.app import App
from wallet_core.usecases.pay_out import NO_TIME
from wallet_core.usecases.reconcile import reconcile


def lane(app: App, *, clock_offset: timedelta = NO_TIME) -> Lane[Claim]:
    """Return the lane."""

    def claim(limit: int) -> list[Claim]:
        return app.claims.to_reconcile(limit=limit, lease=app.payouts.policy.lease, clock_offset=clock_offset)

    def work(claim: Claim) -> str:
        withdrawal = reconcile(app, claim, clock_offset=clock_offset)
        return withdrawal.state if withdrawal is not None else NOT_OURS

    return Lane("reconcile", slots=app.payouts.parallelism, claim=claim, work=work)


def run_once(app: App, *, limit: int = 1000, clock_offset: timedelta = NO_TIME) -> Counts:
    """Ask about up to *limit* withdrawals, once each."""
    return lane(app, clock_offset=clock_offset).once(limit)
