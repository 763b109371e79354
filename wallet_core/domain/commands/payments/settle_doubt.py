"""A payment in doubt: take it over from a worker that was lost, and settle it by the bank's status.

Only the bank's own word ends a doubt: silence never releases or credits money.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import ClassVar

from wallet_core.domain.commands.payments.order_command import (
    PaymentCommand,
    accepted_attempt,
    may_send_again,
    with_attention,
)
from wallet_core.domain.deciding.decision import Decision
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.bank import AnswerKind, Status, StatusKind
from wallet_core.domain.model.errors import LedgerBroken, StaleClaim
from wallet_core.domain.model.payment_order import (
    Attempt,
    FailureReason,
    OrderState,
    PaymentOrder,
    event_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeOver(PaymentCommand):
    """Take over an order whose worker's lease has run out. A takeover never sends: it inquires at the bank."""

    method: ClassVar[str] = "TakeOver"

    def decide(self, ledger: LedgerState) -> Decision:
        """Retry where every attempt was declined retryably or not sent; else set the order in doubt.

        The late worker may have stored its answer since the claim: an acceptance ends the order, and any other answer
        shows that the bank got the request.
        """
        found = self.claimed_order(ledger)
        if found.state is not OrderState.PROCESSING:
            raise StaleClaim(found.name)
        if (accepted := accepted_attempt(found)) is not None:
            return self._succeed(ledger, found, accepted.reference, None)
        if may_send_again(found, self.policy) and not ledger.bank_executed(found):
            return self._wait(ledger, found, OrderState.PROCESSING, timedelta(), None)
        doubted = replace(found, state=OrderState.IN_DOUBT, update_time=ledger.now)
        return Decision(subject=found.name, order=doubted, event=event_of(doubted))


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleDoubt(PaymentCommand):
    """Change an order in doubt by the bank's status of its payment; without a status, inquire again later."""

    method: ClassVar[str] = "SettleDoubt"

    status: Status
    resends: bool
    """Whether the bank honours idempotency keys, so that a resend with the same key is safe."""

    def decide(self, ledger: LedgerState) -> Decision:
        """Follow the status; on "not found" open another attempt once the grace time has passed."""
        found = self.claimed_order(ledger)
        if found.state is not OrderState.IN_DOUBT:
            raise StaleClaim(found.name)
        inquired = replace(found, inquiries=found.inquiries + 1)
        match self.status.kind:
            case StatusKind.EXECUTED if self.status.amount == found.amount:
                return self._succeed(ledger, inquired, self.status.reference, None)
            case StatusKind.EXECUTED:
                attention = "the bank reports another amount or currency: " + self.status.detail
                return self._inquire_again(ledger, replace(inquired, attention=attention))
            case _ if (accepted := accepted_attempt(inquired)) is not None:
                return self._follow(ledger, inquired, accepted)
            case StatusKind.FAILED:
                return self._release(ledger, inquired, FailureReason.BANK_DECLINED, None)
            case StatusKind.NOT_FOUND if not ledger.bank_executed(inquired):
                return self._not_found(ledger, inquired)
            case _:
                attention = "in doubt for too long; the bank reports " + self.status.kind
                return self._inquire_again(ledger, with_attention(inquired, ledger.now, self.policy, attention))

    def _follow(self, ledger: LedgerState, inquired: PaymentOrder, accepted: Attempt) -> Decision:
        """Follow an acceptance that came too late for its worker; if the status contradicts it, an operator decides."""
        if self.status.kind in {StatusKind.PENDING, StatusKind.SILENT}:
            return self._succeed(ledger, inquired, accepted.reference, None)
        attention = f"the bank accepted it and now reports {self.status.kind}"
        return self._inquire_again(ledger, replace(inquired, attention=attention))

    def _inquire_again(self, ledger: LedgerState, inquired: PaymentOrder) -> Decision:
        wait = self.policy.backoff(inquired.inquiries - 1, self.jitter)
        return self._wait(ledger, inquired, OrderState.IN_DOUBT, wait, None)

    def _not_found(self, ledger: LedgerState, inquired: PaymentOrder) -> Decision:
        """Resend with the same key: not at once, not without limit, and not after the bank may have dropped the key."""
        if not inquired.attempts:
            raise LedgerBroken
        if not inquired.may_have_paid:
            # The bank has declined every attempt and does not know the payment: nothing is in doubt.
            if any(attempt.answer is AnswerKind.DECLINED for attempt in inquired.attempts):
                return self._release(ledger, inquired, FailureReason.BANK_DECLINED, None)
            if inquired.attempts_counted >= self.policy.attempts_max:
                return self._release(ledger, inquired, FailureReason.ATTEMPTS_EXHAUSTED, None)
        now = self._later(ledger)
        first = next((attempt for attempt in inquired.attempts if attempt.counts), inquired.attempts[0])
        in_flight = max(attempt.in_flight_until for attempt in inquired.attempts) - now
        if in_flight > timedelta():
            return self._wait(ledger, inquired, OrderState.IN_DOUBT, in_flight, None)
        # No call is in flight any more, so the payment never reached the bank, or the bank has dropped its key: it is
        # resent, after any number of attempts, and never released.
        if not self.resends or inquired.resends >= self.policy.resends_max:
            return self._inquire_again(ledger, replace(inquired, attention="the bank does not know it; not sent again"))
        if now - first.start_time > self.policy.bank_key_retention:
            return self._inquire_again(
                ledger, replace(inquired, attention="older than the bank keeps keys; not sent again")
            )
        resent, attempt = self._with_new_attempt(ledger, inquired, OrderState.IN_DOUBT, is_resend=True)
        return Decision(subject=inquired.name, order=resent, attempt=attempt)
