"""The interfaces of what is outside the core."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from wallet_core.domain.model.bank import Answer, BankStatementPage, Payment, Status
from wallet_core.domain.model.checkpoint import Checkpoint, Statement
from wallet_core.domain.model.event import JournalRecord
from wallet_core.domain.model.receipt import Language, Receipt
from wallet_core.domain.model.summary import Summary, SummaryStatement
from wallet_core.domain.model.webhook import Answer as WebhookAnswer
from wallet_core.domain.model.webhook import Webhook


class BankGateway(Protocol):
    """The bank, over an unreliable connection. No call raises; failures are in the result."""

    def pay(self, payment: Payment) -> Answer:
        """Ask the bank to pay, or to collect. A retry with the same key is the same payment."""

    def status(self, payment: Payment) -> Status:
        """Query the status of a payment at the bank. Changes nothing."""

    def ledger(self, *, after: int, limit: int) -> BankStatementPage | None:
        """Read the bank statement after a line; None where it cannot be read. Changes nothing."""


class Documents(Protocol):
    """Documents for people. The same content always gives the same bytes."""

    def receipt(self, receipt: Receipt, language: Language) -> bytes:
        """Return a receipt as PDF."""


class Signer(Protocol):
    """The key that signs checkpoints."""

    def public_key(self) -> bytes:
        """Return the public half of the key."""

    def sign(self, statement: Statement) -> Checkpoint:
        """Return a statement as a checkpoint."""

    def sign_summary(self, statement: SummaryStatement) -> Summary:
        """Return a statement as a summary."""


class WebhookEndpoints(Protocol):
    """Endpoints of webhooks, over the network."""

    def send(self, url: str, *, message: str, body: bytes, secrets: Sequence[str], now: datetime) -> WebhookAnswer:
        """Send one request, signed by each of *secrets* and dated *now*; never raises."""


class WebhookMessages(Protocol):
    """What is sent to endpoints. The same delivery always gives the same id and body."""

    def message_id(self, webhook: UUID, number: int) -> str:
        """Return the id of a delivery, which reveals nothing of its number."""

    def body(self, record: JournalRecord, webhook: Webhook) -> bytes:
        """Return an event as this webhook may see it."""
