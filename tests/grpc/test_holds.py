"""Holds as callers make them: money put aside, then captured, given up or expired, each exactly once."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from wallet.v1 import hold_service_pb2 as pb
from wallet.v1 import schedule_service_pb2 as schedule_pb
from wallet.v1 import transaction_service_pb2 as transaction_pb
from wallet.v1 import wallet_service_pb2 as wallet_pb

from scheduler.jobs import expire_holds
from tests.support.callers import BIGGEST, count, everything
from tests.support.money_calls import (
    LATE,
    SOURCE_PAYS,
    MoneyCalls,
    Refused,
    capture,
    deposit,
    money,
    new_id,
    over_in_a_moment,
    place,
    refusal_of,
    refused,
    rule,
    soon,
    transfer,
    void,
    with_,
)
from tests.support.together import together
from wallet_core.usecases.app import App
from wallet_core.usecases.expire_hold import expire_hold

ACTIVE, CAPTURED, VOIDED, EXPIRED = (
    pb.Hold.STATE_ACTIVE,
    pb.Hold.STATE_CAPTURED,
    pb.Hold.STATE_VOIDED,
    pb.Hold.STATE_EXPIRED,
)
TO_2126 = timedelta(days=36_525)  # from any of our days past LATE
PAST = Timestamp(seconds=1)
NO_HOLD = f"holds/{uuid4()}"


@pytest.fixture
def calls(server: str) -> Iterator[MoneyCalls]:
    """Return a bare channel to the server."""
    with MoneyCalls(server) as calls:
        yield calls


def at(seconds: int) -> Timestamp:
    """Return a time so many seconds after LATE."""
    return Timestamp(seconds=LATE.seconds + seconds)


def shown(calls: MoneyCalls, hold: str) -> tuple[int, int, int]:
    """Return a hold's state, what was captured of it, and what remains."""
    found = calls.hold(hold)
    return found.state, found.captured_amount.minor_units, found.remaining_amount.minor_units


def held(calls: MoneyCalls, wallet: str, units: int) -> str:
    """Place a hold; return its name."""
    return str(calls.send(place(wallet, units)).hold.name)


def test_a_placed_hold_is_told_and_its_money_is_there_but_not_available(calls: MoneyCalls) -> None:
    """No money moves; what the wallet, the answer and GetHold say agrees."""

    calls.open("alice", 100)
    asked = place("alice", 30, description="a room for the night")

    placed = calls.send(asked)

    hold = placed.hold
    assert (hold.wallet, hold.amount, hold.description) == ("wallets/alice", money(30), "a room for the night")
    assert (hold.captured_amount, hold.remaining_amount, hold.state) == (money(0), money(30), ACTIVE)
    assert (hold.expire_time, hold.create_time) == (LATE, hold.update_time)
    assert (placed.available, placed.replayed) == (money(70), False)
    assert calls.hold(hold.name) == hold
    assert calls.purse("alice") == (100, 30, 70)


def test_a_hold_takes_all_that_is_available_overdraft_included_and_not_one_more(
    calls: MoneyCalls, owner: psycopg.Connection
) -> None:
    """Available is balance less held plus overdraft, for holds, transfers and withdrawals alike."""

    calls.open("alice", 100, overdraft=50)
    calls.open("bob")
    held(calls, "alice", 90)

    told = refused(calls, owner, place("alice", 61))

    assert told.reason == "INSUFFICIENT_FUNDS"
    assert told.metadata == {"wallet": "wallets/alice", "currencyCode": "USD", "available": "60", "required": "61"}
    assert calls.send(place("alice", 60)).available == money(0)
    assert calls.purse("alice") == (100, 150, 0)
    for request in (place("alice", 1), transfer("alice", "bob", 1)):
        assert refused(calls, owner, request).metadata["available"] == "0"


def test_a_hold_and_a_reserved_withdrawal_share_what_is_available(calls: MoneyCalls) -> None:
    """What the one has put aside is not there for the other."""

    calls.open("alice", 100)
    calls.send(
        schedule_pb.ScheduleWithdrawalRequest(
            wallet="wallets/alice", amount=money(40), execute_time=LATE, request_id=new_id(), reserve=True
        )
    )

    assert refusal_of(lambda: calls.send(place("alice", 61))).metadata["available"] == "60"
    hold = held(calls, "alice", 60)
    assert calls.purse("alice") == (100, 100, 0)
    calls.send(void(hold))
    assert calls.purse("alice") == (100, 40, 60)


