"""Commission by its rules: how much is charged, whom, and by which rule.

Compared with plain arithmetic and the contract.
"""

import ast
import inspect
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.ledger_pages import ALICE, BOB, CAROL, NOW, a_transfer, books_of, wallet
from wallet_core.domain.commands.commission import change_rules as change_commission
from wallet_core.domain.commands.transfers import reverse_transaction, transfer
from wallet_core.domain.deciding import ledger_state as books
from wallet_core.domain.deciding.decide import decide
from wallet_core.domain.deciding.decision import Done, Refused
from wallet_core.domain.model import commission_rule as commission
from wallet_core.domain.model import money, transaction
from wallet_core.domain.model.commission_rule import (
    Commission,
    CommissionRule,
    Label,
    Payer,
    Side,
    commission_on,
    share_of,
)
from wallet_core.domain.model.errors import InsufficientFunds, LimitExceeded
from wallet_core.domain.model.money import INT64_MAX, INT64_MIN, Money
from wallet_core.domain.model.transaction import Movement, TransactionType
from wallet_core.domain.model.wallet import Role, WalletId, system_wallet

EARNER = system_wallet(Role.COMMISSION, "USD")
GOLD = Label("tier", "gold")
SECOND = timedelta(seconds=1)

AMOUNTS = st.one_of(
    st.integers(min_value=1, max_value=3_000_000),
    st.integers(min_value=1, max_value=INT64_MAX),
    st.integers(min_value=INT64_MAX - 1000, max_value=INT64_MAX),
)
NOT_NEGATIVE = st.one_of(st.just(0), st.integers(min_value=0, max_value=5000), st.integers(0, INT64_MAX))
RATES = st.one_of(st.sampled_from([0, 1, 15_000, 100_000, 500_000, 999_999, 1_000_000]), st.integers(0, 1_000_000))
PAYERS = st.sampled_from(Payer)

few = settings(max_examples=50, deadline=None)


def a_rule(number: int = 1, **changes: Any) -> CommissionRule:  # noqa: ANN401  # a rule's fields
    """Return a rule for all of USD that takes nothing yet, with *changes*; a higher *number* is a newer id."""
    values: dict[str, Any] = {
        "id": UUID(int=number),
        "currency": "USD",
        "threshold": 0,
        "rate_millionths": 0,
        "fixed": 0,
        "minimum": 0,
        "maximum": None,
        "payer": Payer.SOURCE,
        "wallet": None,
        "label": None,
        "start_time": NOW - SECOND,
        "end_time": None,
        "create_time": NOW - SECOND,
    }
    return CommissionRule(**(values | changes))


@st.composite
def terms(draw: st.DrawFn) -> CommissionRule:
    """Return any rule that may be created for all of USD."""
    minimum = draw(NOT_NEGATIVE)
    return a_rule(
        rate_millionths=draw(RATES),
        fixed=draw(NOT_NEGATIVE),
        minimum=minimum,
        maximum=draw(st.one_of(st.none(), st.integers(minimum, minimum + 5000), st.integers(minimum, INT64_MAX))),
        payer=draw(PAYERS),
    )


def due(rule: CommissionRule, amount: int) -> int:
    """Return the commission by the contract, in fractions."""
    exact = rule.fixed + Fraction(amount * rule.rate_millionths, 1_000_000)
    rounded = int(exact + Fraction(1, 2))
    raised = max(rounded, rule.minimum)
    return raised if rule.maximum is None else min(raised, rule.maximum)


def charged(
    rules: Sequence[CommissionRule], amount: int = 1000, source: Side | None = None, destination: Side | None = None
) -> Commission | None:
    """Return what a transfer from Alice to Bob is charged now, by default both without labels."""
    sides = source or Side(ALICE, {}), destination or Side(BOB, {})
    return commission_on(Money("USD", amount), *sides, rules, NOW)


def rule_of(found: Commission | None) -> UUID | None:
    """Return the rule that was applied."""
    return found.rule if found is not None else None


@given(rule=terms(), amount=AMOUNTS)
def test_what_is_taken_is_fixed_and_rate_rounded_half_up_once_then_raised_then_cut(
    rule: CommissionRule, amount: int
) -> None:
    """In this order, exactly, and never below zero."""

    taken = rule.take_of(amount)

    assert taken == due(rule, amount)
    assert taken >= 0
    assert type(taken) is int


@pytest.mark.parametrize(
    ("amount", "taken"), [(100_001, 10_000), (100_004, 10_000), (100_005, 10_001), (100_006, 10_001)]
)
def test_a_half_of_a_minor_unit_is_rounded_up(amount: int, taken: int) -> None:
    """T4: 10 % of 1000.01 is 100.00, of 1000.05 it is 100.01."""

    assert a_rule(rate_millionths=100_000).take_of(amount) == taken


