"""Change, rotate, delete and ping a webhook, and send its events again."""

from abc import abstractmethod
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decision import Decision, LockSet
from wallet_core.domain.deciding.fingerprint import Form, always
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.access import Right
from wallet_core.domain.model.commission_rule import Label
from wallet_core.domain.model.errors import (
    Because,
    EtagMismatch,
    LedgerBroken,
    ResourceNotFound,
    StateTransitionForbidden,
)
from wallet_core.domain.model.event import EventType
from wallet_core.domain.model.wallet import WalletId, is_system
from wallet_core.domain.model.webhook import Webhook, WebhookChange, WebhookState, ping_number, webhook_name

_CHANGE = always("webhook", "etag")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeWebhook(Command):
    """What all changes have in common."""

    needs_its_rights: ClassVar[bool] = False
    """Whether the caller needs the rights that the webhook keeps: it could otherwise read events by them."""

    webhook: UUID

    def lock_set(self) -> LockSet:
        """Lock the webhook."""
        return LockSet(webhooks=frozenset({self.webhook}))

    def require_owner(self, ledger: LedgerState) -> None:
        """Require a webhook that is confined to the caller's owner."""
        found = ledger.webhooks.get(self.webhook)
        self.access.require_owner(found.confined_to if found is not None else None)

    def decide(self, ledger: LedgerState) -> Decision:
        """Refuse a caller without the rights that it needs, and a webhook that is deleted."""
        found = ledger.webhook(self.webhook)
        if self.needs_its_rights:
            for right in sorted(found.rights):
                self.access.require_right(right)
        self.require_unchanged(found)
        if found.state is WebhookState.DELETED:
            raise StateTransitionForbidden(found.name, found.state, Because.WEBHOOK_DELETED)
        change = self.change(ledger, found)
        return Decision(subject=self.subject_of(change.webhook), webhook=change)

    def require_unchanged(self, found: Webhook) -> None:
        """Raise ``EtagMismatch`` where the caller has read another state of it."""

    @abstractmethod
    def change(self, ledger: LedgerState, found: Webhook) -> WebhookChange:
        """Return the change."""

    def subject_of(self, webhook: Webhook) -> str:
        """Return what the record of the request names."""
        return webhook.name


@dataclass(frozen=True, slots=True, kw_only=True)
class EditWebhook(ChangeWebhook):
    """What changes of the webhook itself have in common."""

    etag: str
    """The etag that the webhook must still have; empty for any."""

    def require_unchanged(self, found: Webhook) -> None:
        """Compare the etag."""
        if self.etag and self.etag != found.etag:
            raise EtagMismatch(found.name)


