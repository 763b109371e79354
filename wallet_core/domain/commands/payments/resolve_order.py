"""Resolve an order by hand, where the bank gives no status or funds are unapplied."""

from dataclasses import dataclass, replace
from typing import ClassVar
from uuid import UUID

from wallet_core.domain.commands.payments.settlement import (
    CreditRefused,
    Ending,
    acknowledged,
    applied_to_wallet,
    executed,
    not_executed,
)
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decision import Decision, LockSet
from wallet_core.domain.deciding.fingerprint import Form, always, unless
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.access import refuse_system_wallets
from wallet_core.domain.model.errors import Because, InvalidField, LimitExceeded, StateTransitionForbidden
from wallet_core.domain.model.money import INT64_MAX
from wallet_core.domain.model.payment_order import (
    DONE_STATES,
    FailureReason,
    OrderKind,
    OrderState,
    PaymentOrder,
    Resolution,
    ResolutionKind,
)
from wallet_core.domain.model.wallet import WalletId, wallet_name


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveOrder(Command):
    """An operator's finding about an order in progress, or decision about unapplied funds.

    Decided under the wallet's lock: a worker that is calling the bank at that moment finds the order ended and changes
    nothing more.
    """

    kind: ClassVar[OrderKind]
    form: ClassVar[Form] = (
        *always("order", "resolution", "reason", "bank_evidence"),
        *unless(bank_reference="", destination=None),
    )

    id: UUID
    """Of the transaction."""
    order: UUID
    resolution: ResolutionKind
    reason: str
    bank_evidence: str
    bank_reference: str = ""
    destination: WalletId | None = None
    """For ``APPLIED_TO_WALLET``: the wallet to credit."""

    def lock_set(self) -> LockSet:
        """Lock the wallet, the in-transit and external wallets, and the one to credit."""
        return LockSet(
            wallets=frozenset({self.destination}) if self.destination is not None else frozenset(),
            orders=frozenset({self.order}),
            settlement_wallets_of=frozenset({self.order}),
        )

    def authorize(self) -> None:
        """Refuse a destination for another resolution, and service wallets."""
        if (self.destination is not None) != (self.resolution is ResolutionKind.APPLIED_TO_WALLET):
            raise InvalidField(
                "destination", "names the wallet that gets the money, with RESOLUTION_KIND_APPLIED_TO_WALLET only"
            )
        if self.bank_reference and self.resolution is not ResolutionKind.EXECUTED:
            raise InvalidField("bank_reference", "goes with RESOLUTION_KIND_EXECUTED only")
        if self.destination is not None:
            refuse_system_wallets(self.destination)

    def decide(self, ledger: LedgerState) -> Decision:
        """Refuse an order that has ended, and one whose call to the bank may be in flight."""
        found = ledger.order(self.kind, self.order)
        resolution = Resolution(
            kind=self.resolution,
            reason=self.reason,
            bank_evidence=self.bank_evidence,
            operator=self.request.caller if self.request is not None else "",
            time=ledger.now,
            person=self.person,
        )
        found = replace(found, resolutions=(*found.resolutions, resolution))
        match self.resolution:
            case ResolutionKind.APPLIED_TO_WALLET:
                ending: Ending | CreditRefused = self._place(ledger, found)
            case ResolutionKind.ACKNOWLEDGED:
                ending = _note(ledger, found)
            case _:
                ending = self._end(ledger, found)
        if isinstance(ending, CreditRefused):
            raise LimitExceeded(wallet_name(ending.wallet), INT64_MAX)
        return ending.decision(resolution=resolution)

    def _end(self, ledger: LedgerState, found: PaymentOrder) -> Ending | CreditRefused:
        if found.state not in {OrderState.PROCESSING, OrderState.IN_DOUBT}:
            raise StateTransitionForbidden(found.name, found.state, Because.NOT_IN_PROGRESS)
        if any(ledger.now < attempt.in_flight_until for attempt in found.attempts):
            raise StateTransitionForbidden(found.name, found.state, Because.CALL_IN_FLIGHT)
        if self.resolution is ResolutionKind.EXECUTED:
            return executed(ledger, self.id, found, self.bank_reference)
        if ledger.bank_executed(found):
            raise StateTransitionForbidden(found.name, found.state, Because.BANK_SAYS_EXECUTED)
        return not_executed(ledger, self.id, found, FailureReason.RESOLVED)

    def _place(self, ledger: LedgerState, found: PaymentOrder) -> Ending:
        if not found.unapplied or self.destination is None:
            raise StateTransitionForbidden(found.name, found.state, Because.NO_UNAPPLIED_FUNDS)
        ledger.credit_wallet(self.destination, found.amount.currency)
        return applied_to_wallet(ledger, self.id, found, self.destination)


def _note(ledger: LedgerState, found: PaymentOrder) -> Ending:
    unlike_the_bank = found.attention or (found.asks_bank and not found.reconciled)
    late_yes = found.state is OrderState.FAILED and found.attention
    if not (late_yes or (found.state in DONE_STATES and unlike_the_bank and not found.unapplied)):
        raise StateTransitionForbidden(found.name, found.state, Because.NOTHING_TO_ACKNOWLEDGE)
    return acknowledged(ledger, found)


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