def test_the_rate_is_rounded_before_minimum_and_maximum_and_the_maximum_goes_last() -> None:
    """Each step by itself."""

    half = a_rule(rate_millionths=500_000)

    assert [half.take_of(amount) for amount in (1, 2, 3)] == [1, 1, 2]
    assert replace(half, fixed=7).take_of(3) == 9
    assert replace(half, minimum=5).take_of(3) == 5
    assert replace(half, maximum=1).take_of(3) == 1
    assert replace(half, fixed=100, minimum=5, maximum=5).take_of(3) == 5
    assert replace(half, fixed=100, maximum=0).take_of(3) == 0


@given(rule=terms(), amounts=st.tuples(AMOUNTS, AMOUNTS))
@few
def test_a_larger_amount_is_never_charged_less(rule: CommissionRule, amounts: tuple[int, int]) -> None:
    """With any minimum and maximum."""

    less, more = sorted(amounts)

    assert rule.take_of(less) <= rule.take_of(more)


@given(rule=terms(), amount=AMOUNTS)
def test_the_legs_sum_to_zero_and_the_parts_to_the_whole(rule: CommissionRule, amount: int) -> None:
    """With either payer; no leg is empty, and no number is beyond 64 bits."""

    most = amount if rule.payer is Payer.DESTINATION else INT64_MAX - amount
    if due(rule, amount) > most:
        with pytest.raises(LimitExceeded) as caught:
            charged([rule], amount)
        assert (caught.value.resource, caught.value.limit) == (rule.name, most)
        return
    found = charged([rule], amount)
    assert found is not None
    taken = found.amount.minor
    moved = Movement(
        id=UUID(int=9),
        type=TransactionType.TRANSFER,
        amount=Money("USD", amount),
        source=ALICE,
        destination=BOB,
        commission=found,
    )
    legs = {leg.wallet: leg.amount for leg in moved.legs}

    on_top, out_of_it = (taken, 0) if rule.payer is Payer.SOURCE else (0, taken)
    expected = {ALICE: -amount - on_top, BOB: amount - out_of_it, EARNER: taken}
    assert legs == {name: part for name, part in expected.items() if part}
    assert (sum(legs.values()), len(moved.legs)) == (0, len(legs))
    assert all(INT64_MIN <= part <= INT64_MAX and type(part) is int for part in legs.values())


@given(rule=terms(), amount=AMOUNTS, funds=st.tuples(NOT_NEGATIVE, NOT_NEGATIVE, NOT_NEGATIVE), overdraft=NOT_NEGATIVE)
@few
def test_a_transfer_near_64_bits_is_done_or_refused_and_never_a_defect(
    rule: CommissionRule, amount: int, funds: tuple[int, int, int], overdraft: int
) -> None:
    """Every number that is stored fits; what does not is LIMIT_EXCEEDED or too little money."""

    alice, bob, earned = funds
    pages = books_of(wallet(ALICE, alice, key=1), wallet(BOB, bob, key=2))
    pages.wallets[ALICE].overdraft_limit = min(overdraft, INT64_MAX - alice)
    pages.wallets[EARNER].balance = earned
    pages.rules[rule.id] = rule
    before = {name: found.balance for name, found in pages.wallets.items()}

    (outcome,) = decide(pages, [a_transfer(amount)])

    after = {name: found.balance for name, found in pages.wallets.items()}
    if isinstance(outcome, Refused):
        assert isinstance(outcome.refusal, LimitExceeded | InsufficientFunds)
        assert after == before
        return
    assert isinstance(outcome, Done)
    assert sum(after.values()) == sum(before.values())
    assert all(INT64_MIN <= after[name] <= INT64_MAX for name in (ALICE, BOB, EARNER))
    assert after[EARNER] - earned == due(rule, amount)
    assert after[ALICE] >= -pages.wallets[ALICE].overdraft_limit


@given(payer=PAYERS, threshold=st.integers(0, INT64_MAX - 1))
@few
def test_a_rule_applies_above_its_threshold_only(payer: Payer, threshold: int) -> None:
    """An amount of just the threshold is free."""

    rule = a_rule(threshold=threshold, payer=payer)

    assert rule_of(charged([rule], threshold + 1)) == rule.id
    if threshold:
        assert charged([rule], threshold) is None


