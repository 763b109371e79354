"""Webhooks as tests make and drive them: through the core, in this process."""

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from scheduler.jobs import deliver_webhooks, queue_webhooks, write_journal
from tests.support.books import request
from tests.support.commands import a_redelivery, a_rotation, a_webhook, a_webhook_deletion, a_webhook_update
from wallet_core.domain.model.access import Access
from wallet_core.domain.model.webhook import Delivery, DeliveryState, Webhook
from wallet_core.usecases.app import App
from wallet_core.usecases.webhooks import change_webhook

NO_TIME = timedelta(0)
PAST_ALL = timedelta(days=30)


def open_webhook(app: App, url: str, *, access: Access | None = None, **fields: Any) -> Webhook:  # noqa: ANN401  # any field
    """Create a webhook."""
    asked = request()
    if access is not None:
        asked = replace(asked, access=access)
    return change_webhook(app, a_webhook(url, request=asked, **fields)).webhook


def update(app: App, webhook: Webhook, **fields: Any) -> Webhook:  # noqa: ANN401  # any field
    """Change fields of a webhook."""
    return change_webhook(app, a_webhook_update(webhook.id, **fields)).webhook


def rotate(app: App, webhook: Webhook, *, now: bool = False, overlap: timedelta = timedelta(days=1)) -> Webhook:
    """Rotate a webhook's secret."""
    return change_webhook(app, a_rotation(webhook.id, now=now, overlap=overlap)).webhook


def delete(app: App, webhook: Webhook) -> Webhook:
    """Delete a webhook."""
    return change_webhook(app, a_webhook_deletion(webhook.id)).webhook


def redeliver(app: App, webhook: Webhook, *, number: int | None = None, since: datetime | None = None) -> None:
    """Send one event again, or dead letters."""
    change_webhook(app, a_redelivery(webhook.id, number=number, since=since))


def publish(app: App) -> None:
    """Write the journal, and queue what is in it."""
    write_journal.run_once(app)
    queue_webhooks.run_once(app)


def deliver(app: App, *, later: timedelta = NO_TIME, limit: int = 1000) -> Counter[str]:
    """Publish, and make the attempts that are due; return their outcomes."""
    publish(app)
    return deliver_webhooks.run_once(app, clock_offset=later, limit=limit).outcomes


def deliveries(app: App, webhook: Webhook | UUID) -> list[Delivery]:
    """Return the deliveries of a webhook by number."""
    id_ = webhook if isinstance(webhook, UUID) else webhook.id
    page = app.reads.list_deliveries(id_, size=1000, before=None, conditions=())
    return sorted(page.items, key=lambda one: one.number)


def states(app: App, webhook: Webhook) -> Counter[DeliveryState]:
    """Return how many deliveries are in each state."""
    return Counter(one.state for one in deliveries(app, webhook))
