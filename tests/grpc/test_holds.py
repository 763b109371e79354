"""Holds as callers make them: money put aside, then captured, given up or expired, each exactly once."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
from google.protobuf.timestamp_pb2 import Timestamp
from wallet.v1 import hold_service_pb2 as pb
from wallet.v1 import schedule_service_pb2 as schedule_pb
from wallet.v1 import transaction_service_pb2 as transaction_pb
from wallet.v1 import wallet_service_pb2 as wallet_pb

from scheduler.jobs import expire_holds
from tests.support.asking import Asking, Refused, refused
from tests.support.callers import BIGGEST, count, everything
from tests.support.requests import (
    LATE,
    SOURCE,
    a_capture,
    a_close,
    a_deposit,
    a_hold,
    a_transfer,
    a_void,
    changed,
    money,
    new_id,
    stamp,
)
from tests.support.together import together
from wallet_core.usecases.app import App
from wallet_core.usecases.expire_hold import expire_hold
from walletctl.local.waiting import wait_until

ACTIVE, CAPTURED, VOIDED, EXPIRED = (
    pb.Hold.STATE_ACTIVE,
    pb.Hold.STATE_CAPTURED,
    pb.Hold.STATE_VOIDED,
    pb.Hold.STATE_EXPIRED,
)
TO_2126 = timedelta(days=36_525)  # from any of our days past LATE
PAST = Timestamp(seconds=1)
NO_HOLD = f"holds/{uuid4()}"


def at(seconds: int) -> Timestamp:
    """Return a time so many seconds after LATE."""
    return Timestamp(seconds=LATE.seconds + seconds)


def shown(asking: Asking, hold: str) -> tuple[int, int, int]:
    """Return a hold's state, what was captured of it, and what remains."""
    found = asking.hold(hold)
    return found.state, found.captured_amount.minor_units, found.remaining_amount.minor_units


def held(asking: Asking, wallet: str, units: int) -> str:
    """Place a hold; return its name."""
    return str(asking.ok(a_hold(wallet, units)).hold.name)


def soon(owner: psycopg.Connection, ms: int) -> Timestamp:
    """Return a time so many milliseconds from now, by the database's clock."""
    row = owner.execute("SELECT clock_timestamp() + %s * interval '1 ms'", [ms]).fetchone()
    assert row is not None
    return stamp(row[0])


def over_in_a_moment(asking: Asking, owner: psycopg.Connection, wallet: str, units: int) -> str:
    """Place a hold and wait until its time is over, by the database's clock; return its name."""
    for ms in (50, 250, 1000):  # a busy machine may need longer than the first moment to place it
        until = soon(owner, ms)
        placed = asking.answer(a_hold(wallet, units, until=until))
        if placed.code == "OK":
            break
    assert wait_until(lambda: soon(owner, 0).ToNanoseconds() >= until.ToNanoseconds(), timeout_s=30)
    return pb.PlaceHoldResponse.FromString(placed.body).hold.name


def test_a_placed_hold_is_told_and_its_money_is_there_but_not_available(asking: Asking) -> None:
    """No money moves; what the wallet, the answer and GetHold say agrees."""

    asking.open("alice", 100)
    asked = a_hold("alice", 30, description="a room for the night")

    placed = asking.ok(asked)

    hold = placed.hold
    assert (hold.wallet, hold.amount, hold.description) == ("wallets/alice", money(30), "a room for the night")
    assert (hold.captured_amount, hold.remaining_amount, hold.state) == (money(0), money(30), ACTIVE)
    assert (hold.expire_time, hold.create_time) == (LATE, hold.update_time)
    assert (placed.available, placed.replayed) == (money(70), False)
    assert asking.hold(hold.name) == hold
    assert asking.funds("alice") == (100, 30, 70)


