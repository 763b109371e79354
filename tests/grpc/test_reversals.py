"""Reversals as callers make them: what moved goes back, whole or in parts, and never more than moved."""

from collections.abc import Iterator, Sequence
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
from tests.support.callers import BIGGEST, everything
from tests.support.money_calls import (
    DESTINATION_PAYS,
    SOURCE_PAYS,
    MoneyCalls,
    atomic,
    capture,
    deposit,
    item,
    money,
    new_id,
    place,
    refusal_of,
    refused,
    reverse,
    rule,
    transfer,
    with_,
)
from tests.support.payouts import Bank
from wallet_core.usecases.app import App

POSTED, PARTLY_REVERSED, REVERSED = (
    pb.Transaction.STATE_POSTED,
    pb.Transaction.STATE_PARTLY_REVERSED,
    pb.Transaction.STATE_REVERSED,
)
EARNED = "system:commission:USD"
EXTERNAL = "system:external:USD"
NO_TRANSACTION = f"transactions/{uuid4()}"

# How much of a transfer goes back each time, and what is left over at the end.
PARTS = st.lists(st.integers(min_value=1, max_value=60), min_size=1, max_size=5)


@pytest.fixture
def calls(server: str) -> Iterator[MoneyCalls]:
    """Return a bare channel to the server."""
    with MoneyCalls(server) as calls:
        yield calls


@pytest.fixture
def rent(calls: MoneyCalls) -> str:
    """Return a transfer of 100 from Alice, who had 1000, to Bob, who had nothing."""
    calls.open("alice", 1000)
    calls.open("bob")
    return moved(calls, "alice", "bob", 100)


def moved(calls: MoneyCalls, source: str, destination: str, units: int) -> str:
    """Transfer; return the transaction's name."""
    return str(calls.send(transfer(source, destination, units)).transaction.name)


def told(calls: MoneyCalls, name: str) -> tuple[int, int, list[str]]:
    """Return a transaction's state, how much of it went back, and by what."""
    found = calls.transaction(name)
    return found.state, found.reversed_amount.minor_units, list(found.reversals)


def legs(transaction: Any) -> dict[str, int]:  # noqa: ANN401  # a transaction
    """Return what a transaction added to whom."""
    return {entry.wallet.removeprefix("wallets/"): entry.amount.minor_units for entry in transaction.entries}


def test_a_transfer_goes_back_whole_and_both_name_each_other(calls: MoneyCalls, rent: str) -> None:
    """One transaction of its own; of the first nothing changes but what is said of its reversals."""

    before = calls.transaction(rent)
    assert (before.state, before.reversed_amount, before.reverses) == (POSTED, money(0), "")

    made = calls.send(reverse(rent, description="wrong person"))

    back = made.transaction
    assert made.replayed is False
    assert (back.type, back.state, back.amount) == (pb.Transaction.TYPE_REVERSAL, POSTED, money(100))
    assert (back.source, back.destination, back.reverses) == ("wallets/bob", "wallets/alice", rent)
    assert (back.description, legs(back)) == ("wrong person", {"bob": -100, "alice": 100})
    assert calls.transaction(back.name) == back
    after = calls.transaction(rent)
    assert (after.state, after.reversed_amount, list(after.reversals)) == (REVERSED, money(100), [back.name])
    for field in ("state", "reversed_amount", "reversals"):
        before.ClearField(field)
        after.ClearField(field)
    assert after == before
    assert calls.balances("alice", "bob") == [1000, 0]


def test_a_transfer_goes_back_in_parts_and_not_a_unit_more(
    calls: MoneyCalls, owner: psycopg.Connection, rent: str
) -> None:
    """POSTED, PARTLY_REVERSED, REVERSED; the limit told is what is left, and in the end nothing is."""

    calls.send(deposit("bob", 500))
    first = calls.send(reverse(rent, 30)).transaction.name
    assert told(calls, rent) == (PARTLY_REVERSED, 30, [first])
    second = calls.send(reverse(rent, 30)).transaction.name
    too_much = refused(calls, owner, reverse(rent, 41))
    assert (too_much.code, too_much.reason) == ("FAILED_PRECONDITION", "LIMIT_EXCEEDED")
    assert too_much.metadata == {"resourceName": rent, "limit": "40"}

    third = calls.send(reverse(rent)).transaction

    assert third.amount == money(40)
    assert told(calls, rent) == (REVERSED, 100, [first, second, third.name])
    for request in (reverse(rent), reverse(rent, 1)):
        nothing = refused(calls, owner, request)
        assert (nothing.reason, nothing.metadata["resourceName"]) == ("STATE_TRANSITION_FORBIDDEN", rent)
        assert nothing.metadata["state"] == "REVERSED"
    assert calls.balances("alice", "bob") == [1000, 500]
    listed = calls.send(pb.ListTransactionsRequest(wallet="wallets/alice", filter="state = REVERSED")).transactions
    assert [one.name for one in listed] == [rent]


