"""Move money between many pairs of wallets, all or none."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar
from uuid import UUID

from wallet_core.domain.books import Ahead, Books
from wallet_core.domain.command import Command, Decision, Needs
from wallet_core.domain.errors import InvalidField, Refusal
from wallet_core.domain.transaction import Movement, batch_name
from wallet_core.domain.transfer import TransferTerms
from wallet_core.domain.wallet import Wallet, WalletId


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchTransfer(Command):
    """Do transfers in their order, each on what those before it left; a refusal names the first that cannot be done."""

    method: ClassVar[str] = "BatchTransfer"

    id: UUID
    items: tuple[TransferTerms, ...]

    @property
    def weight(self) -> int:
        """As many transfers as it does."""
        return len(self.items)

    def needs(self) -> Needs:
        """Lock every wallet of every item."""
        return Needs(
            wallets=frozenset[WalletId]().union(*(item.wallets for item in self.items)),
            rules_of=frozenset(item.amount.currency for item in self.items),
        )

    def permit(self) -> None:
        """Refuse what no single transfer of this caller's may do."""
        for place, item in enumerate(self.items):
            try:
                item.permit_to(self.access)
            except InvalidField as invalid:
                raise InvalidField(f"items[{place}].{invalid.field}", invalid.description) from None
            except Refusal as refusal:
                refusal.item = place
                raise

    def touches(self, books: Books) -> Iterable[Wallet | None]:
        """Touch every source."""
        return [books.wallets.get(item.source) for item in self.items]

    def decide(self, books: Books) -> Decision:
        """Decide on each item as if those before it had been booked."""
        ahead = Ahead(books)
        movements: list[Movement] = []
        for place, item in enumerate(self.items):
            try:
                movement = item.movement(books)
                ahead.move(movement)
            except Refusal as refusal:
                refusal.item = place
                raise
            movements.append(replace(movement, batch=self.id, batch_item=place))
        return Decision(subject=batch_name(self.id), movements=tuple(movements))
