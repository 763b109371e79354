"""Steps in which time passes and jobs run."""

from dataclasses import replace
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import invariant

from tests.model.draws import BEHAVIOUR, NTH, ROUND, Round, step
from tests.model.records import ACTIVE
from tests.model.single_steps import SingleSteps
from tests.support.rows import rewrite
from tests.support.scripted_bank import BankBehaviour
from wallet_core.domain.commands.holds.end_hold import ExpireHold
from wallet_core.domain.commands.payments.credit_deposit import CreditDeposit
from wallet_core.domain.model.payment_order import OrderKind
from wallet_core.usecases.app import new_id


class JobSteps(SingleSteps):
    """Rounds of all jobs, late workers, and times that come before a job has run."""

    @step(weight=1, nth=NTH)
    def a_time_comes(self, nth: int) -> None:
        """For all callers, by the database's clock: a hold is over, a rule begins or ends, and no job has run."""
        self.post_batch()
        rules = [
            id_
            for id_, one in self.books.rules.items()
            if not one.over and (one.started is None or one.end is not None)
        ]
        holds = [id_ for id_, one in self.books.holds.items() if one.state == ACTIVE]
        if rules and (nth % 2 or not holds):
            self._a_rules_time_comes(rules[nth % len(rules)])
        elif holds:
            self._a_holds_time_comes([holds[nth % len(holds)]])

    def _a_holds_time_comes(self, ids: list[UUID]) -> None:
        for id_ in ids:
            rewrite(self.owner, "UPDATE holds SET expire_time = create_time + '1 us' WHERE id = %s", [id_])
            self.books.holds[id_].overdue = True

    def _a_rules_time_comes(self, id_: UUID) -> None:
        rule_record = self.books.rules[id_]
        if rule_record.started is None:
            rewrite(self.owner, "UPDATE commission_rules SET start_time = clock_timestamp() WHERE id = %s", [id_])
            self.books.happened += 1
            rule_record.started = self.books.happened
        else:
            rewrite(self.owner, "UPDATE commission_rules SET end_time = clock_timestamp() WHERE id = %s", [id_])
            rule_record.over = True

    @step(weight=8, rounds=st.lists(ROUND, min_size=1, max_size=4))
    def work(self, rounds: list[Round]) -> None:
        """Let time pass for jobs and run all of them, several rounds, with a bank of changing behaviour."""
        self.post_batch()
        for one in rounds:
            # Orders come due, leases run out, grace is over, the bank forgets.
            self.books.later += one.hours
            self.bank.behaviour = one.behaviour
            if one.decides is not None:
                self.bank.decide(execute=one.decides)
            for job in reversed(self.jobs()) if one.backwards else self.jobs():
                job(abandon=one.abandon)
            self.they_agree()

    @step(weight=1, nth=NTH, behaviour=BEHAVIOUR, among_calls=st.booleans())
    def work_late(self, nth: int, behaviour: BankBehaviour, *, among_calls: bool) -> None:
        """Work on a claim that was abandoned, also if it was taken over; where it can be, in a batch with calls."""
        if not self.kept:
            return
        work, claim = self.kept[nth % len(self.kept)]
        if among_calls and work == self.work_to_expire:
            self.call(ExpireHold(claim=claim, clock_offset=self.later))
        elif among_calls and getattr(claim, "kind", None) is OrderKind.SCHEDULED_DEPOSIT:
            self.call(CreditDeposit(id=new_id(), claim=claim))
        else:
            self.post_batch()
            self.bank.behaviour = behaviour
            work(claim)

    @step(weight=1, nth=NTH, copied=st.booleans())
    def wake(self, nth: int, *, copied: bool) -> None:
        """Let a paused worker record the answer that it received; it may not know that it has done so."""
        if self.paused:
            result = self.paused.pop(nth % len(self.paused))
            self.call(result)
            if copied:
                self.call(replace(result, id=new_id()))

    @invariant()
    def they_agree(self) -> None:
        """Compare what is stored, the etags and the bank's own records, whenever no call waits in a batch."""
        if self.line or self.resting:
            return
        self.look()
        self.look_at_the_bank()
        if any(
            wallet_record.etag is None
            for name, wallet_record in self.books.wallets.items()
            if not name.startswith("system:")
        ):
            self.look_at_etags()
