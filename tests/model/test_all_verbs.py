"""Every verb against a model of a few dictionaries: whatever is asked in whatever order, alone or together, they agree.

The model stands in ``tests/support``: ``model_books.py`` (what there is), ``model_verbs.py`` (what callers may ask) and
``model_orders.py`` (what jobs do). Each rule asks the model first; what it says is what must be told and stored.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test

from tests.support.commands import (
    StateChange,
    a_batch,
    a_cancelled_deposit,
    a_cancelled_withdrawal,
    a_capture,
    a_change,
    a_deposit,
    a_hold,
    a_new_wallet,
    a_reversal,
    a_rule,
    a_scheduled_deposit,
    a_transfer,
    a_void,
    a_withdrawal,
    an_end,
    an_item,
    an_update,
    by_no_operator,
)
from tests.support.database import Database
from tests.support.each_anew import EACH_STORY_ANEW
from tests.support.model_books import ACTIVE, MOST, WITHDRAWAL
from tests.support.model_steps import CURRENCY_OF, Steps, nth_of, with_new_id
from tests.support.rows import rewrite
from tests.support.toolchain import often
from tests.support.whimsical_bank import Nap, Whim
from wallet_core.domain.commands.holds.end_hold import ExpireHold
from wallet_core.domain.commands.holds.place_hold import PlaceHold
from wallet_core.domain.commands.payments.credit_deposit import CreditDeposit
from wallet_core.domain.commands.payments.schedule_withdrawal import ScheduleWithdrawal
from wallet_core.domain.commands.transfers.deposit import Deposit
from wallet_core.domain.commands.wallets.change_wallet import CloseWallet, FreezeWallet, UnfreezeWallet
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.model.bank import AnswerKind
from wallet_core.domain.model.commission_rule import Label, Payer
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.payment_order import OrderKind
from wallet_core.domain.model.wallet import Labels, WalletId
from wallet_core.settings import Settings
from wallet_core.usecases.app import App, new_id

# Few and small, so that things collide; now and then something that is not there, or makes no sense.
ANYBODY = st.sampled_from(["alice"] * 8 + ["bob"] * 8 + ["carol"] * 4 + ["dora"] * 5 + ["emil"] * 4)
SOMEBODY = st.sampled_from(
    ["alice"] * 8 + ["bob"] * 8 + ["carol"] * 4 + ["dora"] * 5 + ["emil"] * 4 + ["nobody", "system:external:USD"]
)
AMOUNT = st.integers(-1, 60)
SELDOM = st.sampled_from([False] * 9 + [True])
PART = st.one_of(st.none(), st.integers(0, 30))
LIMIT = st.sampled_from([0, 7, 30, 30, -1])
NTH = st.integers(0, 30)
SCHEDULE = st.sampled_from([None, None, 1, 3, -24])
LABELS: st.SearchStrategy[Labels] = st.sampled_from([{}, {"tier": "gold"}, {"tier": "", "kind": "shop"}])
ETAG = st.sampled_from(["", "", "", "now", "before", '"none"'])
NAP = st.sampled_from([Nap.NEVER] * 6 + [Nap.BEFORE, Nap.AFTER])
WHIM = st.builds(
    Whim,
    answer=st.sampled_from([AnswerKind.ACCEPTED, *AnswerKind]),
    arrives=st.booleans(),
    thinks=SELDOM,
    silent=st.sampled_from([False] * 3 + [True]),
    miscounts=SELDOM,
    nap=NAP,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One look of all jobs."""

    hours: int = 0
    """How much time passes for jobs before it."""
    whim: Whim = field(default_factory=Whim)
    decides: bool | None = None
    """How the bank makes up its mind on what it has been thinking about, if it does."""
    abandon: bool = False
    """Whether all is claimed and nothing is done."""
    backwards: bool = False
    """Whether the jobs look in the other order: doubts before what is due."""


