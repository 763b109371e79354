"""Reversals as callers make them: what moved goes back, whole or in parts, and never more than moved."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wallet.v1 import schedule_service_pb2 as schedule_pb
from wallet.v1 import transaction_service_pb2 as pb

from bank_stub.server import BankServer
from scheduler.jobs import collect_due_deposits, credit_due_deposits, pay_due_withdrawals
from tests.support.asking import Asking, refused
from tests.support.callers import BIGGEST, everything
from tests.support.payouts import Bank
from tests.support.requests import (
    DESTINATION,
    SOURCE,
    a_capture,
    a_deposit,
    a_hold,
    a_reversal,
    an_item,
    atomic,
    changed,
    money,
    new_id,
)
from wallet_core.usecases.app import App

POSTED, PARTIALLY_REVERSED, REVERSED = (
    pb.Transaction.STATE_POSTED,
    pb.Transaction.STATE_PARTIALLY_REVERSED,
    pb.Transaction.STATE_REVERSED,
)
EARNED = "system:commission:USD"
EXTERNAL = "system:external:USD"
NO_TRANSACTION = f"transactions/{uuid4()}"

# How much of a transfer goes back each time, and what is left over at the end.
PARTS = st.lists(st.integers(min_value=1, max_value=60), min_size=1, max_size=5)


@pytest.fixture
def rent(asking: Asking) -> str:
    """Return a transfer of 100 from Alice, who had 1000, to Bob, who had nothing."""
    asking.open("alice", 1000)
    asking.open("bob")
    return moved(asking, "alice", "bob", 100)


def moved(asking: Asking, source: str, destination: str, units: int) -> str:
    """Transfer; return the transaction's name."""
    return str(asking.transfer(source, destination, units).name)


def told(asking: Asking, name: str) -> tuple[int, int, list[str]]:
    """Return a transaction's state, how much of it went back, and by what."""
    found = asking.transaction(name)
    return found.state, found.reversed_amount.minor_units, list(found.reversals)


def legs(transaction: Any) -> dict[str, int]:  # noqa: ANN401  # a transaction
    """Return what a transaction added to whom."""
    return {entry.wallet.removeprefix("wallets/"): entry.amount.minor_units for entry in transaction.entries}


def test_a_transfer_goes_back_whole_and_both_name_each_other(asking: Asking, rent: str) -> None:
    """One transaction of its own; of the first nothing changes but what is said of its reversals."""

    before = asking.transaction(rent)
    assert (before.state, before.reversed_amount, before.reverses) == (POSTED, money(0), "")

    made = asking.ok(a_reversal(rent, description="wrong person"))

    back = made.transaction
    assert made.replayed is False
    assert (back.type, back.state, back.amount) == (pb.Transaction.TYPE_REVERSAL, POSTED, money(100))
    assert (back.source, back.destination, back.reverses) == ("wallets/bob", "wallets/alice", rent)
    assert (back.description, legs(back)) == ("wrong person", {"bob": -100, "alice": 100})
    assert asking.transaction(back.name) == back
    after = asking.transaction(rent)
    assert (after.state, after.reversed_amount, list(after.reversals)) == (REVERSED, money(100), [back.name])
    for field in ("state", "reversed_amount", "reversals"):
        before.ClearField(field)
        after.ClearField(field)
    assert after == before
    assert asking.balances("alice", "bob") == [1000, 0]


def test_a_transfer_goes_back_in_parts_and_not_a_unit_more(
    asking: Asking, owner: psycopg.Connection, rent: str
) -> None:
    """POSTED, PARTIALLY_REVERSED, REVERSED; the limit told is what is left, and in the end nothing is."""

    asking.deposit("bob", 500)
    first = asking.ok(a_reversal(rent, 30)).transaction.name
    assert told(asking, rent) == (PARTIALLY_REVERSED, 30, [first])
    second = asking.ok(a_reversal(rent, 30)).transaction.name
    too_much = refused(asking, owner, a_reversal(rent, 41))
    assert (too_much.code, too_much.reason) == ("FAILED_PRECONDITION", "LIMIT_EXCEEDED")
    assert too_much.metadata == {"resourceName": rent, "limit": "40"}

    third = asking.ok(a_reversal(rent)).transaction

    assert third.amount == money(40)
    assert told(asking, rent) == (REVERSED, 100, [first, second, third.name])
    for request in (a_reversal(rent), a_reversal(rent, 1)):
        nothing = refused(asking, owner, request)
        assert (nothing.reason, nothing.metadata["resourceName"]) == ("STATE_TRANSITION_FORBIDDEN", rent)
        assert nothing.metadata["state"] == "REVERSED"
    assert asking.balances("alice", "bob") == [1000, 500]
    listed = asking.ok(pb.ListTransactionsRequest(wallet="wallets/alice", filter="state = REVERSED")).transactions
    assert [one.name for one in listed] == [rent]