def test_a_hold_is_captured_in_parts_to_several_wallets_and_the_last_releases_the_rest(calls: MoneyCalls) -> None:
    """After each part the rest is still held; ``final`` makes it available again."""

    calls.open("alice", 100)
    for name in ("bob", "carol"):
        calls.open(name)
    hold = held(calls, "alice", 80)

    seen = []
    for destination, units, final in (("bob", 10, False), ("carol", 20, False), ("bob", 5, True)):
        captured = calls.send(capture(hold, destination, units, final=final))
        assert captured.hold == calls.hold(hold)
        seen.append((calls.purse("alice"), shown(calls, hold)))

    assert seen == [
        ((90, 70, 20), (ACTIVE, 10, 70)),
        ((70, 50, 20), (ACTIVE, 30, 50)),
        ((65, 0, 65), (CAPTURED, 35, 0)),
    ]
    assert calls.balances("bob", "carol") == [15, 20]


def test_a_capture_of_all_that_remains_ends_the_hold(calls: MoneyCalls) -> None:
    """Without an amount, or with just what remains; ``final`` need not be said."""

    calls.open("alice", 160)
    calls.open("bob")
    for units in (None, 50):
        hold = held(calls, "alice", 80)
        calls.send(capture(hold, "bob", 30))

        last = calls.send(capture(hold, "bob", units))

        assert (last.transaction.amount, shown(calls, hold)) == (money(50), (CAPTURED, 80, 0))
    assert (calls.purse("alice"), calls.purse("bob")) == ((0, 0, 0), (160, 0, 160))


def test_a_capture_of_more_than_remains_is_refused(calls: MoneyCalls, owner: psycopg.Connection) -> None:
    """Not even where the wallet has the money; the limit told is what remains."""

    calls.open("alice", 100)
    calls.open("bob")
    hold = held(calls, "alice", 50)
    calls.send(capture(hold, "bob", 20))

    told = refused(calls, owner, capture(hold, "bob", 31, final=True))

    assert (told.code, told.reason) == ("FAILED_PRECONDITION", "LIMIT_EXCEEDED")
    assert told.metadata == {"resourceName": hold, "limit": "30"}
    assert shown(calls, hold) == (ACTIVE, 20, 30)


def test_a_capture_is_a_transaction_without_commission_that_names_its_hold(calls: MoneyCalls) -> None:
    """Commission is charged on transfers only, whatever the rules say."""

    calls.open("alice", 100)
    calls.open("bob")
    calls.send(rule(SOURCE_PAYS, rate_millionths=100_000, fixed=7))
    hold = held(calls, "alice", 60)

    made = calls.send(capture(hold, "bob", 40, description="two nights", labels={"room": "12"})).transaction

    assert (made.type, made.state) == (
        transaction_pb.Transaction.TYPE_HOLD_CAPTURE,
        transaction_pb.Transaction.STATE_POSTED,
    )
    assert (made.source, made.destination, made.amount, made.hold) == ("wallets/alice", "wallets/bob", money(40), hold)
    assert (made.description, dict(made.labels)) == ("two nights", {"room": "12"})
    assert not made.HasField("commission")
    legs = {entry.wallet: (entry.amount.minor_units, entry.balance_after.minor_units) for entry in made.entries}
    assert legs == {"wallets/alice": (-40, 60), "wallets/bob": (40, 40)}
    assert calls.transaction(made.name) == made


def test_held_money_of_an_overdraft_is_captured_below_zero(calls: MoneyCalls) -> None:
    """The balance may go as far below zero as the limit says, and by a capture too."""

    calls.open("alice", 10, overdraft=100)
    calls.open("bob")

    calls.send(capture(held(calls, "alice", 110), "bob"))

    assert (calls.purse("alice"), calls.purse("bob")) == ((-100, 0, 0), (110, 0, 110))


def test_a_hold_whose_time_is_over_cannot_be_captured_though_no_job_has_run(
    app: App, calls: MoneyCalls, owner: psycopg.Connection
) -> None:
    """It still holds its money until the job expires it or somebody gives it up."""

    calls.open("alice", 100)
    calls.open("bob")
    over, given_up = (over_in_a_moment(calls, owner, "alice", 40) for _ in range(2))

    for request in (capture(over, "bob"), capture(over, "bob", 1), capture(over, "bob", 41, final=True)):
        told = refused(calls, owner, request)
        assert (told.reason, told.metadata["resourceName"]) == ("STATE_TRANSITION_FORBIDDEN", over)
    assert (shown(calls, over), calls.purse("alice")) == ((ACTIVE, 0, 40), (100, 80, 20))

    assert calls.send(void(given_up)).hold.state == VOIDED
    assert dict(expire_holds.run_once(app).outcomes) == {"EXPIRED": 1}
    assert [shown(calls, hold) for hold in (over, given_up)] == [(EXPIRED, 0, 0), (VOIDED, 0, 0)]
    assert calls.purse("alice") == (100, 0, 100)