def _changed(ledger: LedgerState, found: Webhook) -> Webhook:
    return replace(found, revision=found.revision + 1, update_time=ledger.now)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateWebhook(EditWebhook):
    """Change the fields that *paths* names; the others have the value that they have when they are not sent."""

    method: ClassVar[str] = "UpdateWebhook"
    form: ClassVar[Form] = (
        *_CHANGE,
        *always("paths", "url", "description", "types", "wallet", "owner", "label", "enabled"),
    )
    needs_its_rights: ClassVar[bool] = True

    paths: tuple[str, ...]
    """In order, each once."""
    url: str = ""
    description: str = ""
    types: tuple[EventType, ...] = ()
    wallet: WalletId | None = None
    owner: str = ""
    label: Label | None = None
    enabled: bool = True

    def lock_set(self) -> LockSet:
        """Lock the webhook, and the wallet of a new filter."""
        wallets = frozenset({self.wallet} if self.wallet else ())
        return LockSet(wallets=wallets, webhooks=frozenset({self.webhook}))

    def authorize(self) -> None:
        """Refuse a filter by a system wallet to a caller that may not read it."""
        if self.wallet is not None and is_system(self.wallet):
            self.access.require_right(Right.OPERATIONS)

    def require_owner(self, ledger: LedgerState) -> None:
        """Require that the filters name nothing of another owner, too."""
        super(UpdateWebhook, self).require_owner(ledger)
        if self.wallet is not None:
            self.access.require((ledger.wallets.get(self.wallet),))
        if self.owner:
            self.access.require_owner(self.owner)

    def change(self, ledger: LedgerState, found: Webhook) -> WebhookChange:
        """Refuse a wallet that does not exist."""
        if self.wallet is not None:
            ledger.wallet(self.wallet)
        values = {path: getattr(self, path) for path in self.paths if path != "state"}
        changed = replace(_changed(ledger, found), **values)
        if "state" in self.paths:
            state = WebhookState.ENABLED if self.enabled else WebhookState.DISABLED
            changed = replace(changed, state=state, disabled_reason="")
        return WebhookChange(webhook=changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class RotateWebhookSecret(EditWebhook):
    """Sign with a new secret, and with the previous one until it expires."""

    method: ClassVar[str] = "RotateWebhookSecret"
    form: ClassVar[Form] = (*_CHANGE, *always("expire_previous_now"))
    needs_its_rights: ClassVar[bool] = True

    secret: str = field(repr=False)
    expire_previous_now: bool
    overlap: timedelta

    def change(self, ledger: LedgerState, found: Webhook) -> WebhookChange:
        """Replace the secret."""
        overlaps = not self.expire_previous_now
        changed = replace(
            _changed(ledger, found),
            secret=self.secret,
            secret_number=found.secret_number + 1,
            previous_secret=found.secret if overlaps else "",
            previous_secret_until=ledger.now + self.overlap if overlaps else None,
        )
        return WebhookChange(webhook=changed)

    def subject_of(self, webhook: Webhook) -> str:
        """Name the secret: a repeat returns this one."""
        return f"{webhook.name}/secrets/{webhook.secret_number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteWebhook(EditWebhook):
    """Send nothing more, and erase the secrets."""

    method: ClassVar[str] = "DeleteWebhook"
    form: ClassVar[Form] = _CHANGE

    def change(self, ledger: LedgerState, found: Webhook) -> WebhookChange:
        """Delete it."""
        changed = replace(
            _changed(ledger, found),
            state=WebhookState.DELETED,
            secret="",
            previous_secret="",
            previous_secret_until=None,
        )
        return WebhookChange(webhook=changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class PingWebhook(ChangeWebhook):
    """Queue a test request."""

    method: ClassVar[str] = "PingWebhook"
    form: ClassVar[Form] = always("webhook")

    def change(self, ledger: LedgerState, found: Webhook) -> WebhookChange:
        """Queue it."""
        del ledger
        if self.request is None:
            raise LedgerBroken
        return WebhookChange(webhook=found, ping=ping_number(self.request.caller, self.request.id))


@dataclass(frozen=True, slots=True, kw_only=True)
class RedeliverEvent(ChangeWebhook):
    """Send one event again, or the dead letters since a time."""

    method: ClassVar[str] = "RedeliverEvent"
    form: ClassVar[Form] = always("webhook", "number", "dead_since")

    number: int | None
    """Of the delivery."""
    dead_since: datetime | None
    delivery: str
    """The name of the delivery, for an error."""

    def lock_set(self) -> LockSet:
        """Lock the webhook, and look whether the delivery exists."""
        deliveries = frozenset({(self.webhook, self.number)} if self.number is not None else ())
        return LockSet(webhooks=frozenset({self.webhook}), deliveries=deliveries)

    def change(self, ledger: LedgerState, found: Webhook) -> WebhookChange:
        """Refuse a delivery that does not exist."""
        if self.number is not None and (self.webhook, self.number) not in ledger.deliveries:
            raise ResourceNotFound(self.delivery)
        return WebhookChange(webhook=found, redeliver=self.number, redeliver_since=self.dead_since)


def webhook_of(subject: str) -> UUID:
    """Return the webhook that a recorded subject names."""
    return UUID(subject.split("/")[1])


def secret_number_of(subject: str) -> int:
    """Return the number of the secret that a recorded subject names; 1 for that of a creation."""
    parts = subject.split("/")
    return int(parts[3]) if subject != webhook_name(webhook_of(subject)) else 1
