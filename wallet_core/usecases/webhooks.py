"""Create, change and delete webhooks, and send their events again."""

import base64
import secrets
from dataclasses import dataclass, field

from wallet_core.domain.commands.webhooks.change_webhook import ChangeWebhook, secret_number_of, webhook_of
from wallet_core.domain.commands.webhooks.create_webhook import CreateWebhook
from wallet_core.domain.model.errors import InvalidField
from wallet_core.domain.model.webhook import Webhook
from wallet_core.usecases.app import App

# By the specification 24 to 64.
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class WebhookChanged:
    """The webhook as it is now."""

    webhook: Webhook
    replayed: bool
    secret: str = field(repr=False)
    """The secret that the call has made, while it signs; of no use to a call that makes none."""


def new_secret() -> str:
    """Return a new secret, in the form of the specification."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()}"


def require_url(app: App, url: str) -> None:
    """Raise ``InvalidField`` for a URL that nothing may be sent to."""
    if wrong := app.webhooks.endpoints.wrong_with(url):
        raise InvalidField("webhook.url", wrong)


def change_webhook(app: App, command: CreateWebhook | ChangeWebhook, deadline: float | None = None) -> WebhookChanged:
    """Post a command on a webhook; a repeat returns the webhook of the first call, as it is now."""
    done = app.ledger.post(command, deadline)
    if done.webhook is not None:
        return WebhookChanged(done.webhook, done.replayed, "" if command.validate_only else done.webhook.secret)
    webhook, now = app.reads.webhook_at(webhook_of(done.subject))
    return WebhookChanged(webhook, done.replayed, webhook.secret_of(secret_number_of(done.subject), now))