def test_a_hold_takes_all_that_is_available_overdraft_included_and_not_one_more(
    asking: Asking, owner: psycopg.Connection
) -> None:
    """Available is balance less held plus overdraft, for holds, transfers and withdrawals alike."""

    asking.open("alice", 100, overdraft_limit=money(50))
    asking.open("bob")
    held(asking, "alice", 90)

    told = refused(asking, owner, a_hold("alice", 61))

    assert told.reason == "INSUFFICIENT_FUNDS"
    assert told.metadata == {"wallet": "wallets/alice", "currencyCode": "USD", "available": "60", "required": "61"}
    assert asking.ok(a_hold("alice", 60)).available == money(0)
    assert asking.funds("alice") == (100, 150, 0)
    for request in (a_hold("alice", 1), a_transfer("alice", "bob", 1)):
        assert refused(asking, owner, request).metadata["available"] == "0"


def test_a_hold_and_a_reserved_withdrawal_share_what_is_available(asking: Asking) -> None:
    """What the one has put aside is not there for the other."""

    asking.open("alice", 100)
    asking.ok(
        schedule_pb.ScheduleWithdrawalRequest(
            wallet="wallets/alice", amount=money(40), execute_time=LATE, request_id=new_id(), reserve=True
        )
    )

    assert asking.refused(a_hold("alice", 61)).metadata["available"] == "60"
    hold = held(asking, "alice", 60)
    assert asking.funds("alice") == (100, 100, 0)
    asking.ok(a_void(hold))
    assert asking.funds("alice") == (100, 40, 60)


def test_a_hold_is_captured_in_parts_to_several_wallets_and_the_last_releases_the_rest(asking: Asking) -> None:
    """After each part the rest is still held; ``final`` makes it available again."""

    asking.open("alice", 100)
    for name in ("bob", "carol"):
        asking.open(name)
    hold = held(asking, "alice", 80)

    seen = []
    for destination, units, final in (("bob", 10, False), ("carol", 20, False), ("bob", 5, True)):
        captured = asking.ok(a_capture(hold, destination, units, final=final))
        assert captured.hold == asking.hold(hold)
        seen.append((asking.funds("alice"), shown(asking, hold)))

    assert seen == [
        ((90, 70, 20), (ACTIVE, 10, 70)),
        ((70, 50, 20), (ACTIVE, 30, 50)),
        ((65, 0, 65), (CAPTURED, 35, 0)),
    ]
    assert asking.balances("bob", "carol") == [15, 20]


def test_a_capture_of_all_that_remains_ends_the_hold(asking: Asking) -> None:
    """Without an amount, or with just what remains; ``final`` need not be said."""

    asking.open("alice", 160)
    asking.open("bob")
    for units in (None, 50):
        hold = held(asking, "alice", 80)
        asking.ok(a_capture(hold, "bob", 30))

        last = asking.ok(a_capture(hold, "bob", units))

        assert (last.transaction.amount, shown(asking, hold)) == (money(50), (CAPTURED, 80, 0))
    assert (asking.funds("alice"), asking.funds("bob")) == ((0, 0, 0), (160, 0, 160))


def test_a_capture_of_more_than_remains_is_refused(asking: Asking, owner: psycopg.Connection) -> None:
    """Not even where the wallet has the money; the limit told is what remains."""

    asking.open("alice", 100)
    asking.open("bob")
    hold = held(asking, "alice", 50)
    asking.ok(a_capture(hold, "bob", 20))

    told = refused(asking, owner, a_capture(hold, "bob", 31, final=True))

    assert (told.code, told.reason) == ("FAILED_PRECONDITION", "LIMIT_EXCEEDED")
    assert told.metadata == {"resourceName": hold, "limit": "30"}
    assert shown(asking, hold) == (ACTIVE, 20, 30)


