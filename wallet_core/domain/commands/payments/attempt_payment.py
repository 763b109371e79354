"""The payment machine, for withdrawals and for deposits that are collected.

Start a payment, settle its answer, take over what got stuck, settle a doubt.

Silence never releases or credits money: only the bank's own word ends an Unknown. Each command is decided on the order
as it stands under its wallet's lock, and stored only where the fence is still the claim's.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from wallet_core.domain.commands.payments.settlement import (
    CreditRefused,
    Ending,
    ended,
    executed,
    movement,
    not_executed,
)
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decision import Decision, LockSet
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.bank import Answer, AnswerKind, Status, StatusKind
from wallet_core.domain.model.errors import LedgerBroken, StaleClaim
from wallet_core.domain.model.payment_order import (
    DONE_STATES,
    Attempt,
    Claim,
    FailureReason,
    OrderState,
    PaymentOrder,
    PaymentPolicy,
    ResolutionKind,
    ScheduledDeposit,
    Withdrawal,
    event_of,
)
from wallet_core.domain.model.transaction import TransactionType
from wallet_core.domain.model.wallet import Role, WalletId, WalletState, system_wallet


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCommand(Command):
    """One step of an order, by the worker that holds its claim."""

    id: UUID
    """Of the transaction, should one be made."""
    claim: Claim

    @property
    def _external(self) -> WalletId:
        return system_wallet(Role.EXTERNAL, self.claim.amount.currency)

    @property
    def _in_transit(self) -> WalletId:
        return system_wallet(Role.IN_TRANSIT, self.claim.amount.currency)

    def lock_set(self) -> LockSet:
        """Lock the wallet, the way to the bank and the world outside."""
        return LockSet(
            wallets=frozenset({self.claim.wallet, self._in_transit, self._external}),
            claimed=frozenset({self.claim.order}),
        )

    def _claimed(self, ledger: LedgerState) -> PaymentOrder:
        found = ledger.order(self.claim.kind, self.claim.order)
        if found.fence != self.claim.fence or found.final:
            raise StaleClaim(found.name)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditDeposit(OrderCommand):
    """Credit a scheduled deposit that nobody has to be asked about, in one commit with its end."""

    method: ClassVar[str] = "CreditDeposit"

    def decide(self, ledger: LedgerState) -> Decision:
        """Fail for good where the wallet is too full."""
        found = self._claimed(ledger)
        if not isinstance(found, ScheduledDeposit) or found.collect:
            raise StaleClaim(found.name)
        amount = found.amount.minor
        if not (ledger.wallet(found.wallet).can_take(amount) and ledger.wallet(self._external).can_give(amount)):
            return _fail(ledger, found, FailureReason.LIMIT_EXCEEDED)
        credited = ended(replace(found, credit=self.id), OrderState.SUCCEEDED, ledger.now)
        moved = movement(self.id, TransactionType.DEPOSIT, self._external, found.wallet, found)
        return Ending(credited, (moved,)).decision()


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentCommand(OrderCommand):
    """One step of an order that the bank is asked about."""

    policy: PaymentPolicy
    jitter: float
    clock_offset: timedelta = timedelta()
    """The tests' only handle on time: leases and backoff are counted from here on, money never is."""

    def _later(self, ledger: LedgerState, wait: timedelta = timedelta()) -> datetime:
        return ledger.now + self.clock_offset + wait

    def _doubt(self, ledger: LedgerState, found: PaymentOrder, attempt: Attempt | None) -> Decision:
        """Do nothing that could contradict the bank's own ledger, which says that it has executed this: ask.

        The one rule for all that would release, fail or send: a No never wins against an execution that was read.
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
            request=self.claim.payment.told,
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
        """End it; money that finds no room is looked at again later, and by a person."""
        if isinstance(ending, Ending):
            return ending.decision(attempt=attempt)
        full = replace(found, attention=ending.why)
        return self._wait(ledger, full, OrderState.IN_DOUBT, self.policy.backoff_max, attempt)

    def _wait(
        self, ledger: LedgerState, waiting: PaymentOrder, state: OrderState, wait: timedelta, attempt: Attempt | None
    ) -> Decision:
        """Give the lease back and look again later."""
        after = replace(
            waiting,
            state=state,
            lease_until=None,
            next_attempt_time=self._later(ledger, wait),
            update_time=ledger.now if state != waiting.state else waiting.update_time,
        )
        event = event_of(after) if state != waiting.state else None
        return Decision(subject=waiting.name, order=after, attempt=attempt, event=event)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartPayment(PaymentCommand):
    """Take the money and record the attempt, in one commit, before the bank hears of anything."""

    method: ClassVar[str] = "StartPayment"

    def decide(self, ledger: LedgerState) -> Decision:
        """Fail for good where the wallet cannot pay; else open an attempt, the first one with the debit."""
        found = self._claimed(ledger)
        if found.state is OrderState.PROCESSING and _may_send_again(found, self.policy):
            return self._doubt(ledger, found, None) if ledger.bank_executed(found) else self._attempt(ledger, found)
        if found.state is not OrderState.SCHEDULED:
            raise StaleClaim(found.name)
        if isinstance(found, Withdrawal):
            return self._take(ledger, found)
        return self._attempt(ledger, found)

    def _take(self, ledger: LedgerState, found: Withdrawal) -> Decision:
        """Wallet → in transit. What was reserved for it is there, and is freed in the same step."""
        wallet = ledger.wallet(found.wallet)
        enough = wallet.available + found.held >= found.amount.minor
        if ledger.bank_executed(found):
            if not enough:
                return self._cannot_follow(ledger, found)
        elif wallet.state is not WalletState.ACTIVE:
            return _fail(ledger, found, FailureReason.WALLET_NOT_ACTIVE)
        elif not enough:
            return _fail(ledger, found, FailureReason.INSUFFICIENT_FUNDS)
        taken = movement(self.id, TransactionType.WITHDRAWAL, wallet.id, self._in_transit, found)
        return replace(self._attempt(ledger, found), movements=(taken,))

    def _cannot_follow(self, ledger: LedgerState, found: Withdrawal) -> Decision:
        """Leave what the bank has paid already, and the wallet cannot, to a person; look again later."""
        why = "the bank's own ledger says that it was executed before it was begun here, and the wallet has too little"
        return self._wait(ledger, replace(found, attention=why), found.state, self.policy.backoff_max, None)

    def _attempt(self, ledger: LedgerState, found: PaymentOrder) -> Decision:
        if ledger.bank_executed(found):
            return self._already_executed(ledger, found)
        started, attempt = self._with_new_attempt(ledger, found, OrderState.PROCESSING)
        event = event_of(started) if found.state is not OrderState.PROCESSING else None
        return Decision(subject=found.name, order=started, attempt=attempt, event=event)

    def _already_executed(self, ledger: LedgerState, found: PaymentOrder) -> Decision:
        """Begin what the bank has executed before, e.g. before this database was restored: it is not sent again.

        The attempt stands for the one that is not known here any more. Without a lease nobody sends it.
        """
        _, forgotten = self._with_new_attempt(ledger, found, OrderState.IN_DOUBT)
        return self._doubt(ledger, replace(found, attempts=(*found.attempts, forgotten)), forgotten)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlePayment(PaymentCommand):
    """Record the bank's answer to an attempt and do what it means."""

    method: ClassVar[str] = "SettlePayment"

    attempt: int
    answer: Answer

    def decide(self, ledger: LedgerState) -> Decision:
        """Keep the answer whatever the fence says; let the state follow only while the claim holds."""
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
            # One No among attempts of which another may have paid says nothing of that other: ask.
            wait = self.policy.backoff(answered.inquiries, self.jitter)
            return self._wait(ledger, answered, OrderState.IN_DOUBT, wait, attempt)
        return self._settle_no(ledger, answered, attempt)

    def _settle_no(self, ledger: LedgerState, answered: PaymentOrder, attempt: Attempt) -> Decision:
        """Every attempt so far was a clear no, or never sent."""
        state = answered.state
        if state is OrderState.IN_DOUBT:
            return self._wait(ledger, answered, state, self.policy.backoff(answered.inquiries, self.jitter), attempt)
        match self.answer.kind:
            case AnswerKind.DECLINED:
                return self._release(ledger, answered, FailureReason.BANK_REFUSED, attempt)
            case AnswerKind.DECLINED_RETRYABLE if answered.attempts_counted >= self.policy.attempts_max:
                return self._release(ledger, answered, FailureReason.ATTEMPTS_USED_UP, attempt)
            case AnswerKind.DECLINED_RETRYABLE if self.answer.retry_after_s is not None:
                longest_s = self.policy.retry_after_max.total_seconds()
                wait = timedelta(seconds=min(self.answer.retry_after_s, longest_s))
            case AnswerKind.DECLINED_RETRYABLE:
                wait = self.policy.backoff(answered.attempts_counted - 1, self.jitter)
            case _:
                wait = self.policy.backoff(_not_sent_in_a_row(answered) - 1, self.jitter)
                answered = _noted(answered, ledger.now, self.policy, "the bank cannot be reached")
        return self._wait(ledger, answered, state, wait, attempt)


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeOver(PaymentCommand):
    """Take over a payout whose worker let its lease run out. A takeover never sends: it only asks."""

    method: ClassVar[str] = "TakeOver"

    def decide(self, ledger: LedgerState) -> Decision:
        """Back in line where every attempt was a clear "not now" or never sent; else doubt, and ask.

        The late worker's answer may have come in between claim and now and is kept with its attempt: a yes is followed,
        and whatever else it says, the bank has heard of the payout.
        """
        found = self._claimed(ledger)
        if found.state is not OrderState.PROCESSING:
            raise StaleClaim(found.name)
        if (yes := _accepted(found)) is not None:
            return self._succeed(ledger, found, yes.reference, None)
        if _may_send_again(found, self.policy) and not ledger.bank_executed(found):
            return self._wait(ledger, found, OrderState.PROCESSING, timedelta(), None)
        doubted = replace(found, state=OrderState.IN_DOUBT, update_time=ledger.now)
        return Decision(subject=found.name, order=doubted, event=event_of(doubted))


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleDoubt(PaymentCommand):
    """Do what the bank's word on a doubtful payout means; its silence means: ask again later."""

    method: ClassVar[str] = "SettleDoubt"

    status: Status
    resends: bool
    """Whether the bank honours keys, so that sending again under the same one is safe."""

    def decide(self, ledger: LedgerState) -> Decision:
        """Follow the bank's word; on "not found" open another attempt once the grace time has passed."""
        found = self._claimed(ledger)
        if found.state is not OrderState.IN_DOUBT:
            raise StaleClaim(found.name)
        asked = replace(found, inquiries=found.inquiries + 1)
        match self.status.kind:
            case StatusKind.EXECUTED if self.status.amount == found.amount:
                return self._succeed(ledger, asked, self.status.reference, None)
            case StatusKind.EXECUTED:
                attention = "the bank says it paid another amount or currency: " + self.status.detail
                return self._ask_again(ledger, replace(asked, attention=attention))
            case _ if (yes := _accepted(asked)) is not None:
                return self._follow(ledger, asked, yes)
            case StatusKind.FAILED:
                return self._release(ledger, asked, FailureReason.BANK_REFUSED, None)
            case StatusKind.NOT_FOUND if not ledger.bank_executed(asked):
                return self._not_found(ledger, asked)
            case _:
                why = "in doubt for long; the bank says " + self.status.kind
                return self._ask_again(ledger, _noted(asked, ledger.now, self.policy, why))

    def _follow(self, ledger: LedgerState, asked: PaymentOrder, yes: Attempt) -> Decision:
        """Follow a yes that came too late for its worker, unless the bank takes it back: that is for a person."""
        if self.status.kind in {StatusKind.PENDING, StatusKind.SILENT}:
            return self._succeed(ledger, asked, yes.reference, None)
        attention = f"the bank accepted it and now says {self.status.kind}"
        return self._ask_again(ledger, replace(asked, attention=attention))

    def _ask_again(self, ledger: LedgerState, asked: PaymentOrder) -> Decision:
        wait = self.policy.backoff(asked.inquiries - 1, self.jitter)
        return self._wait(ledger, asked, OrderState.IN_DOUBT, wait, None)

    def _not_found(self, ledger: LedgerState, asked: PaymentOrder) -> Decision:
        """Send again with the same key: never at once, never for ever, never after the bank may have forgotten it."""
        if not asked.attempts:
            raise LedgerBroken
        if not asked.may_have_paid:
            # Every attempt has the bank's own clear no, and it does not know of the payment: nothing is in doubt.
            if any(attempt.answer is AnswerKind.DECLINED for attempt in asked.attempts):
                return self._release(ledger, asked, FailureReason.BANK_REFUSED, None)
            if asked.attempts_counted >= self.policy.attempts_max:
                return self._release(ledger, asked, FailureReason.ATTEMPTS_USED_UP, None)
        now = self._later(ledger)
        first = next((attempt for attempt in asked.attempts if attempt.counts), asked.attempts[0])
        in_flight = max(attempt.in_flight_until for attempt in asked.attempts) - now
        if in_flight > timedelta():
            return self._wait(ledger, asked, OrderState.IN_DOUBT, in_flight, None)
        # No call is on its way any more, so what the bank does not know never reached it, or it has forgotten it: it is
        # sent again, however often it was tried, and never released.
        if not self.resends or asked.resends >= self.policy.resends_max:
            return self._ask_again(ledger, replace(asked, attention="the bank does not know it; not sent again"))
        if now - first.start_time > self.policy.bank_key_retention:
            return self._ask_again(ledger, replace(asked, attention="older than the bank keeps keys; not sent again"))
        resent, attempt = self._with_new_attempt(ledger, asked, OrderState.IN_DOUBT, is_resend=True)
        return Decision(subject=asked.name, order=resent, attempt=attempt)


