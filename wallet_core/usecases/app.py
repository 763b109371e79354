"""The parts that use cases are given: the ledger, the reads, the claims, the bank, and the payout settings."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import uuid_utils

from wallet_core.addresses import EndpointPolicy
from wallet_core.domain.model.attention import AttentionPolicy, Vitals
from wallet_core.domain.model.payment_order import PaymentPolicy
from wallet_core.domain.model.webhook import WebhookPolicy, WebhookVitals
from wallet_core.ledger.ledger import Ledger
from wallet_core.ports import BankGateway, Documents, WebhookEndpoints, WebhookMessages
from wallet_core.storage.posting.bank_statement import BankStatementLines
from wallet_core.storage.reads.all import Reads
from wallet_core.storage.scheduling.claims import Claims
from wallet_core.storage.scheduling.journal import Journal
from wallet_core.storage.scheduling.webhooks import WebhookQueue
from wallet_core.usecases.currencies import Currencies
from wallet_core.usecases.summarize_journal import Summarizing
from wallet_core.usecases.verify_ledger import Auditor
from wallet_core.usecases.write_checkpoint import Checkpointing


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutSettings:
    """How this process calls the bank, besides the policy of decisions."""

    policy: PaymentPolicy
    parallelism: int
    send_window_s: float
    resends: bool
    """Whether the bank honours idempotency keys, so that a resend is safe."""
    bank_statement_page: int
    """Bank statement lines of one page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """Where and how this process sends events."""

    policy: WebhookPolicy
    endpoints: EndpointPolicy
    count_max: int
    owner_count_max: int
    secret_overlap: timedelta
    parallelism: int
    endpoint_parallelism: int
    delivered_kept: timedelta
    dead_kept: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """The core of one process. ``bootstrap`` makes it."""

    ledger: Ledger
    reads: Reads
    claims: Claims
    bank_statement_lines: BankStatementLines
    journal: Journal
    checkpoints: Checkpointing
    summaries: Summarizing
    auditor: Auditor
    on_events: Callable[[Callable[[], None]], AbstractContextManager[None]]
    """Calls a function after commits of events, by any process, while in the context; a wake-up may get lost."""
    on_records: Callable[[Callable[[], None]], AbstractContextManager[None]]
    """The same after writes of the journal."""
    webhook_queue: WebhookQueue
    may_call_bank: Callable[[], bool]
    """Takes one call from the rate limit that all processes share; False where none is left."""
    ping: Callable[[], None]
    """Checks that the database takes writes and has this release's schema; raises ``ServiceError``."""
    webhook_vitals: Callable[[], WebhookVitals]
    """Reads the measurements of webhooks like ``vitals``."""
    vitals: Callable[[], Vitals]
    """Reads the vitals on a connection of the ledger's pool; raises ``ServiceError``."""
    bank: BankGateway
    schema_version: str
    """The version of the database's schema."""
    documents: Documents
    currencies: Currencies
    payouts: PayoutSettings
    webhooks: WebhookSettings
    webhook_endpoints: WebhookEndpoints
    webhook_messages: WebhookMessages | None
    """None in a process that sends no events."""
    attention: AttentionPolicy
    jitter: Callable[[], float]
    """Returns a random number in [0, 1)."""


def new_id() -> UUID:
    """Return an id for a new resource: a UUIDv7, so that resources of one time are together in an index."""
    return UUID(bytes=uuid_utils.uuid7().bytes)
