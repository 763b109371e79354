"""Holds: placing reserves money, voiding and expiry release it, and each hold ends exactly once."""

from datetime import timedelta

import psycopg
from wallet.v1 import hold_service_pb2 as pb
from wallet.v1 import schedule_service_pb2 as schedule_pb
from wallet.v1 import wallet_service_pb2 as wallet_pb

from scheduler.jobs import expire_holds
from tests.support.api import Api, Refused, refused
from tests.support.callers import BIGGEST, count, everything
from tests.support.holds import ACTIVE, CAPTURED, EXPIRED, TO_2126, VOIDED, after_late, hold_summary, place_hold
from tests.support.requests import (
    LATE,
    a_capture,
    a_close,
    a_deposit,
    a_hold,
    a_transfer,
    a_void,
    changed,
    money,
    new_id,
)
from tests.support.together import together
from wallet_core.usecases.app import App
from wallet_core.usecases.expire_hold import expire_hold


def test_a_placed_hold_is_returned_and_its_money_is_in_the_balance_but_not_available(api: Api) -> None:
    """No money moves; the wallet, the answer and GetHold agree."""

    api.open("alice", 100)
    request = a_hold("alice", 30, description="a room for the night")

    placed = api.ok(request)

    hold = placed.hold
    assert (hold.wallet, hold.amount, hold.description) == ("wallets/alice", money(30), "a room for the night")
    assert (hold.captured_amount, hold.remaining_amount, hold.state) == (money(0), money(30), ACTIVE)
    assert (hold.expire_time, hold.create_time) == (LATE, hold.update_time)
    assert (placed.available, placed.replayed) == (money(70), False)
    assert api.hold(hold.name) == hold
    assert api.funds("alice") == (100, 30, 70)


def test_a_hold_takes_all_that_is_available_overdraft_included_and_not_one_more(
    api: Api, owner: psycopg.Connection
) -> None:
    """Available is balance less held plus overdraft, for holds, transfers and withdrawals alike."""

    api.open("alice", 100, overdraft_limit=money(50))
    api.open("bob")
    place_hold(api, "alice", 90)

    refusal = refused(api, owner, a_hold("alice", 61))

    assert refusal.reason == "INSUFFICIENT_FUNDS"
    assert refusal.metadata == {"wallet": "wallets/alice", "currencyCode": "USD", "available": "60", "required": "61"}
    assert api.ok(a_hold("alice", 60)).available == money(0)
    assert api.funds("alice") == (100, 150, 0)
    for request in (a_hold("alice", 1), a_transfer("alice", "bob", 1)):
        assert refused(api, owner, request).metadata["available"] == "0"


def test_a_hold_and_a_reserved_withdrawal_share_what_is_available(api: Api) -> None:
    """What one has reserved is not available to the other."""

    api.open("alice", 100)
    api.ok(
        schedule_pb.ScheduleWithdrawalRequest(
            wallet="wallets/alice", amount=money(40), execute_time=LATE, request_id=new_id(), reserve=True
        )
    )

    assert api.refused(a_hold("alice", 61)).metadata["available"] == "60"
    hold = place_hold(api, "alice", 60)
    assert api.funds("alice") == (100, 100, 0)
    api.ok(a_void(hold))
    assert api.funds("alice") == (100, 40, 60)


def test_in_a_frozen_wallet_holds_are_voided_and_expire_but_none_is_placed_or_captured(
    app: App, api: Api, owner: psycopg.Connection
) -> None:
    """What was held becomes available again, though not to be taken."""

    api.open("alice", 100)
    api.open("bob")
    first, second = place_hold(api, "alice", 40), place_hold(api, "alice", 30)
    api.freeze("alice")

    for request in (a_hold("alice", 1), a_capture(first, "bob"), a_capture(first, "bob", 1)):
        refusal = refused(api, owner, request)
        assert refusal.reason == "WALLET_NOT_ACTIVE"
        assert refusal.metadata == {"resourceName": "wallets/alice", "state": "FROZEN"}
    api.ok(a_void(first))
    assert dict(expire_holds.run_once(app, clock_offset=TO_2126).outcomes) == {"EXPIRED": 1}

    assert [hold_summary(api, hold)[0] for hold in (first, second)] == [VOIDED, EXPIRED]
    assert api.funds("alice") == (100, 0, 100)