def test_a_rule_applies_from_its_start_to_right_before_its_end() -> None:
    """Each end to the microsecond; one that ends before it starts never applies."""

    instant = timedelta(microseconds=1)
    times = [
        (NOW, None, True),
        (NOW + instant, None, False),
        (NOW - SECOND, NOW + instant, True),
        (NOW - SECOND, NOW, False),
        (NOW - SECOND, NOW - instant, False),
        (NOW, NOW + instant, True),
        (NOW + SECOND, NOW - SECOND, False),
        (NOW, NOW, False),
    ]

    for start, end, applies in times:
        assert (charged([a_rule(start_time=start, end_time=end)]) is not None) is applies, (start, end)


@pytest.mark.parametrize("scope", [{"wallet": CAROL}, {"label": GOLD}], ids=["wallet", "label"])
@pytest.mark.parametrize("payer", Payer)
def test_a_rule_looks_at_the_side_that_pays(scope: dict[str, Any], payer: Payer) -> None:
    """The source's wallet and labels where it pays, the destination's where that does; never the other's."""

    rule = a_rule(fixed=1, payer=payer, **scope)
    carol = Side(CAROL, {"tier": "gold", "kind": "shop"})
    others = [Side(BOB, {}), Side(BOB, {"tier": "silver"}), Side(BOB, {"Tier": "gold", "gold": "tier"})]

    for other in others:
        from_carol, to_carol = charged([rule], 10, carol, other), charged([rule], 10, other, carol)
        assert rule_of(from_carol) == (rule.id if payer is Payer.SOURCE else None)
        assert rule_of(to_carol) == (rule.id if payer is Payer.DESTINATION else None)


def test_an_empty_label_value_fits_only_a_wallet_that_has_it_empty() -> None:
    """A wallet without the label is another."""

    rule = a_rule(label=Label("tier", ""))

    assert rule_of(charged([rule], source=Side(ALICE, {"tier": ""}))) == rule.id
    assert charged([rule], source=Side(ALICE, {})) is None
    assert charged([rule], source=Side(ALICE, {"tier": "gold"})) is None


@st.composite
def competing(draw: st.DrawFn) -> list[CommissionRule]:
    """Return rules in the order of their creation, with ids that grow as they are made; many begin alike."""
    rules: list[CommissionRule] = []
    for number in range(draw(st.integers(1, 8))):
        scope: dict[str, WalletId | Label] = draw(st.sampled_from([{}, {"wallet": ALICE}, {"label": GOLD}]))
        start = NOW - draw(st.sampled_from([1, 2, 2, 3])) * SECOND
        rules.append(a_rule(number, start_time=start, create_time=NOW + (number - 60) * SECOND, **scope))
    return rules


@given(rules=competing().flatmap(st.permutations))
@few
def test_wallet_goes_before_label_before_currency_then_the_later_start_then_the_newer(
    rules: list[CommissionRule],
) -> None:
    """In any order."""

    def rank(rule: CommissionRule) -> tuple[int, object, object]:
        scope = 2 if rule.wallet is not None else 1 if rule.label is not None else 0
        return scope, rule.start_time, rule.create_time

    assert rule_of(charged(rules, source=Side(ALICE, {"tier": "gold"}))) == max(rules, key=rank).id


def test_of_two_rules_that_begin_alike_the_one_created_later_by_the_databases_clock_applies() -> None:
    """Ids are made by each process's own clock, and before the queue: they do not order rules by age."""

    start = NOW - SECOND
    older = a_rule(2, start_time=start, create_time=NOW - 60 * SECOND)
    newer = a_rule(1, start_time=start, create_time=NOW - 50 * SECOND)

    assert rule_of(charged([older, newer])) == newer.id


@given(
    taken=st.integers(0, INT64_MAX),
    parts=st.lists(st.integers(1, 10**6), min_size=1, max_size=8),
)
@few
def test_the_shares_of_a_commission_sum_to_the_whole(taken: int, parts: list[int]) -> None:
    """However the amount is cut, and never below zero in between."""

    whole, before, shares = sum(parts), 0, []
    for part in parts:
        shares.append(share_of(taken, before + part, whole) - share_of(taken, before, whole))
        before += part

    assert sum(shares) == taken
    assert min(shares) >= 0


@pytest.mark.parametrize(
    "module",
    [books, change_commission, commission, money, reverse_transaction, transaction, transfer],
    ids=lambda module: module.__name__.rpartition(".")[2],
)
def test_no_amount_is_ever_a_float(module: ModuleType) -> None:
    """Neither written, nor divided, nor requested."""

    tree = ast.parse(inspect.getsource(module))

    found = [
        node
        for node in ast.walk(tree)
        if (isinstance(node, ast.Constant) and isinstance(node.value, float | complex))
        or isinstance(node, ast.Div)
        or (isinstance(node, ast.Name) and node.id in {"float", "round", "Decimal"})
    ]
    assert found == []
