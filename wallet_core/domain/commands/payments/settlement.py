"""The end of an order: what is posted once it is known what the bank did, from a worker or from an operator."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from wallet_core.domain.deciding.decision import Decision
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.payment_order import (
    Attempt,
    FailureReason,
    OrderState,
    PaymentOrder,
    Resolution,
    ScheduledDeposit,
    Withdrawal,
    event_of,
)
from wallet_core.domain.model.transaction import Movement, TransactionDetails, TransactionType
from wallet_core.domain.model.wallet import Role, WalletId, WalletState, system_wallet

AnyOrder = TypeVar("AnyOrder", bound=PaymentOrder)


@dataclass(frozen=True, slots=True)
class CreditRefused:
    """The money cannot be posted where it belongs: a balance would leave 64 bits."""

    wallet: WalletId
    explanation: str


@dataclass(frozen=True, slots=True)
class Ending:
    """An order as it ends, and the movements of the same commit."""

    order: PaymentOrder
    movements: tuple[Movement, ...] = ()
    event: str | None = None
    """The event to publish, where it is not the one of the order's state."""

    def decision(self, *, attempt: Attempt | None = None, resolution: Resolution | None = None) -> Decision:
        """Return it as a decision, with the attempt or the resolution that it follows."""
        return Decision(
            subject=self.order.name,
            order=self.order,
            attempt=attempt,
            resolution=resolution,
            movements=self.movements,
            event=event_of(self.order, self.event),
        )


def executed(ledger: LedgerState, id_: UUID, order: PaymentOrder, reference: str) -> Ending | CreditRefused:
    """Post what the bank has executed, under its reference or, without one, the key."""
    external = ledger.wallet(system_wallet(Role.EXTERNAL, order.amount.currency))
    fits = external.can_give if isinstance(order, ScheduledDeposit) else external.can_take
    if not fits(order.amount.minor):
        return CreditRefused(external.id, "the bank has done it, and the world outside cannot be counted that far")
    done = replace(order, bank_reference=reference or order.key)
    if isinstance(done, ScheduledDeposit):
        return _collected(ledger, id_, done)
    settled = movement(id_, TransactionType.WITHDRAWAL_SETTLEMENT, _in_transit(order), external.id, order)
    return Ending(ended(done, OrderState.SUCCEEDED, ledger.now), (settled,))


def _collected(ledger: LedgerState, id_: UUID, done: ScheduledDeposit) -> Ending | CreditRefused:
    """External → wallet; external → in transit, for an operator, where the wallet's balance would leave 64 bits."""
    amount = done.amount.minor
    way = ledger.wallet(_in_transit(done))
    fits = ledger.wallet(done.wallet).can_take(amount)
    if not fits and not way.can_take(amount):
        return CreditRefused(way.id, "the bank has collected it, and there is no room for it")
    after = ended(replace(done, credit=id_), OrderState.SUCCEEDED, ledger.now)
    if not fits:
        full = "the bank has collected it, and the wallet is too full to be credited"
        after = replace(after, attention=full, unapplied=True)
    destination = done.wallet if fits else way.id
    return Ending(after, (movement(id_, TransactionType.COLLECTION, _external(done), destination, done),))


def not_executed(ledger: LedgerState, id_: UUID, order: PaymentOrder, reason: FailureReason) -> Ending | CreditRefused:
    """In transit → wallet, once, in the commit that sets FAILED. A failed collection has moved nothing.

    Where the wallet's balance would leave 64 bits, the money stays in transit, for an operator.
    """
    failed = ended(replace(order, failure_reason=reason), OrderState.FAILED, ledger.now)
    if isinstance(order, ScheduledDeposit):
        return Ending(failed)
    if not ledger.wallet(order.wallet).can_take(order.amount.minor):
        return CreditRefused(order.wallet, "the bank did not pay, and the wallet is too full to take it back")
    released = movement(id_, TransactionType.WITHDRAWAL_RELEASE, _in_transit(order), order.wallet, order)
    return Ending(failed, (released,))


def returned(ledger: LedgerState, id_: UUID, order: Withdrawal) -> Ending | CreditRefused:
    """External → wallet, as a new transaction; to in transit, for an operator, where the wallet cannot be credited."""
    wallet = ledger.wallet(order.wallet)
    way = ledger.wallet(_in_transit(order))
    outside = ledger.wallet(_external(order))
    after = ended(order, OrderState.RETURNED, ledger.now)
    if not outside.can_give(order.amount.minor):
        return CreditRefused(outside.id, "the bank gave it back, and the world outside cannot be counted that far")
    if wallet.state is not WalletState.CLOSED and wallet.can_take(order.amount.minor):
        destination = wallet.id
    elif way.can_take(order.amount.minor):
        closed = wallet.state is WalletState.CLOSED
        attention = f"the bank gave it back, and the wallet is {'closed' if closed else 'too full to take it'}"
        after, destination = replace(after, attention=attention, unapplied=True), way.id
    else:
        return CreditRefused(way.id, "the bank gave it back, and there is no room for it")
    return Ending(after, (movement(id_, TransactionType.WITHDRAWAL_RETURN, outside.id, destination, order),))


def applied_to_wallet(ledger: LedgerState, id_: UUID, order: PaymentOrder, destination: WalletId) -> Ending:
    """In transit → the wallet that an operator has named for unapplied funds."""
    after = replace(order, attention="", unapplied=False, update_time=ledger.now)
    collected = isinstance(order, ScheduledDeposit)
    type_ = TransactionType.COLLECTION_APPLICATION if collected else TransactionType.RETURN_APPLICATION
    moved = movement(id_, type_, _in_transit(order), destination, order)
    return Ending(after, (moved,), event="applied_to_wallet")


def acknowledged(ledger: LedgerState, order: PaymentOrder) -> Ending:
    """Take the order off the attention list; nothing moves."""
    return Ending(replace(order, attention="", reconciled=True, update_time=ledger.now), event="acknowledged")


def movement(
    id_: UUID, type_: TransactionType, source: WalletId, destination: WalletId, order: PaymentOrder
) -> Movement:
    """Return the movement of an order's amount, with the order's details."""
    return Movement(
        id=id_,
        type=type_,
        amount=order.amount,
        source=source,
        destination=destination,
        details=TransactionDetails(
            description=order.description,
            external_reference=order.external_reference if isinstance(order, ScheduledDeposit) else "",
        ),
        cause=order.id,
    )


def ended(order: AnyOrder, state: OrderState, now: datetime) -> AnyOrder:
    """Return an order in a final state."""
    return replace(order, state=state, next_attempt_time=None, lease_until=None, attention="", update_time=now)


def _external(order: PaymentOrder) -> WalletId:
    return system_wallet(Role.EXTERNAL, order.amount.currency)


def _in_transit(order: PaymentOrder) -> WalletId:
    return system_wallet(Role.IN_TRANSIT, order.amount.currency)