def test_a_hold_that_has_ended_never_moves_again(app: App, api: Api, owner: psycopg.Connection) -> None:
    """Captured, voided or expired: no capture, no void and no job changes anything any more."""

    api.open("alice", 100)
    api.open("bob")
    ended = {state: place_hold(api, "alice", 20) for state in ("CAPTURED", "VOIDED", "EXPIRED")}
    api.ok(a_capture(ended["CAPTURED"], "bob", 5, final=True))
    api.ok(a_void(ended["VOIDED"]))
    expire_holds.run_once(app, clock_offset=TO_2126)

    for state, hold in ended.items():
        for request in (
            a_capture(hold, "bob"),
            a_capture(hold, "bob", 1),
            a_capture(hold, "bob", 15, final=True),
            a_void(hold),
        ):
            refusal = refused(api, owner, request)
            assert (refusal.reason, refusal.metadata["resourceName"]) == ("STATE_TRANSITION_FORBIDDEN", hold)
            assert refusal.metadata["state"] == state
    before = everything(owner)
    assert expire_holds.run_once(app, clock_offset=2 * TO_2126).claimed == 0
    assert everything(owner) == before
    assert [hold_summary(api, hold)[0] for hold in ended.values()] == [CAPTURED, VOIDED, EXPIRED]
    assert api.funds("alice") == (95, 0, 95)


def test_holds_expire_the_longest_over_first(app: App, api: Api) -> None:
    """As many as the job may, and none whose time is yet to come."""

    api.open("alice", 100)
    third, first, second, never = (
        api.ok(a_hold("alice", 10, until=after_late(seconds))).hold.name for seconds in (30, 10, 20, 10**9)
    )

    expired = []
    for limit in (1, 1, 5):
        counts = expire_holds.run_once(app, limit=limit, clock_offset=TO_2126)
        assert counts.claimed == sum(counts.outcomes.values()) == counts.outcomes["EXPIRED"]
        expired.append([hold for hold in (first, second, third, never) if hold_summary(api, hold)[0] == EXPIRED])

    assert expired == [[first], [first, second], [first, second, third]]
    assert expire_holds.run_once(app).claimed == 0
    assert api.funds("alice") == (100, 10, 90)


def test_two_expiry_jobs_at_once_expire_each_hold_once(app: App, api: Api, owner: psycopg.Connection) -> None:
    """What one has claimed the other leaves alone."""

    api.open("alice", 100)
    for _ in range(24):
        place_hold(api, "alice", 2)

    results = together([lambda: expire_holds.run_once(app, clock_offset=TO_2126)] * 2)

    outcomes = [dict(result.outcomes) for result in results if not isinstance(result, Exception)]
    assert sum(found.pop("EXPIRED", 0) for found in outcomes) == 24
    assert outcomes == [{}, {}]
    assert owner.execute("SELECT count(*) FROM outbox WHERE type = 'hold.expired'").fetchone() == (24,)
    assert api.funds("alice") == (100, 0, 100)


def test_a_hold_that_was_claimed_and_left_is_expired_once_the_lease_is_over(app: App, api: Api) -> None:
    """A job that was killed in between; should it come to life again, it does nothing."""

    api.open("alice", 100)
    hold = place_hold(api, "alice", 60)
    lease = app.payouts.policy.lease
    (claim,) = app.claims.to_expire(limit=10, lease=lease, clock_offset=TO_2126)

    assert expire_holds.run_once(app, clock_offset=TO_2126).claimed == 0
    assert (hold_summary(api, hold)[0], api.funds("alice")) == (ACTIVE, (100, 60, 40))
    (second,) = app.claims.to_expire(limit=10, lease=lease, clock_offset=TO_2126 + 2 * lease)
    assert expire_hold(app, claim, clock_offset=TO_2126 + 2 * lease) is None
    assert hold_summary(api, hold)[0] == ACTIVE
    assert dict(expire_holds.run_once(app, clock_offset=TO_2126 + 4 * lease).outcomes) == {"EXPIRED": 1}
    assert [expire_hold(app, old, clock_offset=TO_2126 + 4 * lease) for old in (claim, second)] == [None, None]
    assert (hold_summary(api, hold)[0], api.funds("alice")) == (EXPIRED, (100, 0, 100))