@pytest.mark.parametrize("payer", [SOURCE, DESTINATION], ids=["source", "destination"])
def test_the_commission_goes_back_to_who_paid_it(asking: Asking, payer: Any) -> None:  # noqa: ANN401  # an enum's value
    """Whole: everybody has what they had. In part: the part of it, rounded down."""

    asking.open("alice", 1000)
    asking.open("bob")
    asking.charge(payer=payer, rate_millionths=70_000, fixed_minor_units=3)
    paid = asking.transfer("alice", "bob", 100)
    source, destination = (-110, 100) if payer == SOURCE else (-100, 90)
    assert legs(paid) == {"alice": source, "bob": destination, EARNED: 10}

    part = asking.ok(a_reversal(paid.name, 55)).transaction
    rest = asking.ok(a_reversal(paid.name)).transaction

    # Of 10 for 100, 5.5 belong to 55.
    if payer == SOURCE:
        assert [legs(part), legs(rest)] == [
            {"bob": -55, "alice": 60, EARNED: -5},
            {"bob": -45, "alice": 50, EARNED: -5},
        ]
    else:
        assert [legs(part), legs(rest)] == [
            {"bob": -50, "alice": 55, EARNED: -5},
            {"bob": -40, "alice": 45, EARNED: -5},
        ]
    assert asking.balances("alice", "bob", EARNED) == [1000, 0, 0]
    assert asking.transaction(paid.name).commission == paid.commission


