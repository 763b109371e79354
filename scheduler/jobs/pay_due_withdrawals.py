"""Claims withdrawals that are due and pays them out."""

from datetime import timedelta

from scheduler.lane import Counts, Lane
from wallet_core.domain.bank import AnswerKind
from wallet_core.domain.withdrawal import Claim
from wallet_core.usecases.app import App
from wallet_core.usecases.pay_out import NO_TIME, pay_out

NOT_SENT = "NOT_SENT"
NOT_OURS = "NOT_OURS"


def lane(app: App, *, clock_offset: timedelta = NO_TIME) -> Lane[Claim]:
    """Return the lane; it pauses while the bank cannot be reached."""

    def claim(limit: int) -> list[Claim]:
        return app.claims.to_pay(limit=limit, lease=app.payouts.policy.lease, clock_offset=clock_offset)

    def work(claim: Claim) -> str:
        withdrawal = pay_out(app, claim, clock_offset=clock_offset)
        if withdrawal is None:
            return NOT_OURS
        unsent = withdrawal.attempts and withdrawal.attempts[-1].answer is AnswerKind.NOT_SENT
        return NOT_SENT if unsent else withdrawal.state

    return Lane(
        "pay",
        slots=app.payouts.parallelism,
        claim=claim,
        work=work,
        pausing=frozenset({NOT_SENT}),
        pause_s=app.payouts.policy.backoff_first.total_seconds(),
    )


def run_once(app: App, *, limit: int = 1000, clock_offset: timedelta = NO_TIME) -> Counts:
    """Pay up to *limit* withdrawals that are due, to the end of one attempt each."""
    return lane(app, clock_offset=clock_offset).once(limit)
