"""Post a command of a caller on a hold: place it, capture it, void it."""

from dataclasses import dataclass
from uuid import UUID

from wallet_core.domain.commands.holds.capture_hold import CaptureHold
from wallet_core.domain.commands.holds.end_hold import VoidHold
from wallet_core.domain.commands.holds.place_hold import PlaceHold
from wallet_core.domain.model.errors import LedgerBroken
from wallet_core.domain.model.hold import Hold
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.transaction import Transaction
from wallet_core.usecases.app import App


@dataclass(frozen=True, slots=True)
class HoldChanged:
    """The hold as it is now."""

    hold: Hold
    available: Money | None
    """What its wallet had available right after it was placed."""
    replayed: bool


@dataclass(frozen=True, slots=True)
class HoldCaptured:
    """The capture's transaction, and the hold as it is now."""

    hold: Hold
    transaction: Transaction
    replayed: bool


def change_hold(app: App, command: PlaceHold | VoidHold, deadline: float | None = None) -> HoldChanged:
    """Place or void a hold; a repeat returns the hold of the first call, as it is now."""
    done = app.ledger.post(command, deadline)
    hold = done.hold or app.reads.hold(UUID(done.subject.removeprefix("holds/")))
    available = Money(hold.amount.currency, done.available) if done.available is not None else None
    return HoldChanged(hold, available, done.replayed)


def capture_hold(app: App, command: CaptureHold, deadline: float | None = None) -> HoldCaptured:
    """Capture a hold; a repeat moves nothing and returns the first transaction."""
    done = app.ledger.post(command, deadline)
    transaction = done.transaction or app.reads.transaction(UUID(done.subject.removeprefix("transactions/")))
    hold = transaction.movement.cause
    if hold is None:
        raise LedgerBroken
    return HoldCaptured(done.hold or app.reads.hold(hold), transaction, done.replayed)
