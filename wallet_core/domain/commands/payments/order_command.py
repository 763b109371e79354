"""The base of commands on claimed orders, and what all steps of a payment share.

Each command is decided on the order under its wallet's lock, and is stored only under the fence of its claim.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from wallet_core.domain.commands.payments.settlement import (
    CreditRefused,
    Ending,
    ended,
    executed,
    not_executed,
)
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decision import Decision, LockSet
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.bank import AnswerKind
from wallet_core.domain.model.errors import StaleClaim
from wallet_core.domain.model.payment_order import (
    Attempt,
    Claim,
    FailureReason,
    OrderState,
    PaymentOrder,
    PaymentPolicy,
    event_of,
)
from wallet_core.domain.model.wallet import Role, WalletId, system_wallet


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCommand(Command):
    """One step of an order, by the worker that has claimed it."""

    id: UUID
    """Of the transaction, if one is posted."""
    claim: Claim

    @property
    def external_wallet(self) -> WalletId:
        """The external wallet of the order's currency."""
        return system_wallet(Role.EXTERNAL, self.claim.amount.currency)

    @property
    def in_transit_wallet(self) -> WalletId:
        """The in-transit wallet of the order's currency."""
        return system_wallet(Role.IN_TRANSIT, self.claim.amount.currency)

    def lock_set(self) -> LockSet:
        """Lock the wallet, the in-transit wallet and the external one."""
        return LockSet(
            wallets=frozenset({self.claim.wallet, self.in_transit_wallet, self.external_wallet}),
            claimed=frozenset({self.claim.order}),
        )

    def claimed_order(self, ledger: LedgerState) -> PaymentOrder:
        """Return the order; raise ``StaleClaim`` where it was claimed again or has ended."""
        found = ledger.order(self.claim.kind, self.claim.order)
        if found.fence != self.claim.fence or found.final:
            raise StaleClaim(found.name)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentCommand(OrderCommand):
    """One step of an order that the bank executes."""

    policy: PaymentPolicy
    jitter: float
    clock_offset: timedelta = timedelta()
    """For tests only: shifts leases and backoff, never the time of a transaction."""

    def _later(self, ledger: LedgerState, wait: timedelta = timedelta()) -> datetime:
        return ledger.now + self.clock_offset + wait

    def _doubt(self, ledger: LedgerState, found: PaymentOrder, attempt: Attempt | None) -> Decision:
        """Set the order in doubt, because the bank statement has an execution of it, and ask the bank.

        One rule for everything that would release, fail or send: a decline never outweighs an execution that was read.
        """
        return self._wait(ledger, found, OrderState.IN_DOUBT, timedelta(), attempt)

    def _with_new_attempt(
        self, ledger: LedgerState, found: PaymentOrder, state: OrderState, *, is_resend: bool = False
    ) -> tuple[PaymentOrder, Attempt]:
        now = self._later(ledger)
        attempt = Attempt(
            number=len(found.attempts) + 1,
            key=found.key,
            start_time=now,
            in_flight_until=now + self.policy.grace,
            is_resend=is_resend,
            request=self.claim.payment.stored_form,
        )
        started = replace(
            found,
            state=state,
            lease_until=now + self.policy.lease,
            attempts=(*found.attempts, attempt),
            update_time=now if state != found.state else found.update_time,
        )
        return started, attempt

    def _succeed(self, ledger: LedgerState, paid: PaymentOrder, reference: str, attempt: Attempt | None) -> Decision:
        return self._end(ledger, paid, executed(ledger, self.id, paid, reference), attempt)

    def _release(
        self, ledger: LedgerState, unpaid: PaymentOrder, reason: FailureReason, attempt: Attempt | None
    ) -> Decision:
        if ledger.bank_executed(unpaid):
            return self._doubt(ledger, unpaid, attempt)
        return self._end(ledger, unpaid, not_executed(ledger, self.id, unpaid, reason), attempt)

    def _end(
        self, ledger: LedgerState, found: PaymentOrder, ending: Ending | CreditRefused, attempt: Attempt | None
    ) -> Decision:
        """End the order; where its money cannot be posted, try again later and ask for an operator's attention."""
        if isinstance(ending, Ending):
            return ending.decision(attempt=attempt)
        full = replace(found, attention=ending.explanation)
        return self._wait(ledger, full, OrderState.IN_DOUBT, self.policy.backoff_max, attempt)

    def _wait(
        self, ledger: LedgerState, waiting: PaymentOrder, state: OrderState, wait: timedelta, attempt: Attempt | None
    ) -> Decision:
        """Release the lease and set the time of the next attempt."""
        after = replace(
            waiting,
            state=state,
            lease_until=None,
            next_attempt_time=self._later(ledger, wait),
            update_time=ledger.now if state != waiting.state else waiting.update_time,
        )
        event = event_of(after) if state != waiting.state else None
        return Decision(subject=waiting.name, order=after, attempt=attempt, event=event)


def failed(ledger: LedgerState, found: PaymentOrder, reason: FailureReason) -> Decision:
    """Return the failure of an order that the bank was not asked about."""
    return Ending(ended(replace(found, failure_reason=reason), OrderState.FAILED, ledger.now)).decision()


def with_attention(order: PaymentOrder, now: datetime, policy: PaymentPolicy, attention: str) -> PaymentOrder:
    """Ask for an operator's attention after a long time, unless there is a more specific reason already."""
    old = now - order.execute_time > policy.attention_after
    return replace(order, attention=attention) if old and not order.attention else order


def accepted_attempt(order: PaymentOrder) -> Attempt | None:
    """Return the attempt that the bank has accepted, even if its worker had lost the claim by then."""
    return next((attempt for attempt in order.attempts if attempt.answer is AnswerKind.ACCEPTED), None)


def may_send_again(order: PaymentOrder, policy: PaymentPolicy) -> bool:
    """Whether the bank surely has not paid, has not declined for good, and an attempt is left."""
    clear = {AnswerKind.DECLINED_RETRYABLE, AnswerKind.NOT_SENT}
    return all(attempt.answer in clear for attempt in order.attempts) and order.attempts_counted < policy.attempts_max