@pytest.mark.parametrize("payer", [SOURCE_PAYS, DESTINATION_PAYS], ids=["source", "destination"])
def test_the_commission_goes_back_to_who_paid_it(calls: MoneyCalls, payer: Any) -> None:  # noqa: ANN401  # an enum's value
    """Whole: everybody has what they had. In part: the part of it, rounded down."""

    calls.open("alice", 1000)
    calls.open("bob")
    calls.send(rule(payer, rate_millionths=70_000, fixed=3))
    paid = calls.send(transfer("alice", "bob", 100)).transaction
    source, destination = (-110, 100) if payer == SOURCE_PAYS else (-100, 90)
    assert legs(paid) == {"alice": source, "bob": destination, EARNED: 10}

    part = calls.send(reverse(paid.name, 55)).transaction
    rest = calls.send(reverse(paid.name)).transaction

    # Of 10 for 100, 5.5 belong to 55.
    if payer == SOURCE_PAYS:
        assert [legs(part), legs(rest)] == [
            {"bob": -55, "alice": 60, EARNED: -5},
            {"bob": -45, "alice": 50, EARNED: -5},
        ]
    else:
        assert [legs(part), legs(rest)] == [
            {"bob": -50, "alice": 55, EARNED: -5},
            {"bob": -40, "alice": 45, EARNED: -5},
        ]
    assert calls.balances("alice", "bob", EARNED) == [1000, 0, 0]
    assert calls.transaction(paid.name).commission == paid.commission


