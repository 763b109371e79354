"""Move money from one wallet to another, and charge commission."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar
from uuid import UUID

from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decision import Decision, LockSet, UniqueReference
from wallet_core.domain.deciding.fingerprint import Fingerprinted, Form, always, unless
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.access import Access, refuse_system_wallets
from wallet_core.domain.model.commission_rule import rule_name
from wallet_core.domain.model.errors import InvalidField, LimitExceeded
from wallet_core.domain.model.money import Money, require_positive
from wallet_core.domain.model.transaction import (
    Movement,
    TransactionDetails,
    TransactionType,
    require_reference,
    transaction_name,
)
from wallet_core.domain.model.wallet import Wallet, WalletId


@dataclass(frozen=True, kw_only=True)  # without slots: Python cannot join those of two bases
class TransferTerms(Fingerprinted):
    """What a transfer is to move, by itself or as one of a batch."""

    form: ClassVar[Form] = (
        *always("source", "destination", "amount", "details"),
        *unless(max_commission=None, unique_reference=False),
    )

    id: UUID
    source: WalletId
    destination: WalletId
    amount: Money
    details: TransactionDetails = field(default_factory=TransactionDetails)
    max_commission: Money | None = None
    unique_reference: bool = False
    """Whether it is refused where an earlier payment of the caller has its external reference."""

    @property
    def wallets(self) -> frozenset[WalletId]:
        """Source and destination."""
        return frozenset({self.source, self.destination})

    def require_access(self, access: Access) -> None:
        """Refuse wallets that the caller may not name, one wallet on both ends, invalid amounts, no reference."""
        access.require_source(self.source)
        refuse_system_wallets(self.destination)
        require_positive(self.amount)
        require_reference(self.details.external_reference, unique=self.unique_reference)
        if self.source == self.destination:
            raise InvalidField("destination", "source and destination must be two wallets")
        limit = self.max_commission
        if limit is not None and (limit.minor < 0 or limit.currency != self.amount.currency):
            raise InvalidField("max_commission", "must be in the amount's currency and not below zero")

    def movement(self, ledger: LedgerState) -> Movement:
        """Debit an active wallet, credit one that is not closed, and charge commission by the rules."""
        debited = ledger.debit_wallet(self.source, self.amount.currency)
        credited = ledger.credit_wallet(self.destination, self.amount.currency)
        commission = ledger.commission(self.amount, debited, credited)
        if commission is not None and self.max_commission is not None:
            limit = self.max_commission.minor
            if commission.amount.minor > limit:
                raise LimitExceeded(rule_name(commission.rule), limit)
        return Movement(
            id=self.id,
            type=TransactionType.TRANSFER,
            amount=self.amount,
            source=debited.id,
            destination=credited.id,
            commission=commission,
            details=self.details,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer(TransferTerms, Command):
    """Move an amount between two wallets of its currency."""

    method: ClassVar[str] = "Transfer"

    @property
    def references(self) -> Mapping[UniqueReference, str]:
        """The unique reference that it uses, if any."""
        return self.reference(self.details.external_reference, transaction_name(self.id), unique=self.unique_reference)

    def lock_set(self) -> LockSet:
        """Lock both wallets, and the commission wallet where a rule may apply."""
        return LockSet(
            wallets=self.wallets,
            rules_of=frozenset({self.amount.currency}),
            references=frozenset(self.references),
        )

    def authorize(self) -> None:
        """Refuse what the terms refuse."""
        self.require_access(self.access)

    def wallets_to_authorize(self, ledger: LedgerState) -> Iterable[Wallet | None]:
        """Debit the source."""
        return (ledger.wallets.get(self.source),)

    def decide(self, ledger: LedgerState) -> Decision:
        """Decide by the terms, unless an earlier payment has the reference."""
        ledger.require_unused(self.references)
        return Decision(
            subject=transaction_name(self.id),
            movements=(self.movement(ledger),),
            available_of=self.source,
            references=self.references,
        )
