"""What the core asks of the outside."""

from typing import Protocol

from wallet_core.domain.bank import Answer, Payment, Status


class BankGateway(Protocol):
    """The bank: a stranger on a bad line. Neither call raises; what went wrong is in the answer."""

    def pay(self, payment: Payment) -> Answer:
        """Ask the bank to pay. A repeat with the same key is the same payment."""

    def status(self, key: str) -> Status:
        """Ask the bank what has become of a payment. Changes nothing."""