def test_a_capture_is_a_transaction_without_commission_that_names_its_hold(asking: Asking) -> None:
    """Commission is charged on transfers only, whatever the rules say."""

    asking.open("alice", 100)
    asking.open("bob")
    asking.charge(payer=SOURCE, rate_millionths=100_000, fixed_minor_units=7)
    hold = held(asking, "alice", 60)

    made = asking.ok(a_capture(hold, "bob", 40, description="two nights", labels={"room": "12"})).transaction

    assert (made.type, made.state) == (
        transaction_pb.Transaction.TYPE_HOLD_CAPTURE,
        transaction_pb.Transaction.STATE_POSTED,
    )
    assert (made.source, made.destination, made.amount, made.hold) == ("wallets/alice", "wallets/bob", money(40), hold)
    assert (made.description, dict(made.labels)) == ("two nights", {"room": "12"})
    assert not made.HasField("commission")
    legs = {entry.wallet: (entry.amount.minor_units, entry.balance_after.minor_units) for entry in made.entries}
    assert legs == {"wallets/alice": (-40, 60), "wallets/bob": (40, 40)}
    assert asking.transaction(made.name) == made


def test_held_money_of_an_overdraft_is_captured_below_zero(asking: Asking) -> None:
    """The balance may go as far below zero as the limit says, and by a capture too."""

    asking.open("alice", 10, overdraft_limit=money(100))
    asking.open("bob")

    asking.ok(a_capture(held(asking, "alice", 110), "bob"))

    assert (asking.funds("alice"), asking.funds("bob")) == ((-100, 0, 0), (110, 0, 110))


def test_a_hold_whose_time_is_over_cannot_be_captured_though_no_job_has_run(
    app: App, asking: Asking, owner: psycopg.Connection
) -> None:
    """It still holds its money until the job expires it or somebody gives it up."""

    asking.open("alice", 100)
    asking.open("bob")
    over, given_up = (over_in_a_moment(asking, owner, "alice", 40) for _ in range(2))

    for request in (a_capture(over, "bob"), a_capture(over, "bob", 1), a_capture(over, "bob", 41, final=True)):
        told = refused(asking, owner, request)
        assert (told.reason, told.metadata["resourceName"]) == ("STATE_TRANSITION_FORBIDDEN", over)
    assert (shown(asking, over), asking.funds("alice")) == ((ACTIVE, 0, 40), (100, 80, 20))

    assert asking.ok(a_void(given_up)).hold.state == VOIDED
    assert dict(expire_holds.run_once(app).outcomes) == {"EXPIRED": 1}
    assert [shown(asking, hold) for hold in (over, given_up)] == [(EXPIRED, 0, 0), (VOIDED, 0, 0)]
    assert asking.funds("alice") == (100, 0, 100)


def test_what_was_captured_before_its_time_stays_captured_when_a_hold_expires(app: App, asking: Asking) -> None:
    """Expiry releases what remains, and says how much was captured."""

    asking.open("alice", 100)
    asking.open("bob")
    hold = held(asking, "alice", 60)
    asking.ok(a_capture(hold, "bob", 25))

    expire_holds.run_once(app, clock_offset=TO_2126)

    assert shown(asking, hold) == (EXPIRED, 25, 0)
    assert (asking.funds("alice"), asking.balances("bob")) == ((75, 0, 75), [25])


def test_a_frozen_wallet_lets_nothing_be_held_or_captured_but_voided_and_expired(
    app: App, asking: Asking, owner: psycopg.Connection
) -> None:
    """What was held becomes available again, though not to be taken."""

    asking.open("alice", 100)
    asking.open("bob")
    first, second = held(asking, "alice", 40), held(asking, "alice", 30)
    asking.freeze("alice")

    for request in (a_hold("alice", 1), a_capture(first, "bob"), a_capture(first, "bob", 1)):
        told = refused(asking, owner, request)
        assert told.reason == "WALLET_NOT_ACTIVE"
        assert told.metadata == {"resourceName": "wallets/alice", "state": "FROZEN"}
    asking.ok(a_void(first))
    assert dict(expire_holds.run_once(app, clock_offset=TO_2126).outcomes) == {"EXPIRED": 1}

    assert [shown(asking, hold)[0] for hold in (first, second)] == [VOIDED, EXPIRED]
    assert asking.funds("alice") == (100, 0, 100)


