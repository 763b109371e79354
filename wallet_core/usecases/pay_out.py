"""Pay out, or collect, one claimed order: debit, call the bank once, settle its answer.

Between the two commits no lock is held and no transaction is open. If this process dies at any point, the attempt shows
that the bank may have been called, and the worker that takes over asks the bank first.
"""

from datetime import timedelta
from time import monotonic

import structlog
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from wallet_core.domain.commands.payments.attempt_payment import SettlePayment, StartPayment
from wallet_core.domain.model.bank import Answer, AnswerKind
from wallet_core.domain.model.errors import ServiceError, StaleClaim
from wallet_core.domain.model.payment_order import Attempt, Claim, PaymentOrder
from wallet_core.usecases.app import App, new_id

_log = structlog.get_logger("wallet.payouts")

NO_TIME = timedelta()


class AnswerNotStored(ServiceError):
    """The bank's answer could not be stored during the lease: the worker that takes over asks the bank again."""


def pay_out(app: App, claim: Claim, *, clock_offset: timedelta = NO_TIME) -> PaymentOrder | None:
    """Return the order as it is afterwards; None where the claim was lost.

    Raises ``ServiceError`` where the database failed: another worker takes over once the lease has run out.
    """
    started_at = monotonic()  # before the commit, so that time in it counts against the send window
    start = StartPayment(
        id=new_id(), claim=claim, policy=app.payouts.policy, jitter=app.jitter(), clock_offset=clock_offset
    )
    try:
        # After the send window it would not be sent: a locked wallet blocks a slot no longer than that.
        started = app.ledger.post(start, started_at + app.payouts.send_window_s).order
    except StaleClaim:
        return None
    except ServiceError:
        app.claims.release(claim, wait=app.payouts.policy.backoff_first)
        raise
    if started is None or started.lease_until is None or started.open_attempt is None:
        return started  # nothing to send
    return send(app, claim, started.open_attempt, started_at=started_at, clock_offset=clock_offset)


def send(
    app: App, claim: Claim, attempt: Attempt, *, started_at: float, clock_offset: timedelta
) -> PaymentOrder | None:
    """Call the bank for a recorded attempt, unless the send window has passed, and settle its answer."""
    if monotonic() - started_at < app.payouts.send_window_s:
        answer = app.bank.pay(claim.payment)
    else:
        answer = Answer(kind=AnswerKind.NOT_SENT, detail="the send window had passed")
    settle = SettlePayment(
        id=new_id(),
        claim=claim,
        policy=app.payouts.policy,
        jitter=app.jitter(),
        clock_offset=clock_offset,
        attempt=attempt.number,
        answer=answer,
    )
    try:
        return _settled(app, settle)
    except StaleClaim:
        return None


def _settled(app: App, settle: SettlePayment) -> PaymentOrder | None:
    """Store the answer, with retries during the lease: without it the bank must be asked again.

    A retry is safe: an answer is stored once, and the second time is a ``StaleClaim``.
    """

    def log(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome is not None else None
        order, tries = str(settle.claim.order), state.attempt_number
        _log.warning(
            "the bank's answer cannot be stored yet",
            order=order,
            answer=settle.answer.kind,
            tries=tries,
            why=str(error),
        )

    def give_up(state: RetryCallState) -> None:
        log(state)
        raise AnswerNotStored from (state.outcome.exception() if state.outcome is not None else None)

    for attempt in Retrying(
        retry=retry_if_exception_type(ServiceError),
        stop=stop_after_delay(app.payouts.policy.lease.total_seconds()),
        wait=wait_random_exponential(multiplier=0.05, max=1.0),
        before_sleep=log,
        retry_error_callback=give_up,
    ):
        with attempt:
            return app.ledger.post(settle).order
    return None
