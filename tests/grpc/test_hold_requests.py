"""Requests about holds: refused by field and in the documented order, repeated, and validated without a change."""

from typing import Any

import psycopg
from google.protobuf.timestamp_pb2 import Timestamp
from wallet.v1 import hold_service_pb2 as pb

from tests.support.api import Api, refused
from tests.support.callers import BIGGEST, everything
from tests.support.holds import ACTIVE, NO_HOLD, after_late, place_hold, time_in
from tests.support.requests import LATE, a_capture, a_deposit, a_hold, a_void, changed, money, new_id

PAST = Timestamp(seconds=1)


def test_a_time_that_is_over_is_refused_and_its_id_stays_free(api: Api, owner: psycopg.Connection) -> None:
    """Just over is over."""

    api.open("alice", 100)
    late = a_hold("alice", 40, until=time_in(owner, 0))

    refusal = refused(api, owner, late)

    assert (refusal.reason, refusal.violations) == ("INVALID_FIELDS", ("expire_time",))
    assert api.ok(changed(late, expire_time=LATE)).replayed is False


def test_other_currencies_are_refused_and_the_wallet_that_does_not_fit_is_named(
    api: Api, owner: psycopg.Connection
) -> None:
    """The wallet that the hold is on, or the destination."""

    api.open("alice", 100)
    api.open("bob")
    api.open("eva", 100, currency="EUR")
    hold = place_hold(api, "alice", 40)
    cases = [
        (a_hold("eva", 10), "wallets/eva", "EUR"),
        (a_capture(hold, "bob", 10, currency="EUR"), "wallets/alice", "USD"),
        (a_capture(hold, "eva", 10, currency="EUR"), "wallets/alice", "USD"),
        (a_capture(hold, "eva", 10), "wallets/eva", "EUR"),
        (a_capture(hold, "eva"), "wallets/eva", "EUR"),
    ]

    for request, wallet, currency in cases:
        refusal = refused(api, owner, request)
        assert (refusal.reason, refusal.metadata) == (
            "CURRENCY_MISMATCH",
            {"resourceName": wallet, "currency": currency},
        )


def test_system_wallets_and_what_is_not_there_are_refused(api: Api, owner: psycopg.Connection) -> None:
    """No caller holds money of a system wallet, nor captures into one."""

    api.open("alice", 100)
    hold = place_hold(api, "alice", 10)

    for role in ("external", "in_transit", "commission"):
        for request in (a_hold(f"system:{role}:USD", 1), a_capture(hold, f"system:{role}:USD", 1)):
            refusal = refused(api, owner, request)
            assert (refusal.code, refusal.reason) == ("PERMISSION_DENIED", "PERMISSION_MISSING")
    missing: list[tuple[Any, str]] = [
        (a_hold("nobody", 1), "wallets/nobody"),
        (a_capture(NO_HOLD, "nobody"), NO_HOLD),
        (a_capture(hold, "nobody"), "wallets/nobody"),
        (a_void(NO_HOLD), NO_HOLD),
    ]
    for request, name in missing:
        refusal = refused(api, owner, request)
        assert (refusal.code, refusal.reason, refusal.metadata) == (
            "NOT_FOUND",
            "RESOURCE_NOT_FOUND",
            {"resourceName": name},
        )
    assert api.refused(pb.GetHoldRequest(name=NO_HOLD)).metadata == {"resourceName": NO_HOLD}


def test_fields_out_of_shape_are_refused_by_name(api: Api, owner: psycopg.Connection) -> None:
    """Before anything is looked up."""

    before = everything(owner)
    fine = a_hold("nobody", 1)
    bare = pb.PlaceHoldRequest(wallet="wallets/nobody", amount=money(1), request_id=new_id())
    cases = [
        (a_hold("nobody", 0), "amount"),
        (a_hold("nobody", -1), "amount"),
        (a_hold("nobody", 1, currency="xyz"), "amount.currency_code"),
        (bare, "expire_time"),
        (a_hold("nobody", 1, until=Timestamp(seconds=2**40)), "expire_time"),
        (a_hold("nobody", 1, until=Timestamp(seconds=LATE.seconds, nanos=-1)), "expire_time"),
        (changed(fine, request_id="me"), "request_id"),
        (changed(fine, wallet="nobody"), "wallet"),
        (changed(fine, description="x" * 257), "description"),
        (a_capture("holds/1", "nobody"), "name"),
        (a_capture(NO_HOLD, "no body"), "destination"),
        (a_capture(NO_HOLD, "nobody", 0), "amount"),
        (a_capture(NO_HOLD, "nobody", 1, currency="xyz"), "amount.currency_code"),
        (a_capture(NO_HOLD, "nobody", labels={"Key": "x"}), "labels"),
        (a_void("holds/1"), "name"),
        (changed(a_void(NO_HOLD), request_id="me"), "request_id"),
        (pb.GetHoldRequest(name="wallets/alice"), "name"),
        (pb.ListHoldsRequest(wallet="alice"), "wallet"),
    ]

    for request, field in cases:
        refusal = api.refused(request)
        assert (refusal.reason, refusal.violations[0]) == ("INVALID_FIELDS", field), request
    assert everything(owner) == before


