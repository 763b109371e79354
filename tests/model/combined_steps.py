"""Steps of several calls and jobs: sequences that single steps would seldom draw."""

from dataclasses import replace

from hypothesis import strategies as st

from tests.model.calls import CURRENCY_OF, nth_of
from tests.model.draws import DOUBTS, EXISTING, PART, RARELY, ROUND, Round, step
from tests.model.job_steps import JobSteps
from tests.support.commands import (
    a_batch,
    a_cancelled_withdrawal,
    a_change,
    a_transfer,
    a_withdrawal,
    an_item,
    by_no_operator,
)
from tests.support.scripted_bank import BankBehaviour
from wallet_core.domain.commands.payments.schedule_withdrawal import ScheduleWithdrawal
from wallet_core.domain.commands.wallets.change_wallet import CloseWallet, FreezeWallet, UnfreezeWallet
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.model.money import Money


class CombinedSteps(JobSteps):
    """Sequences on wallets, holds and payment orders."""

    @step(
        weight=2,
        name=st.sampled_from(["carol", "emil", "fay"]),
        opened=st.sampled_from([None, None, "withdrawal", "deposit"]),
        ended=st.booleans(),
        together=st.booleans(),
        early=RARELY,
    )
    def empty_and_close(self, name: str, opened: str | None, *, ended: bool, together: bool, early: bool) -> None:
        """Transfer a wallet's whole balance to another and close it, in any order; it may have an open item."""
        self.begin_batch(4) if together else self.post_batch()
        if early:
            self.change_state(name, CloseWallet)
        if opened == "withdrawal":
            self.schedule_withdrawal(name, 5, 3, reserve=False)
        if opened == "deposit":
            self.schedule_deposit(name, 5, 3, collect=together)
        if opened is not None and ended:
            self.cancel(0, other=False)
        has = self.books.wallets[name].balance if name in self.books.wallets else 1
        if has:
            self.call(a_transfer(name, self.partner(name, name), Money(CURRENCY_OF[name], has)))
        self.change_state(name, CloseWallet)

    @step(weight=1, name=EXISTING, limit=st.sampled_from([7, 30]))
    def raise_limit_and_use_it(self, name: str, limit: int) -> None:
        """Take what only the new limit allows, then lower it below its use, in one batch."""
        self.begin_batch(3)
        self.update_wallet(name, limit=limit)
        has = self.books.available(name) if name in self.books.wallets else 1
        self.call(a_transfer(name, self.partner(name, name), Money(CURRENCY_OF[name], has)))
        self.update_wallet(name, clear=True)

    @step(weight=2, source=EXISTING, drawn=EXISTING, amount=st.integers(1, 20), by_operations=st.booleans())
    def take_back_from_a_frozen_wallet(self, source: str, drawn: str, amount: int, *, by_operations: bool) -> None:
        """Transfer, freeze the wallet that got it, take it back, and let the wallet go again."""
        destination = self.partner(source, drawn)
        self.transfer([(source, destination, amount, None)])
        self.call(a_change(FreezeWallet, destination))
        self.reverse(0, [(None, False)], together=False, by_operations=by_operations)
        self.call(a_change(UnfreezeWallet, destination))

    @step(weight=2, name=EXISTING, amount=st.integers(1, 9), how=st.integers(0, 3), by_operations=st.booleans())
    def take_what_was_earned(self, name: str, amount: int, how: int, *, by_operations: bool) -> None:
        """Take out what the service has earned: by a transfer, one of a batch, or a payout, which may be called off."""
        earned, money = f"system:commission:{CURRENCY_OF[name]}", self.money(name, amount)
        request: Command
        if how == 0:
            request = a_transfer(earned, name, money)
        elif how == 1:
            request = a_batch(an_item(self.partner(name, name), name, money), an_item(earned, name, money))
        else:
            request = a_withdrawal(earned, money, reserve=how == 2)  # one of the ways
        self.call(request if by_operations else by_no_operator(request))
        if isinstance(request, ScheduleWithdrawal) and request.id in self.books.orders:
            self.call(by_no_operator(a_cancelled_withdrawal(request.id)))
            if amount % 2:
                self.call(a_cancelled_withdrawal(request.id))

    @step(
        weight=2,
        name=EXISTING,
        to=EXISTING,
        amount=st.integers(1, 40),
        parts=st.lists(st.tuples(st.one_of(st.none(), st.integers(1, 12)), RARELY), min_size=1, max_size=3),
        together=st.booleans(),
    )
    def hold_and_capture(
        self, name: str, to: str, amount: int, parts: list[tuple[int | None, bool]], *, together: bool
    ) -> None:
        """Place a hold, capture it in parts, and void what is left."""
        self.begin_batch(len(parts) + 2) if together else self.post_batch()
        self.place_hold(name, amount, 50)
        for part, final in parts:
            self.capture_hold(0, to, part, final=final)
        self.void_hold(0)

    @step(weight=1, name=EXISTING, amount=st.integers(1, 20), part=PART)
    def hold_for_too_long(self, name: str, amount: int, part: int | None) -> None:
        """Try to capture a hold whose time is over when no job has run."""
        self.post_batch()
        self.place_hold(name, amount, 50)
        self._a_holds_time_comes(self.holds()[-1:])
        self.capture_hold(0, self.partner(name, name), part, final=True)

    @step(
        weight=1,
        name=EXISTING,
        amount=st.integers(1, 20),
        meanwhile=st.sampled_from(["captured", "voided", "claimed"]),
        among_calls=st.booleans(),
    )
    def expire_late(self, name: str, amount: int, meanwhile: str, *, among_calls: bool) -> None:
        """Claim a hold whose time is over, do nothing, and come back when it has ended or has another claim."""
        self.place_hold(name, amount, 1)
        self.work([Round(hours=1, abandon=True)])
        mine = [place for place, (work, _) in enumerate(self.kept) if work == self.work_to_expire]
        if meanwhile == "captured":
            self.capture_hold(0, self.partner(name, name), None, final=True)
        elif meanwhile == "voided":
            self.void_hold(0)
        else:
            self.work([Round(hours=2, abandon=True)])
        if mine:
            self.work_late(mine[-1], BankBehaviour(), among_calls=among_calls)

    @step(weight=2, name=EXISTING, amount=st.integers(1, 30), collects=st.booleans(), together=st.booleans())
    def schedule_and_cancel(self, name: str, amount: int, *, collects: bool, together: bool) -> None:
        """Cancel what has just been scheduled, and transfer what was reserved for it."""
        self.begin_batch(5) if together else self.post_batch()
        self.schedule_withdrawal(name, amount, 3, reserve=True)
        self.schedule_deposit(name, amount, 3, collect=collects)
        if self.books.orders:
            self.cancel(1, other=False)
            self.cancel(0, other=False)
        if name in self.books.wallets:
            self.call(a_transfer(name, self.partner(name, name), Money(CURRENCY_OF[name], self.books.available(name))))

    @step(
        weight=1,
        name=EXISTING,
        amount=st.integers(1, 20),
        kind=st.sampled_from(["withdrawal", "deposit", "collection"]),
        among_calls=st.booleans(),
    )
    def cancel_what_is_claimed(self, name: str, amount: int, kind: str, *, among_calls: bool) -> None:
        """Claim an order and do nothing, call it off, and come back to it."""
        if kind == "withdrawal":
            self.schedule_withdrawal(name, amount, None, reserve=among_calls)
        else:
            self.schedule_deposit(name, amount, None, collect=kind == "collection")
        self.work([Round(abandon=True)])
        order = nth_of(self.orders(), 0)
        self.cancel(0, other=False)
        mine = [place for place, (_, claim) in enumerate(self.kept) if getattr(claim, "order", None) == order]
        if mine:
            self.work_late(mine[-1], BankBehaviour(), among_calls=among_calls)

    @step(
        weight=4,
        name=EXISTING,
        amount=st.integers(1, 20),
        collect=st.booleans(),
        reserve=st.booleans(),
        first=st.sampled_from(DOUBTS),
        then=st.lists(ROUND, min_size=1, max_size=3),
        wakes=st.sampled_from([None, 0, 1]),
    )
    def lose_an_answer(  # noqa: PLR0913  # the step's parameters
        self,
        name: str,
        amount: int,
        first: BankBehaviour,
        then: list[Round],
        *,
        collect: bool,
        reserve: bool,
        wakes: int | None,
    ) -> None:
        """Pay or collect with a call that gets lost, come back later, and resume its worker in between."""
        if collect:
            self.schedule_deposit(name, amount, None, collect=True)
        else:
            self.schedule_withdrawal(name, amount, None, reserve=reserve)
        self.work([Round(behaviour=first)])
        for place, one in enumerate(then):
            self.work([replace(one, hours=4)])
            if wakes == place:
                self.wake(0, copied=place == 1)

    @step(weight=1, name=EXISTING, amount=st.integers(1, 30), reserve=st.booleans(), collect=st.booleans())
    def execute_in_a_frozen_wallet(self, name: str, amount: int, *, reserve: bool, collect: bool) -> None:
        """Freeze a wallet with a withdrawal and a deposit due in it, let the jobs look, and let it go again."""
        self.schedule_withdrawal(name, amount, None, reserve=reserve)
        self.schedule_deposit(name, amount, None, collect=collect)
        self.change_state(name, FreezeWallet)
        self.work([Round()])
        self.change_state(name, UnfreezeWallet)
