"""Move money between many pairs of wallets, all or none."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar
from uuid import UUID

from wallet_core.domain.commands.transfers.transfer import TransferTerms
from wallet_core.domain.deciding.apply import Projection
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decision import Decision, LockSet, UniqueReference
from wallet_core.domain.deciding.fingerprint import Form, always
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.errors import InvalidField, Refusal
from wallet_core.domain.model.transaction import Movement, batch_name, transaction_name
from wallet_core.domain.model.wallet import Wallet, WalletId


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchTransfer(Command):
    """Do transfers in order, each on the state that those before it left; a refusal names the first that is refused."""

    method: ClassVar[str] = "BatchTransfer"
    form: ClassVar[Form] = always("items")

    id: UUID
    items: tuple[TransferTerms, ...]

    @property
    def weight(self) -> int:
        """One for each transfer."""
        return len(self.items)

    @property
    def references(self) -> Mapping[UniqueReference, str]:
        """The unique references that its items use."""
        return {reference: payment for item in self.items for reference, payment in self._references_of(item).items()}

    def _references_of(self, item: TransferTerms) -> Mapping[UniqueReference, str]:
        return self.reference(item.details.external_reference, transaction_name(item.id), unique=item.unique_reference)

    def lock_set(self) -> LockSet:
        """Lock all wallets of all items."""
        return LockSet(
            wallets=frozenset[WalletId]().union(*(item.wallets for item in self.items)),
            rules_of=frozenset(item.amount.currency for item in self.items),
            references=frozenset(self.references),
        )

    def authorize(self) -> None:
        """Refuse an item that would be refused as a transfer of its own, and one unique reference of two items.

        That is wrong with the request itself: there is no earlier payment that could be named.
        """
        first: dict[UniqueReference, int] = {}
        for place, item in enumerate(self.items):
            try:
                item.require_access(self.access)
            except InvalidField as invalid:
                raise InvalidField(f"items[{place}].{invalid.field}", invalid.description) from None
            except Refusal as refusal:
                refusal.item = place
                raise
            for reference in self._references_of(item):
                if first.setdefault(reference, place) != place:
                    raise InvalidField(
                        f"items[{place}].external_reference",
                        f"must be unique, and items[{first[reference]}] has it too",
                    )

    def wallets_to_authorize(self, ledger: LedgerState) -> Iterable[Wallet | None]:
        """Debit every source."""
        return [ledger.wallets.get(item.source) for item in self.items]

    def decide(self, ledger: LedgerState) -> Decision:
        """Decide each item as if those before it had been applied."""
        projection = Projection(ledger)
        movements: list[Movement] = []
        for place, item in enumerate(self.items):
            try:
                ledger.require_unused(self._references_of(item))
                movement = item.movement(ledger)
                projection.move(movement)
            except Refusal as refusal:
                refusal.item = place
                raise
            movements.append(replace(movement, batch=self.id, batch_item=place))
        return Decision(subject=batch_name(self.id), movements=tuple(movements), references=self.references)