def test_a_capture_goes_to_a_frozen_wallet_but_not_to_a_closed_one(asking: Asking, owner: psycopg.Connection) -> None:
    """A frozen wallet may receive."""

    asking.open("alice", 100)
    for name in ("cold", "gone"):
        asking.open(name)
    asking.freeze("cold")
    asking.close("gone")
    hold = held(asking, "alice", 40)

    told = refused(asking, owner, a_capture(hold, "gone", 10))
    asking.ok(a_capture(hold, "cold", 10))

    assert (told.reason, told.metadata) == (
        "WALLET_NOT_ACTIVE",
        {"resourceName": "wallets/gone", "state": "CLOSED"},
    )
    assert (asking.balances("cold"), shown(asking, hold)) == ([10], (ACTIVE, 10, 30))


def test_a_capture_to_the_wallet_itself_is_refused_and_its_id_stays_free(
    asking: Asking, owner: psycopg.Connection
) -> None:
    """INVALID_FIELDS says nothing for good: the same id may name another destination."""

    asking.open("alice", 100)
    asking.open("bob")
    hold = held(asking, "alice", 40)
    wrong = a_capture(hold, "alice", 10)

    told = refused(asking, owner, wrong)

    assert (told.reason, told.violations) == ("INVALID_FIELDS", ("destination",))
    assert asking.ok(changed(wrong, destination="wallets/bob")).replayed is False


def test_a_time_that_is_over_is_refused_and_its_id_stays_free(asking: Asking, owner: psycopg.Connection) -> None:
    """Just over is over."""

    asking.open("alice", 100)
    late = a_hold("alice", 40, until=soon(owner, 0))

    told = refused(asking, owner, late)

    assert (told.reason, told.violations) == ("INVALID_FIELDS", ("expire_time",))
    assert asking.ok(changed(late, expire_time=LATE)).replayed is False


def test_other_currencies_are_refused_and_the_wallet_that_does_not_fit_is_named(
    asking: Asking, owner: psycopg.Connection
) -> None:
    """The wallet that the hold is on, or the destination."""

    asking.open("alice", 100)
    asking.open("bob")
    asking.open("eva", 100, currency="EUR")
    hold = held(asking, "alice", 40)
    cases = [
        (a_hold("eva", 10), "wallets/eva", "EUR"),
        (a_capture(hold, "bob", 10, currency="EUR"), "wallets/alice", "USD"),
        (a_capture(hold, "eva", 10, currency="EUR"), "wallets/alice", "USD"),
        (a_capture(hold, "eva", 10), "wallets/eva", "EUR"),
        (a_capture(hold, "eva"), "wallets/eva", "EUR"),
    ]

    for request, wallet, currency in cases:
        told = refused(asking, owner, request)
        assert (told.reason, told.metadata) == ("CURRENCY_MISMATCH", {"resourceName": wallet, "currency": currency})


def test_a_capture_into_a_full_wallet_is_refused_and_the_hold_stays(asking: Asking, owner: psycopg.Connection) -> None:
    """LIMIT_EXCEEDED of the destination: what fits goes through."""

    asking.open("bob", BIGGEST)
    asking.open("alice")
    asking.transfer("bob", "alice", 10)
    asking.deposit("alice", 1)
    hold = held(asking, "alice", 11)

    told = refused(asking, owner, a_capture(hold, "bob"))
    asking.ok(a_capture(hold, "bob", 10))

    assert (told.reason, told.metadata) == (
        "LIMIT_EXCEEDED",
        {"resourceName": "wallets/bob", "limit": str(BIGGEST)},
    )
    assert (shown(asking, hold), asking.balances("bob")) == ((ACTIVE, 10, 1), [BIGGEST])


