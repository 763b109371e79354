"""Expire one claimed hold."""

from datetime import timedelta
from time import monotonic

from wallet_core.domain.commands.holds.end_hold import ExpireHold
from wallet_core.domain.model.errors import StaleClaim
from wallet_core.domain.model.hold import Hold, HoldClaim
from wallet_core.usecases.app import App
from wallet_core.usecases.pay_out import NO_TIME


def expire_hold(app: App, claim: HoldClaim, *, clock_offset: timedelta = NO_TIME) -> Hold | None:
    """Return the hold as it is afterwards; None where it had ended or the claim was lost.

    Raises ``ServiceError`` where the database failed: the lease runs out by itself.
    """
    try:
        deadline = monotonic() + app.payouts.send_window_s
        return app.ledger.post(ExpireHold(claim=claim, clock_offset=clock_offset), deadline).hold
    except StaleClaim:
        return None
