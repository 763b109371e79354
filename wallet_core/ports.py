"""What the core asks of the outside."""

from typing import Protocol

from wallet_core.domain.model.bank import Answer, BankStatementPage, Payment, Status
from wallet_core.domain.model.receipt import Language, Receipt


class BankGateway(Protocol):
    """The bank: a stranger on a bad line. No call raises; what went wrong is in the answer."""

    def pay(self, payment: Payment) -> Answer:
        """Ask the bank to pay, or to collect. A repeat with the same key is the same payment."""

    def status(self, payment: Payment) -> Status:
        """Ask the bank what has become of a payment. Changes nothing."""

    def ledger(self, *, after: int, limit: int) -> BankStatementPage | None:
        """Read the bank's own ledger after a line; None where it cannot be read. Changes nothing."""


class Documents(Protocol):
    """What is written for people. The same words give the same bytes, whenever they are asked for."""

    def receipt(self, receipt: Receipt, language: Language) -> bytes:
        """Write a receipt."""
