"""Create a webhook."""

from dataclasses import dataclass, field
from typing import ClassVar
from uuid import UUID

from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decision import Decision, LockSet
from wallet_core.domain.deciding.fingerprint import Form, always
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.access import Right
from wallet_core.domain.model.commission_rule import Label
from wallet_core.domain.model.errors import LedgerBroken, LimitExceeded
from wallet_core.domain.model.event import EventType
from wallet_core.domain.model.wallet import WalletId, is_system
from wallet_core.domain.model.webhook import READING, Webhook, WebhookChange, WebhookState


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateWebhook(Command):
    """Send events to an endpoint, as its creator may read them."""

    method: ClassVar[str] = "CreateWebhook"
    form: ClassVar[Form] = always("url", "description", "types", "wallet", "owner", "label", "enabled")

    id: UUID
    secret: str = field(repr=False)
    url: str
    description: str
    types: tuple[EventType, ...]
    wallet: WalletId | None
    owner: str
    label: Label | None
    enabled: bool
    most: int
    """Webhooks that there may be; of those confined to one owner, *most_of_owner*."""
    most_of_owner: int

    def lock_set(self) -> LockSet:
        """Lock the wallet of the filter, and let no other webhook be created meanwhile."""
        return LockSet(wallets=frozenset({self.wallet} if self.wallet else ()), creates_webhook=True)

    def authorize(self) -> None:
        """Refuse a caller that could not watch these events."""
        self.access.require_right(Right.EVENTS)
        if self.wallet is not None and is_system(self.wallet):
            self.access.require_right(Right.OPERATIONS)

    def require_owner(self, ledger: LedgerState) -> None:
        """Require filters that name nothing of another owner."""
        if self.wallet is not None:
            self.access.require((ledger.wallets.get(self.wallet),))
        if self.owner:
            self.access.require_owner(self.owner)

    def decide(self, ledger: LedgerState) -> Decision:
        """Refuse one too many."""
        if self.request is None:
            raise LedgerBroken
        if self.wallet is not None:
            ledger.wallet(self.wallet)
        confined_to = self.access.owner
        if sum(ledger.webhook_counts.values()) >= self.most:
            raise LimitExceeded("webhooks", self.most)
        if confined_to is not None and ledger.webhook_counts.get(confined_to, 0) >= self.most_of_owner:
            raise LimitExceeded("webhooks", self.most_of_owner)
        webhook = Webhook(
            id=self.id,
            creator=self.request.caller,
            confined_to=confined_to,
            rights=self.access.rights & READING,
            url=self.url,
            description=self.description,
            types=self.types,
            wallet=self.wallet,
            owner=self.owner,
            label=self.label,
            state=WebhookState.ENABLED if self.enabled else WebhookState.DISABLED,
            secret=self.secret,
            create_time=ledger.now,
            update_time=ledger.now,
        )
        return Decision(subject=webhook.name, webhook=WebhookChange(webhook=webhook))
