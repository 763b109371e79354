"""Reconcile one claimed order that is in doubt, or whose worker was lost: ask the bank for the status and follow it."""

from datetime import timedelta
from time import monotonic

from wallet_core.domain.commands.payments.settle_doubt import SettleDoubt, TakeOver
from wallet_core.domain.model.bank import Status, StatusKind
from wallet_core.domain.model.errors import ServiceError, StaleClaim
from wallet_core.domain.model.payment_order import Claim, OrderState, PaymentOrder
from wallet_core.usecases.app import App, new_id
from wallet_core.usecases.pay_out import NO_TIME, send


def reconcile(app: App, claim: Claim, *, clock_offset: timedelta = NO_TIME) -> PaymentOrder | None:
    """Return the order as it is afterwards; None where the claim was lost.

    Never releases without a status; sends again only where the bank does not know the key and the grace time is over.
    """
    try:
        if claim.state is OrderState.PROCESSING:
            taken = _take_over(app, claim, clock_offset)
            if taken is None or taken.state is not OrderState.IN_DOUBT:
                return taken
        return _ask(app, claim, clock_offset)
    except StaleClaim:
        return None
    except ServiceError:
        app.claims.release(claim, wait=app.payouts.policy.backoff_first)
        raise


def _take_over(app: App, claim: Claim, clock_offset: timedelta) -> PaymentOrder | None:
    take_over = TakeOver(
        id=new_id(), claim=claim, policy=app.payouts.policy, jitter=app.jitter(), clock_offset=clock_offset
    )
    return app.ledger.post(take_over, monotonic() + app.payouts.send_window_s).order


def _ask(app: App, claim: Claim, clock_offset: timedelta) -> PaymentOrder | None:
    status = app.bank.status(claim.payment)
    if status.kind is not StatusKind.EXECUTED:
        # An execution in the bank statement counts, also where the bank does not know the key or gives no status.
        stated = app.bank_statement_lines.execution_of(claim.payment)
        status = stated if stated.kind is StatusKind.EXECUTED else status
    if status.kind is StatusKind.NOT_FOUND and app.bank_statement_lines.is_replaced():
        # Another bank, or one that has lost its data: it may have paid what it does not know.
        status = Status(kind=StatusKind.SILENT, detail="the bank statement is not the one that was read")
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
    settled = app.ledger.post(settle, started_at + app.payouts.send_window_s).order
    if settled is None or settled.lease_until is None or settled.open_attempt is None:
        return settled
    resent = settled.attempts[-1]
    return send(app, claim, resent, started_at=started_at, clock_offset=clock_offset)
