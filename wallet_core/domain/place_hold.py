"""Reserve money in a wallet."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from wallet_core.domain.access import refuse_system_wallets
from wallet_core.domain.books import Books
from wallet_core.domain.command import Command, Decision, Needs
from wallet_core.domain.errors import InvalidField
from wallet_core.domain.event import EventType
from wallet_core.domain.hold import Hold
from wallet_core.domain.money import Money, require_positive
from wallet_core.domain.wallet import Wallet, WalletId


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceHold(Command):
    """Make an amount of a wallet unavailable until it is captured, voided or expires."""

    method: ClassVar[str] = "PlaceHold"

    id: UUID
    wallet: WalletId
    amount: Money
    expire_time: datetime
    description: str

    def needs(self) -> Needs:
        """Lock the wallet."""
        return Needs(wallets=frozenset({self.wallet}))

    def permit(self) -> None:
        """Refuse the service's own wallets."""
        refuse_system_wallets(self.wallet)
        require_positive(self.amount)

    def touches(self, books: Books) -> Iterable[Wallet | None]:
        """Touch the wallet."""
        return (books.wallets.get(self.wallet),)

    def decide(self, books: Books) -> Decision:
        """Hold what an active wallet has available, for a time that is yet to come by the database's clock."""
        if self.expire_time <= books.now:
            raise InvalidField("expire_time", "must be in the future")
        wallet = books.payer(self.wallet, self.amount.currency)
        hold = Hold(
            id=self.id,
            wallet=wallet.id,
            amount=self.amount,
            expire_time=self.expire_time,
            description=self.description,
            create_time=books.now,
            update_time=books.now,
        )
        return Decision(subject=hold.name, hold=hold, available_of=wallet.id, fact=EventType.HOLD_PLACED)
