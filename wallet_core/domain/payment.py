"""The payout machine: start a payout, settle its answer, take over what got stuck, settle a doubt.

Silence never releases money: only the bank's own word ends an Unknown. Each command is decided on the withdrawal as it
stands under its wallet's lock, and stored only where the fence is still the claim's.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from wallet_core.domain.bank import Answer, AnswerKind, Status, StatusKind
from wallet_core.domain.books import Books
from wallet_core.domain.command import Command, Decision, Needs
from wallet_core.domain.errors import LedgerBroken, StaleClaim
from wallet_core.domain.transaction import Leg, Movement, TransactionType
from wallet_core.domain.wallet import Role, WalletId, WalletState, system_wallet
from wallet_core.domain.withdrawal import (
    Attempt,
    Claim,
    FailureReason,
    PayoutPolicy,
    Withdrawal,
    WithdrawalState,
    bank_key,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutCommand(Command):
    """One step of a payout, by the worker that holds its claim."""

    id: UUID
    """Of the transaction, should one be made."""
    claim: Claim
    policy: PayoutPolicy
    jitter: float
    clock_offset: timedelta = timedelta()
    """The tests' only handle on time: leases and backoff are counted from here on, money never is."""

    def needs(self) -> Needs:
        """Lock the wallet, the way to the bank and the world outside."""
        currency = self.claim.amount.currency
        return Needs(
            wallets=frozenset(
                {self.claim.wallet, system_wallet(Role.IN_TRANSIT, currency), system_wallet(Role.EXTERNAL, currency)}
            ),
            withdrawals=frozenset({self.claim.withdrawal}),
        )

    def _claimed(self, books: Books) -> Withdrawal:
        found = books.withdrawal(self.claim.withdrawal)
        if found.fence != self.claim.fence or found.final:
            raise StaleClaim(found.name)
        return found

    def _later(self, books: Books, wait: timedelta = timedelta()) -> datetime:
        return books.now + self.clock_offset + wait

    def _move(self, books: Books, type_: TransactionType, source: WalletId, destination: WalletId) -> Movement:
        amount = self.claim.amount
        return Movement(
            id=self.id,
            type=type_,
            amount=amount,
            source=source,
            destination=destination,
            legs=(Leg(books.wallet(source), -amount.minor), Leg(books.wallet(destination), amount.minor)),
            withdrawal=self.claim.withdrawal,
        )

    def _succeed(self, books: Books, paid: Withdrawal, reference: str, attempt: Attempt | None) -> Decision:
        """In transit → external. The bank's reference, or the key where it gave none."""
        currency = self.claim.amount.currency
        after = _ended(
            replace(paid, bank_reference=reference or bank_key(paid.id)), WithdrawalState.SUCCEEDED, books.now
        )
        movement = self._move(
            books,
            TransactionType.WITHDRAWAL_SETTLEMENT,
            system_wallet(Role.IN_TRANSIT, currency),
            system_wallet(Role.EXTERNAL, currency),
        )
        return Decision(
            subject=paid.name, withdrawal=after, attempt=attempt, movement=movement, fact="withdrawal.succeeded"
        )

    def _release(self, books: Books, unpaid: Withdrawal, reason: FailureReason, attempt: Attempt | None) -> Decision:
        """In transit → wallet, once: only ever decided together with the step to FAILED.

        A wallet that has been filled to the brim since cannot take it back: the money stays where it is, for a person.
        """
        if not books.wallet(unpaid.wallet).can_take(unpaid.amount.minor):
            full = replace(unpaid, attention="the bank did not pay, and the wallet is too full to take it back")
            wait = self.policy.backoff_max
            return self._wait(books, full, WithdrawalState.IN_DOUBT, wait, attempt)
        currency = self.claim.amount.currency
        after = _ended(replace(unpaid, failure_reason=reason), WithdrawalState.FAILED, books.now)
        movement = self._move(
            books, TransactionType.WITHDRAWAL_RELEASE, system_wallet(Role.IN_TRANSIT, currency), unpaid.wallet
        )
        return Decision(
            subject=unpaid.name, withdrawal=after, attempt=attempt, movement=movement, fact="withdrawal.failed"
        )

    def _wait(
        self, books: Books, waiting: Withdrawal, state: WithdrawalState, wait: timedelta, attempt: Attempt | None
    ) -> Decision:
        """Give the lease back and look again later."""
        after = replace(
            waiting,
            state=state,
            lease_until=None,
            next_attempt_time=self._later(books, wait),
            update_time=books.now if state != waiting.state else waiting.update_time,
        )
        fact = f"withdrawal.{state.lower()}" if state != waiting.state else None
        return Decision(subject=waiting.name, withdrawal=after, attempt=attempt, fact=fact)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartPayout(PayoutCommand):
    """Take the money and record the attempt, in one commit, before the bank hears of anything."""

    method: ClassVar[str] = "StartPayout"

    def decide(self, books: Books) -> Decision:
        """Fail for good where the wallet cannot pay; else open an attempt, the first one with the debit."""
        found = self._claimed(books)
        if found.state is WithdrawalState.PROCESSING and _may_send_again(found, self.policy):
            return self._attempt(books, found, movement=None)
        if found.state is not WithdrawalState.SCHEDULED:
            raise StaleClaim(found.name)
        wallet = books.wallet(found.wallet)
        if wallet.state is not WalletState.ACTIVE:
            return _fail_unsent(books, found, FailureReason.WALLET_NOT_ACTIVE)
        if wallet.available < found.amount.minor:
            return _fail_unsent(books, found, FailureReason.INSUFFICIENT_FUNDS)
        in_transit = system_wallet(Role.IN_TRANSIT, found.amount.currency)
        return self._attempt(
            books, found, movement=self._move(books, TransactionType.WITHDRAWAL, wallet.id, in_transit)
        )

    def _attempt(self, books: Books, found: Withdrawal, movement: Movement | None) -> Decision:
        started, attempt = _with_new_attempt(
            found, self._later(books), WithdrawalState.PROCESSING, self._later(books, self.policy.lease)
        )
        fact = "withdrawal.processing" if movement is not None else None
        return Decision(subject=found.name, withdrawal=started, attempt=attempt, movement=movement, fact=fact)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlePayout(PayoutCommand):
    """Record the bank's answer to an attempt and do what it means."""

    method: ClassVar[str] = "SettlePayout"

    attempt: int
    answer: Answer

    def decide(self, books: Books) -> Decision:
        """Keep the answer whatever the fence says; let the state follow only while the claim holds."""
        found = books.withdrawal(self.claim.withdrawal)
        before = found.attempts[self.attempt - 1]
        if before.answer is not None:
            raise StaleClaim(found.name)
        attempt = replace(before, answer=self.answer.kind, reference=self.answer.reference, detail=self.answer.detail)
        answered = replace(
            found, attempts=(*found.attempts[: self.attempt - 1], attempt, *found.attempts[self.attempt :])
        )
        if found.fence != self.claim.fence or found.final:
            return Decision(subject=found.name, withdrawal=answered, attempt=attempt)
        if self.answer.kind is AnswerKind.ACCEPTED:
            return self._succeed(books, answered, self.answer.reference, attempt)
        if any(other.may_have_paid for other in answered.attempts):
            # One No among attempts of which another may have paid says nothing of that other: ask.
            wait = self.policy.backoff(answered.asks, self.jitter)
            return self._wait(books, answered, WithdrawalState.IN_DOUBT, wait, attempt)
        return self._settle_no(books, answered, attempt)

    def _settle_no(self, books: Books, answered: Withdrawal, attempt: Attempt) -> Decision:
        """Every attempt so far was a clear no, or never sent."""
        state = answered.state
        if state is WithdrawalState.IN_DOUBT:
            return self._wait(books, answered, state, self.policy.backoff(answered.asks, self.jitter), attempt)
        match self.answer.kind:
            case AnswerKind.NO_FOR_GOOD:
                return self._release(books, answered, FailureReason.BANK_REFUSED, attempt)
            case AnswerKind.NO_FOR_NOW if answered.attempts_counted >= self.policy.attempts_max:
                return self._release(books, answered, FailureReason.ATTEMPTS_USED_UP, attempt)
            case AnswerKind.NO_FOR_NOW if self.answer.retry_after_s is not None:
                longest_s = self.policy.retry_after_max.total_seconds()
                wait = timedelta(seconds=min(self.answer.retry_after_s, longest_s))
            case AnswerKind.NO_FOR_NOW:
                wait = self.policy.backoff(answered.attempts_counted - 1, self.jitter)
            case _:
                wait = self.policy.backoff(_not_sent_in_a_row(answered) - 1, self.jitter)
                answered = _noted(answered, books.now, self.policy, "the bank cannot be reached")
        return self._wait(books, answered, state, wait, attempt)


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeOver(PayoutCommand):
    """Take over a payout whose worker let its lease run out. A takeover never sends: it only asks."""

    method: ClassVar[str] = "TakeOver"

    def decide(self, books: Books) -> Decision:
        """Back in line where every attempt was a clear "not now" or never sent; else doubt, and ask.

        The late worker's answer may have come in between claim and now and is kept with its attempt: a yes is followed,
        and whatever else it says, the bank has heard of the payout.
        """
        found = self._claimed(books)
        if found.state is not WithdrawalState.PROCESSING:
            raise StaleClaim(found.name)
        if (yes := _accepted(found)) is not None:
            return self._succeed(books, found, yes.reference, None)
        if _may_send_again(found, self.policy):
            return self._wait(books, found, WithdrawalState.PROCESSING, timedelta(), None)
        doubted = replace(found, state=WithdrawalState.IN_DOUBT, update_time=books.now)
        return Decision(subject=found.name, withdrawal=doubted, fact="withdrawal.in_doubt")


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleDoubt(PayoutCommand):
    """Do what the bank's word on a doubtful payout means; its silence means: ask again later."""

    method: ClassVar[str] = "SettleDoubt"

    status: Status
    resends: bool
    """Whether the bank honours keys, so that sending again under the same one is safe."""

    def decide(self, books: Books) -> Decision:
        """Follow the bank's word; on "not found" open another attempt once the grace time has passed."""
        found = self._claimed(books)
        if found.state is not WithdrawalState.IN_DOUBT:
            raise StaleClaim(found.name)
        asked = replace(found, asks=found.asks + 1)
        match self.status.kind:
            case StatusKind.EXECUTED if self.status.amount == found.amount:
                return self._succeed(books, asked, self.status.reference, None)
            case StatusKind.EXECUTED:
                attention = "the bank says it paid another amount or currency: " + self.status.detail
                return self._ask_again(books, replace(asked, attention=attention))
            case _ if (yes := _accepted(asked)) is not None:
                return self._follow(books, asked, yes)
            case StatusKind.FAILED:
                return self._release(books, asked, FailureReason.BANK_REFUSED, None)
            case StatusKind.NOT_FOUND:
                return self._not_found(books, asked)
            case _:
                why = "in doubt for long; the bank says " + self.status.kind
                return self._ask_again(books, _noted(asked, books.now, self.policy, why))

    def _follow(self, books: Books, asked: Withdrawal, yes: Attempt) -> Decision:
        """Follow a yes that came too late for its worker, unless the bank takes it back: that is for a person."""
        if self.status.kind in {StatusKind.PENDING, StatusKind.SILENT}:
            return self._succeed(books, asked, yes.reference, None)
        attention = f"the bank accepted it and now says {self.status.kind}"
        return self._ask_again(books, replace(asked, attention=attention))

    def _ask_again(self, books: Books, asked: Withdrawal) -> Decision:
        wait = self.policy.backoff(asked.asks - 1, self.jitter)
        return self._wait(books, asked, WithdrawalState.IN_DOUBT, wait, None)

    def _not_found(self, books: Books, asked: Withdrawal) -> Decision:
        """Send again with the same key: never at once, never for ever, never after the bank may have forgotten it."""
        if not asked.attempts:
            raise LedgerBroken
        if not any(attempt.may_have_paid for attempt in asked.attempts):
            # Every attempt has the bank's own clear no, and it does not know of the payment: nothing is in doubt.
            if any(attempt.answer is AnswerKind.NO_FOR_GOOD for attempt in asked.attempts):
                return self._release(books, asked, FailureReason.BANK_REFUSED, None)
            if asked.attempts_counted >= self.policy.attempts_max:
                return self._release(books, asked, FailureReason.ATTEMPTS_USED_UP, None)
        now = self._later(books)
        first = next((attempt for attempt in asked.attempts if attempt.counts), asked.attempts[0])
        latest = asked.attempts[-1]
        until_grace = latest.start_time + self.policy.grace - now
        if until_grace > timedelta():
            return self._wait(books, asked, WithdrawalState.IN_DOUBT, until_grace, None)
        if not self.resends or asked.attempts_counted >= self.policy.attempts_max:
            return self._ask_again(books, replace(asked, attention="the bank does not know it; not sent again"))
        if now - first.start_time > self.policy.bank_key_retention:
            return self._ask_again(books, replace(asked, attention="older than the bank keeps keys; not sent again"))
        resent, attempt = _with_new_attempt(asked, now, WithdrawalState.IN_DOUBT, self._later(books, self.policy.lease))
        return Decision(subject=asked.name, withdrawal=resent, attempt=attempt)


