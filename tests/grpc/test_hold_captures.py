"""Captures of holds: in parts, to several wallets, and never more than remains."""

import psycopg
from google.protobuf.timestamp_pb2 import Timestamp
from wallet.v1 import hold_service_pb2 as pb
from wallet.v1 import transaction_service_pb2 as transaction_pb

from scheduler.jobs import expire_holds
from tests.support.api import Api, refused
from tests.support.callers import BIGGEST
from tests.support.holds import ACTIVE, CAPTURED, EXPIRED, TO_2126, VOIDED, hold_summary, overdue_hold, place_hold
from tests.support.requests import SOURCE, a_capture, a_hold, a_void, changed, money
from wallet_core.usecases.app import App


def test_a_hold_is_captured_in_parts_to_several_wallets_and_the_last_releases_the_rest(api: Api) -> None:
    """After each part the rest is still held; ``final`` makes it available again."""

    api.open("alice", 100)
    for name in ("bob", "carol"):
        api.open(name)
    hold = place_hold(api, "alice", 80)

    seen = []
    for destination, units, final in (("bob", 10, False), ("carol", 20, False), ("bob", 5, True)):
        captured = api.ok(a_capture(hold, destination, units, final=final))
        assert captured.hold == api.hold(hold)
        seen.append((api.funds("alice"), hold_summary(api, hold)))

    assert seen == [
        ((90, 70, 20), (ACTIVE, 10, 70)),
        ((70, 50, 20), (ACTIVE, 30, 50)),
        ((65, 0, 65), (CAPTURED, 35, 0)),
    ]
    assert api.balances("bob", "carol") == [15, 20]


def test_a_capture_of_all_that_remains_ends_the_hold(api: Api) -> None:
    """Without an amount, or with just what remains; ``final`` is not needed."""

    api.open("alice", 160)
    api.open("bob")
    for units in (None, 50):
        hold = place_hold(api, "alice", 80)
        api.ok(a_capture(hold, "bob", 30))

        last = api.ok(a_capture(hold, "bob", units))

        assert (last.transaction.amount, hold_summary(api, hold)) == (money(50), (CAPTURED, 80, 0))
    assert (api.funds("alice"), api.funds("bob")) == ((0, 0, 0), (160, 0, 160))


def test_a_capture_of_more_than_remains_is_refused(api: Api, owner: psycopg.Connection) -> None:
    """Not even where the wallet has the money; the limit in the error is what remains."""

    api.open("alice", 100)
    api.open("bob")
    hold = place_hold(api, "alice", 50)
    api.ok(a_capture(hold, "bob", 20))

    refusal = refused(api, owner, a_capture(hold, "bob", 31, final=True))

    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "LIMIT_EXCEEDED")
    assert refusal.metadata == {"resourceName": hold, "limit": "30"}
    assert hold_summary(api, hold) == (ACTIVE, 20, 30)


def test_a_capture_is_a_transaction_without_commission_that_names_its_hold(api: Api) -> None:
    """Commission is charged on transfers only, under any rules."""

    api.open("alice", 100)
    api.open("bob")
    api.charge(payer=SOURCE, rate_millionths=100_000, fixed_minor_units=7)
    hold = place_hold(api, "alice", 60)

    made = api.ok(a_capture(hold, "bob", 40, description="two nights", labels={"room": "12"})).transaction

    assert (made.type, made.state) == (
        transaction_pb.Transaction.TYPE_HOLD_CAPTURE,
        transaction_pb.Transaction.STATE_POSTED,
    )
    assert (made.source, made.destination, made.amount, made.hold) == ("wallets/alice", "wallets/bob", money(40), hold)
    assert (made.description, dict(made.labels)) == ("two nights", {"room": "12"})
    assert not made.HasField("commission")
    legs = {entry.wallet: (entry.amount.minor_units, entry.balance_after.minor_units) for entry in made.entries}
    assert legs == {"wallets/alice": (-40, 60), "wallets/bob": (40, 40)}
    assert api.transaction(made.name) == made


def test_held_money_of_an_overdraft_is_captured_below_zero(api: Api) -> None:
    """The balance may go as far below zero as the limit permits, and by a capture too."""

    api.open("alice", 10, overdraft_limit=money(100))
    api.open("bob")

    api.ok(a_capture(place_hold(api, "alice", 110), "bob"))

    assert (api.funds("alice"), api.funds("bob")) == ((-100, 0, 0), (110, 0, 110))