ROUND = st.builds(
    Round,
    hours=st.sampled_from([0, 0, 1, 2, 4, 13]),
    whim=WHIM,
    decides=st.sampled_from([None, True, False]),
    abandon=SELDOM,
    backwards=st.booleans(),
)

# Calls of which nobody knows what became of them.
DOUBTS = [
    Whim(answer=AnswerKind.UNKNOWN, arrives=False),
    Whim(answer=AnswerKind.UNKNOWN, arrives=True),
    Whim(nap=Nap.BEFORE),
    Whim(nap=Nap.AFTER),
    Whim(nap=Nap.AFTER, answer=AnswerKind.DECLINED),
    Whim(nap=Nap.AFTER, answer=AnswerKind.DECLINED_RETRYABLE),
    Whim(thinks=True),
]

DRAWN: dict[str, st.SearchStrategy[dict[str, Any]]] = {}
NAMES: list[str] = []

Method = TypeVar("Method", bound=Callable[..., None])


def step(*, weight: int, **drawn: st.SearchStrategy[Any]) -> Callable[[Method], Method]:
    """Make a method a step of the stories, taken so often as its weight among all weights.

    Not a rule of its own: Hypothesis leaves rules out of stories at random, and short runs would hardly move money.
    """

    def register(method: Method) -> Method:
        DRAWN[method.__name__] = st.fixed_dictionaries(drawn)
        NAMES.extend([method.__name__] * weight)
        return method

    return register


