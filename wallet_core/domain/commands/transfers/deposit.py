"""Credit a wallet with money from outside."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar
from uuid import UUID

from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decision import Decision, LockSet, UniqueReference
from wallet_core.domain.deciding.fingerprint import Form, always, unless
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.access import refuse_system_wallets
from wallet_core.domain.model.money import Money, require_positive
from wallet_core.domain.model.transaction import (
    Movement,
    TransactionDetails,
    TransactionType,
    require_reference,
    transaction_name,
)
from wallet_core.domain.model.wallet import Role, Wallet, WalletId, system_wallet


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposit(Command):
    """Move an amount from the currency's ``external`` wallet into a wallet."""

    method: ClassVar[str] = "Deposit"
    form: ClassVar[Form] = (*always("wallet", "amount", "details"), *unless(unique_reference=False))

    id: UUID
    wallet: WalletId
    amount: Money
    details: TransactionDetails = field(default_factory=TransactionDetails)
    unique_reference: bool = False
    """Whether it is refused where an earlier payment of the caller has its external reference."""

    @property
    def references(self) -> Mapping[UniqueReference, str]:
        """The unique reference that it uses, if any."""
        return self.reference(self.details.external_reference, transaction_name(self.id), unique=self.unique_reference)

    def lock_set(self) -> LockSet:
        """Lock the wallet and the external one."""
        return LockSet(
            wallets=frozenset({self.wallet, system_wallet(Role.EXTERNAL, self.amount.currency)}),
            references=frozenset(self.references),
        )

    def authorize(self) -> None:
        """Refuse service wallets, amounts that are not positive, and a missing reference."""
        refuse_system_wallets(self.wallet)
        require_positive(self.amount)
        require_reference(self.details.external_reference, unique=self.unique_reference)

    def wallets_to_authorize(self, ledger: LedgerState) -> Iterable[Wallet | None]:
        """Debit and change no wallet."""
        del ledger
        return ()

    def decide(self, ledger: LedgerState) -> Decision:
        """Credit any wallet but a closed one, unless an earlier payment has the reference."""
        ledger.require_unused(self.references)
        credited = ledger.credit_wallet(self.wallet, self.amount.currency)
        movement = Movement(
            id=self.id,
            type=TransactionType.DEPOSIT,
            amount=self.amount,
            source=system_wallet(Role.EXTERNAL, self.amount.currency),
            destination=credited.id,
            details=self.details,
        )
        return Decision(
            subject=transaction_name(self.id),
            movements=(movement,),
            available_of=credited.id,
            references=self.references,
        )
