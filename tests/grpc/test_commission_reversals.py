"""What a reversal gives back of the commission."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.api import Api
from tests.support.commission import COMMISSION_WALLET, amounts_by_wallet
from tests.support.requests import DESTINATION, SOURCE, a_reversal
from tests.support.reversals import REVERSED, reversal_summary, transfer_name

# How much of a transfer goes back each time, and what is left over at the end.
PARTS = st.lists(st.integers(min_value=1, max_value=60), min_size=1, max_size=5)


@pytest.mark.parametrize("payer", [SOURCE, DESTINATION], ids=["source", "destination"])
def test_the_commission_goes_back_to_its_payer(api: Api, payer: Any) -> None:  # noqa: ANN401  # an enum's value
    """Whole: all wallets have what they had. In part: the part of it, rounded down."""

    api.open("alice", 1000)
    api.open("bob")
    api.charge(payer=payer, rate_millionths=70_000, fixed_minor_units=3)
    paid = api.transfer("alice", "bob", 100)
    source, destination = (-110, 100) if payer == SOURCE else (-100, 90)
    assert amounts_by_wallet(paid) == {"alice": source, "bob": destination, COMMISSION_WALLET: 10}

    part = api.ok(a_reversal(paid.name, 55)).transaction
    rest = api.ok(a_reversal(paid.name)).transaction

    # Of 10 for 100, 5.5 belong to 55.
    if payer == SOURCE:
        assert [amounts_by_wallet(part), amounts_by_wallet(rest)] == [
            {"bob": -55, "alice": 60, COMMISSION_WALLET: -5},
            {"bob": -45, "alice": 50, COMMISSION_WALLET: -5},
        ]
    else:
        assert [amounts_by_wallet(part), amounts_by_wallet(rest)] == [
            {"bob": -50, "alice": 55, COMMISSION_WALLET: -5},
            {"bob": -40, "alice": 45, COMMISSION_WALLET: -5},
        ]
    assert api.balances("alice", "bob", COMMISSION_WALLET) == [1000, 0, 0]
    assert api.transaction(paid.name).commission == paid.commission


@given(
    parts=PARTS,
    left=st.integers(min_value=0, max_value=20),
    charged=st.integers(min_value=0, max_value=400),
    source_pays=st.booleans(),
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_however_it_is_split_what_went_back_of_the_commission_is_its_share_so_far(
    api: Api, parts: Sequence[int], left: int, charged: int, *, source_pays: bool
) -> None:
    """Rounded down to a whole unit each time; in the end it is all of it, and all wallets have what they had."""

    amount = sum(parts) + left
    source, destination = f"alice-{uuid4()}", f"bob-{uuid4()}"
    api.open(source, 2000)
    api.open(destination)
    charged = charged if source_pays else min(charged, amount)
    api.charge(payer=SOURCE if source_pays else DESTINATION, fixed_minor_units=charged)
    (earned_before,) = api.balances(COMMISSION_WALLET)
    paid = transfer_name(api, source, destination, amount)

    so_far = 0
    for part in parts:
        so_far += part
        api.ok(a_reversal(paid, part))
        kept = charged - charged * so_far // amount
        given, gotten = (amount + charged, amount) if source_pays else (amount, amount - charged)
        back = so_far + charged - kept if source_pays else so_far
        taken = so_far if source_pays else so_far - (charged - kept)
        assert api.balances(source, destination, COMMISSION_WALLET) == [
            2000 - given + back,
            gotten - taken,
            earned_before + kept,
        ]
    if left:
        api.ok(a_reversal(paid))
    assert api.balances(source, destination, COMMISSION_WALLET) == [2000, 0, earned_before]


@pytest.mark.parametrize("payer", [SOURCE, DESTINATION], ids=["source", "destination"])
def test_a_commission_that_is_to_be_kept_is_kept(api: Api, payer: Any) -> None:  # noqa: ANN401  # an enum's value
    """The amount goes back as it is; where the destination had paid, it must have that from elsewhere."""

    api.open("alice", 1000)
    api.open("bob", 10)
    api.charge(payer=payer, fixed_minor_units=10)
    paid = transfer_name(api, "alice", "bob", 100)

    back = api.ok(a_reversal(paid, keep_commission=True)).transaction

    assert amounts_by_wallet(back) == {"bob": -100, "alice": 100}
    assert reversal_summary(api, paid)[:2] == (REVERSED, 100)
    assert api.balances("alice", "bob", COMMISSION_WALLET) == ([990, 10, 10] if payer == SOURCE else [1000, 0, 10])


def test_a_part_kept_leaves_at_most_the_share_of_the_others_to_go_back(api: Api) -> None:
    """Half kept, half given back: half of the commission is kept."""

    api.open("alice", 1000)
    api.open("bob")
    api.charge(payer=SOURCE, fixed_minor_units=10)
    paid = transfer_name(api, "alice", "bob", 100)

    api.ok(a_reversal(paid, 50, keep_commission=True))
    api.ok(a_reversal(paid))

    assert api.balances("alice", "bob", COMMISSION_WALLET) == [995, 0, 5]


def test_a_transfer_that_was_all_commission_goes_back_without_the_destination(api: Api) -> None:
    """The destination got nothing, has nothing, and gives nothing; the source has its money again."""

    api.open("alice", 1000)
    api.open("bob")
    api.charge(payer=DESTINATION, rate_millionths=1_000_000)
    paid = transfer_name(api, "alice", "bob", 99)
    assert api.balances("alice", "bob", COMMISSION_WALLET) == [901, 0, 99]

    for units in (50, None):
        api.ok(a_reversal(paid, units))

    assert api.balances("alice", "bob", COMMISSION_WALLET) == [1000, 0, 0]
    assert reversal_summary(api, paid)[:2] == (REVERSED, 99)


def test_a_reversal_shows_no_negative_amount_but_in_its_entries(api: Api) -> None:
    """As Money documents: negative only in balances that use an overdraft and in entries."""

    api.open("alice", 1000)
    api.open("bob")
    api.charge(payer=SOURCE, fixed_minor_units=10)
    paid = transfer_name(api, "alice", "bob", 100)

    back = api.ok(a_reversal(paid)).transaction

    assert back.commission.amount.minor_units >= 0
