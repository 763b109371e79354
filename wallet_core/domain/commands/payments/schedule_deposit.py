"""Schedule a credit, collected from the bank first where *collect* is set."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from wallet_core.domain.commands.payments.schedule_withdrawal import due_time, id_asked_for
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decision import Decision, LockSet, UniqueReference
from wallet_core.domain.deciding.fingerprint import Form, always, unless
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.access import refuse_system_wallets
from wallet_core.domain.model.money import Money, require_positive
from wallet_core.domain.model.payment_order import OrderKind, ScheduledDeposit, event_of, order_name
from wallet_core.domain.model.transaction import require_reference
from wallet_core.domain.model.wallet import Wallet, WalletId


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleDeposit(Command):
    """Schedule the credit of an amount to a wallet."""

    method: ClassVar[str] = "ScheduleDeposit"
    form: ClassVar[Form] = (
        *always("wallet", "amount", "execute_time", "collect", "bank_account", "description", "external_reference"),
        *unless(unique_reference=False),
    )

    wallet: WalletId
    amount: Money
    execute_time: datetime | None
    """None means now, and stays None in the fingerprint."""
    collect: bool
    bank_account: str
    description: str
    external_reference: str
    unique_reference: bool = False
    """Whether it is refused where an earlier payment of the caller has its external reference."""

    @property
    def id(self) -> UUID:
        """The order's id."""
        return id_asked_for(self)

    @property
    def references(self) -> Mapping[UniqueReference, str]:
        """The unique reference that it uses, if any."""
        name = order_name(OrderKind.SCHEDULED_DEPOSIT, self.id)
        return self.reference(self.external_reference, name, unique=self.unique_reference)

    def lock_set(self) -> LockSet:
        """Lock the wallet."""
        return LockSet(wallets=frozenset({self.wallet}), references=frozenset(self.references))

    def authorize(self) -> None:
        """Refuse service wallets, amounts that are not positive, and a missing reference."""
        refuse_system_wallets(self.wallet)
        require_positive(self.amount)
        require_reference(self.external_reference, unique=self.unique_reference)

    def wallets_to_authorize(self, ledger: LedgerState) -> Iterable[Wallet | None]:
        """Debit and change no wallet."""
        del ledger
        return ()

    def decide(self, ledger: LedgerState) -> Decision:
        """Refuse a used reference, a time in the past by the database's clock, and a closed wallet."""
        ledger.require_unused(self.references)
        due = due_time(self.execute_time, ledger)
        ledger.credit_wallet(self.wallet, self.amount.currency)
        deposit = ScheduledDeposit(
            id=self.id,
            wallet=self.wallet,
            amount=self.amount,
            collect=self.collect,
            bank_account=self.bank_account,
            description=self.description,
            caller=self.caller,
            external_reference=self.external_reference,
            execute_time=due,
            next_attempt_time=due,
            create_time=ledger.now,
            update_time=ledger.now,
        )
        return Decision(subject=deposit.name, order=deposit, event=event_of(deposit), references=self.references)
