"""Steps of one call each: every verb, valid and not, and repeats."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from tests.model.calls import CURRENCY_OF, nth_of, with_new_id
from tests.model.checks import Checks
from tests.model.draws import AMOUNT, ANY_WALLET, ETAG, EXISTING, LABELS, LIMIT, NTH, PART, RARELY, SCHEDULE, step
from tests.model.records import MOST, WITHDRAWAL
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
from wallet_core.domain.commands.holds.place_hold import PlaceHold
from wallet_core.domain.commands.transfers.deposit import Deposit
from wallet_core.domain.commands.wallets.change_wallet import CloseWallet, FreezeWallet, UnfreezeWallet
from wallet_core.domain.model.commission_rule import Label, Payer
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.wallet import Labels, WalletId
from wallet_core.usecases.app import new_id


class SingleSteps(Checks):
    """One call, made alone or collected for the next batch."""

    @step(weight=1)
    def rest(self) -> None:
        """Do nothing: the simplest step, which Hypothesis repeats for a whole run before it draws any other."""

    @step(weight=1, name=st.sampled_from(list(CURRENCY_OF)), limit=LIMIT, labels=LABELS)
    def create_wallet(self, name: str, limit: int, labels: Labels) -> None:
        """Open a wallet, unless there is one of that name."""
        self.call(a_new_wallet(name, CURRENCY_OF[name], labels=labels, overdraft_limit=self.amount(limit)))

    @step(
        weight=2,
        name=ANY_WALLET,
        title=st.sampled_from([None, "a", "b"]),
        labels=st.one_of(st.none(), LABELS),
        limit=st.one_of(st.none(), LIMIT),
        etag=ETAG,
        clear=RARELY,
        wrong=RARELY,
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
        self.call(an_update(name, etag=self.etag(name, etag), display_name=title, labels=labels, **fields))

    @step(
        weight=2,
        name=ANY_WALLET,
        verb=st.sampled_from([FreezeWallet, UnfreezeWallet, UnfreezeWallet, CloseWallet]),
        etag=ETAG,
    )
    def change_state(self, name: str, verb: type[StateChange], etag: str = "") -> None:
        """Freeze, unfreeze or close a wallet."""
        self.call(a_change(verb, name, self.etag(name, etag)))

    @step(weight=2, many=st.lists(st.tuples(ANY_WALLET, AMOUNT), min_size=1, max_size=3), wrong=RARELY)
    def deposit(self, many: list[tuple[str, int]], *, wrong: bool = False) -> None:
        """Put money into wallets."""
        for name, amount in many:
            self.call(a_deposit(name, self.money(name, amount, wrong=wrong)))

    @step(
        weight=4, many=st.lists(st.tuples(ANY_WALLET, ANY_WALLET, AMOUNT, PART), min_size=1, max_size=4), wrong=RARELY
    )
    def transfer(self, many: list[tuple[str, str, int, int | None]], *, wrong: bool = False) -> None:
        """Move money from one wallet to another, and quote the cost before."""
        for source, drawn, amount, most in many:
            destination = drawn if wrong else self.partner(source, drawn)
            money = self.money(source, amount)
            command = a_transfer(source, destination, money, max_commission=self.part(money.currency, most))
            if source != destination and amount > 0 and not self.batch_size and most is None:
                self.quote(command)
            self.call(command)

    @step(weight=2, ends=st.lists(st.tuples(EXISTING, EXISTING, AMOUNT), min_size=1, max_size=5), wrong=RARELY)
    def transfer_all(self, ends: list[tuple[str, str, int]], *, wrong: bool) -> None:
        """Move money between many pairs of wallets, all or none."""
        self.call(
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
        wrong=RARELY,
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
            self.begin_batch(len(parts))
        id_ = nth_of(self.transactions(), nth)
        currency = self.currency_of_transaction(id_)
        if wrong:
            currency = "EUR" if currency == "USD" else "USD"
        for drawn, keep in parts:
            command = a_reversal(id_, self.part(currency, drawn), keep_commission=keep)
            self.call(command if by_operations else by_no_operator(command))

    @step(weight=2, name=ANY_WALLET, amount=AMOUNT, hours=st.sampled_from([1, 3, 50, 50, -24]), wrong=RARELY)
    def place_hold(self, name: str, amount: int, hours: int, *, wrong: bool = False) -> None:
        """Put money aside until a time."""
        self.call(a_hold(name, self.money(name, amount, wrong=wrong), self.time(hours)))

    @step(weight=3, nth=NTH, drawn=ANY_WALLET, part=PART, final=st.booleans(), wrong=RARELY)
    def capture_hold(self, nth: int, drawn: str, part: int | None, *, final: bool, wrong: bool = False) -> None:
        """Capture a hold, all that is left or a part."""
        if not self.books.holds:
            self.place_hold("alice", 9, 50)
        id_ = nth_of(self.holds(), nth)
        holder = self.books.holds[id_].wallet if id_ in self.books.holds else "alice"
        destination = drawn if wrong else self.partner(holder, drawn)
        self.call(a_capture(id_, destination, self.part(self.currency_of_hold(id_), part), final=final))

    @step(weight=1, nth=NTH)
    def void_hold(self, nth: int) -> None:
        """Give a hold up."""
        self.call(a_void(nth_of(self.holds(), nth)))

    @step(weight=2, name=ANY_WALLET, amount=AMOUNT, hours=SCHEDULE, reserve=st.booleans(), wrong=RARELY)
    def schedule_withdrawal(
        self, name: str, amount: int, hours: int | None, *, reserve: bool, wrong: bool = False
    ) -> None:
        """Schedule a payout, with a reserve or without."""
        due = self.time(hours) if hours is not None else None
        self.call(a_withdrawal(name, self.money(name, amount, wrong=wrong), due, reserve=reserve))

    @step(weight=2, name=ANY_WALLET, amount=AMOUNT, hours=SCHEDULE, collect=st.booleans(), wrong=RARELY)
    def schedule_deposit(
        self, name: str, amount: int, hours: int | None, *, collect: bool, wrong: bool = False
    ) -> None:
        """Promise to credit, collected from the bank or not."""
        due = self.time(hours) if hours is not None else None
        self.call(a_scheduled_deposit(name, self.money(name, amount, wrong=wrong), due, collect=collect))

    @step(weight=1, nth=NTH, other=RARELY)
    def cancel(self, nth: int, *, other: bool) -> None:
        """Call an order off, now and then by the name of the other kind."""
        id_ = nth_of(self.orders(), nth)
        paying_out = id_ in self.books.orders and self.books.orders[id_].kind == WITHDRAWAL
        self.call(a_cancelled_withdrawal(id_) if paying_out != other else a_cancelled_deposit(id_))

    @step(
        weight=3,
        name=st.sampled_from([None] * 6 + ["alice"] * 3 + ["bob"] * 2 + ["dora", "nobody", "system:external:USD"]),
        label=st.sampled_from([None, Label("tier", "gold"), Label("tier", "gold"), Label("tier", "")]),
        payer=st.sampled_from(Payer),
        rate=st.sampled_from([0, 15_000, 125_000, 333_333, 500_000, 500_000, 1_000_000, 1_000_001]),
        amounts=st.tuples(*[st.sampled_from([0, 0, 1, 5])] * 3),
        most=st.sampled_from([None, None, 2, 9]),
        hours=st.sampled_from([(None, None)] * 8 + [(None, 5), (None, 5), (3, None), (3, 5), (-24, None), (5, 3)]),
        wrong=RARELY,
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
        self.call(a_rule(currency, start_time=start, end_time=end, **fields))

    @step(weight=1, nth=NTH, hours=st.sampled_from([None, None, 2, 4, 7, -24]))
    def end_rule(self, nth: int, hours: int | None) -> None:
        """Charge nothing more by a rule, from now on or from a time to come."""
        end = self.time(hours) if hours is not None else None
        self.call(an_end(nth_of(list(self.books.rules), nth), end))

    @step(weight=3, nth=NTH, reuse=st.booleans())
    def repeat(self, nth: int, *, reuse: bool) -> None:
        """Repeat an earlier call; or make another one under its request id."""
        before = self.commands[-1 - nth % len(self.commands)]
        if not reuse:
            self.call(with_new_id(before))
        elif isinstance(before, (Deposit, PlaceHold)):
            more = Money(before.amount.currency, before.amount.minor + (1 if before.amount.minor < MOST else -1))
            self.call(replace(before, id=new_id(), amount=more))
        else:
            self.call(replace(a_transfer("alice", "bob", Money("USD", 1000)), request=before.request))

    @step(weight=3, length=st.integers(2, 6))
    def together(self, length: int) -> None:
        """Post the next few calls in one batch."""
        self.begin_batch(length)
