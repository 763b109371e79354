"""Schedule a payout."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decision import Decision, LockSet
from wallet_core.domain.deciding.fingerprint import Form, always, unless
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.errors import InvalidField
from wallet_core.domain.model.money import Money, require_positive
from wallet_core.domain.model.payment_order import Withdrawal, event_of, order_id
from wallet_core.domain.model.wallet import Wallet, WalletId


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleWithdrawal(Command):
    """Schedule the payout of an amount; it is reserved now, or must be available when it is due."""

    method: ClassVar[str] = "ScheduleWithdrawal"
    form: ClassVar[Form] = (
        *always("wallet", "amount", "execute_time", "bank_account", "description"),
        *unless(reserve=False),
    )

    wallet: WalletId
    amount: Money
    execute_time: datetime | None
    """None means now, and stays None in the fingerprint."""
    bank_account: str
    description: str
    reserve: bool = False

    @property
    def id(self) -> UUID:
        """The order's id."""
        return id_asked_for(self)

    def lock_set(self) -> LockSet:
        """Lock the wallet."""
        return LockSet(wallets=frozenset({self.wallet}))

    def authorize(self) -> None:
        """Refuse service wallets, except the commission wallet to operations."""
        self.access.require_source(self.wallet)
        require_positive(self.amount)

    def wallets_to_authorize(self, ledger: LedgerState) -> Iterable[Wallet | None]:
        """Debit the wallet."""
        return (ledger.wallets.get(self.wallet),)

    def decide(self, ledger: LedgerState) -> Decision:
        """Refuse a time in the past by the database's clock, and a wallet that is not active."""
        due = due_time(self.execute_time, ledger)
        ledger.debit_wallet(self.wallet, self.amount.currency)
        withdrawal = Withdrawal(
            id=self.id,
            wallet=self.wallet,
            amount=self.amount,
            bank_account=self.bank_account,
            description=self.description,
            caller=self.caller,
            reserve=self.reserve,
            execute_time=due,
            next_attempt_time=due,
            create_time=ledger.now,
            update_time=ledger.now,
        )
        return Decision(subject=withdrawal.name, order=withdrawal, event=event_of(withdrawal))


def id_asked_for(command: Command) -> UUID:
    """Return the id of the order that a caller's request makes."""
    if command.request is None:
        raise ValueError(command.method)
    return order_id(command.request.caller, command.request.id)


def due_time(requested: datetime | None, ledger: LedgerState) -> datetime:
    """Return when an order is due: now by default; refuse a time in the past by the database's clock."""
    if requested is not None and requested < ledger.now:
        raise InvalidField("execute_time", "must not be in the past; leave it out for now")
    return requested or ledger.now