@st.composite
def steps(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """Draw a step and what it is about."""
    name = draw(st.sampled_from(NAMES))
    return name, draw(DRAWN[name])


class AllVerbs(Steps):
    """Calls and jobs, each told and stored as the model says."""

    @initialize(amounts=st.tuples(*[st.integers(30, 60)] * 4))
    def begin(self, amounts: tuple[int, ...]) -> None:
        """Open some wallets with something in them, all in one batch."""
        self.gather(9)
        self.create_wallet("carol", 7, {})
        for name, amount in zip(("alice", "bob", "dora", "emil"), amounts, strict=True):
            self.create_wallet(name, 0, {"tier": "gold"} if name == "alice" else {})
            self.deposit([(name, amount)])

    @rule(step=steps())
    def go_on(self, step: tuple[str, dict[str, Any]]) -> None:
        """Take one step."""
        name, drawn = step
        self.resting = name == "rest"
        getattr(self, name)(**drawn)

    @step(weight=1)
    def rest(self) -> None:
        """Do nothing: the simplest step, of which Hypothesis makes a whole story before it tells any other."""

    # Wallets.

    @step(weight=1, name=st.sampled_from(list(CURRENCY_OF)), limit=LIMIT, labels=LABELS)
    def create_wallet(self, name: str, limit: int, labels: Labels) -> None:
        """Open a wallet, unless there is one of that name."""
        self.ask(a_new_wallet(name, CURRENCY_OF[name], labels=labels, overdraft_limit=self.amount(limit)))

    @step(
        weight=2,
        name=SOMEBODY,
        title=st.sampled_from([None, "a", "b"]),
        labels=st.one_of(st.none(), LABELS),
        limit=st.one_of(st.none(), LIMIT),
        etag=ETAG,
        clear=SELDOM,
        wrong=SELDOM,
    )
    def update_wallet(  # noqa: PLR0913  # a wallet's fields
        self,
        name: str,
        *,
        title: str | None = None,
        labels: Labels | None = None,
        limit: int | None = None,
        etag: str = "",
        clear: bool = False,
        wrong: bool = False,
    ) -> None:
        """Change name, labels, and how far below zero it may go."""
        money = self.money(name, limit, wrong=wrong) if limit is not None and not clear else None
        fields = {"overdraft_limit": money, "clear_overdraft_limit": clear}
        self.ask(an_update(name, etag=self.etag(name, etag), display_name=title, labels=labels, **fields))

    @step(
        weight=2,
        name=SOMEBODY,
        verb=st.sampled_from([FreezeWallet, UnfreezeWallet, UnfreezeWallet, CloseWallet]),
        etag=ETAG,
    )
    def change_state(self, name: str, verb: type[StateChange], etag: str = "") -> None:
        """Freeze, unfreeze or close a wallet."""
        self.ask(a_change(verb, name, self.etag(name, etag)))

    @step(
        weight=2,
        name=st.sampled_from(["carol", "emil", "fay"]),
        opened=st.sampled_from([None, None, "withdrawal", "deposit"]),
        ended=st.booleans(),
        together=st.booleans(),
        early=SELDOM,
    )
    def empty_and_close(self, name: str, opened: str | None, *, ended: bool, together: bool, early: bool) -> None:
        """Give all that a wallet has to another and close it, in whatever order; it may have something open."""
        self.gather(4) if together else self.post_line()
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
            self.ask(a_transfer(name, self.partner(name, name), Money(CURRENCY_OF[name], has)))
        self.change_state(name, CloseWallet)

    @step(weight=1, name=ANYBODY, limit=st.sampled_from([7, 30]))
    def raise_limit_and_use_it(self, name: str, limit: int) -> None:
        """Take what only the new limit allows, then lower it below its use, in one batch."""
        self.gather(3)
        self.update_wallet(name, limit=limit)
        has = self.books.available(name) if name in self.books.wallets else 1
        self.ask(a_transfer(name, self.partner(name, name), Money(CURRENCY_OF[name], has)))
        self.update_wallet(name, clear=True)

    # Money.

    @step(weight=2, many=st.lists(st.tuples(SOMEBODY, AMOUNT), min_size=1, max_size=3), wrong=SELDOM)
    def deposit(self, many: list[tuple[str, int]], *, wrong: bool = False) -> None:
        """Put money into wallets."""
        for name, amount in many:
            self.ask(a_deposit(name, self.money(name, amount, wrong=wrong)))

    @step(weight=4, many=st.lists(st.tuples(SOMEBODY, SOMEBODY, AMOUNT, PART), min_size=1, max_size=4), wrong=SELDOM)
    def transfer(self, many: list[tuple[str, str, int, int | None]], *, wrong: bool = False) -> None:
        """Move money from one wallet to another, and ask before what it would cost."""
        for source, drawn, amount, most in many:
            destination = drawn if wrong else self.partner(source, drawn)
            money = self.money(source, amount)
            asked = a_transfer(source, destination, money, max_commission=self.part(money.currency, most))
            if source != destination and amount > 0 and not self.line_length and most is None:
                self.quote(asked)
            self.ask(asked)

    @step(weight=2, ends=st.lists(st.tuples(ANYBODY, ANYBODY, AMOUNT), min_size=1, max_size=5), wrong=SELDOM)
    def transfer_all(self, ends: list[tuple[str, str, int]], *, wrong: bool) -> None:
        """Move money between many pairs of wallets, all or none."""
        self.ask(
            a_batch(
                *(
                    an_item(source, drawn if wrong else self.partner(source, drawn), self.money(source, amount))
                    for source, drawn, amount in ends
                )
            )
        )

    @step(
        weight=3,
        nth=NTH,
        parts=st.lists(st.tuples(PART, st.booleans()), min_size=1, max_size=3),
        together=st.booleans(),
        by_operations=st.booleans(),
        wrong=SELDOM,
    )
    def reverse(  # a reversal's fields
        self,
        nth: int,
        parts: list[tuple[int | None, bool]],
        *,
        together: bool,
        by_operations: bool = True,
        wrong: bool = False,
    ) -> None:
        """Take a transaction back, all or in parts, each with its commission or without."""
        if together:
            self.gather(len(parts))
        id_ = nth_of(self.moves(), nth)
        currency = self.currency_of_move(id_)
        if wrong:
            currency = "EUR" if currency == "USD" else "USD"
        for drawn, keep in parts:
            asked = a_reversal(id_, self.part(currency, drawn), keep_commission=keep)
            self.ask(asked if by_operations else by_no_operator(asked))

    @step(weight=2, source=ANYBODY, drawn=ANYBODY, amount=st.integers(1, 20), by_operations=st.booleans())
    def take_back_from_a_frozen_wallet(self, source: str, drawn: str, amount: int, *, by_operations: bool) -> None:
        """Transfer, freeze the wallet that got it, take it back, and let the wallet go again."""
        destination = self.partner(source, drawn)
        self.transfer([(source, destination, amount, None)])
        self.ask(a_change(FreezeWallet, destination))
        self.reverse(0, [(None, False)], together=False, by_operations=by_operations)
        self.ask(a_change(UnfreezeWallet, destination))

    @step(weight=2, name=ANYBODY, amount=st.integers(1, 9), how=st.integers(0, 3), by_operations=st.booleans())
    def take_what_was_earned(self, name: str, amount: int, how: int, *, by_operations: bool) -> None:
        """Take out what the service has earned: by a transfer, one of a batch, or a payout, which may be called off."""
        earned, money = f"system:commission:{CURRENCY_OF[name]}", self.money(name, amount)
        asked: Command
        if how == 0:
            asked = a_transfer(earned, name, money)
        elif how == 1:
            asked = a_batch(an_item(self.partner(name, name), name, money), an_item(earned, name, money))
        else:
            asked = a_withdrawal(earned, money, reserve=how == 2)  # one of the ways
        self.ask(asked if by_operations else by_no_operator(asked))
        if isinstance(asked, ScheduleWithdrawal) and asked.id in self.books.orders:
            self.ask(by_no_operator(a_cancelled_withdrawal(asked.id)))
            if amount % 2:
                self.ask(a_cancelled_withdrawal(asked.id))

    # Holds.

    @step(weight=2, name=SOMEBODY, amount=AMOUNT, hours=st.sampled_from([1, 3, 50, 50, -24]), wrong=SELDOM)
    def place_hold(self, name: str, amount: int, hours: int, *, wrong: bool = False) -> None:
        """Put money aside until a time."""
        self.ask(a_hold(name, self.money(name, amount, wrong=wrong), self.time(hours)))

    @step(weight=3, nth=NTH, drawn=SOMEBODY, part=PART, final=st.booleans(), wrong=SELDOM)
    def capture_hold(self, nth: int, drawn: str, part: int | None, *, final: bool, wrong: bool = False) -> None:
        """Take what is put aside, all that is left or a part."""
        if not self.books.holds:
            self.place_hold("alice", 9, 50)
        id_ = nth_of(self.holds(), nth)
        holder = self.books.holds[id_].wallet if id_ in self.books.holds else "alice"
        destination = drawn if wrong else self.partner(holder, drawn)
        self.ask(a_capture(id_, destination, self.part(self.currency_of_hold(id_), part), final=final))

    @step(weight=1, nth=NTH)
    def void_hold(self, nth: int) -> None:
        """Give a hold up."""
        self.ask(a_void(nth_of(self.holds(), nth)))

    @step(
        weight=2,
        name=ANYBODY,
        to=ANYBODY,
        amount=st.integers(1, 40),
        parts=st.lists(st.tuples(st.one_of(st.none(), st.integers(1, 12)), SELDOM), min_size=1, max_size=3),
        together=st.booleans(),
    )
    def hold_and_capture(
        self, name: str, to: str, amount: int, parts: list[tuple[int | None, bool]], *, together: bool
    ) -> None:
        """Put money aside, take it in parts, and give up what is left."""
        self.gather(len(parts) + 2) if together else self.post_line()
        self.place_hold(name, amount, 50)
        for part, final in parts:
            self.capture_hold(0, to, part, final=final)
        self.void_hold(0)

    @step(weight=1, name=ANYBODY, amount=st.integers(1, 20), part=PART)
    def hold_for_too_long(self, name: str, amount: int, part: int | None) -> None:
        """Try to take what is put aside when its time is over and no job has looked."""
        self.post_line()
        self.place_hold(name, amount, 50)
        self._a_holds_time_comes(self.holds()[-1:])
        self.capture_hold(0, self.partner(name, name), part, final=True)

    @step(
        weight=1,
        name=ANYBODY,
        amount=st.integers(1, 20),
        meanwhile=st.sampled_from(["captured", "voided", "claimed"]),
        among_calls=st.booleans(),
    )
    def expire_late(self, name: str, amount: int, meanwhile: str, *, among_calls: bool) -> None:
        """Claim a hold whose time is over, do nothing, and come back when it has ended or somebody else has it."""
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
            self.work_late(mine[-1], Whim(), among_calls=among_calls)

    # Orders.

    @step(weight=2, name=SOMEBODY, amount=AMOUNT, hours=SCHEDULE, reserve=st.booleans(), wrong=SELDOM)
    def schedule_withdrawal(
        self, name: str, amount: int, hours: int | None, *, reserve: bool, wrong: bool = False
    ) -> None:
        """Promise to pay out, with the money put aside or not."""
        due = self.time(hours) if hours is not None else None
        self.ask(a_withdrawal(name, self.money(name, amount, wrong=wrong), due, reserve=reserve))

    @step(weight=2, name=SOMEBODY, amount=AMOUNT, hours=SCHEDULE, collect=st.booleans(), wrong=SELDOM)
    def schedule_deposit(
        self, name: str, amount: int, hours: int | None, *, collect: bool, wrong: bool = False
    ) -> None:
        """Promise to credit, collected from the bank or not."""
        due = self.time(hours) if hours is not None else None
        self.ask(a_scheduled_deposit(name, self.money(name, amount, wrong=wrong), due, collect=collect))

    @step(weight=1, nth=NTH, other=SELDOM)
    def cancel(self, nth: int, *, other: bool) -> None:
        """Call an order off, now and then by the name of the other kind."""
        id_ = nth_of(self.orders(), nth)
        paying_out = id_ in self.books.orders and self.books.orders[id_].kind == WITHDRAWAL
        self.ask(a_cancelled_withdrawal(id_) if paying_out != other else a_cancelled_deposit(id_))

    @step(weight=2, name=ANYBODY, amount=st.integers(1, 30), collects=st.booleans(), together=st.booleans())
    def schedule_and_cancel(self, name: str, amount: int, *, collects: bool, together: bool) -> None:
        """Call off what has just been scheduled, and take what was put aside for it."""
        self.gather(5) if together else self.post_line()
        self.schedule_withdrawal(name, amount, 3, reserve=True)
        self.schedule_deposit(name, amount, 3, collect=collects)
        if self.books.orders:
            self.cancel(1, other=False)
            self.cancel(0, other=False)
        if name in self.books.wallets:
            self.ask(a_transfer(name, self.partner(name, name), Money(CURRENCY_OF[name], self.books.available(name))))

    @step(
        weight=1,
        name=ANYBODY,
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
            self.work_late(mine[-1], Whim(), among_calls=among_calls)

    @step(
        weight=4,
        name=ANYBODY,
        amount=st.integers(1, 20),
        collect=st.booleans(),
        reserve=st.booleans(),
        first=st.sampled_from(DOUBTS),
        then=st.lists(ROUND, min_size=1, max_size=3),
        wakes=st.sampled_from([None, 0, 1]),
    )
    def doubt(  # noqa: PLR0913  # a story of its own
        self,
        name: str,
        amount: int,
        first: Whim,
        then: list[Round],
        *,
        collect: bool,
        reserve: bool,
        wakes: int | None,
    ) -> None:
        """Pay or collect with a call that gets lost, come back later, and let who made it wake up in between."""
        if collect:
            self.schedule_deposit(name, amount, None, collect=True)
        else:
            self.schedule_withdrawal(name, amount, None, reserve=reserve)
        self.work([Round(whim=first)])
        for place, one in enumerate(then):
            self.work([replace(one, hours=4)])
            if wakes == place:
                self.wake(0, again=place == 1)

    @step(weight=1, name=ANYBODY, amount=st.integers(1, 30), reserve=st.booleans(), collect=st.booleans())
    def come_due_in_a_frozen_wallet(self, name: str, amount: int, *, reserve: bool, collect: bool) -> None:
        """Freeze a wallet with a withdrawal and a deposit due in it, let the jobs look, and let it go again."""
        self.schedule_withdrawal(name, amount, None, reserve=reserve)
        self.schedule_deposit(name, amount, None, collect=collect)
        self.change_state(name, FreezeWallet)
        self.work([Round()])
        self.change_state(name, UnfreezeWallet)

    # Commission.

    @step(
        weight=3,
        name=st.sampled_from([None] * 6 + ["alice"] * 3 + ["bob"] * 2 + ["dora", "nobody", "system:external:USD"]),
        label=st.sampled_from([None, Label("tier", "gold"), Label("tier", "gold"), Label("tier", "")]),
        payer=st.sampled_from(Payer),
        rate=st.sampled_from([0, 15_000, 125_000, 333_333, 500_000, 500_000, 1_000_000, 1_000_001]),
        amounts=st.tuples(*[st.sampled_from([0, 0, 1, 5])] * 3),
        most=st.sampled_from([None, None, 2, 9]),
        hours=st.sampled_from([(None, None)] * 8 + [(None, 5), (None, 5), (3, None), (3, 5), (-24, None), (5, 3)]),
        wrong=SELDOM,
    )
    def create_rule(  # noqa: PLR0913  # a rule's fields
        self,
        name: str | None,
        payer: Payer,
        rate: int,
        *,
        label: Label | None = None,
        amounts: tuple[int, int, int] = (0, 1, 0),
        most: int | None = None,
        hours: tuple[int | None, int | None] = (None, None),
        wrong: bool = False,
    ) -> None:
        """Charge transfers from now on, or from a time to come."""
        start, end = (self.time(one) if one is not None else None for one in hours)
        numbers = dict(zip(("threshold", "fixed", "minimum"), amounts, strict=True))
        scope = {"wallet": WalletId(name) if name is not None else None, "label": label if name is None else None}
        currency = self.money(name or "alice", 0, wrong=wrong).currency
        fields: dict[str, Any] = {"rate_millionths": rate, "maximum": most, "payer": payer, **numbers, **scope}
        self.ask(a_rule(currency, start_time=start, end_time=end, **fields))

    @step(weight=1, nth=NTH, hours=st.sampled_from([None, None, 2, 4, 7, -24]))
    def end_rule(self, nth: int, hours: int | None) -> None:
        """Charge nothing more by a rule, from now on or from a time to come."""
        end = self.time(hours) if hours is not None else None
        self.ask(an_end(nth_of(list(self.books.tariffs), nth), end))

    @step(
        weight=1,
        source=ANYBODY,
        drawn=ANYBODY,
        amount=st.integers(1, 40),
        below=st.sampled_from([0, 1, 5]),
        payer=st.sampled_from(Payer),
        end=st.booleans(),
    )
    def charge_and_transfer(  # noqa: PLR0913  # a story of its own
        self, source: str, drawn: str, amount: int, below: int, payer: Payer, *, end: bool
    ) -> None:
        """Transfer, make a rule, transfer again, and perhaps end the rule, in one batch."""
        self.gather(4)
        destination = self.partner(source, drawn)
        self.transfer([(source, destination, amount, None)])
        threshold = max(0, amount - below)
        self.create_rule(source if payer is Payer.SOURCE else destination, payer, 125_000, amounts=(threshold, 1, 0))
        self.transfer([(source, destination, amount, None)])
        if end:
            self.end_rule(0, None)

    @step(
        weight=2,
        source=ANYBODY,
        amount=st.integers(3, 40),
        rate=st.sampled_from([125_000, 333_333, 500_000, 1_000_000]),
        payer=st.sampled_from(Payer),
        parts=st.lists(st.tuples(st.one_of(st.none(), st.integers(1, 12)), st.booleans()), min_size=2, max_size=4),
        together=st.booleans(),
    )
    def charge_and_give_back(  # noqa: PLR0913  # a story of its own
        self,
        source: str,
        amount: int,
        rate: int,
        payer: Payer,
        parts: list[tuple[int | None, bool]],
        *,
        together: bool,
    ) -> None:
        """Transfer with a commission, and take that back in parts of which some keep theirs."""
        self.post_line()
        destination = self.partner(source, source)
        self.create_rule(source if payer is Payer.SOURCE else destination, payer, rate, amounts=(0, 0, 0))
        self.transfer([(source, destination, amount, None)])
        self.reverse(0, parts, together=together)

    @step(
        weight=1,
        source=ANYBODY,
        amount=st.integers(1, 40),
        payer=st.sampled_from(Payer),
        ends=st.permutations([0, 1, 2]),
    )
    def charge_by_one_of_many(self, source: str, amount: int, payer: Payer, ends: list[int]) -> None:
        """Make rules for a wallet, for its label and for all, transfer, and again as one after the other ends."""
        self.post_line()
        destination = self.partner(source, source)
        charged = source if payer is Payer.SOURCE else destination
        self.update_wallet(charged, labels={"tier": "gold"})
        scopes: list[dict[str, Any]] = [{}, {"label": Label("tier", "gold")}, {"wallet": WalletId(charged)}]
        made = [a_rule(CURRENCY_OF[charged], payer=payer, fixed=1 + place, **scopes[place]) for place in ends]
        for one in made:
            self.ask(one)
        for place in reversed(ends):
            self.transfer([(source, destination, amount, None)])
            self.ask(an_end(made[place].id))

    # Repeats, batches.

    @step(weight=3, nth=NTH, reuse=st.booleans())
    def repeat(self, nth: int, *, reuse: bool) -> None:
        """Ask again for what was asked before; or for something else under its request id."""
        before = self.commands[-1 - nth % len(self.commands)]
        if not reuse:
            self.ask(with_new_id(before))
        elif isinstance(before, (Deposit, PlaceHold)):
            more = Money(before.amount.currency, before.amount.minor + (1 if before.amount.minor < MOST else -1))
            self.ask(replace(before, id=new_id(), amount=more))
        else:
            self.ask(replace(a_transfer("alice", "bob", Money("USD", 1000)), request=before.request))

    @step(weight=3, length=st.integers(2, 6))
    def together(self, length: int) -> None:
        """Post the next few calls in one batch."""
        self.gather(length)

    # Jobs and time.

    @step(weight=1, nth=NTH)
    def a_time_comes(self, nth: int) -> None:
        """For everybody, by the database's clock: a hold is over, a rule begins or ends, and no job has looked."""
        self.post_line()
        rules = [
            id_
            for id_, one in self.books.tariffs.items()
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
        tariff = self.books.tariffs[id_]
        if tariff.started is None:
            rewrite(self.owner, "UPDATE commission_rules SET start_time = clock_timestamp() WHERE id = %s", [id_])
            self.books.happened += 1
            tariff.started = self.books.happened
        else:
            rewrite(self.owner, "UPDATE commission_rules SET end_time = clock_timestamp() WHERE id = %s", [id_])
            tariff.over = True

    @step(weight=8, rounds=st.lists(ROUND, min_size=1, max_size=4))
    def work(self, rounds: list[Round]) -> None:
        """Let time pass for jobs and let all of them look, over and over, with a bank of changing moods."""
        self.post_line()
        for one in rounds:
            # Orders come due, leases run out, grace is over, the bank forgets.
            self.books.later += one.hours
            self.bank.whim = one.whim
            if one.decides is not None:
                self.bank.decide(execute=one.decides)
            for job in reversed(self.jobs()) if one.backwards else self.jobs():
                job(abandon=one.abandon)
            self.they_agree()

    @step(weight=1, nth=NTH, whim=WHIM, among_calls=st.booleans())
    def work_late(self, nth: int, whim: Whim, *, among_calls: bool) -> None:
        """Work on a claim that was left alone, whoever has it now; where it can be, in a batch with calls."""
        if not self.kept:
            return
        work, claim = self.kept[nth % len(self.kept)]
        if among_calls and work == self.work_to_expire:
            self.ask(ExpireHold(claim=claim, clock_offset=self.later))
        elif among_calls and getattr(claim, "kind", None) is OrderKind.SCHEDULED_DEPOSIT:
            self.ask(CreditDeposit(id=new_id(), claim=claim))
        else:
            self.post_line()
            self.bank.whim = whim
            work(claim)

    @step(weight=1, nth=NTH, again=st.booleans())
    def wake(self, nth: int, *, again: bool) -> None:
        """Let a worker that fell asleep write down what it was told; it may not know that it has done so."""
        if self.sleepers:
            told = self.sleepers.pop(nth % len(self.sleepers))
            self.ask(told)
            if again:
                self.ask(replace(told, id=new_id()))

    # What must hold.

    @invariant()
    def they_agree(self) -> None:
        """Compare what is stored, the etags and the bank's own books, whenever nothing waits in line."""
        if self.line or self.resting:
            return
        self.look()
        self.look_at_the_bank()
        if any(purse.etag is None for name, purse in self.books.wallets.items() if not name.startswith("system:")):
            self.look_at_etags()

    def teardown(self) -> None:
        """Read everything once more, and prove that the books are right."""
        self.resting = False
        self.post_line()
        self.they_agree()
        self.look_at_etags()
        self.read_everything()


class Brimful(AllVerbs):
    """The same, with amounts around the largest that can be counted."""

    def amount(self, drawn: int) -> int:
        """Count from the top, or from the bottom."""
        return drawn if drawn < 20 else MOST - (60 - drawn) // 3


Parts = tuple[App, Database, psycopg.Connection, Settings]


@pytest.fixture
def parts(app: App, database: Database, owner: psycopg.Connection, settings: Settings) -> Parts:
    """Return what a story needs."""
    return app, database, owner, settings


@pytest.mark.timeout(420)  # a difference takes up to five minutes to be told in its shortest story
def test_every_verb_does_what_the_model_says(parts: Parts) -> None:
    """Alone and in batches, valid and not, repeated, with jobs between them and a bank of every mood."""

    _tell(AllVerbs, parts, stories=often(24), always_the_same=True)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_every_verb_does_what_the_model_says_for_long(parts: Parts) -> None:
    """Other stories each time, and many more."""

    _tell(AllVerbs, parts, stories=1500)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_every_verb_does_what_the_model_says_at_the_brim(parts: Parts) -> None:
    """With wallets so full that no more can be counted."""

    _tell(Brimful, parts, stories=800)


def _tell(machine: type[AllVerbs], parts: Parts, *, stories: int, always_the_same: bool = False) -> None:
    run_state_machine_as_test(
        lambda: machine(*parts),  # type: ignore[arg-type]  # anything that makes a machine will do
        settings=hypothesis_settings(
            max_examples=stories,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            backend=EACH_STORY_ANEW,
            derandomize=always_the_same,
        ),
    )