@given(
    parts=PARTS,
    left=st.integers(min_value=0, max_value=20),
    charged=st.integers(min_value=0, max_value=400),
    source_pays=st.booleans(),
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_however_it_is_split_what_went_back_of_the_commission_is_its_share_so_far(
    asking: Asking, parts: Sequence[int], left: int, charged: int, *, source_pays: bool
) -> None:
    """Rounded down to a whole unit each time; in the end it is all of it, and everybody has what they had."""

    amount = sum(parts) + left
    source, destination = f"alice-{uuid4()}", f"bob-{uuid4()}"
    asking.open(source, 2000)
    asking.open(destination)
    charged = charged if source_pays else min(charged, amount)
    asking.charge(payer=SOURCE if source_pays else DESTINATION, fixed_minor_units=charged)
    (earned_before,) = asking.balances(EARNED)
    paid = moved(asking, source, destination, amount)

    so_far = 0
    for part in parts:
        so_far += part
        asking.ok(a_reversal(paid, part))
        kept = charged - charged * so_far // amount
        given, gotten = (amount + charged, amount) if source_pays else (amount, amount - charged)
        back = so_far + charged - kept if source_pays else so_far
        taken = so_far if source_pays else so_far - (charged - kept)
        assert asking.balances(source, destination, EARNED) == [
            2000 - given + back,
            gotten - taken,
            earned_before + kept,
        ]
    if left:
        asking.ok(a_reversal(paid))
    assert asking.balances(source, destination, EARNED) == [2000, 0, earned_before]


@pytest.mark.parametrize("payer", [SOURCE, DESTINATION], ids=["source", "destination"])
def test_a_commission_that_is_to_be_kept_is_kept(asking: Asking, payer: Any) -> None:  # noqa: ANN401  # an enum's value
    """The amount goes back as it is; where the destination had paid, it must have that from elsewhere."""

    asking.open("alice", 1000)
    asking.open("bob", 10)
    asking.charge(payer=payer, fixed_minor_units=10)
    paid = moved(asking, "alice", "bob", 100)

    back = asking.ok(a_reversal(paid, keep_commission=True)).transaction

    assert legs(back) == {"bob": -100, "alice": 100}
    assert told(asking, paid)[:2] == (REVERSED, 100)
    assert asking.balances("alice", "bob", EARNED) == ([990, 10, 10] if payer == SOURCE else [1000, 0, 10])


def test_a_part_kept_leaves_at_most_the_share_of_the_others_to_go_back(asking: Asking) -> None:
    """Half kept, half given back: half of the commission is kept."""

    asking.open("alice", 1000)
    asking.open("bob")
    asking.charge(payer=SOURCE, fixed_minor_units=10)
    paid = moved(asking, "alice", "bob", 100)

    asking.ok(a_reversal(paid, 50, keep_commission=True))
    asking.ok(a_reversal(paid))

    assert asking.balances("alice", "bob", EARNED) == [995, 0, 5]


def test_a_transfer_that_was_all_commission_goes_back_without_the_destination(asking: Asking) -> None:
    """The destination got nothing, has nothing, and gives nothing; the source has its money again."""

    asking.open("alice", 1000)
    asking.open("bob")
    asking.charge(payer=DESTINATION, rate_millionths=1_000_000)
    paid = moved(asking, "alice", "bob", 99)
    assert asking.balances("alice", "bob", EARNED) == [901, 0, 99]

    for units in (50, None):
        asking.ok(a_reversal(paid, units))

    assert asking.balances("alice", "bob", EARNED) == [1000, 0, 0]
    assert told(asking, paid)[:2] == (REVERSED, 99)


def test_a_reversal_shows_no_negative_amount_but_in_its_entries(asking: Asking) -> None:
    """As Money says of itself: negative only in balances that use an overdraft and in entries."""

    asking.open("alice", 1000)
    asking.open("bob")
    asking.charge(payer=SOURCE, fixed_minor_units=10)
    paid = moved(asking, "alice", "bob", 100)

    back = asking.ok(a_reversal(paid)).transaction

    assert back.commission.amount.minor_units >= 0


def test_a_deposit_goes_back_to_the_outside(asking: Asking, owner: psycopg.Connection) -> None:
    """The wallet must have the money."""

    asking.open("alice")
    paid_in = asking.deposit("alice", 100).name
    asking.ok(a_reversal(paid_in, 60))
    asking.open("bob")
    asking.transfer("alice", "bob", 1)

    short = refused(asking, owner, a_reversal(paid_in))
    last = asking.ok(a_reversal(paid_in, 39)).transaction

    assert short.reason == "INSUFFICIENT_FUNDS"
    assert short.metadata == {"wallet": "wallets/alice", "currencyCode": "USD", "available": "39", "required": "40"}
    assert (last.source, last.destination) == ("wallets/alice", f"wallets/{EXTERNAL}")
    assert asking.balances("alice", "bob", EXTERNAL) == [0, 1, -1]
    assert told(asking, paid_in)[:2] == (PARTIALLY_REVERSED, 99)


def test_only_transfers_and_deposits_can_be_reversed(
    app: App, bank: BankServer, asking: Asking, owner: psycopg.Connection
) -> None:
    """Not what a withdrawal, a capture, a collection or a reversal has moved; but a scheduled deposit is a deposit."""

    others = every_other_transaction(app, bank, asking, owner)

    assert set(others) == {
        "WITHDRAWAL",
        "WITHDRAWAL_SETTLEMENT",
        "WITHDRAWAL_RELEASE",
        "HOLD_CAPTURE",
        "COLLECTION",
        "REVERSAL",
    }
    for name in others.values():
        for request in (a_reversal(name), a_reversal(name, 1), a_reversal(name, 999_999)):
            no = refused(asking, owner, request)
            assert (no.code, no.reason) == ("FAILED_PRECONDITION", "STATE_TRANSITION_FORBIDDEN")
            assert (no.metadata["resourceName"], no.metadata["state"], bool(no.metadata["explanation"])) == (
                name,
                "POSTED",
                True,
            )
    (scheduled,) = owner.execute("SELECT id FROM transactions WHERE type = 'DEPOSIT' AND cause IS NOT NULL").fetchall()
    assert asking.ok(a_reversal(f"transactions/{scheduled[0]}")).transaction.amount == money(7)


def every_other_transaction(app: App, bank: BankServer, asking: Asking, owner: psycopg.Connection) -> dict[str, str]:
    """Make a transaction of each type but transfers and plain deposits; return their names by type."""
    asking.open("alice", 1000)
    asking.open("bob")
    asking.ok(schedule_pb.ScheduleWithdrawalRequest(wallet="wallets/alice", amount=money(5), request_id=new_id()))
    for collect in (True, False):
        scheduled = schedule_pb.ScheduleDepositRequest(wallet="wallets/alice", amount=money(7), collect=collect)
        asking.ok(changed(scheduled, request_id=new_id()))
    for job in (pay_due_withdrawals, collect_due_deposits, credit_due_deposits):
        job.run_once(app)
    Bank(bank.url).order("declined", times=1)
    asking.ok(schedule_pb.ScheduleWithdrawalRequest(wallet="wallets/alice", amount=money(6), request_id=new_id()))
    pay_due_withdrawals.run_once(app, clock_offset=timedelta(seconds=1))
    asking.ok(a_capture(asking.ok(a_hold("alice", 9)).hold.name, "bob"))
    asking.ok(a_reversal(moved(asking, "alice", "bob", 3)))
    rows = owner.execute("SELECT type, id FROM transactions WHERE type NOT IN ('TRANSFER', 'DEPOSIT')").fetchall()
    return {type_: f"transactions/{id_}" for type_, id_ in rows}


def test_the_wallet_that_got_the_money_must_have_it(asking: Asking, owner: psycopg.Connection, rent: str) -> None:
    """What it holds for somebody is not there; its overdraft is."""

    asking.open("carol")
    asking.ok(a_hold("bob", 30))
    short = refused(asking, owner, a_reversal(rent, 71))
    assert short.metadata == {"wallet": "wallets/bob", "currencyCode": "USD", "available": "70", "required": "71"}
    assert told(asking, rent) == (POSTED, 0, [])
    asking.open("dora", overdraft_limit=money(100))
    paid = moved(asking, "alice", "dora", 50)
    asking.transfer("dora", "carol", 50)

    asking.ok(a_reversal(paid))

    assert asking.funds("dora") == (-50, 0, 50)


def test_money_goes_back_to_a_frozen_wallet_but_not_to_a_closed_one(asking: Asking, owner: psycopg.Connection) -> None:
    """And from a closed one nothing comes."""

    asking.open("bob", 50)
    for name in ("cold", "gone", "empty"):
        asking.open(name, 10)
    to_cold, to_gone = moved(asking, "cold", "bob", 10), moved(asking, "gone", "bob", 10)
    from_empty = moved(asking, "bob", "empty", 10)
    asking.transfer("empty", "bob", 20)
    asking.freeze("cold")
    asking.close("gone")
    asking.close("empty")

    for name, wallet in ((to_gone, "gone"), (from_empty, "empty")):
        no = refused(asking, owner, a_reversal(name))
        assert (no.reason, no.metadata) == (
            "WALLET_NOT_ACTIVE",
            {"resourceName": f"wallets/{wallet}", "state": "CLOSED"},
        )
    asking.ok(a_reversal(to_cold))
    assert asking.balances("cold") == [10]


def test_a_reversal_into_a_full_wallet_is_refused(asking: Asking, owner: psycopg.Connection) -> None:
    """LIMIT_EXCEEDED of the giver; what fits goes back."""

    asking.open("alice", BIGGEST)
    asking.open("bob")
    paid = moved(asking, "alice", "bob", 10)
    asking.deposit("alice", 1)

    full = refused(asking, owner, a_reversal(paid))

    assert full.metadata == {"resourceName": "wallets/alice", "limit": str(BIGGEST)}
    assert full.reason == "LIMIT_EXCEEDED"
    asking.ok(a_reversal(paid, 9))
    assert asking.balances("alice") == [BIGGEST]


def test_one_transfer_of_a_batch_goes_back_alone(asking: Asking) -> None:
    """The batch made them together; they are reversed each by itself."""

    asking.open("alice", 100)
    for name in ("bob", "carol"):
        asking.open(name)
    first, second = asking.ok(atomic([an_item("alice", "bob", 10), an_item("alice", "carol", 20)])).results

    back = asking.ok(a_reversal(second.transaction.name)).transaction

    assert (back.batch, asking.balances("alice", "bob", "carol")) == ("", [90, 10, 0])
    assert [told(asking, one.transaction.name)[0] for one in (first, second)] == [POSTED, REVERSED]


def test_a_repeat_returns_the_first_reversal_and_moves_nothing(
    asking: Asking, owner: psycopg.Connection, rent: str
) -> None:
    """Also of "all that is left", though that is another amount by now; a refusal is repeated too."""

    part, short = a_reversal(rent, 30), a_reversal(rent, 10)
    first = asking.ok(part)
    asking.transfer("bob", "alice", 65)
    no = asking.refused(short)
    asking.deposit("bob", 100)
    rest = a_reversal(rent)
    last = asking.ok(rest)
    before = everything(owner)

    again = [asking.ok(request) for request in (part, rest)]

    assert [answer.replayed for answer in (first, last, *again)] == [False, False, True, True]
    assert [answer.transaction for answer in again] == [first.transaction, last.transaction]
    assert (no.reason, asking.refused(short)) == ("INSUFFICIENT_FUNDS", no)
    assert asking.ok(changed(part, validate_only=True)).transaction == first.transaction
    assert everything(owner) == before
    other: list[Any] = [
        changed(part, amount=money(31)),
        changed(part, keep_commission=True),
        changed(part, description="else"),
        changed(a_reversal(rent), request_id=part.request_id),
        changed(part, name=NO_TRANSACTION),
        changed(a_deposit("alice", 30), request_id=part.request_id),
    ]
    for request in other:
        reused = refused(asking, owner, request)
        assert (reused.reason, reused.metadata) == (
            "REQUEST_ID_REUSED",
            {
                "requestId": part.request_id,
                "method": "ReverseTransaction",
                "resourceName": first.transaction.name,
            },
        )


def test_validating_a_reversal_answers_alike_and_stores_nothing(asking: Asking, owner: psycopg.Connection) -> None:
    """A part with its commission, then the rest without."""

    asking.open("alice", 1000)
    asking.open("bob")
    asking.charge(payer=DESTINATION, rate_millionths=33_333, fixed_minor_units=1)
    paid = moved(asking, "alice", "bob", 100)
    asking.deposit("bob", 100)

    for request in (a_reversal(paid, 33, description="d"), a_reversal(paid, keep_commission=True)):
        before = everything(owner)
        tried = asking.ok(changed(request, validate_only=True))
        assert everything(owner) == before
        made = asking.ok(request)
        assert (tried.transaction.name, tried.replayed) == ("", False)
        for answer in (tried, made):
            answer.transaction.ClearField("name")
            answer.transaction.ClearField("execute_time")
        assert tried == made


@pytest.mark.usefixtures("rent")
def test_of_two_faults_the_first_documented_is_told(asking: Asking) -> None:
    """Shape, used id, existence, currency, states, what kind it is and what is left, funds, the largest balance."""

    asking.open("shut", 10)
    asking.open("gone", 10)
    asking.open("full", BIGGEST - 5000)
    to_shut, from_gone = moved(asking, "alice", "shut", 10), moved(asking, "gone", "bob", 10)
    capture_to_shut = asking.ok(a_capture(asking.ok(a_hold("alice", 1)).hold.name, "shut")).transaction.name
    done = moved(asking, "alice", "bob", 5)
    asking.ok(a_reversal(done))
    spent = moved(asking, "alice", "bob", 50)
    from_full = moved(asking, "full", "alice", 3000)
    asking.transfer("alice", "full", asking.funds("alice")[2])
    asking.deposit("full", 3000)
    asking.transfer("shut", "bob", 21)
    asking.transfer("bob", "alice", asking.funds("bob")[2])
    asking.close("shut")
    asking.close("gone")
    used = new_id()
    asking.ok(changed(a_deposit("alice", 1), request_id=used))
    cases: list[tuple[Any, str, str | None]] = [
        (changed(a_reversal(NO_TRANSACTION, 0), request_id=used), "INVALID_FIELDS", "amount"),
        (changed(a_reversal(NO_TRANSACTION), request_id=used), "REQUEST_ID_REUSED", None),
        (a_reversal(NO_TRANSACTION, 1, currency="EUR"), "RESOURCE_NOT_FOUND", NO_TRANSACTION),
        (a_reversal(to_shut, 1, currency="EUR"), "CURRENCY_MISMATCH", "wallets/shut"),
        (a_reversal(done, 1, currency="EUR"), "CURRENCY_MISMATCH", "wallets/bob"),
        (a_reversal(to_shut, 999), "WALLET_NOT_ACTIVE", "wallets/shut"),
        (a_reversal(capture_to_shut), "WALLET_NOT_ACTIVE", "wallets/shut"),
        (a_reversal(from_gone, 999), "WALLET_NOT_ACTIVE", "wallets/gone"),
        (a_reversal(done, 999), "STATE_TRANSITION_FORBIDDEN", done),
        (a_reversal(spent, 51), "LIMIT_EXCEEDED", spent),
        (a_reversal(spent, 50), "INSUFFICIENT_FUNDS", None),
        (a_reversal(from_full, 3000), "INSUFFICIENT_FUNDS", None),
        (a_reversal("transactions/1"), "INVALID_FIELDS", "name"),
        (a_reversal(spent, 1, currency="xyz"), "INVALID_FIELDS", "amount.currency_code"),
        (a_reversal(spent, description="x" * 257), "INVALID_FIELDS", "description"),
        (changed(a_reversal(spent), request_id="me"), "INVALID_FIELDS", "request_id"),
    ]

    for request, reason, about in cases:
        no = asking.refused(request)
        assert no.reason == reason, request
        assert about in {None, no.metadata.get("resourceName"), *no.violations}, request
