"""Capture a hold: move held money to another wallet."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import ClassVar
from uuid import UUID

from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decision import Decision, LockSet
from wallet_core.domain.deciding.fingerprint import Form, always
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.access import refuse_system_wallets
from wallet_core.domain.model.errors import Because, InvalidField, LimitExceeded, StateTransitionForbidden
from wallet_core.domain.model.event import EventType
from wallet_core.domain.model.hold import Hold, HoldState
from wallet_core.domain.model.money import Money, require_positive
from wallet_core.domain.model.transaction import Movement, TransactionDetails, TransactionType, transaction_name
from wallet_core.domain.model.wallet import Wallet, WalletId


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureHold(Command):
    """Move a part or all of a hold; a final capture makes the rest available again."""

    method: ClassVar[str] = "CaptureHold"
    form: ClassVar[Form] = always("hold", "destination", "amount", "final", "details")

    id: UUID
    hold: UUID
    destination: WalletId
    amount: Money | None
    """None means the rest, and stays None in the fingerprint."""
    final: bool
    details: TransactionDetails = field(default_factory=TransactionDetails)

    def lock_set(self) -> LockSet:
        """Lock the hold's wallet, which decides between capture, void and expiry, and the destination."""
        return LockSet(wallets=frozenset({self.destination}), holds=frozenset({self.hold}))

    def authorize(self) -> None:
        """Refuse service wallets and amounts that are not positive."""
        refuse_system_wallets(self.destination)
        if self.amount is not None:
            require_positive(self.amount)

    def wallets_to_authorize(self, ledger: LedgerState) -> Iterable[Wallet | None]:
        """Debit the hold's wallet."""
        return (ledger.wallet_of(ledger.holds.get(self.hold)),)

    def decide(self, ledger: LedgerState) -> Decision:
        """Capture an active hold, from an active wallet to one that is not closed."""
        hold = ledger.hold(self.hold)
        if ledger.wallet(self.destination).id == hold.wallet:
            raise InvalidField("destination", "must be another wallet than the one that holds the money")
        currency = self.amount.currency if self.amount is not None else hold.amount.currency
        debited = ledger.debit_wallet(hold.wallet, currency)
        credited = ledger.credit_wallet(self.destination, currency)
        amount = self._amount(hold, ledger)
        captured = replace(hold, captured=hold.captured + amount.minor, update_time=ledger.now)
        if self.final or captured.held == 0:
            captured = replace(captured, state=HoldState.CAPTURED)
        movement = Movement(
            id=self.id,
            type=TransactionType.HOLD_CAPTURE,
            amount=amount,
            source=debited.id,
            destination=credited.id,
            details=self.details,
            cause=hold.id,
        )
        return Decision(
            subject=transaction_name(self.id), hold=captured, movements=(movement,), event=EventType.HOLD_CAPTURED
        )

    def _amount(self, hold: Hold, ledger: LedgerState) -> Money:
        if hold.state is not HoldState.ACTIVE:
            raise StateTransitionForbidden(hold.name, hold.state, Because.HOLD_ENDED)
        if hold.expire_time <= ledger.now:
            # Expired, although the job that ends it has not run yet.
            raise StateTransitionForbidden(hold.name, HoldState.EXPIRED, Because.HOLD_TIME_OVER)
        if self.amount is None:
            return Money(hold.amount.currency, hold.held)
        if self.amount.minor > hold.held:
            raise LimitExceeded(hold.name, hold.held)
        return self.amount