def test_what_was_captured_before_its_time_stays_captured_when_a_hold_expires(app: App, calls: MoneyCalls) -> None:
    """Expiry releases what remains, and says how much was captured."""

    calls.open("alice", 100)
    calls.open("bob")
    hold = held(calls, "alice", 60)
    calls.send(capture(hold, "bob", 25))

    expire_holds.run_once(app, clock_offset=TO_2126)

    assert shown(calls, hold) == (EXPIRED, 25, 0)
    assert (calls.purse("alice"), calls.balances("bob")) == ((75, 0, 75), [25])


def test_a_frozen_wallet_lets_nothing_be_held_or_captured_but_voided_and_expired(
    app: App, calls: MoneyCalls, owner: psycopg.Connection
) -> None:
    """What was held becomes available again, though not to be taken."""

    calls.open("alice", 100)
    calls.open("bob")
    first, second = held(calls, "alice", 40), held(calls, "alice", 30)
    calls.freeze("alice")

    for request in (place("alice", 1), capture(first, "bob"), capture(first, "bob", 1)):
        told = refused(calls, owner, request)
        assert told.reason == "WALLET_NOT_ACTIVE"
        assert told.metadata == {"resourceName": "wallets/alice", "state": "FROZEN"}
    calls.send(void(first))
    assert dict(expire_holds.run_once(app, clock_offset=TO_2126).outcomes) == {"EXPIRED": 1}

    assert [shown(calls, hold)[0] for hold in (first, second)] == [VOIDED, EXPIRED]
    assert calls.purse("alice") == (100, 0, 100)


def test_a_capture_goes_to_a_frozen_wallet_but_not_to_a_closed_one(
    calls: MoneyCalls, owner: psycopg.Connection
) -> None:
    """A frozen wallet may receive."""

    calls.open("alice", 100)
    for name in ("cold", "gone"):
        calls.open(name)
    calls.freeze("cold")
    calls.close("gone")
    hold = held(calls, "alice", 40)

    told = refused(calls, owner, capture(hold, "gone", 10))
    calls.send(capture(hold, "cold", 10))

    assert (told.reason, told.metadata) == (
        "WALLET_NOT_ACTIVE",
        {"resourceName": "wallets/gone", "state": "CLOSED"},
    )
    assert (calls.balances("cold"), shown(calls, hold)) == ([10], (ACTIVE, 10, 30))


def test_a_capture_to_the_wallet_itself_is_refused_and_its_id_stays_free(
    calls: MoneyCalls, owner: psycopg.Connection
) -> None:
    """INVALID_FIELDS says nothing for good: the same id may name another destination."""

    calls.open("alice", 100)
    calls.open("bob")
    hold = held(calls, "alice", 40)
    wrong = capture(hold, "alice", 10)

    told = refused(calls, owner, wrong)

    assert (told.reason, told.violations) == ("INVALID_FIELDS", ("destination",))
    assert calls.send(with_(wrong, destination="wallets/bob")).replayed is False


def test_a_time_that_is_over_is_refused_and_its_id_stays_free(calls: MoneyCalls, owner: psycopg.Connection) -> None:
    """Just over is over."""

    calls.open("alice", 100)
    late = place("alice", 40, until=soon(owner, 0))

    told = refused(calls, owner, late)

    assert (told.reason, told.violations) == ("INVALID_FIELDS", ("expire_time",))
    assert calls.send(with_(late, expire_time=LATE)).replayed is False


def test_other_currencies_are_refused_and_the_wallet_that_does_not_fit_is_named(
    calls: MoneyCalls, owner: psycopg.Connection
) -> None:
    """The wallet that the hold is on, or the destination."""

    calls.open("alice", 100)
    calls.open("bob")
    calls.open("eva", 100, currency="EUR")
    hold = held(calls, "alice", 40)
    cases = [
        (place("eva", 10), "wallets/eva", "EUR"),
        (capture(hold, "bob", 10, currency="EUR"), "wallets/alice", "USD"),
        (capture(hold, "eva", 10, currency="EUR"), "wallets/alice", "USD"),
        (capture(hold, "eva", 10), "wallets/eva", "EUR"),
        (capture(hold, "eva"), "wallets/eva", "EUR"),
    ]

    for request, wallet, currency in cases:
        told = refused(calls, owner, request)
        assert (told.reason, told.metadata) == ("CURRENCY_MISMATCH", {"resourceName": wallet, "currency": currency})