def test_a_claimed_hold_can_still_be_given_up_and_the_claim_then_does_nothing(app: App, api: Api) -> None:
    """A claim is no state: until the hold has ended, the first one to end it wins."""

    api.open("alice", 100)
    hold = place_hold(api, "alice", 60)
    (claim,) = app.claims.to_expire(limit=10, lease=timedelta(seconds=1), clock_offset=TO_2126)

    assert api.ok(a_void(hold)).hold.state == VOIDED
    assert expire_hold(app, claim, clock_offset=TO_2126) is None
    assert (hold_summary(api, hold)[0], api.funds("alice")) == (VOIDED, (100, 0, 100))


def test_a_wallet_with_a_hold_is_closed_only_once_it_has_ended(api: Api) -> None:
    """A hold on the overdraft of an empty wallet prevents closing like any other."""

    api.open("alice", overdraft_limit=money(100))
    hold = place_hold(api, "alice", 60)

    refusal = api.refused(a_close("alice"))
    api.ok(a_void(hold))
    api.close("alice")

    assert refusal.reason == "STATE_TRANSITION_FORBIDDEN"
    assert hold in refusal.metadata["explanation"]
    assert api.refused(a_hold("alice", 1)).metadata["state"] == "CLOSED"


def test_holds_are_listed_newest_first_by_wallet_and_by_state(api: Api) -> None:
    """Page by page, each once."""

    api.open("alice", 100)
    api.open("bob", 100)
    names = [place_hold(api, wallet, units) for wallet, units in (("alice", 1), ("bob", 2), ("alice", 3), ("alice", 4))]
    api.ok(a_void(names[2]))

    assert pages(api, page_size=2) == names[::-1]
    assert pages(api, wallet="wallets/alice", page_size=1) == [names[3], names[2], names[0]]
    assert pages(api, filter="state = VOIDED") == [names[2]]
    assert pages(api, wallet="wallets/alice", filter="state != VOIDED AND amount >= 4") == [names[3]]
    refusal = api.refused(pb.ListHoldsRequest(wallet="wallets/nobody"))
    assert refusal.metadata == {"resourceName": "wallets/nobody"}


def pages(api: Api, **fields: object) -> list[str]:
    """Return the names on all pages of a list."""
    names: list[str] = []
    request = changed(pb.ListHoldsRequest(), **fields)
    while True:
        page = api.ok(request)
        names += [hold.name for hold in page.holds]
        if not page.next_page_token:
            return names
        request = changed(request, page_token=page.next_page_token)


def test_wallets_can_be_read_after_holds_on_their_overdraft_were_released(app: App, api: Api) -> None:
    """Voided, expired or captured in part: with the largest limit, what is available can still be read."""

    for currency in ("USD", "EUR", "JPY"):
        name = currency.lower()
        api.open(name, overdraft_limit=money(BIGGEST, currency), currency=currency)
        api.open(f"{name}-other", currency=currency)
        hold = api.ok(a_hold(name, 1000, currency=currency)).hold.name
        try:
            api.deposit(name, 1000, currency=currency)
        except Refused as refusal:
            assert refusal.reason == "LIMIT_EXCEEDED"  # noqa: PT017  # either is right
        match currency:
            case "USD":
                api.ok(a_void(hold))
            case "EUR":
                expire_holds.run_once(app, clock_offset=TO_2126)
            case _:
                api.ok(a_capture(hold, f"{name}-other", 1, currency=currency, final=True))

        balance, still_held, available = api.funds(name)
        assert (still_held, available) == (0, min(balance, 0) + BIGGEST)
    assert len(api.ok(wallet_pb.ListWalletsRequest()).wallets) == 6


def test_more_held_than_can_be_counted_is_refused_by_name(api: Api, owner: psycopg.Connection) -> None:
    """Never INTERNAL: holds on a balance and on an overdraft add up."""

    api.open("alice", overdraft_limit=money(BIGGEST))
    first = place_hold(api, "alice", BIGGEST)
    rows = count(owner, "holds")
    reasons = []

    for request in (a_deposit("alice", BIGGEST), a_hold("alice", BIGGEST)):
        try:
            api.ok(request)
        except Refused as refusal:
            reasons.append(refusal.answer.reason)

    assert set(reasons) <= {"LIMIT_EXCEEDED", "INSUFFICIENT_FUNDS"}
    assert api.hold(first).state == ACTIVE
    assert count(owner, "holds") >= rows