def test_a_hold_that_has_ended_never_moves_again(app: App, asking: Asking, owner: psycopg.Connection) -> None:
    """Captured, voided or expired: no capture, no void and no job changes anything any more."""

    asking.open("alice", 100)
    asking.open("bob")
    ended = {state: held(asking, "alice", 20) for state in ("CAPTURED", "VOIDED", "EXPIRED")}
    asking.ok(a_capture(ended["CAPTURED"], "bob", 5, final=True))
    asking.ok(a_void(ended["VOIDED"]))
    expire_holds.run_once(app, clock_offset=TO_2126)

    for state, hold in ended.items():
        for request in (
            a_capture(hold, "bob"),
            a_capture(hold, "bob", 1),
            a_capture(hold, "bob", 15, final=True),
            a_void(hold),
        ):
            told = refused(asking, owner, request)
            assert (told.reason, told.metadata["resourceName"]) == ("STATE_TRANSITION_FORBIDDEN", hold)
            assert told.metadata["state"] == state
    before = everything(owner)
    assert expire_holds.run_once(app, clock_offset=2 * TO_2126).claimed == 0
    assert everything(owner) == before
    assert [shown(asking, hold)[0] for hold in ended.values()] == [CAPTURED, VOIDED, EXPIRED]
    assert asking.funds("alice") == (95, 0, 95)


def test_system_wallets_and_what_is_not_there_are_refused(asking: Asking, owner: psycopg.Connection) -> None:
    """Nobody holds the service's own money, nor captures into it."""

    asking.open("alice", 100)
    hold = held(asking, "alice", 10)

    for role in ("external", "in_transit", "commission"):
        for request in (a_hold(f"system:{role}:USD", 1), a_capture(hold, f"system:{role}:USD", 1)):
            told = refused(asking, owner, request)
            assert (told.code, told.reason) == ("PERMISSION_DENIED", "PERMISSION_MISSING")
    missing: list[tuple[Any, str]] = [
        (a_hold("nobody", 1), "wallets/nobody"),
        (a_capture(NO_HOLD, "nobody"), NO_HOLD),
        (a_capture(hold, "nobody"), "wallets/nobody"),
        (a_void(NO_HOLD), NO_HOLD),
    ]
    for request, name in missing:
        told = refused(asking, owner, request)
        assert (told.code, told.reason, told.metadata) == ("NOT_FOUND", "RESOURCE_NOT_FOUND", {"resourceName": name})
    assert asking.refused(pb.GetHoldRequest(name=NO_HOLD)).metadata == {"resourceName": NO_HOLD}


def test_fields_out_of_shape_are_refused_by_name(asking: Asking, owner: psycopg.Connection) -> None:
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
        told = asking.refused(request)
        assert (told.reason, told.violations[0]) == ("INVALID_FIELDS", field), request
    assert everything(owner) == before


def test_of_two_faults_the_first_documented_is_told(asking: Asking) -> None:
    """In the order in which the protos list them."""

    asking.open("alice", 100)
    asking.open("bob", BIGGEST - 200)
    asking.open("cold", 100)
    asking.open("gone")
    asking.open("eva", currency="EUR")
    hold, ended, frozen, frozen_ended = (held(asking, wallet, 10) for wallet in ("alice", "alice", "cold", "cold"))
    for voided in (ended, frozen_ended):
        asking.ok(a_void(voided))
    asking.freeze("cold")
    asking.close("gone")
    used = new_id()
    asking.ok(changed(a_deposit("alice", 1), request_id=used))
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
        told = asking.refused(request)
        assert told.reason == reason, request
        assert about in {None, told.metadata.get("resourceName"), *told.violations}, request


def test_a_frozen_source_is_told_before_the_destinations_currency(asking: Asking) -> None:
    """CaptureHold looks at the wallet that the hold is on first, then at the destination."""

    asking.open("cold", 100)
    asking.open("eva", currency="EUR")
    hold = held(asking, "cold", 10)
    asking.freeze("cold")

    told = asking.refused(a_capture(hold, "eva"))

    assert (told.reason, told.metadata.get("resourceName")) == ("WALLET_NOT_ACTIVE", "wallets/cold")


