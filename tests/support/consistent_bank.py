"""Payouts against a bank with any answers and a true status: in memory, with any pauses, by many workers.

Claims follow the rules of the claiming statements; workers pause wherever they like, and send within their window only.
"""

from dataclasses import dataclass, field
from datetime import timedelta

from tests.support.payout_pages import AMOUNT, WITHDRAWAL, Payout
from wallet_core.domain.model.bank import AnswerKind, StatusKind
from wallet_core.domain.model.payment_order import Claim, OrderState

SEND_WINDOW = timedelta(seconds=8)  # the call's own deadline included


@dataclass(slots=True)
class ConsistentBank:
    """What the bank did; *honours_keys* is whether a repeat is the same payment."""

    honours_keys: bool = True
    executions: int = 0
    rejected: bool = False
    pending: bool = False

    def pay(self, behaviour: AnswerKind, *, arrives: bool) -> AnswerKind:
        """Act on a payment; UNKNOWN loses the answer, of a call that arrived or of one that did not."""
        if behaviour is AnswerKind.NOT_SENT or (behaviour is AnswerKind.UNKNOWN and not arrives):
            return behaviour
        if self.honours_keys and (self.executions or self.rejected or self.pending):
            remembered = AnswerKind.ACCEPTED if self.executions else AnswerKind.DECLINED
            return AnswerKind.UNKNOWN if self.pending or behaviour is AnswerKind.UNKNOWN else remembered
        if behaviour in {AnswerKind.ACCEPTED, AnswerKind.UNKNOWN}:
            self.executions += 1
        if behaviour is AnswerKind.DECLINED:
            self.rejected = True
        return behaviour

    def leave_pending(self) -> AnswerKind:
        """Take a payment without deciding on it yet."""
        if not (self.executions or self.rejected):
            self.pending = True
        return AnswerKind.UNKNOWN

    def decide_pending(self, *, execute: bool) -> None:
        """Decide on what is pending."""
        if self.pending:
            self.pending = False
            self.executions += execute
            self.rejected = not execute

    def status(self) -> StatusKind:
        """Return the true status."""
        if self.executions:
            return StatusKind.EXECUTED
        if self.pending:
            return StatusKind.PENDING
        return StatusKind.FAILED if self.rejected else StatusKind.NOT_FOUND


@dataclass(slots=True)
class Call:
    """An attempt in some worker's hands: not sent, or sent and not settled."""

    claim: Claim
    attempt: int
    answer: AnswerKind | None = None


@dataclass(slots=True)
class Workers:
    """All workers on the payout: claims held, calls in flight."""

    payout: Payout
    bank: ConsistentBank
    claims: list[tuple[Claim, bool]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    def claim(self, *, to_pay: bool) -> None:
        """Claim as the scheduler would, if it may."""
        now, w = self.payout.books.now, self.payout.now
        if w.next_attempt_time is None or w.next_attempt_time > now:
            return
        free, expired = w.lease_until is None, w.lease_until is not None and w.lease_until <= now
        scheduled, processing = w.state is OrderState.SCHEDULED, w.state is OrderState.PROCESSING
        doubtful = w.state is OrderState.IN_DOUBT
        payable = (scheduled and (free or expired)) or (processing and free)
        askable = (doubtful and (free or expired)) or (processing and expired)
        if payable if to_pay else askable:
            self.payout.claimed_again()
            self.claims.append((self.payout.claim(), to_pay))

    def work(self, nth: int) -> None:
        """Take the next step with a claim, the latest first, stale ones too."""
        if not self.claims:
            return
        claim, to_pay = self.claims[-1 - nth % len(self.claims)]
        before = len(self.payout.now.attempts)
        if to_pay:
            self.payout.start(claim)
        elif self.payout.now.state is OrderState.IN_DOUBT:
            self.payout.apply_status(self.bank.status(), claim)
        else:
            self.payout.take_over(claim)
        if len(self.payout.now.attempts) > before:
            self.calls.append(Call(claim, before + 1))

    def send(self, nth: int, behaviour: AnswerKind, *, arrives: bool) -> None:
        """Send a call that was not sent, within its window; else record that it was not."""
        unsent = [call for call in self.calls if call.answer is None]
        if not unsent:
            return
        call = unsent[nth % len(unsent)]
        started = self.payout.now.attempts[call.attempt - 1].start_time
        late = self.payout.books.now - started >= SEND_WINDOW
        if late:
            call.answer = AnswerKind.NOT_SENT
        elif nth % 5 == 4:
            call.answer = self.bank.leave_pending()
        else:
            call.answer = self.bank.pay(behaviour, arrives=arrives)

    def settle(self, nth: int) -> None:
        """Settle the answer of a call that was sent, however late."""
        answered = [call for call in self.calls if call.answer is not None]
        if answered:
            call = answered[nth % len(answered)]
            self.calls.remove(call)
            self.payout.answer(call.answer or AnswerKind.UNKNOWN, attempt=call.attempt, claim=call.claim)

    def check(self) -> None:
        """Raise unless the ledger is right and nothing was released that was or will be paid."""
        w, bank, (_, in_transit) = self.payout.now, self.bank, self.payout.money
        under_way = w.state in {OrderState.PROCESSING, OrderState.IN_DOUBT}
        assert in_transit == (AMOUNT.minor if under_way else 0)
        assert sum(wallet.balance for wallet in self.payout.books.wallets.values()) == 0
        for moved in self.payout.books.pending.transactions:
            assert sum(entry.amount for entry in moved.entries) == 0
        assert bank.executions <= 1
        if w.state is OrderState.SUCCEEDED:
            assert bank.executions == 1
        if w.state is OrderState.FAILED:
            assert (bank.executions, bank.pending) == (0, False)
            assert w.id == WITHDRAWAL