def test_a_capture_into_a_full_wallet_is_refused_and_the_hold_stays(
    calls: MoneyCalls, owner: psycopg.Connection
) -> None:
    """LIMIT_EXCEEDED of the destination: what fits goes through."""

    calls.open("bob", BIGGEST)
    calls.open("alice")
    calls.send(transfer("bob", "alice", 10))
    calls.send(deposit("alice", 1))
    hold = held(calls, "alice", 11)

    told = refused(calls, owner, capture(hold, "bob"))
    calls.send(capture(hold, "bob", 10))

    assert (told.reason, told.metadata) == (
        "LIMIT_EXCEEDED",
        {"resourceName": "wallets/bob", "limit": str(BIGGEST)},
    )
    assert (shown(calls, hold), calls.balances("bob")) == ((ACTIVE, 10, 1), [BIGGEST])


def test_a_hold_that_has_ended_never_moves_again(app: App, calls: MoneyCalls, owner: psycopg.Connection) -> None:
    """Captured, voided or expired: no capture, no void and no job changes anything any more."""

    calls.open("alice", 100)
    calls.open("bob")
    ended = {state: held(calls, "alice", 20) for state in ("CAPTURED", "VOIDED", "EXPIRED")}
    calls.send(capture(ended["CAPTURED"], "bob", 5, final=True))
    calls.send(void(ended["VOIDED"]))
    expire_holds.run_once(app, clock_offset=TO_2126)

    for state, hold in ended.items():
        for request in (
            capture(hold, "bob"),
            capture(hold, "bob", 1),
            capture(hold, "bob", 15, final=True),
            void(hold),
        ):
            told = refused(calls, owner, request)
            assert (told.reason, told.metadata["resourceName"]) == ("STATE_TRANSITION_FORBIDDEN", hold)
            assert told.metadata["state"] == state
    before = everything(owner)
    assert expire_holds.run_once(app, clock_offset=2 * TO_2126).claimed == 0
    assert everything(owner) == before
    assert [shown(calls, hold)[0] for hold in ended.values()] == [CAPTURED, VOIDED, EXPIRED]
    assert calls.purse("alice") == (95, 0, 95)


def test_system_wallets_and_what_is_not_there_are_refused(calls: MoneyCalls, owner: psycopg.Connection) -> None:
    """Nobody holds the service's own money, nor captures into it."""

    calls.open("alice", 100)
    hold = held(calls, "alice", 10)

    for role in ("external", "in_transit", "commission"):
        for request in (place(f"system:{role}:USD", 1), capture(hold, f"system:{role}:USD", 1)):
            told = refused(calls, owner, request)
            assert (told.code, told.reason) == ("PERMISSION_DENIED", "PERMISSION_MISSING")
    missing: list[tuple[Any, str]] = [
        (place("nobody", 1), "wallets/nobody"),
        (capture(NO_HOLD, "nobody"), NO_HOLD),
        (capture(hold, "nobody"), "wallets/nobody"),
        (void(NO_HOLD), NO_HOLD),
    ]
    for request, name in missing:
        told = refused(calls, owner, request)
        assert (told.code, told.reason, told.metadata) == ("NOT_FOUND", "RESOURCE_NOT_FOUND", {"resourceName": name})
    assert refusal_of(lambda: calls.hold(NO_HOLD)).metadata == {"resourceName": NO_HOLD}


def test_fields_out_of_shape_are_refused_by_name(calls: MoneyCalls, owner: psycopg.Connection) -> None:
    """Before anything is looked up."""

    before = everything(owner)
    fine = place("nobody", 1)
    bare = pb.PlaceHoldRequest(wallet="wallets/nobody", amount=money(1), request_id=new_id())
    cases = [
        (place("nobody", 0), "amount"),
        (place("nobody", -1), "amount"),
        (place("nobody", 1, currency="XYZ"), "amount.currency_code"),
        (bare, "expire_time"),
        (place("nobody", 1, until=Timestamp(seconds=2**40)), "expire_time"),
        (place("nobody", 1, until=Timestamp(seconds=LATE.seconds, nanos=-1)), "expire_time"),
        (with_(fine, request_id="me"), "request_id"),
        (with_(fine, wallet="nobody"), "wallet"),
        (with_(fine, description="x" * 257), "description"),
        (capture("holds/1", "nobody"), "name"),
        (capture(NO_HOLD, "no body"), "destination"),
        (capture(NO_HOLD, "nobody", 0), "amount"),
        (capture(NO_HOLD, "nobody", 1, currency="XYZ"), "amount.currency_code"),
        (capture(NO_HOLD, "nobody", labels={"Key": "x"}), "labels"),
        (void("holds/1"), "name"),
        (with_(void(NO_HOLD), request_id="me"), "request_id"),
        (pb.GetHoldRequest(name="wallets/alice"), "name"),
        (pb.ListHoldsRequest(wallet="alice"), "wallet"),
    ]

    for request, field in cases:
        told = refusal_of(lambda request=request: calls.send(request))  # type: ignore[misc]  # bound at once
        assert (told.reason, told.violations[0]) == ("INVALID_FIELDS", field), request
    assert everything(owner) == before


