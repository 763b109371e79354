"""One attempt at a payment: start it, and settle the bank's answer.

For withdrawals and collected deposits. A missing answer never releases or credits money.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import ClassVar

from wallet_core.domain.commands.payments.order_command import (
    PaymentCommand,
    accepted_attempt,
    failed,
    may_send_again,
    with_attention,
)
from wallet_core.domain.commands.payments.settlement import (
    movement,
)
from wallet_core.domain.deciding.decision import Decision
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.bank import Answer, AnswerKind
from wallet_core.domain.model.errors import StaleClaim
from wallet_core.domain.model.payment_order import (
    DONE_STATES,
    Attempt,
    FailureReason,
    OrderState,
    PaymentOrder,
    ResolutionKind,
    Withdrawal,
    event_of,
)
from wallet_core.domain.model.transaction import TransactionType
from wallet_core.domain.model.wallet import WalletState


@dataclass(frozen=True, slots=True, kw_only=True)
class StartPayment(PaymentCommand):
    """Debit the wallet and record the attempt, in one commit, before the bank is called."""

    method: ClassVar[str] = "StartPayment"

    def decide(self, ledger: LedgerState) -> Decision:
        """Fail the order where the wallet cannot pay; else open an attempt, the first one with the debit."""
        found = self.claimed_order(ledger)
        if found.state is OrderState.PROCESSING and may_send_again(found, self.policy):
            return self._doubt(ledger, found, None) if ledger.bank_executed(found) else self._attempt(ledger, found)
        if found.state is not OrderState.SCHEDULED:
            raise StaleClaim(found.name)
        if isinstance(found, Withdrawal):
            return self._take(ledger, found)
        return self._attempt(ledger, found)

    def _take(self, ledger: LedgerState, found: Withdrawal) -> Decision:
        """Wallet → in transit. A reserve for it counts as available and is released in the same step."""
        wallet = ledger.wallet(found.wallet)
        enough = wallet.available + found.held >= found.amount.minor
        if ledger.bank_executed(found):
            if not enough:
                return self._cannot_follow(ledger, found)
        elif wallet.state is not WalletState.ACTIVE:
            return failed(ledger, found, FailureReason.WALLET_NOT_ACTIVE)
        elif not enough:
            return failed(ledger, found, FailureReason.INSUFFICIENT_FUNDS)
        taken = movement(self.id, TransactionType.WITHDRAWAL, wallet.id, self.in_transit_wallet, found)
        return replace(self._attempt(ledger, found), movements=(taken,))

    def _cannot_follow(self, ledger: LedgerState, found: Withdrawal) -> Decision:
        """Leave to an operator what the bank has paid and the wallet cannot cover; try again later."""
        attention = "the bank executed it before it was started here, and the wallet has too little available"
        return self._wait(ledger, replace(found, attention=attention), found.state, self.policy.backoff_max, None)

    def _attempt(self, ledger: LedgerState, found: PaymentOrder) -> Decision:
        if ledger.bank_executed(found):
            return self._already_executed(ledger, found)
        started, attempt = self._with_new_attempt(ledger, found, OrderState.PROCESSING)
        event = event_of(started) if found.state is not OrderState.PROCESSING else None
        return Decision(subject=found.name, order=started, attempt=attempt, event=event)

    def _already_executed(self, ledger: LedgerState, found: PaymentOrder) -> Decision:
        """Start an order without sending it: the bank has executed it, e.g. before this database was restored.

        The attempt replaces the one that was lost with the database. It has no lease, so no worker sends it.
        """
        _, forgotten = self._with_new_attempt(ledger, found, OrderState.IN_DOUBT)
        return self._doubt(ledger, replace(found, attempts=(*found.attempts, forgotten)), forgotten)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlePayment(PaymentCommand):
    """Record the bank's answer to an attempt, and change the order by it."""

    method: ClassVar[str] = "SettlePayment"

    attempt: int
    answer: Answer

    def decide(self, ledger: LedgerState) -> Decision:
        """Record the answer under any fence; change the state only under the current one."""
        found = ledger.order(self.claim.kind, self.claim.order)
        before = found.attempts[self.attempt - 1]
        if before.answer is not None:
            raise StaleClaim(found.name)
        attempt = replace(before, answer=self.answer.kind, reference=self.answer.reference, detail=self.answer.detail)
        answered = replace(
            found, attempts=(*found.attempts[: self.attempt - 1], attempt, *found.attempts[self.attempt :])
        )
        if late := _contradicts_ending(answered, self.answer.kind):
            attention = f"{found.attention}; {late}" if found.attention else late
            return Decision(subject=found.name, order=replace(answered, attention=attention), attempt=attempt)
        if found.fence != self.claim.fence or found.final:
            return Decision(subject=found.name, order=answered, attempt=attempt)
        if self.answer.kind is AnswerKind.ACCEPTED:
            return self._succeed(ledger, answered, self.answer.reference, attempt)
        if ledger.bank_executed(answered):
            return self._doubt(ledger, answered, attempt)
        if answered.may_have_paid:
            # A decline of one attempt proves nothing about another that may have paid: inquire at the bank.
            wait = self.policy.backoff(answered.inquiries, self.jitter)
            return self._wait(ledger, answered, OrderState.IN_DOUBT, wait, attempt)
        return self._settle_decline(ledger, answered, attempt)

    def _settle_decline(self, ledger: LedgerState, answered: PaymentOrder, attempt: Attempt) -> Decision:
        """Release or retry an order whose every attempt was declined or not sent."""
        state = answered.state
        if state is OrderState.IN_DOUBT:
            return self._wait(ledger, answered, state, self.policy.backoff(answered.inquiries, self.jitter), attempt)
        match self.answer.kind:
            case AnswerKind.DECLINED:
                return self._release(ledger, answered, FailureReason.BANK_DECLINED, attempt)
            case AnswerKind.DECLINED_RETRYABLE if answered.attempts_counted >= self.policy.attempts_max:
                return self._release(ledger, answered, FailureReason.ATTEMPTS_EXHAUSTED, attempt)
            case AnswerKind.DECLINED_RETRYABLE if self.answer.retry_after_s is not None:
                longest_s = self.policy.retry_after_max.total_seconds()
                wait = timedelta(seconds=min(self.answer.retry_after_s, longest_s))
            case AnswerKind.DECLINED_RETRYABLE:
                wait = self.policy.backoff(answered.attempts_counted - 1, self.jitter)
            case _:
                wait = self.policy.backoff(_not_sent_in_a_row(answered) - 1, self.jitter)
                answered = with_attention(answered, ledger.now, self.policy, "the bank cannot be reached")
        return self._wait(ledger, answered, state, wait, attempt)


def _contradicts_ending(order: PaymentOrder, answer: AnswerKind) -> str:
    """Return how an answer contradicts the order's end, for an operator; empty where it does not."""
    if order.state is OrderState.FAILED and answer is AnswerKind.ACCEPTED:
        return "the bank accepted it, and answered only after it had been settled as not done"
    by_hand = order.state in DONE_STATES and any(one.kind is ResolutionKind.EXECUTED for one in order.resolutions)
    if by_hand and accepted_attempt(order) is None and not order.may_have_paid:
        return "the bank did not do it, and answered only after it had been settled as done"
    return ""


def _not_sent_in_a_row(order: PaymentOrder) -> int:
    times = 0
    for attempt in reversed(order.attempts):
        if attempt.counts:
            break
        times += 1
    return times