@given(
    parts=PARTS,
    left=st.integers(min_value=0, max_value=20),
    charged=st.integers(min_value=0, max_value=400),
    source_pays=st.booleans(),
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_however_it_is_split_what_went_back_of_the_commission_is_its_share_so_far(
    calls: MoneyCalls, parts: Sequence[int], left: int, charged: int, *, source_pays: bool
) -> None:
    """Rounded down to a whole unit each time; in the end it is all of it, and everybody has what they had."""

    amount = sum(parts) + left
    source, destination = f"alice-{uuid4()}", f"bob-{uuid4()}"
    calls.open(source, 2000)
    calls.open(destination)
    charged = charged if source_pays else min(charged, amount)
    calls.send(rule(SOURCE_PAYS if source_pays else DESTINATION_PAYS, fixed=charged))
    (earned_before,) = calls.balances(EARNED)
    paid = moved(calls, source, destination, amount)

    so_far = 0
    for part in parts:
        so_far += part
        calls.send(reverse(paid, part))
        kept = charged - charged * so_far // amount
        given, gotten = (amount + charged, amount) if source_pays else (amount, amount - charged)
        back = so_far + charged - kept if source_pays else so_far
        taken = so_far if source_pays else so_far - (charged - kept)
        assert calls.balances(source, destination, EARNED) == [
            2000 - given + back,
            gotten - taken,
            earned_before + kept,
        ]
    if left:
        calls.send(reverse(paid))
    assert calls.balances(source, destination, EARNED) == [2000, 0, earned_before]


@pytest.mark.parametrize("payer", [SOURCE_PAYS, DESTINATION_PAYS], ids=["source", "destination"])
def test_a_commission_that_is_to_be_kept_is_kept(calls: MoneyCalls, payer: Any) -> None:  # noqa: ANN401  # an enum's value
    """The amount goes back as it is; where the destination had paid, it must have that from elsewhere."""

    calls.open("alice", 1000)
    calls.open("bob", 10)
    calls.send(rule(payer, fixed=10))
    paid = moved(calls, "alice", "bob", 100)

    back = calls.send(reverse(paid, keep_commission=True)).transaction

    assert legs(back) == {"bob": -100, "alice": 100}
    assert told(calls, paid)[:2] == (REVERSED, 100)
    assert calls.balances("alice", "bob", EARNED) == ([990, 10, 10] if payer == SOURCE_PAYS else [1000, 0, 10])


def test_a_part_kept_leaves_at_most_the_share_of_the_others_to_go_back(calls: MoneyCalls) -> None:
    """Half kept, half given back: half of the commission is kept."""

    calls.open("alice", 1000)
    calls.open("bob")
    calls.send(rule(SOURCE_PAYS, fixed=10))
    paid = moved(calls, "alice", "bob", 100)

    calls.send(reverse(paid, 50, keep_commission=True))
    calls.send(reverse(paid))

    assert calls.balances("alice", "bob", EARNED) == [995, 0, 5]


def test_a_transfer_that_was_all_commission_goes_back_without_the_destination(calls: MoneyCalls) -> None:
    """The destination got nothing, has nothing, and gives nothing; the source has its money again."""

    calls.open("alice", 1000)
    calls.open("bob")
    calls.send(rule(DESTINATION_PAYS, rate_millionths=1_000_000))
    paid = moved(calls, "alice", "bob", 99)
    assert calls.balances("alice", "bob", EARNED) == [901, 0, 99]

    for units in (50, None):
        calls.send(reverse(paid, units))

    assert calls.balances("alice", "bob", EARNED) == [1000, 0, 0]
    assert told(calls, paid)[:2] == (REVERSED, 99)


def test_a_reversal_shows_no_negative_amount_but_in_its_entries(calls: MoneyCalls) -> None:
    """As Money says of itself: negative only in balances that use an overdraft and in entries."""

    calls.open("alice", 1000)
    calls.open("bob")
    calls.send(rule(SOURCE_PAYS, fixed=10))
    paid = moved(calls, "alice", "bob", 100)

    back = calls.send(reverse(paid)).transaction

    assert back.commission.amount.minor_units >= 0


def test_a_deposit_goes_back_to_the_outside(calls: MoneyCalls, owner: psycopg.Connection) -> None:
    """The wallet must have the money."""

    calls.open("alice")
    paid_in = calls.send(deposit("alice", 100)).transaction.name
    calls.send(reverse(paid_in, 60))
    calls.open("bob")
    calls.send(transfer("alice", "bob", 1))

    short = refused(calls, owner, reverse(paid_in))
    last = calls.send(reverse(paid_in, 39)).transaction

    assert short.reason == "INSUFFICIENT_FUNDS"
    assert short.metadata == {"wallet": "wallets/alice", "currencyCode": "USD", "available": "39", "required": "40"}
    assert (last.source, last.destination) == ("wallets/alice", f"wallets/{EXTERNAL}")
    assert calls.balances("alice", "bob", EXTERNAL) == [0, 1, -1]
    assert told(calls, paid_in)[:2] == (PARTLY_REVERSED, 99)


def test_only_transfers_and_deposits_can_be_reversed(
    app: App, bank: BankServer, calls: MoneyCalls, owner: psycopg.Connection
) -> None:
    """Not what a withdrawal, a capture, a collection or a reversal has moved; but a scheduled deposit is a deposit."""

    others = every_other_transaction(app, bank, calls, owner)

    assert set(others) == {
        "WITHDRAWAL",
        "WITHDRAWAL_SETTLEMENT",
        "WITHDRAWAL_RELEASE",
        "HOLD_CAPTURE",
        "COLLECTION",
        "REVERSAL",
    }
    for name in others.values():
        for request in (reverse(name), reverse(name, 1), reverse(name, 999_999)):
            no = refused(calls, owner, request)
            assert (no.code, no.reason) == ("FAILED_PRECONDITION", "STATE_TRANSITION_FORBIDDEN")
            assert (no.metadata["resourceName"], no.metadata["state"], bool(no.metadata["because"])) == (
                name,
                "POSTED",
                True,
            )
    (scheduled,) = owner.execute("SELECT id FROM transactions WHERE type = 'DEPOSIT' AND cause IS NOT NULL").fetchall()
    assert calls.send(reverse(f"transactions/{scheduled[0]}")).transaction.amount == money(7)


def every_other_transaction(app: App, bank: BankServer, calls: MoneyCalls, owner: psycopg.Connection) -> dict[str, str]:
    """Make a transaction of each type but transfers and plain deposits; return their names by type."""
    calls.open("alice", 1000)
    calls.open("bob")
    calls.send(schedule_pb.ScheduleWithdrawalRequest(wallet="wallets/alice", amount=money(5), request_id=new_id()))
    for collect in (True, False):
        scheduled = schedule_pb.ScheduleDepositRequest(wallet="wallets/alice", amount=money(7), collect=collect)
        calls.send(with_(scheduled, request_id=new_id()))
    for job in (pay_due_withdrawals, collect_due_deposits, credit_due_deposits):
        job.run_once(app)
    Bank(bank.url).order("no_for_good", times=1)
    calls.send(schedule_pb.ScheduleWithdrawalRequest(wallet="wallets/alice", amount=money(6), request_id=new_id()))
    pay_due_withdrawals.run_once(app, clock_offset=timedelta(seconds=1))
    calls.send(capture(calls.send(place("alice", 9)).hold.name, "bob"))
    calls.send(reverse(moved(calls, "alice", "bob", 3)))
    rows = owner.execute("SELECT type, id FROM transactions WHERE type NOT IN ('TRANSFER', 'DEPOSIT')").fetchall()
    return {type_: f"transactions/{id_}" for type_, id_ in rows}


def test_the_wallet_that_got_the_money_must_be_active_and_have_it(
    calls: MoneyCalls, owner: psycopg.Connection, rent: str
) -> None:
    """What it holds for somebody is not there; its overdraft is."""

    calls.open("carol")
    calls.send(place("bob", 30))
    short = refused(calls, owner, reverse(rent, 71))
    assert short.metadata == {"wallet": "wallets/bob", "currencyCode": "USD", "available": "70", "required": "71"}
    calls.freeze("bob")
    frozen = refused(calls, owner, reverse(rent, 1))
    assert (frozen.reason, frozen.metadata) == (
        "WALLET_NOT_ACTIVE",
        {"resourceName": "wallets/bob", "state": "FROZEN"},
    )
    assert told(calls, rent) == (POSTED, 0, [])
    calls.open("dora", overdraft=100)
    paid = moved(calls, "alice", "dora", 50)
    calls.send(transfer("dora", "carol", 50))

    calls.send(reverse(paid))

    assert calls.purse("dora") == (-50, 0, 50)


def test_money_goes_back_to_a_frozen_wallet_but_not_to_a_closed_one(
    calls: MoneyCalls, owner: psycopg.Connection
) -> None:
    """And from a closed one nothing comes."""

    calls.open("bob", 50)
    for name in ("cold", "gone", "empty"):
        calls.open(name, 10)
    to_cold, to_gone = moved(calls, "cold", "bob", 10), moved(calls, "gone", "bob", 10)
    from_empty = moved(calls, "bob", "empty", 10)
    calls.send(transfer("empty", "bob", 20))
    calls.freeze("cold")
    calls.close("gone")
    calls.close("empty")

    for name, wallet in ((to_gone, "gone"), (from_empty, "empty")):
        no = refused(calls, owner, reverse(name))
        assert (no.reason, no.metadata) == (
            "WALLET_NOT_ACTIVE",
            {"resourceName": f"wallets/{wallet}", "state": "CLOSED"},
        )
    calls.send(reverse(to_cold))
    assert calls.balances("cold") == [10]


def test_a_reversal_into_a_full_wallet_is_refused(calls: MoneyCalls, owner: psycopg.Connection) -> None:
    """LIMIT_EXCEEDED of the giver; what fits goes back."""

    calls.open("alice", BIGGEST)
    calls.open("bob")
    paid = moved(calls, "alice", "bob", 10)
    calls.send(deposit("alice", 1))

    full = refused(calls, owner, reverse(paid))

    assert full.metadata == {"resourceName": "wallets/alice", "limit": str(BIGGEST)}
    assert full.reason == "LIMIT_EXCEEDED"
    calls.send(reverse(paid, 9))
    assert calls.balances("alice") == [BIGGEST]


def test_one_transfer_of_a_batch_goes_back_alone(calls: MoneyCalls) -> None:
    """The batch made them together; they are reversed each by itself."""

    calls.open("alice", 100)
    for name in ("bob", "carol"):
        calls.open(name)
    first, second = calls.send(atomic([item("alice", "bob", 10), item("alice", "carol", 20)])).results

    back = calls.send(reverse(second.transaction.name)).transaction

    assert (back.batch, calls.balances("alice", "bob", "carol")) == ("", [90, 10, 0])
    assert [told(calls, one.transaction.name)[0] for one in (first, second)] == [POSTED, REVERSED]


def test_a_repeat_returns_the_first_reversal_and_moves_nothing(
    calls: MoneyCalls, owner: psycopg.Connection, rent: str
) -> None:
    """Also of "all that is left", though that is another amount by now; a refusal is repeated too."""

    part, short = reverse(rent, 30), reverse(rent, 10)
    first = calls.send(part)
    calls.send(transfer("bob", "alice", 65))
    no = refusal_of(lambda: calls.send(short))
    calls.send(deposit("bob", 100))
    rest = reverse(rent)
    last = calls.send(rest)
    before = everything(owner)

    again = [calls.send(request) for request in (part, rest)]

    assert [answer.replayed for answer in (first, last, *again)] == [False, False, True, True]
    assert [answer.transaction for answer in again] == [first.transaction, last.transaction]
    assert (no.reason, refusal_of(lambda: calls.send(short))) == ("INSUFFICIENT_FUNDS", no)
    assert calls.send(with_(part, validate_only=True)).transaction == first.transaction
    assert everything(owner) == before
    changed: list[Any] = [
        with_(part, amount=money(31)),
        with_(part, keep_commission=True),
        with_(part, description="else"),
        with_(reverse(rent), request_id=part.request_id),
        with_(part, name=NO_TRANSACTION),
        with_(deposit("alice", 30), request_id=part.request_id),
    ]
    for request in changed:
        reused = refused(calls, owner, request)
        assert (reused.reason, reused.metadata) == (
            "REQUEST_ID_REUSED",
            {
                "requestId": part.request_id,
                "method": "ReverseTransaction",
                "resourceName": first.transaction.name,
            },
        )


def test_validating_a_reversal_answers_alike_and_stores_nothing(calls: MoneyCalls, owner: psycopg.Connection) -> None:
    """A part with its commission, then the rest without."""

    calls.open("alice", 1000)
    calls.open("bob")
    calls.send(rule(DESTINATION_PAYS, rate_millionths=33_333, fixed=1))
    paid = moved(calls, "alice", "bob", 100)
    calls.send(deposit("bob", 100))

    for request in (reverse(paid, 33, description="d"), reverse(paid, keep_commission=True)):
        before = everything(owner)
        tried = calls.send(with_(request, validate_only=True))
        assert everything(owner) == before
        made = calls.send(request)
        assert (tried.transaction.name, tried.replayed) == ("", False)
        for answer in (tried, made):
            answer.transaction.ClearField("name")
            answer.transaction.ClearField("execute_time")
        assert tried == made


@pytest.mark.usefixtures("rent")
def test_of_two_faults_the_first_documented_is_told(calls: MoneyCalls) -> None:
    """Shape, used id, existence, currency, states, what kind it is and what is left, funds, the largest balance."""

    calls.open("cold", 10)
    calls.open("gone", 10)
    calls.open("full", BIGGEST - 5000)
    to_cold, from_gone = moved(calls, "alice", "cold", 10), moved(calls, "gone", "bob", 10)
    capture_to_cold = calls.send(capture(calls.send(place("alice", 1)).hold.name, "cold")).transaction.name
    done = moved(calls, "alice", "bob", 5)
    calls.send(reverse(done))
    spent = moved(calls, "alice", "bob", 50)
    from_full = moved(calls, "full", "alice", 3000)
    calls.send(transfer("alice", "full", calls.purse("alice")[2]))
    calls.send(deposit("full", 3000))
    calls.send(transfer("bob", "alice", calls.purse("bob")[2]))
    calls.freeze("cold")
    calls.close("gone")
    used = new_id()
    calls.send(with_(deposit("alice", 1), request_id=used))
    cases: list[tuple[Any, str, str | None]] = [
        (with_(reverse(NO_TRANSACTION, 0), request_id=used), "INVALID_FIELDS", "amount"),
        (with_(reverse(NO_TRANSACTION), request_id=used), "REQUEST_ID_REUSED", None),
        (reverse(NO_TRANSACTION, 1, currency="EUR"), "RESOURCE_NOT_FOUND", NO_TRANSACTION),
        (reverse(to_cold, 1, currency="EUR"), "CURRENCY_MISMATCH", "wallets/cold"),
        (reverse(done, 1, currency="EUR"), "CURRENCY_MISMATCH", "wallets/bob"),
        (reverse(to_cold, 999), "WALLET_NOT_ACTIVE", "wallets/cold"),
        (reverse(capture_to_cold), "WALLET_NOT_ACTIVE", "wallets/cold"),
        (reverse(from_gone, 999), "WALLET_NOT_ACTIVE", "wallets/gone"),
        (reverse(done, 999), "STATE_TRANSITION_FORBIDDEN", done),
        (reverse(spent, 51), "LIMIT_EXCEEDED", spent),
        (reverse(spent, 50), "INSUFFICIENT_FUNDS", None),
        (reverse(from_full, 3000), "INSUFFICIENT_FUNDS", None),
        (reverse("transactions/1"), "INVALID_FIELDS", "name"),
        (reverse(spent, 1, currency="XYZ"), "INVALID_FIELDS", "amount.currency_code"),
        (reverse(spent, description="x" * 257), "INVALID_FIELDS", "description"),
        (with_(reverse(spent), request_id="me"), "INVALID_FIELDS", "request_id"),
    ]

    for request, reason, about in cases:
        no = refusal_of(lambda request=request: calls.send(request))  # type: ignore[misc]  # bound at once
        assert no.reason == reason, request
        assert about in {None, no.metadata.get("resourceName"), *no.violations}, request
