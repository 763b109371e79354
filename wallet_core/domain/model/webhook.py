"""Webhooks: endpoints that receive events, and the deliveries to them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import blake2b
from uuid import UUID

from wallet_core.domain.model.access import Access, Right
from wallet_core.domain.model.commission_rule import Label
from wallet_core.domain.model.event import EventType
from wallet_core.domain.model.wallet import WalletId, etag_of

# The rights on which it depends what an event shows.
READING = frozenset({Right.EVENTS, Right.READ, Right.OPERATIONS})

GONE = 410
"""The status by which an endpoint ends its subscription."""

_SUCCESS = range(200, 300)
_NUMBER_BITS = 62


class WebhookState(StrEnum):
    """Whether events are sent."""

    ENABLED = "ENABLED"
    DISABLED = "DISABLED"
    """Nothing is sent until it is enabled; then every event since."""
    DELETED = "DELETED"
    """Nothing is ever sent again."""


class DeliveryState(StrEnum):
    """How far a delivery is."""

    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    DEAD = "DEAD"
    """Not accepted in all attempts: a dead letter."""


def webhook_name(webhook: UUID) -> str:
    """Return the resource name of a webhook."""
    return f"webhooks/{webhook}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """An endpoint: where events are sent, which ones, and as whom it may read them."""

    id: UUID
    creator: str
    """The calling system that created it."""
    confined_to: str | None
    """The owner that its creator was confined to."""
    rights: frozenset[Right]
    """Those of its creator, among ``READING``."""
    url: str
    description: str
    types: tuple[EventType, ...]
    """In order; none: all."""
    wallet: WalletId | None
    owner: str
    """Only events of this owner's wallets; empty: of all."""
    label: Label | None
    state: WebhookState
    disabled_reason: str = ""
    """Why the service has disabled it; empty where a caller did."""
    secret: str = field(repr=False)
    """Empty once it is deleted."""
    secret_number: int = 1
    """1 for the first secret; each rotation adds 1."""
    previous_secret: str = field(default="", repr=False)
    previous_secret_until: datetime | None = None
    revision: int = 1
    create_time: datetime
    update_time: datetime

    @property
    def name(self) -> str:
        """The resource name."""
        return webhook_name(self.id)

    @property
    def etag(self) -> str:
        """It changes with every change."""
        return etag_of(self.revision)

    @property
    def reader(self) -> Access:
        """As whom it reads events."""
        return Access(self.confined_to, self.rights)

    def secrets(self, now: datetime) -> tuple[str, ...]:
        """Return the secrets that sign now, the newest first."""
        until = self.previous_secret_until
        return (self.secret, self.previous_secret) if until is not None and until > now else (self.secret,)

    def secret_of(self, number: int, now: datetime) -> str:
        """Return the secret of this number while it signs, else an empty text."""
        by_number = dict(zip((self.secret_number, self.secret_number - 1), self.secrets(now), strict=False))
        return by_number.get(number, "")


def ping_number(caller: str, request: UUID) -> int:
    """Return the number of a ping's delivery, which follows from its request: a repeat of it names the same delivery.

    It is below zero, because the numbers above are those of the journal.
    """
    digest = blake2b(f"{caller}\n{request}".encode(), digest_size=8).digest()
    return -1 - (int.from_bytes(digest) >> (64 - _NUMBER_BITS))


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookChange:
    """A webhook that is new or changed, and what is sent because of it."""

    webhook: Webhook
    ping: int | None = None
    """The number of a ping to be queued."""
    redeliver: int | None = None
    """The number of a delivery to be sent again."""
    redeliver_since: datetime | None = None
    """Dead letters since this time are sent again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookPolicy:
    """How deliveries are retried. Values come from the settings, which explain them."""

    retries: Sequence[timedelta]
    jitter: float
    retry_after_max: timedelta
    lease: timedelta
    send_within: timedelta

    def next_try(self, tries: int, retry_after_s: float | None, jitter: float) -> timedelta | None:
        """Return how long to wait after *tries* failed tries; None where none is left. *jitter* is in [0, 1)."""
        if tries > len(self.retries):
            return None
        wait = self.retries[tries - 1] * (1 + self.jitter * jitter)
        requested = min(self.retry_after_max, timedelta(seconds=min(retry_after_s or 0.0, 1e9)))
        return max(wait, requested)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryClaim:
    """The right to make one attempt, and the webhook as it was then."""

    webhook: Webhook
    number: int
    """Of the journal record; below zero for a ping."""
    fence: int
    attempt: int
    """1 for the first attempt ever."""
    tries: int
    """1 for the first one of the present schedule: a redelivery begins anew."""
    secrets: tuple[str, ...] = field(repr=False)
    claimed_at: float
    """On this process's monotonic clock, before the claim was made."""
    time: datetime
    """By the database's clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of one HTTP request to an endpoint."""

    status: int = 0
    """0 without a response."""
    retry_after_s: float | None = None
    response: str = ""
    """The beginning of the body, as text."""
    error: str = ""
    """Why there is no response."""
    latency: timedelta = timedelta(0)

    @property
    def is_accepted(self) -> bool:
        """Whether the endpoint has accepted the event."""
        return self.status in _SUCCESS


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryAttempt:
    """One recorded attempt."""

    number: int
    time: datetime
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The delivery of an event to a webhook."""

    webhook: UUID
    number: int
    state: DeliveryState
    attempts: tuple[DeliveryAttempt, ...]
    """The newest, the oldest first."""
    type: str
    """Empty for a ping."""
    subject: str
    next_attempt_time: datetime | None
    create_time: datetime
    end_time: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookVitals:
    """Measurements for metrics."""

    pending: int
    """Deliveries that are pending, up to a limit of counting."""
    oldest_pending: datetime | None
    dead: int
    """Dead letters, up to a limit of counting."""
    disabled: int