def test_a_hold_whose_time_is_over_cannot_be_captured_though_no_job_has_run(
    app: App, api: Api, owner: psycopg.Connection
) -> None:
    """It still holds its money until the job expires it or a caller voids it."""

    api.open("alice", 100)
    api.open("bob")
    over, given_up = (overdue_hold(api, owner, "alice", 40) for _ in range(2))

    for request in (a_capture(over, "bob"), a_capture(over, "bob", 1), a_capture(over, "bob", 41, final=True)):
        refusal = refused(api, owner, request)
        assert (refusal.reason, refusal.metadata["resourceName"]) == ("STATE_TRANSITION_FORBIDDEN", over)
    assert (hold_summary(api, over), api.funds("alice")) == ((ACTIVE, 0, 40), (100, 80, 20))

    assert api.ok(a_void(given_up)).hold.state == VOIDED
    assert dict(expire_holds.run_once(app).outcomes) == {"EXPIRED": 1}
    assert [hold_summary(api, hold) for hold in (over, given_up)] == [(EXPIRED, 0, 0), (VOIDED, 0, 0)]
    assert api.funds("alice") == (100, 0, 100)


def test_what_was_captured_before_its_time_stays_captured_when_a_hold_expires(app: App, api: Api) -> None:
    """Expiry releases what remains, and keeps how much was captured."""

    api.open("alice", 100)
    api.open("bob")
    hold = place_hold(api, "alice", 60)
    api.ok(a_capture(hold, "bob", 25))

    expire_holds.run_once(app, clock_offset=TO_2126)

    assert hold_summary(api, hold) == (EXPIRED, 25, 0)
    assert (api.funds("alice"), api.balances("bob")) == ((75, 0, 75), [25])


def test_a_capture_goes_to_a_frozen_wallet_but_not_to_a_closed_one(api: Api, owner: psycopg.Connection) -> None:
    """A frozen wallet may receive."""

    api.open("alice", 100)
    for name in ("cold", "gone"):
        api.open(name)
    api.freeze("cold")
    api.close("gone")
    hold = place_hold(api, "alice", 40)

    refusal = refused(api, owner, a_capture(hold, "gone", 10))
    api.ok(a_capture(hold, "cold", 10))

    assert (refusal.reason, refusal.metadata) == (
        "WALLET_NOT_ACTIVE",
        {"resourceName": "wallets/gone", "state": "CLOSED"},
    )
    assert (api.balances("cold"), hold_summary(api, hold)) == ([10], (ACTIVE, 10, 30))


def test_a_capture_to_the_wallet_itself_is_refused_and_its_id_stays_free(api: Api, owner: psycopg.Connection) -> None:
    """INVALID_FIELDS is not final: the same id may name another destination."""

    api.open("alice", 100)
    api.open("bob")
    hold = place_hold(api, "alice", 40)
    wrong = a_capture(hold, "alice", 10)

    refusal = refused(api, owner, wrong)

    assert (refusal.reason, refusal.violations) == ("INVALID_FIELDS", ("destination",))
    assert api.ok(changed(wrong, destination="wallets/bob")).replayed is False


def test_a_capture_into_a_full_wallet_is_refused_and_the_hold_stays(api: Api, owner: psycopg.Connection) -> None:
    """LIMIT_EXCEEDED of the destination: what fits goes through."""

    api.open("bob", BIGGEST)
    api.open("alice")
    api.transfer("bob", "alice", 10)
    api.deposit("alice", 1)
    hold = place_hold(api, "alice", 11)

    refusal = refused(api, owner, a_capture(hold, "bob"))
    api.ok(a_capture(hold, "bob", 10))

    assert (refusal.reason, refusal.metadata) == (
        "LIMIT_EXCEEDED",
        {"resourceName": "wallets/bob", "limit": str(BIGGEST)},
    )
    assert (hold_summary(api, hold), api.balances("bob")) == ((ACTIVE, 10, 1), [BIGGEST])


def test_a_hold_to_the_end_of_time_is_placed_shown_and_captured(api: Api) -> None:
    """The last instant of a timestamp; beyond microseconds it is cut off."""

    api.open("alice", 100)
    api.open("bob")
    last = Timestamp(seconds=253_402_300_799, nanos=999_999_999)

    hold = api.ok(a_hold("alice", 10, until=last)).hold

    assert hold.expire_time == Timestamp(seconds=last.seconds, nanos=999_999_000)
    assert api.ok(pb.ListHoldsRequest()).holds[0] == api.hold(hold.name) == hold
    assert api.ok(a_capture(hold.name, "bob")).hold.state == CAPTURED