def test_of_two_faults_the_first_documented_is_told(calls: MoneyCalls) -> None:
    """In the order in which the protos list them."""

    calls.open("alice", 100)
    calls.open("bob", BIGGEST - 200)
    calls.open("cold", 100)
    calls.open("gone")
    calls.open("eva", currency="EUR")
    hold, ended, frozen, frozen_ended = (held(calls, wallet, 10) for wallet in ("alice", "alice", "cold", "cold"))
    for voided in (ended, frozen_ended):
        calls.send(void(voided))
    calls.freeze("cold")
    calls.close("gone")
    used = new_id()
    calls.send(with_(deposit("alice", 1), request_id=used))
    system = "system:external:USD"
    cases = [
        (place(system, 0), "INVALID_FIELDS", "amount"),
        (with_(place(system, 1), request_id=used), "PERMISSION_MISSING", None),
        (place(system, 1, until=PAST), "PERMISSION_MISSING", None),
        (with_(place("nobody", 1, until=PAST), request_id=used), "REQUEST_ID_REUSED", None),
        (with_(place("cold", 999), request_id=used), "REQUEST_ID_REUSED", None),
        (place("nobody", 1, until=PAST), "INVALID_FIELDS", "expire_time"),
        (place("cold", 999, until=PAST, currency="EUR"), "INVALID_FIELDS", "expire_time"),
        (place("cold", 1, currency="EUR"), "CURRENCY_MISMATCH", "wallets/cold"),
        (place("alice", 999, currency="EUR"), "CURRENCY_MISMATCH", "wallets/alice"),
        (place("cold", 999), "WALLET_NOT_ACTIVE", "wallets/cold"),
        (capture(NO_HOLD, system, 0), "INVALID_FIELDS", "amount"),
        (capture(NO_HOLD, system), "PERMISSION_MISSING", None),
        (with_(capture(hold, system), request_id=used), "PERMISSION_MISSING", None),
        (with_(capture(NO_HOLD, "nobody"), request_id=used), "REQUEST_ID_REUSED", None),
        (capture(NO_HOLD, "nobody"), "RESOURCE_NOT_FOUND", NO_HOLD),
        (capture(ended, "nobody"), "RESOURCE_NOT_FOUND", "wallets/nobody"),
        (capture(frozen, "nobody", 1, currency="EUR"), "RESOURCE_NOT_FOUND", "wallets/nobody"),
        (capture(hold, "alice", 1, currency="EUR"), "INVALID_FIELDS", "destination"),
        (capture(frozen_ended, "cold", 999), "INVALID_FIELDS", "destination"),
        (capture(frozen, "bob", 1, currency="EUR"), "CURRENCY_MISMATCH", "wallets/cold"),
        (capture(frozen, "eva", 1, currency="EUR"), "CURRENCY_MISMATCH", "wallets/cold"),
        (capture(ended, "eva"), "CURRENCY_MISMATCH", "wallets/eva"),
        (capture(frozen, "gone"), "WALLET_NOT_ACTIVE", "wallets/cold"),
        (capture(frozen_ended, "bob"), "WALLET_NOT_ACTIVE", "wallets/cold"),
        (capture(ended, "gone"), "WALLET_NOT_ACTIVE", "wallets/gone"),
        (capture(ended, "bob", 999), "STATE_TRANSITION_FORBIDDEN", ended),
        (capture(hold, "bob", BIGGEST), "LIMIT_EXCEEDED", hold),
        (with_(void(NO_HOLD), request_id=used), "REQUEST_ID_REUSED", None),
        (with_(void(ended), request_id=used), "REQUEST_ID_REUSED", None),
    ]

    for request, reason, about in cases:
        told = refusal_of(lambda request=request: calls.send(request))  # type: ignore[misc]  # bound at once
        assert told.reason == reason, request
        assert about in {None, told.metadata.get("resourceName"), *told.violations}, request


