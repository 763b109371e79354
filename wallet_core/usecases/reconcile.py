"""Reconcile one claimed withdrawal that is in doubt or was left behind: ask the bank, and follow its word."""

from datetime import timedelta
from time import monotonic

from wallet_core.domain.errors import NotServed, StaleClaim
from wallet_core.domain.payout import SettleDoubt, TakeOver
from wallet_core.domain.withdrawal import Claim, Withdrawal, WithdrawalState, bank_key
from wallet_core.usecases.app import App, new_id
from wallet_core.usecases.pay_out import NO_TIME, send


def reconcile(app: App, claim: Claim, *, clock_offset: timedelta = NO_TIME) -> Withdrawal | None:
    """Return the withdrawal as it is afterwards; None where the claim was no longer ours.

    Never releases on silence; sends again only where the bank does not know the key and the grace time is over.
    """
    try:
        if claim.state is WithdrawalState.PROCESSING:
            taken = _take_over(app, claim, clock_offset)
            if taken is None or taken.state is not WithdrawalState.IN_DOUBT:
                return taken
        return _ask(app, claim, clock_offset)
    except StaleClaim:
        return None
    except NotServed:
        app.claims.release(claim, wait=app.payouts.policy.backoff_first)
        raise


def _take_over(app: App, claim: Claim, clock_offset: timedelta) -> Withdrawal | None:
    take_over = TakeOver(
        id=new_id(), claim=claim, policy=app.payouts.policy, jitter=app.jitter(), clock_offset=clock_offset
    )
    return app.ledger.post(take_over).withdrawal


def _ask(app: App, claim: Claim, clock_offset: timedelta) -> Withdrawal | None:
    status = app.bank.status(bank_key(claim.withdrawal))
    started_at = monotonic()  # before the commit that may open another attempt
    settle = SettleDoubt(
        id=new_id(),
        claim=claim,
        policy=app.payouts.policy,
        jitter=app.jitter(),
        clock_offset=clock_offset,
        status=status,
        resends=app.payouts.resends,
    )
    settled = app.ledger.post(settle).withdrawal
    if settled is None or settled.lease_until is None or settled.open_attempt is None:
        return settled
    resent = settled.attempts[-1]
    return send(app, claim, resent, started_at=started_at, clock_offset=clock_offset)