def _with_new_attempt(
    found: Withdrawal, now: datetime, state: WithdrawalState, lease_until: datetime
) -> tuple[Withdrawal, Attempt]:
    attempt = Attempt(number=len(found.attempts) + 1, key=bank_key(found.id), start_time=now)
    started = replace(
        found,
        state=state,
        lease_until=lease_until,
        attempts=(*found.attempts, attempt),
        update_time=now if state != found.state else found.update_time,
    )
    return started, attempt


def _fail_unsent(books: Books, found: Withdrawal, reason: FailureReason) -> Decision:
    failed = _ended(replace(found, failure_reason=reason), WithdrawalState.FAILED, books.now)
    return Decision(subject=found.name, withdrawal=failed, fact="withdrawal.failed")


def _ended(withdrawal: Withdrawal, state: WithdrawalState, now: datetime) -> Withdrawal:
    return replace(withdrawal, state=state, next_attempt_time=None, lease_until=None, attention="", update_time=now)


def _noted(withdrawal: Withdrawal, now: datetime, policy: PayoutPolicy, why: str) -> Withdrawal:
    """Ask for a person's attention where it has gone on for long, unless there is a better reason already."""
    old = now - withdrawal.execute_time > policy.attention_after
    return replace(withdrawal, attention=why) if old and not withdrawal.attention else withdrawal


def _accepted(withdrawal: Withdrawal) -> Attempt | None:
    """Return the attempt to which the bank has said yes, if only to a worker that no longer had the claim."""
    return next((attempt for attempt in withdrawal.attempts if attempt.answer is AnswerKind.ACCEPTED), None)


def _may_send_again(withdrawal: Withdrawal, policy: PayoutPolicy) -> bool:
    """Whether the bank surely has not paid, does not refuse for good, and may be asked once more."""
    clear = {AnswerKind.NO_FOR_NOW, AnswerKind.NOT_SENT}
    return (
        all(attempt.answer in clear for attempt in withdrawal.attempts)
        and withdrawal.attempts_counted < policy.attempts_max
    )


def _not_sent_in_a_row(withdrawal: Withdrawal) -> int:
    times = 0
    for attempt in reversed(withdrawal.attempts):
        if attempt.counts:
            break
        times += 1
    return times
