"""Resolve an order by hand, where the bank cannot be asked, or money found no room."""

from dataclasses import dataclass, replace
from typing import ClassVar
from uuid import UUID

from wallet_core.domain.access import refuse_system_wallets
from wallet_core.domain.books import Books
from wallet_core.domain.command import Command, Decision, Needs
from wallet_core.domain.errors import Because, InvalidField, LimitExceeded, StateTransitionForbidden
from wallet_core.domain.money import INT64_MAX
from wallet_core.domain.order import (
    DONE_STATES,
    FailureReason,
    Order,
    OrderKind,
    OrderState,
    Resolution,
    ResolutionKind,
)
from wallet_core.domain.settlement import Ending, NoRoom, executed, not_executed, noted, placed
from wallet_core.domain.wallet import WalletId, wallet_name


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveOrder(Command):
    """What a person has found out about an order that is under way, or wants done with money that found no room.

    Decided under the wallet's lock like all else: a worker that is asking the bank at the same moment finds the order
    ended and changes nothing more.
    """

    kind: ClassVar[OrderKind]

    id: UUID
    """Of the transaction."""
    order: UUID
    resolution: ResolutionKind
    reason: str
    bank_word: str
    bank_reference: str = ""
    destination: WalletId | None = None
    """For ``PLACED``: who gets the money."""

    def needs(self) -> Needs:
        """Lock the wallet, the way to the bank, the world outside, and who gets the money."""
        return Needs(
            wallets=frozenset({self.destination}) if self.destination is not None else frozenset(),
            orders=frozenset({self.order}),
            ways_of=frozenset({self.order}),
        )

    def permit(self) -> None:
        """Refuse a destination where none can be, or that is the service's own."""
        if (self.destination is not None) != (self.resolution is ResolutionKind.PLACED):
            raise InvalidField("destination", "names the wallet that gets the money, with RESOLUTION_KIND_PLACED only")
        if self.bank_reference and self.resolution is not ResolutionKind.EXECUTED:
            raise InvalidField("bank_reference", "goes with RESOLUTION_KIND_EXECUTED only")
        if self.destination is not None:
            refuse_system_wallets(self.destination)

    def decide(self, books: Books) -> Decision:
        """Refuse what has ended, and what a call to the bank may still be on its way for."""
        found = books.order(self.kind, self.order)
        resolution = Resolution(
            kind=self.resolution,
            reason=self.reason,
            bank_word=self.bank_word,
            operator=self.request.caller if self.request is not None else "",
            time=books.now,
            person=self.person,
        )
        found = replace(found, resolutions=(*found.resolutions, resolution))
        match self.resolution:
            case ResolutionKind.PLACED:
                ending: Ending | NoRoom = self._place(books, found)
            case ResolutionKind.NOTED:
                ending = _note(books, found)
            case _:
                ending = self._end(books, found)
        if isinstance(ending, NoRoom):
            raise LimitExceeded(wallet_name(ending.wallet), INT64_MAX)
        return ending.decision(resolution=resolution)

    def _end(self, books: Books, found: Order) -> Ending | NoRoom:
        if found.state not in {OrderState.PROCESSING, OrderState.IN_DOUBT}:
            raise StateTransitionForbidden(found.name, found.state, Because.NOT_UNDER_WAY)
        if any(books.now < attempt.in_flight_until for attempt in found.attempts):
            raise StateTransitionForbidden(found.name, found.state, Because.CALL_UNDER_WAY)
        if self.resolution is ResolutionKind.EXECUTED:
            return executed(books, self.id, found, self.bank_reference)
        if books.bank_executed(found):
            raise StateTransitionForbidden(found.name, found.state, Because.BANK_SAYS_EXECUTED)
        return not_executed(books, self.id, found, FailureReason.RESOLVED)

    def _place(self, books: Books, found: Order) -> Ending:
        if not found.stranded or self.destination is None:
            raise StateTransitionForbidden(found.name, found.state, Because.NOT_STRANDED)
        books.payee(self.destination, found.amount.currency)
        return placed(books, self.id, found, self.destination)


def _note(books: Books, found: Order) -> Ending:
    unlike_the_bank = found.attention or (found.asks_bank and not found.reconciled)
    late_yes = found.state is OrderState.FAILED and found.attention
    if not (late_yes or (found.state in DONE_STATES and unlike_the_bank and not found.stranded)):
        raise StateTransitionForbidden(found.name, found.state, Because.NOTHING_TO_NOTE)
    return noted(books, found)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveWithdrawal(ResolveOrder):
    """Resolve a withdrawal."""

    method: ClassVar[str] = "ResolveWithdrawal"
    kind: ClassVar[OrderKind] = OrderKind.WITHDRAWAL


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveScheduledDeposit(ResolveOrder):
    """Resolve a scheduled deposit that is collected."""

    method: ClassVar[str] = "ResolveScheduledDeposit"
    kind: ClassVar[OrderKind] = OrderKind.SCHEDULED_DEPOSIT
