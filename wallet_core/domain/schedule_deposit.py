"""Schedule a credit, to be collected from the bank first where that is asked for."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from wallet_core.domain.access import refuse_system_wallets
from wallet_core.domain.books import Books
from wallet_core.domain.command import Command, Decision, Needs
from wallet_core.domain.money import Money, require_positive
from wallet_core.domain.order import ScheduledDeposit, fact_of
from wallet_core.domain.schedule_withdrawal import due_time, id_asked_for
from wallet_core.domain.wallet import Wallet, WalletId


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleDeposit(Command):
    """Promise to credit an amount to a wallet at a time."""

    method: ClassVar[str] = "ScheduleDeposit"

    wallet: WalletId
    amount: Money
    execute_time: datetime | None
    """None means now, and stays None in the fingerprint."""
    collect: bool
    bank_account: str
    description: str
    external_reference: str

    @property
    def id(self) -> UUID:
        """The order's id."""
        return id_asked_for(self)

    def needs(self) -> Needs:
        """Lock the wallet."""
        return Needs(wallets=frozenset({self.wallet}))

    def permit(self) -> None:
        """Refuse the service's own wallets."""
        refuse_system_wallets(self.wallet)
        require_positive(self.amount)

    def touches(self, books: Books) -> Iterable[Wallet | None]:
        """Touch nothing: the wallet only gains."""
        del books
        return ()

    def decide(self, books: Books) -> Decision:
        """Refuse a time in the past by the database's clock, and a wallet that takes nothing in."""
        due = due_time(self.execute_time, books)
        books.payee(self.wallet, self.amount.currency)
        deposit = ScheduledDeposit(
            id=self.id,
            wallet=self.wallet,
            amount=self.amount,
            collect=self.collect,
            bank_account=self.bank_account,
            description=self.description,
            external_reference=self.external_reference,
            execute_time=due,
            next_attempt_time=due,
            create_time=books.now,
            update_time=books.now,
        )
        return Decision(subject=deposit.name, order=deposit, fact=fact_of(deposit))