def test_of_two_faults_the_first_documented_is_reported(api: Api) -> None:
    """In the order in which the protos list them."""

    api.open("alice", 100)
    api.open("bob", BIGGEST - 200)
    api.open("cold", 100)
    api.open("gone")
    api.open("eva", currency="EUR")
    hold, ended, frozen, frozen_ended = (place_hold(api, wallet, 10) for wallet in ("alice", "alice", "cold", "cold"))
    for voided in (ended, frozen_ended):
        api.ok(a_void(voided))
    api.freeze("cold")
    api.close("gone")
    used = new_id()
    api.ok(changed(a_deposit("alice", 1), request_id=used))
    system = "system:external:USD"
    cases = [
        (a_hold(system, 0), "INVALID_FIELDS", "amount"),
        (changed(a_hold(system, 1), request_id=used), "PERMISSION_MISSING", None),
        (a_hold(system, 1, until=PAST), "PERMISSION_MISSING", None),
        (changed(a_hold("nobody", 1, until=PAST), request_id=used), "REQUEST_ID_REUSED", None),
        (changed(a_hold("cold", 999), request_id=used), "REQUEST_ID_REUSED", None),
        (a_hold("nobody", 1, until=PAST), "INVALID_FIELDS", "expire_time"),
        (a_hold("cold", 999, until=PAST, currency="EUR"), "INVALID_FIELDS", "expire_time"),
        (a_hold("cold", 1, currency="EUR"), "CURRENCY_MISMATCH", "wallets/cold"),
        (a_hold("alice", 999, currency="EUR"), "CURRENCY_MISMATCH", "wallets/alice"),
        (a_hold("cold", 999), "WALLET_NOT_ACTIVE", "wallets/cold"),
        (a_capture(NO_HOLD, system, 0), "INVALID_FIELDS", "amount"),
        (a_capture(NO_HOLD, system), "PERMISSION_MISSING", None),
        (changed(a_capture(hold, system), request_id=used), "PERMISSION_MISSING", None),
        (changed(a_capture(NO_HOLD, "nobody"), request_id=used), "REQUEST_ID_REUSED", None),
        (a_capture(NO_HOLD, "nobody"), "RESOURCE_NOT_FOUND", NO_HOLD),
        (a_capture(ended, "nobody"), "RESOURCE_NOT_FOUND", "wallets/nobody"),
        (a_capture(frozen, "nobody", 1, currency="EUR"), "RESOURCE_NOT_FOUND", "wallets/nobody"),
        (a_capture(hold, "alice", 1, currency="EUR"), "INVALID_FIELDS", "destination"),
        (a_capture(frozen_ended, "cold", 999), "INVALID_FIELDS", "destination"),
        (a_capture(frozen, "bob", 1, currency="EUR"), "CURRENCY_MISMATCH", "wallets/cold"),
        (a_capture(frozen, "eva", 1, currency="EUR"), "CURRENCY_MISMATCH", "wallets/cold"),
        (a_capture(ended, "eva"), "CURRENCY_MISMATCH", "wallets/eva"),
        (a_capture(frozen, "gone"), "WALLET_NOT_ACTIVE", "wallets/cold"),
        (a_capture(frozen_ended, "bob"), "WALLET_NOT_ACTIVE", "wallets/cold"),
        (a_capture(ended, "gone"), "WALLET_NOT_ACTIVE", "wallets/gone"),
        (a_capture(ended, "bob", 999), "STATE_TRANSITION_FORBIDDEN", ended),
        (a_capture(hold, "bob", BIGGEST), "LIMIT_EXCEEDED", hold),
        (changed(a_void(NO_HOLD), request_id=used), "REQUEST_ID_REUSED", None),
        (changed(a_void(ended), request_id=used), "REQUEST_ID_REUSED", None),
    ]

    for request, reason, about in cases:
        refusal = api.refused(request)
        assert refusal.reason == reason, request
        assert about in {None, refusal.metadata.get("resourceName"), *refusal.violations}, request


def test_a_frozen_source_is_reported_before_the_destinations_currency(api: Api) -> None:
    """CaptureHold looks at the wallet that the hold is on first, then at the destination."""

    api.open("cold", 100)
    api.open("eva", currency="EUR")
    hold = place_hold(api, "cold", 10)
    api.freeze("cold")

    refusal = api.refused(a_capture(hold, "eva"))

    assert (refusal.reason, refusal.metadata.get("resourceName")) == ("WALLET_NOT_ACTIVE", "wallets/cold")