def test_a_frozen_source_is_told_before_the_destinations_currency(calls: MoneyCalls) -> None:
    """CaptureHold looks at the wallet that the hold is on first, then at the destination."""

    calls.open("cold", 100)
    calls.open("eva", currency="EUR")
    hold = held(calls, "cold", 10)
    calls.freeze("cold")

    told = refusal_of(lambda: calls.send(capture(hold, "eva")))

    assert (told.reason, told.metadata.get("resourceName")) == ("WALLET_NOT_ACTIVE", "wallets/cold")


def test_repeats_of_each_call_return_the_first_answer_with_the_hold_as_it_is_now(
    calls: MoneyCalls, owner: psycopg.Connection
) -> None:
    """Nothing is done twice, however much has happened since."""

    calls.open("alice", 100)
    calls.open("bob")
    placing = place("alice", 60, description="d")
    placed = calls.send(placing)
    capturing = capture(placed.hold.name, "bob", 20, labels={"a": "1", "b": "2"})
    captured = calls.send(capturing)
    voiding = void(placed.hold.name)
    voided = calls.send(voiding)
    calls.send(deposit("alice", 500))
    calls.freeze("alice")
    before = everything(owner)

    again = [calls.send(request) for request in (placing, capturing, voiding)]

    assert everything(owner) == before
    assert [answer.replayed for answer in again] == [True] * 3
    assert [answer.hold for answer in again] == [voided.hold] * 3
    assert again[0].available == placed.available == money(40)
    assert again[1].transaction == captured.transaction
    assert [answer.replayed for answer in (placed, captured, voided)] == [False] * 3
    for request in (placing, capturing, voiding):
        assert calls.send(with_(request, validate_only=True)).replayed is True


