"""Move money from one wallet to another."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from wallet_core.domain.access import refuse_system_wallets
from wallet_core.domain.books import Books
from wallet_core.domain.command import Command, Decision, Needs
from wallet_core.domain.errors import InvalidField
from wallet_core.domain.money import Money, require_positive
from wallet_core.domain.transaction import Leg, Movement, TransactionType, transaction_name
from wallet_core.domain.wallet import WalletId


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer(Command):
    """Move an amount between two wallets of its currency."""

    method: ClassVar[str] = "Transfer"

    id: UUID
    source: WalletId
    destination: WalletId
    amount: Money
    description: str

    def needs(self) -> Needs:
        """Lock both wallets."""
        return Needs(wallets=frozenset({self.source, self.destination}))

    def permit(self) -> None:
        """Refuse the service's own wallets, and one wallet on both ends."""
        refuse_system_wallets(self.source, self.destination)
        require_positive(self.amount)
        if self.source == self.destination:
            raise InvalidField("destination", "source and destination must be two wallets")

    def decide(self, books: Books) -> Decision:
        """Take from an active wallet what it has, give to any that is not closed."""
        payer = books.payer(self.source, self.amount.currency)
        payee = books.payee(self.destination, self.amount.currency)
        movement = Movement(
            id=self.id,
            type=TransactionType.TRANSFER,
            amount=self.amount,
            source=payer.id,
            destination=payee.id,
            legs=(Leg(payer, -self.amount.minor), Leg(payee, self.amount.minor)),
            description=self.description,
        )
        return Decision(subject=transaction_name(self.id), movement=movement, available_of=payer.id)
