"""The interfaces that the core needs from outside."""

from typing import Protocol

from wallet_core.domain.model.bank import Answer, BankStatementPage, Payment, Status
from wallet_core.domain.model.receipt import Language, Receipt


class BankGateway(Protocol):
    """The bank. No call raises: the answer says what went wrong."""

    def pay(self, payment: Payment) -> Answer:
        """Ask the bank to pay, or to collect. A repeat with the same key is the same payment."""

    def status(self, payment: Payment) -> Status:
        """Ask the bank for the status of a payment. Changes nothing."""

    def ledger(self, *, after: int, limit: int) -> BankStatementPage | None:
        """Read the bank statement after a line; None where it cannot be read. Changes nothing."""


class Documents(Protocol):
    """Documents for people. The same content gives the same bytes at any time."""

    def receipt(self, receipt: Receipt, language: Language) -> bytes:
        """Write a receipt."""
