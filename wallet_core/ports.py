"""The interfaces of what is outside the core."""

from typing import Protocol

from wallet_core.domain.model.bank import Answer, BankStatementPage, Payment, Status
from wallet_core.domain.model.checkpoint import Checkpoint, Statement
from wallet_core.domain.model.receipt import Language, Receipt


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
