"""End a hold without capture: its caller voids it, or it expires."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import ClassVar
from uuid import UUID

from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decision import Decision, LockSet
from wallet_core.domain.deciding.fingerprint import Form, always
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.errors import Because, StaleClaim, StateTransitionForbidden
from wallet_core.domain.model.event import EventType
from wallet_core.domain.model.hold import Hold, HoldClaim, HoldState
from wallet_core.domain.model.wallet import Wallet


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidHold(Command):
    """Make the rest of a hold available again."""

    method: ClassVar[str] = "VoidHold"
    form: ClassVar[Form] = always("hold")

    hold: UUID

    def lock_set(self) -> LockSet:
        """Lock the hold's wallet."""
        return LockSet(holds=frozenset({self.hold}))

    def wallets_to_authorize(self, ledger: LedgerState) -> Iterable[Wallet | None]:
        """Change the hold's wallet."""
        return (ledger.wallet_of(ledger.holds.get(self.hold)),)

    def decide(self, ledger: LedgerState) -> Decision:
        """Refuse a hold that has ended; its wallet may be frozen."""
        hold = ledger.hold(self.hold)
        if hold.state is not HoldState.ACTIVE:
            raise StateTransitionForbidden(hold.name, hold.state, Because.HOLD_ENDED)
        return _ended(ledger, hold, HoldState.VOIDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpireHold(Command):
    """Expire a hold, by the worker that has claimed it."""

    method: ClassVar[str] = "ExpireHold"

    claim: HoldClaim
    clock_offset: timedelta = timedelta()
    """For tests only: shifts the time of expiry."""

    def lock_set(self) -> LockSet:
        """Lock the hold's wallet."""
        return LockSet(wallets=frozenset({self.claim.wallet}), holds=frozenset({self.claim.hold}))

    def decide(self, ledger: LedgerState) -> Decision:
        """Expire it, unless it has ended or was claimed again."""
        hold = ledger.hold(self.claim.hold)
        over = hold.expire_time <= ledger.now + self.clock_offset
        if hold.state is not HoldState.ACTIVE or hold.fence != self.claim.fence or not over:
            raise StaleClaim(hold.name)
        return _ended(ledger, hold, HoldState.EXPIRED)


def _ended(ledger: LedgerState, hold: Hold, state: HoldState) -> Decision:
    ended = replace(hold, state=state, update_time=ledger.now)
    return Decision(subject=hold.name, hold=ended, event=EventType(f"hold.{state.lower()}"))
