"""The scheduler's jobs, run on the model and on the product."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from uuid import UUID

from scheduler.jobs import credit_due_deposits, expire_holds
from tests.model import payment_orders as orders
from tests.model.answers import answer
from tests.model.calls import Calls, Work
from tests.model.records import ACTIVE, OPEN, SCHEDULED_DEPOSIT, Refused
from tests.support.scripted_bank import WorkerPaused
from wallet_core.domain.commands.holds.end_hold import ExpireHold
from wallet_core.domain.commands.payments.attempt_payment import SettlePayment
from wallet_core.domain.commands.payments.credit_deposit import CreditDeposit
from wallet_core.domain.model.bank import Answer, AnswerKind
from wallet_core.domain.model.hold import HoldClaim
from wallet_core.domain.model.payment_order import Claim, OrderKind
from wallet_core.usecases.app import new_id
from wallet_core.usecases.credit_deposit import credit_deposit
from wallet_core.usecases.expire_hold import expire_hold
from wallet_core.usecases.pay_out import pay_out
from wallet_core.usecases.reconcile_order import reconcile


class Jobs(Calls):
    """Jobs that claim the same in both, and lead to the same."""

    def jobs(self) -> list[Callable[..., None]]:
        """Return the jobs that may find anything at all."""
        open_kinds = {one.kind for one in self.books.orders.values() if one.state in OPEN}
        jobs: list[Callable[..., None]] = []
        if any(hold.state == ACTIVE for hold in self.books.holds.values()):
            jobs.append(self.let_expire)
        for kind in OrderKind:
            if kind in open_kinds:
                jobs += [partial(self.let_pay, kind), partial(self.let_reconcile, kind)]
        return [*jobs, self.let_credit] if SCHEDULED_DEPOSIT in open_kinds else jobs

    @property
    def later(self) -> timedelta:
        """How far the jobs' clock is ahead."""
        return timedelta(hours=self.books.later)

    def let_expire(self, *, abandon: bool) -> None:
        """Let holds expire whose time is over, or claim them and do nothing."""
        due = orders.to_expire(self.books)
        if not abandon:
            counts = expire_holds.run_once(self.app, clock_offset=self.later)
            assert counts.outcomes == ({"EXPIRED": len(due)} if due else {})
            for id_ in due:
                self.books.holds[id_].state = "EXPIRED"
                self.books.holds[id_].fence += 1
            return
        claims = self.app.claims.to_expire(limit=100, lease=self._lease, clock_offset=self.later)
        assert {claim.hold for claim in claims} == due
        for claim in claims:
            orders.claimed(self.books, self.books.holds[claim.hold])
            self.kept.append((self.work_to_expire, claim))

    def let_credit(self, *, abandon: bool) -> None:
        """Credit what is due and need not be collected, or claim it and do nothing."""
        due = orders.to_credit(self.books)
        if not abandon:
            counts = credit_due_deposits.run_once(self.app, clock_offset=self.later)
            assert counts.claimed == len(due)
            for id_ in sorted(due, key=lambda one: (self.books.orders[one].next, one)):  # the longest due first
                self.books.orders[id_].fence += 1
                orders.credit(self.books, id_, self.books.orders[id_].fence, UUID(int=len(self.books.transactions)))
            return
        claims = self.app.claims.to_credit(limit=100, lease=self._lease, clock_offset=self.later)
        self._work_on(claims, due, self.work_to_credit, abandon=abandon)

    def let_pay(self, kind: OrderKind, *, abandon: bool) -> None:
        """Pay out or collect what is due, or claim it and do nothing."""
        claiming = self.app.claims.to_pay if kind is OrderKind.WITHDRAWAL else self.app.claims.to_collect
        due = orders.to_pay(self.books, kind=kind)
        claims = claiming(limit=100, lease=self._lease, clock_offset=self.later)
        self._work_on(claims, due, self.work_to_pay, abandon=abandon)

    def let_reconcile(self, kind: OrderKind, *, abandon: bool) -> None:
        """Query what is in doubt or was abandoned, or claim it and do nothing."""
        claims = self.app.claims
        claiming = claims.to_reconcile if kind is OrderKind.WITHDRAWAL else claims.to_reconcile_collections
        due = orders.to_reconcile(self.books, kind=kind)
        claimed = claiming(limit=100, lease=self._lease, clock_offset=self.later)
        self._work_on(claimed, due, self.work_to_reconcile, abandon=abandon)

    def work_to_expire(self, claim: HoldClaim) -> None:
        """Let one hold expire."""
        foreseen = answer(self.books, ExpireHold(claim=claim))
        result = expire_hold(self.app, claim, clock_offset=self.later)
        assert (result is None) == ("refused" in foreseen)

    def work_to_credit(self, claim: Claim) -> None:
        """Credit one deposit."""
        foreseen = answer(self.books, CreditDeposit(id=UUID(int=len(self.books.transactions)), claim=claim))
        result = credit_deposit(self.app, claim)
        assert (result is None) == ("refused" in foreseen)

    def work_to_pay(self, claim: Claim) -> None:
        """Pay or collect one order, to the end of one attempt."""
        sent = False
        with suppress(Refused):
            sent = orders.begin(self.books, claim.order, claim.fence)
        self._run_and_settle(claim, lambda: pay_out(self.app, claim, clock_offset=self.later), sent=sent)

    def work_to_reconcile(self, claim: Claim) -> None:
        """Query one order's status, and resend it where that is right."""
        sent = False
        word = self.bank.status(claim.payment)
        with suppress(Refused):
            doubtful = claim.state != "PROCESSING" or orders.take_over(self.books, claim.order, claim.fence)
            if doubtful:
                fits = not self.bank.behaviour.wrong_amount
                sent = orders.apply_status(self.books, claim.order, claim.fence, word.kind, amount_fits=fits)
        self._run_and_settle(claim, lambda: reconcile(self.app, claim, clock_offset=self.later), sent=sent)

    @property
    def _lease(self) -> timedelta:
        return self.app.payouts.policy.lease

    def _work_on(self, claims: Sequence[Claim], due: set[UUID], work: Work, *, abandon: bool) -> None:
        """Check that exactly what is due was claimed, and work on it or leave it alone."""
        assert {claim.order for claim in claims} == due
        for claim in claims:
            orders.claimed(self.books, self.books.orders[claim.order])
            assert claim.fence == self.books.orders[claim.order].fence
        for claim in claims:
            if abandon:
                self.kept.append((work, claim))
            else:
                work(claim)

    def _run_and_settle(self, claim: Claim, work: Callable[[], object], *, sent: bool) -> None:
        """Do the work; the bank is called exactly if the model expects it, and its answer is settled in both."""
        self.bank.answers.clear()
        number = len(self.books.orders[claim.order].attempts)
        try:
            work()
        except WorkerPaused as paused_worker:
            assert sent
            self.paused.append(self._settlement(claim, number, paused_worker.answer))
            return
        assert len(self.bank.answers) == sent
        if sent:
            orders.settle(self.books, claim.order, claim.fence, number, self.bank.answers[0])

    def _settlement(self, claim: Claim, attempt: int, kind: AnswerKind) -> SettlePayment:
        """Return what a worker that fell asleep records when it wakes up."""
        return SettlePayment(
            id=new_id(),
            claim=claim,
            policy=self.app.payouts.policy,
            jitter=0.0,
            clock_offset=self.later,
            attempt=attempt,
            answer=Answer(kind=kind, reference="r", retry_after_s=0.0),
        )
