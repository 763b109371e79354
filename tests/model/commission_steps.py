"""Steps of several calls about commission: rules that begin and end between transfers and reversals."""

from typing import Any

from hypothesis import strategies as st

from tests.model.calls import CURRENCY_OF
from tests.model.combined_steps import CombinedSteps
from tests.model.draws import EXISTING, step
from tests.support.commands import (
    a_rule,
    an_end,
)
from wallet_core.domain.model.commission_rule import Label, Payer
from wallet_core.domain.model.wallet import WalletId


class CommissionSteps(CombinedSteps):
    """Sequences of rules, transfers and reversals."""

    @step(
        weight=1,
        source=EXISTING,
        drawn=EXISTING,
        amount=st.integers(1, 40),
        below=st.sampled_from([0, 1, 5]),
        payer=st.sampled_from(Payer),
        end=st.booleans(),
    )
    def charge_and_transfer(  # noqa: PLR0913  # the step's parameters
        self, source: str, drawn: str, amount: int, below: int, payer: Payer, *, end: bool
    ) -> None:
        """Transfer, make a rule, transfer again, and perhaps end the rule, in one batch."""
        self.begin_batch(4)
        destination = self.partner(source, drawn)
        self.transfer([(source, destination, amount, None)])
        threshold = max(0, amount - below)
        self.create_rule(source if payer is Payer.SOURCE else destination, payer, 125_000, amounts=(threshold, 1, 0))
        self.transfer([(source, destination, amount, None)])
        if end:
            self.end_rule(0, None)

    @step(
        weight=2,
        source=EXISTING,
        amount=st.integers(3, 40),
        rate=st.sampled_from([125_000, 333_333, 500_000, 1_000_000]),
        payer=st.sampled_from(Payer),
        parts=st.lists(st.tuples(st.one_of(st.none(), st.integers(1, 12)), st.booleans()), min_size=2, max_size=4),
        together=st.booleans(),
    )
    def charge_and_give_back(  # noqa: PLR0913  # the step's parameters
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
        self.post_batch()
        destination = self.partner(source, source)
        self.create_rule(source if payer is Payer.SOURCE else destination, payer, rate, amounts=(0, 0, 0))
        self.transfer([(source, destination, amount, None)])
        self.reverse(0, parts, together=together)

    @step(
        weight=1,
        source=EXISTING,
        amount=st.integers(1, 40),
        payer=st.sampled_from(Payer),
        ends=st.permutations([0, 1, 2]),
    )
    def charge_by_one_of_many(self, source: str, amount: int, payer: Payer, ends: list[int]) -> None:
        """Make rules for a wallet, for its label and for all, transfer, and again as one after the other ends."""
        self.post_batch()
        destination = self.partner(source, source)
        charged = source if payer is Payer.SOURCE else destination
        self.update_wallet(charged, labels={"tier": "gold"})
        scopes: list[dict[str, Any]] = [{}, {"label": Label("tier", "gold")}, {"wallet": WalletId(charged)}]
        made = [a_rule(CURRENCY_OF[charged], payer=payer, fixed=1 + place, **scopes[place]) for place in ends]
        for one in made:
            self.call(one)
        for place in reversed(ends):
            self.transfer([(source, destination, amount, None)])
            self.call(an_end(made[place].id))