def test_an_id_that_was_used_for_something_else_is_refused(calls: MoneyCalls, owner: psycopg.Connection) -> None:
    """Another amount, time, destination or method; the first use is named."""

    calls.open("alice", 100)
    calls.open("bob")
    placing = place("alice", 30)
    hold = calls.send(placing).hold.name
    capturing = capture(hold, "bob", 10)
    made = calls.send(capturing).transaction.name
    other = held(calls, "alice", 10)
    voiding = void(other)
    calls.send(voiding)
    first_uses = {
        placing.request_id: ("PlaceHold", hold),
        capturing.request_id: ("CaptureHold", made),
        voiding.request_id: ("VoidHold", other),
    }
    cases: list[Any] = [
        with_(placing, amount=money(31)),
        with_(placing, expire_time=at(1)),
        with_(placing, description="else"),
        with_(capturing, amount=money(11)),
        with_(capturing, final=True),
        with_(capturing, name=other),
        with_(capture(hold, "bob"), request_id=capturing.request_id),
        with_(capturing, labels={"a": "b"}),
        with_(voiding, name=hold),
        with_(voiding, request_id=placing.request_id),
        with_(capturing, request_id=voiding.request_id),
        with_(placing, request_id=capturing.request_id),
    ]

    for request in cases:
        told = refused(calls, owner, request)
        method, name = first_uses[request.request_id]
        assert (told.code, told.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")
        assert told.metadata == {"requestId": request.request_id, "method": method, "resourceName": name}


def test_a_refusal_is_repeated_though_its_cause_is_gone(calls: MoneyCalls) -> None:
    """Of each call: another try needs a new id."""

    calls.open("alice", 10)
    hold = held(calls, "alice", 10)
    too_much, to_nobody, too_late = place("alice", 5), capture(hold, "bob"), void(held_and_voided(calls))
    first = [refusal_of(lambda r=request: calls.send(r)) for request in (too_much, to_nobody, too_late)]  # type: ignore[misc]  # bound at once
    calls.send(deposit("alice", 100))
    calls.open("bob")

    again = [refusal_of(lambda r=request: calls.send(r)) for request in (too_much, to_nobody, too_late)]  # type: ignore[misc]  # bound at once

    assert first == again
    assert [told.reason for told in first] == [
        "INSUFFICIENT_FUNDS",
        "RESOURCE_NOT_FOUND",
        "STATE_TRANSITION_FORBIDDEN",
    ]
    assert calls.send(with_(too_much, request_id=new_id())).hold.state == ACTIVE


def held_and_voided(calls: MoneyCalls) -> str:
    """Return a hold on a wallet of its own that was given up."""
    calls.open("victor", 10)
    hold = held(calls, "victor", 10)
    calls.send(void(hold))
    return hold


def test_validating_answers_as_the_real_call_does_and_stores_nothing(
    calls: MoneyCalls, owner: psycopg.Connection
) -> None:
    """Place, capture in part, capture for good, void: all but names and times is the same."""

    calls.open("alice", 100)
    calls.open("bob", 5)
    other, hold = held(calls, "alice", 10), held(calls, "alice", 60)
    requests: list[Any] = [
        place("alice", 30),
        capture(hold, "bob", 20),
        capture(hold, "bob", 15, final=True),
        void(other),
    ]

    for request in requests:
        before = everything(owner)
        tried = calls.send(with_(request, validate_only=True))
        assert everything(owner) == before
        made = calls.send(request)
        if isinstance(request, pb.PlaceHoldRequest):
            assert tried.hold.name == ""
        if isinstance(request, pb.CaptureHoldRequest):
            assert tried.transaction.name == ""
        assert without_names_and_times(tried) == without_names_and_times(made)


def without_names_and_times(answer: Any) -> Any:  # noqa: ANN401  # any answer that has a hold
    """Return a copy of an answer without what is only known once it is done."""
    copy = with_(answer)
    for field in ("name", "create_time", "update_time"):
        copy.hold.ClearField(field)
    if isinstance(copy, pb.CaptureHoldResponse):
        copy.transaction.ClearField("name")
        copy.transaction.ClearField("execute_time")
    return copy


def test_holds_expire_the_longest_over_first(app: App, calls: MoneyCalls) -> None:
    """As many as the job may, and none whose time is yet to come."""

    calls.open("alice", 100)
    third, first, second, never = (
        calls.send(place("alice", 10, until=at(seconds))).hold.name for seconds in (30, 10, 20, 10**9)
    )

    expired = []
    for limit in (1, 1, 5):
        counts = expire_holds.run_once(app, limit=limit, clock_offset=TO_2126)
        assert counts.claimed == sum(counts.outcomes.values()) == counts.outcomes["EXPIRED"]
        expired.append([hold for hold in (first, second, third, never) if shown(calls, hold)[0] == EXPIRED])

    assert expired == [[first], [first, second], [first, second, third]]
    assert expire_holds.run_once(app).claimed == 0
    assert calls.purse("alice") == (100, 10, 90)


def test_two_expiry_jobs_at_once_expire_each_hold_once(app: App, calls: MoneyCalls, owner: psycopg.Connection) -> None:
    """What one has claimed the other leaves alone."""

    calls.open("alice", 100)
    for _ in range(24):
        held(calls, "alice", 2)

    results = together([lambda: expire_holds.run_once(app, clock_offset=TO_2126)] * 2)

    outcomes = [dict(result.outcomes) for result in results if not isinstance(result, Exception)]
    assert sum(found.pop("EXPIRED", 0) for found in outcomes) == 24
    assert outcomes == [{}, {}]
    assert owner.execute("SELECT count(*) FROM outbox WHERE kind = 'hold.expired'").fetchone() == (24,)
    assert calls.purse("alice") == (100, 0, 100)


def test_a_hold_that_was_claimed_and_left_is_expired_once_the_lease_is_over(app: App, calls: MoneyCalls) -> None:
    """A job that was killed in between; should it come to life again, it does nothing."""

    calls.open("alice", 100)
    hold = held(calls, "alice", 60)
    lease = app.payouts.policy.lease
    (claim,) = app.claims.to_expire(limit=10, lease=lease, clock_offset=TO_2126)

    assert expire_holds.run_once(app, clock_offset=TO_2126).claimed == 0
    assert (shown(calls, hold)[0], calls.purse("alice")) == (ACTIVE, (100, 60, 40))
    (second,) = app.claims.to_expire(limit=10, lease=lease, clock_offset=TO_2126 + 2 * lease)
    assert expire_hold(app, claim, clock_offset=TO_2126 + 2 * lease) is None
    assert shown(calls, hold)[0] == ACTIVE
    assert dict(expire_holds.run_once(app, clock_offset=TO_2126 + 4 * lease).outcomes) == {"EXPIRED": 1}
    assert [expire_hold(app, old, clock_offset=TO_2126 + 4 * lease) for old in (claim, second)] == [None, None]
    assert (shown(calls, hold)[0], calls.purse("alice")) == (EXPIRED, (100, 0, 100))


def test_a_claimed_hold_can_still_be_given_up_and_the_claim_then_does_nothing(app: App, calls: MoneyCalls) -> None:
    """A claim is no state: until the hold has ended, whoever comes first ends it."""

    calls.open("alice", 100)
    hold = held(calls, "alice", 60)
    (claim,) = app.claims.to_expire(limit=10, lease=timedelta(seconds=1), clock_offset=TO_2126)

    assert calls.send(void(hold)).hold.state == VOIDED
    assert expire_hold(app, claim, clock_offset=TO_2126) is None
    assert (shown(calls, hold)[0], calls.purse("alice")) == (VOIDED, (100, 0, 100))


def test_a_wallet_with_a_hold_is_closed_only_once_it_has_ended(calls: MoneyCalls) -> None:
    """A hold on the overdraft of an empty wallet stands in the way like any other."""

    calls.open("alice", overdraft=100)
    hold = held(calls, "alice", 60)

    told = refusal_of(lambda: calls.close("alice"))
    calls.send(void(hold))
    calls.close("alice")

    assert told.reason == "STATE_TRANSITION_FORBIDDEN"
    assert hold in told.metadata["because"]
    assert refusal_of(lambda: calls.send(place("alice", 1))).metadata["state"] == "CLOSED"


def test_holds_are_listed_newest_first_by_wallet_and_by_state(calls: MoneyCalls) -> None:
    """Page by page, each once."""

    calls.open("alice", 100)
    calls.open("bob", 100)
    names = [held(calls, wallet, units) for wallet, units in (("alice", 1), ("bob", 2), ("alice", 3), ("alice", 4))]
    calls.send(void(names[2]))

    assert pages(calls, page_size=2) == names[::-1]
    assert pages(calls, wallet="wallets/alice", page_size=1) == [names[3], names[2], names[0]]
    assert pages(calls, filter="state = VOIDED") == [names[2]]
    assert pages(calls, wallet="wallets/alice", filter="state != VOIDED AND amount >= 4") == [names[3]]
    told = refusal_of(lambda: calls.send(pb.ListHoldsRequest(wallet="wallets/nobody")))
    assert told.metadata == {"resourceName": "wallets/nobody"}


def pages(calls: MoneyCalls, **fields: object) -> list[str]:
    """Return the names on all pages of a list."""
    names: list[str] = []
    request = with_(pb.ListHoldsRequest(), **fields)
    while True:
        page = calls.send(request)
        names += [hold.name for hold in page.holds]
        if not page.next_page_token:
            return names
        request = with_(request, page_token=page.next_page_token)


def test_a_hold_to_the_end_of_time_is_placed_shown_and_captured(calls: MoneyCalls) -> None:
    """The last instant that a timestamp can say; beyond microseconds it is cut off."""

    calls.open("alice", 100)
    calls.open("bob")
    last = Timestamp(seconds=253_402_300_799, nanos=999_999_999)

    hold = calls.send(place("alice", 10, until=last)).hold

    assert hold.expire_time == Timestamp(seconds=last.seconds, nanos=999_999_000)
    assert calls.send(pb.ListHoldsRequest()).holds[0] == calls.hold(hold.name) == hold
    assert calls.send(capture(hold.name, "bob")).hold.state == CAPTURED


def test_wallets_can_be_read_after_holds_on_their_overdraft_were_released(app: App, calls: MoneyCalls) -> None:
    """Voided, expired or captured in part: with a limit as large as can be said, what is available can be told."""

    for currency in ("USD", "EUR", "JPY"):
        name = currency.lower()
        calls.open(name, overdraft=BIGGEST, currency=currency)
        calls.open(f"{name}-other", currency=currency)
        hold = calls.send(place(name, 1000, currency=currency)).hold.name
        try:
            calls.send(deposit(name, 1000, currency=currency))
        except Refused as refusal:
            assert refusal.answer.reason == "LIMIT_EXCEEDED"  # noqa: PT017  # either is right
        match currency:
            case "USD":
                calls.send(void(hold))
            case "EUR":
                expire_holds.run_once(app, clock_offset=TO_2126)
            case _:
                calls.send(capture(hold, f"{name}-other", 1, currency=currency, final=True))

        balance, still_held, available = calls.purse(name)
        assert (still_held, available) == (0, min(balance, 0) + BIGGEST)
    assert len(calls.send(wallet_pb.ListWalletsRequest()).wallets) == 6


def test_more_held_than_can_be_counted_is_refused_by_name(calls: MoneyCalls, owner: psycopg.Connection) -> None:
    """Never INTERNAL: holds on a balance and on an overdraft add up."""

    calls.open("alice", overdraft=BIGGEST)
    first = held(calls, "alice", BIGGEST)
    rows = count(owner, "holds")
    reasons = []

    for request in (deposit("alice", BIGGEST), place("alice", BIGGEST)):
        try:
            calls.send(request)
        except Refused as refusal:
            reasons.append(refusal.answer.reason)

    assert set(reasons) <= {"LIMIT_EXCEEDED", "INSUFFICIENT_FUNDS"}
    assert calls.hold(first).state == ACTIVE
    assert count(owner, "holds") >= rows