def test_repeats_of_each_call_return_the_first_answer_with_the_hold_as_it_is_now(
    asking: Asking, owner: psycopg.Connection
) -> None:
    """Nothing is done twice, however much has happened since."""

    asking.open("alice", 100)
    asking.open("bob")
    placing = a_hold("alice", 60, description="d")
    placed = asking.ok(placing)
    capturing = a_capture(placed.hold.name, "bob", 20, labels={"a": "1", "b": "2"})
    captured = asking.ok(capturing)
    voiding = a_void(placed.hold.name)
    voided = asking.ok(voiding)
    asking.deposit("alice", 500)
    asking.freeze("alice")
    before = everything(owner)

    again = [asking.ok(request) for request in (placing, capturing, voiding)]

    assert everything(owner) == before
    assert [answer.replayed for answer in again] == [True] * 3
    assert [answer.hold for answer in again] == [voided.hold] * 3
    assert again[0].available == placed.available == money(40)
    assert again[1].transaction == captured.transaction
    assert [answer.replayed for answer in (placed, captured, voided)] == [False] * 3
    for request in (placing, capturing, voiding):
        assert asking.ok(changed(request, validate_only=True)).replayed is True


def test_an_id_that_was_used_for_something_else_is_refused(asking: Asking, owner: psycopg.Connection) -> None:
    """Another amount, time, destination or method; the first use is named."""

    asking.open("alice", 100)
    asking.open("bob")
    placing = a_hold("alice", 30)
    hold = asking.ok(placing).hold.name
    capturing = a_capture(hold, "bob", 10)
    made = asking.ok(capturing).transaction.name
    other = held(asking, "alice", 10)
    voiding = a_void(other)
    asking.ok(voiding)
    first_uses = {
        placing.request_id: ("PlaceHold", hold),
        capturing.request_id: ("CaptureHold", made),
        voiding.request_id: ("VoidHold", other),
    }
    cases: list[Any] = [
        changed(placing, amount=money(31)),
        changed(placing, expire_time=at(1)),
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
        told = refused(asking, owner, request)
        method, name = first_uses[request.request_id]
        assert (told.code, told.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")
        assert told.metadata == {"requestId": request.request_id, "method": method, "resourceName": name}


def test_a_refusal_is_repeated_though_its_cause_is_gone(asking: Asking) -> None:
    """Of each call: another try needs a new id."""

    asking.open("alice", 10)
    hold = held(asking, "alice", 10)
    too_much, to_nobody, too_late = a_hold("alice", 5), a_capture(hold, "bob"), a_void(held_and_voided(asking))
    first = [asking.refused(request) for request in (too_much, to_nobody, too_late)]
    asking.deposit("alice", 100)
    asking.open("bob")

    again = [asking.refused(request) for request in (too_much, to_nobody, too_late)]

    assert first == again
    assert [told.reason for told in first] == [
        "INSUFFICIENT_FUNDS",
        "RESOURCE_NOT_FOUND",
        "STATE_TRANSITION_FORBIDDEN",
    ]
    assert asking.ok(changed(too_much, request_id=new_id())).hold.state == ACTIVE


def held_and_voided(asking: Asking) -> str:
    """Return a hold on a wallet of its own that was given up."""
    asking.open("victor", 10)
    hold = held(asking, "victor", 10)
    asking.ok(a_void(hold))
    return hold


def test_validating_answers_as_the_real_call_does_and_stores_nothing(asking: Asking, owner: psycopg.Connection) -> None:
    """Place, capture in part, capture for good, void: all but names and times is the same."""

    asking.open("alice", 100)
    asking.open("bob", 5)
    other, hold = held(asking, "alice", 10), held(asking, "alice", 60)
    requests: list[Any] = [
        a_hold("alice", 30),
        a_capture(hold, "bob", 20),
        a_capture(hold, "bob", 15, final=True),
        a_void(other),
    ]

    for request in requests:
        before = everything(owner)
        tried = asking.ok(changed(request, validate_only=True))
        assert everything(owner) == before
        made = asking.ok(request)
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


def test_holds_expire_the_longest_over_first(app: App, asking: Asking) -> None:
    """As many as the job may, and none whose time is yet to come."""

    asking.open("alice", 100)
    third, first, second, never = (
        asking.ok(a_hold("alice", 10, until=at(seconds))).hold.name for seconds in (30, 10, 20, 10**9)
    )

    expired = []
    for limit in (1, 1, 5):
        counts = expire_holds.run_once(app, limit=limit, clock_offset=TO_2126)
        assert counts.claimed == sum(counts.outcomes.values()) == counts.outcomes["EXPIRED"]
        expired.append([hold for hold in (first, second, third, never) if shown(asking, hold)[0] == EXPIRED])

    assert expired == [[first], [first, second], [first, second, third]]
    assert expire_holds.run_once(app).claimed == 0
    assert asking.funds("alice") == (100, 10, 90)


def test_two_expiry_jobs_at_once_expire_each_hold_once(app: App, asking: Asking, owner: psycopg.Connection) -> None:
    """What one has claimed the other leaves alone."""

    asking.open("alice", 100)
    for _ in range(24):
        held(asking, "alice", 2)

    results = together([lambda: expire_holds.run_once(app, clock_offset=TO_2126)] * 2)

    outcomes = [dict(result.outcomes) for result in results if not isinstance(result, Exception)]
    assert sum(found.pop("EXPIRED", 0) for found in outcomes) == 24
    assert outcomes == [{}, {}]
    assert owner.execute("SELECT count(*) FROM outbox WHERE type = 'hold.expired'").fetchone() == (24,)
    assert asking.funds("alice") == (100, 0, 100)


def test_a_hold_that_was_claimed_and_left_is_expired_once_the_lease_is_over(app: App, asking: Asking) -> None:
    """A job that was killed in between; should it come to life again, it does nothing."""

    asking.open("alice", 100)
    hold = held(asking, "alice", 60)
    lease = app.payouts.policy.lease
    (claim,) = app.claims.to_expire(limit=10, lease=lease, clock_offset=TO_2126)

    assert expire_holds.run_once(app, clock_offset=TO_2126).claimed == 0
    assert (shown(asking, hold)[0], asking.funds("alice")) == (ACTIVE, (100, 60, 40))
    (second,) = app.claims.to_expire(limit=10, lease=lease, clock_offset=TO_2126 + 2 * lease)
    assert expire_hold(app, claim, clock_offset=TO_2126 + 2 * lease) is None
    assert shown(asking, hold)[0] == ACTIVE
    assert dict(expire_holds.run_once(app, clock_offset=TO_2126 + 4 * lease).outcomes) == {"EXPIRED": 1}
    assert [expire_hold(app, old, clock_offset=TO_2126 + 4 * lease) for old in (claim, second)] == [None, None]
    assert (shown(asking, hold)[0], asking.funds("alice")) == (EXPIRED, (100, 0, 100))


def test_a_claimed_hold_can_still_be_given_up_and_the_claim_then_does_nothing(app: App, asking: Asking) -> None:
    """A claim is no state: until the hold has ended, whoever comes first ends it."""

    asking.open("alice", 100)
    hold = held(asking, "alice", 60)
    (claim,) = app.claims.to_expire(limit=10, lease=timedelta(seconds=1), clock_offset=TO_2126)

    assert asking.ok(a_void(hold)).hold.state == VOIDED
    assert expire_hold(app, claim, clock_offset=TO_2126) is None
    assert (shown(asking, hold)[0], asking.funds("alice")) == (VOIDED, (100, 0, 100))


def test_a_wallet_with_a_hold_is_closed_only_once_it_has_ended(asking: Asking) -> None:
    """A hold on the overdraft of an empty wallet stands in the way like any other."""

    asking.open("alice", overdraft_limit=money(100))
    hold = held(asking, "alice", 60)

    told = asking.refused(a_close("alice"))
    asking.ok(a_void(hold))
    asking.close("alice")

    assert told.reason == "STATE_TRANSITION_FORBIDDEN"
    assert hold in told.metadata["explanation"]
    assert asking.refused(a_hold("alice", 1)).metadata["state"] == "CLOSED"


def test_holds_are_listed_newest_first_by_wallet_and_by_state(asking: Asking) -> None:
    """Page by page, each once."""

    asking.open("alice", 100)
    asking.open("bob", 100)
    names = [held(asking, wallet, units) for wallet, units in (("alice", 1), ("bob", 2), ("alice", 3), ("alice", 4))]
    asking.ok(a_void(names[2]))

    assert pages(asking, page_size=2) == names[::-1]
    assert pages(asking, wallet="wallets/alice", page_size=1) == [names[3], names[2], names[0]]
    assert pages(asking, filter="state = VOIDED") == [names[2]]
    assert pages(asking, wallet="wallets/alice", filter="state != VOIDED AND amount >= 4") == [names[3]]
    told = asking.refused(pb.ListHoldsRequest(wallet="wallets/nobody"))
    assert told.metadata == {"resourceName": "wallets/nobody"}


def pages(asking: Asking, **fields: object) -> list[str]:
    """Return the names on all pages of a list."""
    names: list[str] = []
    request = changed(pb.ListHoldsRequest(), **fields)
    while True:
        page = asking.ok(request)
        names += [hold.name for hold in page.holds]
        if not page.next_page_token:
            return names
        request = changed(request, page_token=page.next_page_token)


def test_a_hold_to_the_end_of_time_is_placed_shown_and_captured(asking: Asking) -> None:
    """The last instant that a timestamp can say; beyond microseconds it is cut off."""

    asking.open("alice", 100)
    asking.open("bob")
    last = Timestamp(seconds=253_402_300_799, nanos=999_999_999)

    hold = asking.ok(a_hold("alice", 10, until=last)).hold

    assert hold.expire_time == Timestamp(seconds=last.seconds, nanos=999_999_000)
    assert asking.ok(pb.ListHoldsRequest()).holds[0] == asking.hold(hold.name) == hold
    assert asking.ok(a_capture(hold.name, "bob")).hold.state == CAPTURED


def test_wallets_can_be_read_after_holds_on_their_overdraft_were_released(app: App, asking: Asking) -> None:
    """Voided, expired or captured in part: with a limit as large as can be said, what is available can be told."""

    for currency in ("USD", "EUR", "JPY"):
        name = currency.lower()
        asking.open(name, overdraft_limit=money(BIGGEST, currency), currency=currency)
        asking.open(f"{name}-other", currency=currency)
        hold = asking.ok(a_hold(name, 1000, currency=currency)).hold.name
        try:
            asking.deposit(name, 1000, currency=currency)
        except Refused as refusal:
            assert refusal.reason == "LIMIT_EXCEEDED"  # noqa: PT017  # either is right
        match currency:
            case "USD":
                asking.ok(a_void(hold))
            case "EUR":
                expire_holds.run_once(app, clock_offset=TO_2126)
            case _:
                asking.ok(a_capture(hold, f"{name}-other", 1, currency=currency, final=True))

        balance, still_held, available = asking.funds(name)
        assert (still_held, available) == (0, min(balance, 0) + BIGGEST)
    assert len(asking.ok(wallet_pb.ListWalletsRequest()).wallets) == 6


def test_more_held_than_can_be_counted_is_refused_by_name(asking: Asking, owner: psycopg.Connection) -> None:
    """Never INTERNAL: holds on a balance and on an overdraft add up."""

    asking.open("alice", overdraft_limit=money(BIGGEST))
    first = held(asking, "alice", BIGGEST)
    rows = count(owner, "holds")
    reasons = []

    for request in (a_deposit("alice", BIGGEST), a_hold("alice", BIGGEST)):
        try:
            asking.ok(request)
        except Refused as refusal:
            reasons.append(refusal.answer.reason)

    assert set(reasons) <= {"LIMIT_EXCEEDED", "INSUFFICIENT_FUNDS"}
    assert asking.hold(first).state == ACTIVE
    assert count(owner, "holds") >= rows