def _fail(ledger: LedgerState, found: PaymentOrder, reason: FailureReason) -> Decision:
    return Ending(ended(replace(found, failure_reason=reason), OrderState.FAILED, ledger.now)).decision()


def _noted(order: PaymentOrder, now: datetime, policy: PaymentPolicy, why: str) -> PaymentOrder:
    """Ask for a person's attention where it has gone on for long, unless there is a better reason already."""
    old = now - order.execute_time > policy.attention_after
    return replace(order, attention=why) if old and not order.attention else order


def _accepted(order: PaymentOrder) -> Attempt | None:
    """Return the attempt to which the bank has said yes, if only to a worker that no longer had the claim."""
    return next((attempt for attempt in order.attempts if attempt.answer is AnswerKind.ACCEPTED), None)


def _contradicts_ending(order: PaymentOrder, answer: AnswerKind) -> str:
    """Return in which way an answer says otherwise than the order's end, of which a person must hear; mostly none."""
    if order.state is OrderState.FAILED and answer is AnswerKind.ACCEPTED:
        return "the bank accepted it, and said so only after it had been settled as not done"
    by_hand = order.state in DONE_STATES and any(one.kind is ResolutionKind.EXECUTED for one in order.resolutions)
    if by_hand and _accepted(order) is None and not order.may_have_paid:
        return "the bank did not do it, and said so only after it had been settled as done"
    return ""


def _may_send_again(order: PaymentOrder, policy: PaymentPolicy) -> bool:
    """Whether the bank surely has not paid, does not refuse for good, and may be asked once more."""
    clear = {AnswerKind.DECLINED_RETRYABLE, AnswerKind.NOT_SENT}
    return all(attempt.answer in clear for attempt in order.attempts) and order.attempts_counted < policy.attempts_max


def _not_sent_in_a_row(order: PaymentOrder) -> int:
    times = 0
    for attempt in reversed(order.attempts):
        if attempt.counts:
            break
        times += 1
    return times