def test_repeats_of_each_call_return_the_first_answer_with_the_hold_as_it_is_now(
    api: Api, owner: psycopg.Connection
) -> None:
    """Nothing is done twice, however much has happened since."""

    api.open("alice", 100)
    api.open("bob")
    placing = a_hold("alice", 60, description="d")
    placed = api.ok(placing)
    capturing = a_capture(placed.hold.name, "bob", 20, labels={"a": "1", "b": "2"})
    captured = api.ok(capturing)
    voiding = a_void(placed.hold.name)
    voided = api.ok(voiding)
    api.deposit("alice", 500)
    api.freeze("alice")
    before = everything(owner)

    again = [api.ok(request) for request in (placing, capturing, voiding)]

    assert everything(owner) == before
    assert [answer.replayed for answer in again] == [True] * 3
    assert [answer.hold for answer in again] == [voided.hold] * 3
    assert again[0].available == placed.available == money(40)
    assert again[1].transaction == captured.transaction
    assert [answer.replayed for answer in (placed, captured, voided)] == [False] * 3
    for request in (placing, capturing, voiding):
        assert api.ok(changed(request, validate_only=True)).replayed is True


def test_an_id_that_was_used_for_something_else_is_refused(api: Api, owner: psycopg.Connection) -> None:
    """Another amount, time, destination or method; the first use is named."""

    api.open("alice", 100)
    api.open("bob")
    placing = a_hold("alice", 30)
    hold = api.ok(placing).hold.name
    capturing = a_capture(hold, "bob", 10)
    made = api.ok(capturing).transaction.name
    other = place_hold(api, "alice", 10)
    voiding = a_void(other)
    api.ok(voiding)
    first_uses = {
        placing.request_id: ("PlaceHold", hold),
        capturing.request_id: ("CaptureHold", made),
        voiding.request_id: ("VoidHold", other),
    }
    cases: list[Any] = [
        changed(placing, amount=money(31)),
        changed(placing, expire_time=after_late(1)),
        changed(placing, description="else"),
        changed(capturing, amount=money(11)),
        changed(capturing, final=True),
        changed(capturing, name=other),
        changed(a_capture(hold, "bob"), request_id=capturing.request_id),
        changed(capturing, labels={"a": "b"}),
        changed(voiding, name=hold),
        changed(voiding, request_id=placing.request_id),
        changed(capturing, request_id=voiding.request_id),
        changed(placing, request_id=capturing.request_id),
    ]

    for request in cases:
        refusal = refused(api, owner, request)
        method, name = first_uses[request.request_id]
        assert (refusal.code, refusal.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")
        assert refusal.metadata == {"requestId": request.request_id, "method": method, "resourceName": name}


def test_a_refusal_is_repeated_though_its_cause_is_gone(api: Api) -> None:
    """Of each call: another try needs a new id."""

    api.open("alice", 10)
    hold = place_hold(api, "alice", 10)
    too_much, to_nobody, too_late = a_hold("alice", 5), a_capture(hold, "bob"), a_void(held_and_voided(api))
    first = [api.refused(request) for request in (too_much, to_nobody, too_late)]
    api.deposit("alice", 100)
    api.open("bob")

    again = [api.refused(request) for request in (too_much, to_nobody, too_late)]

    assert first == again
    assert [result.reason for result in first] == [
        "INSUFFICIENT_FUNDS",
        "RESOURCE_NOT_FOUND",
        "STATE_TRANSITION_FORBIDDEN",
    ]
    assert api.ok(changed(too_much, request_id=new_id())).hold.state == ACTIVE


def held_and_voided(api: Api) -> str:
    """Return a voided hold on a wallet of its own."""
    api.open("victor", 10)
    hold = place_hold(api, "victor", 10)
    api.ok(a_void(hold))
    return hold


def test_validating_answers_as_the_real_call_does_and_stores_nothing(api: Api, owner: psycopg.Connection) -> None:
    """Place, capture in part, capture finally, void: all but names and times is the same."""

    api.open("alice", 100)
    api.open("bob", 5)
    other, hold = place_hold(api, "alice", 10), place_hold(api, "alice", 60)
    requests: list[Any] = [
        a_hold("alice", 30),
        a_capture(hold, "bob", 20),
        a_capture(hold, "bob", 15, final=True),
        a_void(other),
    ]

    for request in requests:
        before = everything(owner)
        tried = api.ok(changed(request, validate_only=True))
        assert everything(owner) == before
        made = api.ok(request)
        if isinstance(request, pb.PlaceHoldRequest):
            assert tried.hold.name == ""
        if isinstance(request, pb.CaptureHoldRequest):
            assert tried.transaction.name == ""
        assert without_names_and_times(tried) == without_names_and_times(made)


def without_names_and_times(answer: Any) -> Any:  # noqa: ANN401  # any answer that has a hold
    """Return a copy of an answer without what is only known once it is done."""
    copy = changed(answer)
    for field in ("name", "create_time", "update_time"):
        copy.hold.ClearField(field)
    if isinstance(copy, pb.CaptureHoldResponse):
        copy.transaction.ClearField("name")
        copy.transaction.ClearField("execute_time")
    return copy
