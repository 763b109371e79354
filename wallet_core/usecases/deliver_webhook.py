"""Make one attempt to deliver an event to a webhook, and mark what came of it."""

from datetime import timedelta
from time import monotonic

from wallet_core.domain.model.errors import LedgerBroken
from wallet_core.domain.model.webhook import GONE, DeliveryClaim
from wallet_core.usecases.app import App

# Sent by a ping, which is no event.
PING = b'{"type":"ping"}'

DELIVERED, RETRIED, DEAD, DISABLED, TOO_LATE = "DELIVERED", "RETRIED", "DEAD", "DISABLED", "TOO_LATE"


def deliver(app: App, claim: DeliveryClaim, *, clock_offset: timedelta = timedelta(0)) -> str:
    """Send a claimed delivery once; return its outcome.

    Nothing is sent where the lease could end meanwhile, e.g. after this process was frozen: by then another worker may
    have sent this event and the next one.
    """
    messages, policy = app.webhook_messages, app.webhooks.policy
    if messages is None:
        raise LedgerBroken
    message = messages.message_id(claim.webhook.id, claim.number)
    body = _body(app, claim)
    age = timedelta(seconds=monotonic() - claim.claimed_at)
    if age > policy.send_within:
        return TOO_LATE
    answer = app.webhook_endpoints.send(
        claim.webhook.url, message=message, body=body, secrets=claim.secrets, now=claim.time + age
    )
    if answer.is_accepted:
        app.webhook_queue.mark_delivered(claim, answer, clock_offset)
        return DELIVERED
    is_ping = claim.number < 0
    if answer.status == GONE and not is_ping:
        app.webhook_queue.mark_gone(claim, answer, clock_offset)
        return DISABLED
    wait = None if is_ping else policy.next_try(claim.tries, answer.retry_after_s, app.jitter())
    app.webhook_queue.mark_failed(claim, answer, wait, clock_offset)
    return RETRIED if wait is not None else DEAD


def _body(app: App, claim: DeliveryClaim) -> bytes:
    if claim.number < 0:
        return PING
    record = app.reads.journal_record(claim.number)
    if record is None or app.webhook_messages is None:
        raise LedgerBroken
    return app.webhook_messages.body(record, claim.webhook)
