"""Cancel a withdrawal before its time."""

from dataclasses import dataclass, replace
from typing import ClassVar
from uuid import UUID

from wallet_core.domain.books import Books
from wallet_core.domain.command import Command, Decision, Needs
from wallet_core.domain.errors import StateTransitionForbidden
from wallet_core.domain.withdrawal import WithdrawalState


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelWithdrawal(Command):
    """Call off a withdrawal whose debit has not been booked: a claim alone does not stand in the way."""

    method: ClassVar[str] = "CancelWithdrawal"

    withdrawal: UUID

    def needs(self) -> Needs:
        """Lock the withdrawal's wallet, which is what decides between cancel and claim."""
        return Needs(withdrawals=frozenset({self.withdrawal}))

    def decide(self, books: Books) -> Decision:
        """Refuse one that has begun or ended."""
        found = books.withdrawal(self.withdrawal)
        if found.state is not WithdrawalState.SCHEDULED:
            raise StateTransitionForbidden(found.name, found.state)
        cancelled = replace(
            found,
            state=WithdrawalState.CANCELLED,
            next_attempt_time=None,
            lease_until=None,
            update_time=books.now,
        )
        return Decision(subject=found.name, withdrawal=cancelled, fact="withdrawal.cancelled")
