"""Reserve money in a wallet."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decision import Decision, LockSet
from wallet_core.domain.deciding.fingerprint import Form, always
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.access import refuse_system_wallets
from wallet_core.domain.model.errors import InvalidField
from wallet_core.domain.model.event import EventType
from wallet_core.domain.model.hold import Hold
from wallet_core.domain.model.money import Money, require_positive
from wallet_core.domain.model.wallet import Wallet, WalletId


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceHold(Command):
    """Reserve an amount until it is captured, voided or expires."""

    method: ClassVar[str] = "PlaceHold"
    form: ClassVar[Form] = always("wallet", "amount", "expire_time", "description")

    id: UUID
    wallet: WalletId
    amount: Money
    expire_time: datetime
    description: str

    def lock_set(self) -> LockSet:
        """Lock the wallet."""
        return LockSet(wallets=frozenset({self.wallet}))

    def authorize(self) -> None:
        """Refuse service wallets and amounts that are not positive."""
        refuse_system_wallets(self.wallet)
        require_positive(self.amount)

    def wallets_to_authorize(self, ledger: LedgerState) -> Iterable[Wallet | None]:
        """Change the wallet."""
        return (ledger.wallets.get(self.wallet),)

    def decide(self, ledger: LedgerState) -> Decision:
        """Reserve what an active wallet has available, until a time in the future by the database's clock."""
        if self.expire_time <= ledger.now:
            raise InvalidField("expire_time", "must be in the future")
        wallet = ledger.debit_wallet(self.wallet, self.amount.currency)
        hold = Hold(
            id=self.id,
            wallet=wallet.id,
            amount=self.amount,
            expire_time=self.expire_time,
            description=self.description,
            caller=self.caller,
            create_time=ledger.now,
            update_time=ledger.now,
        )
        return Decision(subject=hold.name, hold=hold, available_of=wallet.id, event=EventType.HOLD_PLACED)
