"""Holds fought over through two servers and a job: each ends once, and the money agrees with how it ended."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from wallet.v1 import hold_service_pb2 as pb
from wallet.v1 import wallet_service_pb2 as wallet_pb

from scheduler.jobs import expire_holds
from tests.support import books
from tests.support.callers import succeeded
from tests.support.database import Database
from tests.support.gathering import gathered
from tests.support.money_calls import (
    MoneyCalls,
    atomic,
    capture,
    deposit,
    item,
    no_deadlock,
    place,
    reverse,
    said,
    transfer,
    two_servers,
    void,
    with_,
)
from tests.support.together import together
from wallet_core.domain.capture_hold import CaptureHold
from wallet_core.domain.end_hold import ExpireHold, VoidHold
from wallet_core.domain.hold import HoldState
from wallet_core.domain.money import Money
from wallet_core.domain.place_hold import PlaceHold
from wallet_core.domain.wallet import WalletId
from wallet_core.settings import Settings
from wallet_core.usecases.app import App, new_id
from wallet_core.usecases.expire_hold import expire_hold

TO_2126 = timedelta(days=36_525)
ROUNDS = 25


@pytest.fixture
def servers(settings: Settings, database: Database) -> Iterator[tuple[MoneyCalls, MoneyCalls]]:
    """Return channels to two servers on one database; the books are verified at the end."""
    with two_servers(settings) as servers:
        yield servers
    assert database.broken_rules() == []


def held(calls: MoneyCalls, wallet: str, units: int) -> str:
    """Place a hold; return its name."""
    return str(calls.send(place(wallet, units)).hold.name)


def claimed_expiry(app: App) -> Callable[[], object]:
    """Claim the one hold that there is; return the rest of the job."""
    (claim,) = app.claims.to_expire(limit=10, lease=timedelta(seconds=1), clock_offset=TO_2126)

    def expire() -> object:
        expired = expire_hold(app, claim, clock_offset=TO_2126)
        if expired is None:
            raise LookupError
        return expired

    return expire


@pytest.mark.alone
def test_of_a_capture_a_void_and_an_expiry_at_once_exactly_one_ends_the_hold(
    servers: tuple[MoneyCalls, MoneyCalls], app: App
) -> None:
    """Round after round: one winner, its state stays, and the money is where that state says."""

    left, right = servers
    left.open("alice", ROUNDS * 10)
    left.open("bob")
    captured, winners = 0, set()

    for round_ in range(ROUNDS):
        hold = held(left, "alice", 10)
        calls: list[Callable[[], Any]] = [
            partial(left.send, capture(hold, "bob")),
            partial(right.send, void(hold)),
            claimed_expiry(app),
            partial(right.send, capture(hold, "bob", 3, final=True)),
            partial(left.send, void(hold)),
        ]
        turn = round_ % len(calls)
        results = together(calls[turn:] + calls[:turn])

        assert len(succeeded(results)) == 1, results
        assert set(said(results)) <= {"STATE_TRANSITION_FORBIDDEN", "LookupError"}
        found = right.hold(hold)
        captured += found.captured_amount.minor_units
        winners.add(found.state)
        assert (found.state != pb.Hold.STATE_ACTIVE, found.remaining_amount.minor_units) == (True, 0)
        assert (found.state == pb.Hold.STATE_CAPTURED) == (found.captured_amount.minor_units > 0)
        assert left.balances("alice", "bob") == [ROUNDS * 10 - captured, captured]
        assert left.purse("alice")[1] == 0
    assert len(winners) > 1


@pytest.mark.alone
def test_jobs_that_claim_while_callers_end_the_holds_leave_each_ended_once(
    servers: tuple[MoneyCalls, MoneyCalls], app: App, owner: psycopg.Connection
) -> None:
    """Claims move the fence under the callers' feet: nobody hears a defect, and every hold ends."""

    left, right = servers
    left.open("alice", 600)
    left.open("bob")
    holds = [held(left, "alice", 10) for _ in range(40)]

    results = together(
        [
            *(partial(left.send, void(hold)) for hold in holds[::2]),
            *(partial(right.send, capture(hold, "bob", 4, final=True)) for hold in holds),
            *[partial(expire_holds.run_once, app, clock_offset=TO_2126)] * 2,
        ]
    )

    assert set(said(results)) <= {"STATE_TRANSITION_FORBIDDEN", "TRANSACTION_CONFLICT"}
    expire_holds.run_once(app, clock_offset=2 * TO_2126)
    found = [left.hold(hold) for hold in holds]
    assert pb.Hold.STATE_ACTIVE not in {hold.state for hold in found}
    captured = 4 * sum(hold.state == pb.Hold.STATE_CAPTURED for hold in found)
    assert [left.purse("alice"), left.purse("bob")] == [(600 - captured, 0, 600 - captured), (captured, 0, captured)]
    told = owner.execute("SELECT count(*) FROM outbox WHERE kind IN ('hold.captured', 'hold.voided', 'hold.expired')")
    assert told.fetchone() == (40,)


def test_parts_captured_at_once_are_never_more_than_was_held(servers: tuple[MoneyCalls, MoneyCalls]) -> None:
    """Ten of thirty, to two wallets, through two servers."""

    left, right = servers
    left.open("alice", 500)
    for name in ("bob", "carol"):
        left.open(name)
    hold = held(left, "alice", 100)

    results = together(
        [
            partial((left, right)[number % 2].send, capture(hold, ("bob", "carol")[number % 3 == 0], 10))
            for number in range(30)
        ]
    )

    assert len(succeeded(results)) == 10
    assert set(said(results)) <= {"STATE_TRANSITION_FORBIDDEN", "LIMIT_EXCEEDED"}
    assert sum(left.balances("bob", "carol")) == 100
    assert (left.purse("alice"), left.hold(hold).state) == ((400, 0, 400), pb.Hold.STATE_CAPTURED)


def test_one_capture_one_void_and_one_hold_sent_through_two_servers_are_each_done_once(
    servers: tuple[MoneyCalls, MoneyCalls],
) -> None:
    """The same request id: one is the first, all others are replays of it."""

    left, right = servers
    left.open("alice", 100)
    left.open("bob")
    first, second = held(left, "alice", 20), held(left, "alice", 20)

    for request in (place("alice", 10), capture(first, "bob", 5), void(second)):
        results = together([partial(calls.send, request) for calls in (left, right)] * 6)
        made = succeeded(results)
        assert said(results) == []
        assert [answer.replayed for answer in made].count(False) == 1
        assert len({answer.hold.name for answer in made}) == 1

    assert (left.purse("alice"), left.purse("bob")) == ((95, 25, 70), (5, 0, 5))


def test_the_last_of_the_money_is_held_or_spent_once(servers: tuple[MoneyCalls, MoneyCalls]) -> None:
    """Holds and transfers of all there is, at once: as many pass as the balance allows."""

    left, right = servers
    left.open("alice", 100)
    left.open("bob")

    results = together(
        [
            *(partial(left.send, place("alice", 10)) for _ in range(15)),
            *(partial(right.send, transfer("alice", "bob", 10)) for _ in range(15)),
        ]
    )

    assert (len(succeeded(results)), said(results)) == (10, ["INSUFFICIENT_FUNDS"] * 20)
    balance, on_hold, available = left.purse("alice")
    assert (balance - on_hold, available) == (0, 0)
    assert left.balances("bob") == [100 - balance]


def test_a_wallet_is_closed_or_has_a_hold_but_not_both(servers: tuple[MoneyCalls, MoneyCalls]) -> None:
    """On the overdraft of an empty wallet."""

    left, right = servers
    for number in range(8):
        name = f"alice-{number}"
        left.open(name, overdraft=100)
        close = wallet_pb.CloseWalletRequest(name=f"wallets/{name}", request_id=str(uuid4()))

        calls = [partial(left.send, place(name, 10)), partial(right.send, close)]
        results = together(calls if number % 2 else calls[::-1])

        assert len(succeeded(results)) == 1
        assert said(results)[0] in {"WALLET_NOT_ACTIVE", "STATE_TRANSITION_FORBIDDEN"}


def test_captures_transfers_reversals_and_batches_both_ways_never_deadlock(
    settings: Settings, owner: psycopg.Connection, database: Database
) -> None:
    """Wallets are locked in one order, whether they are named or hang on something."""

    with no_deadlock(owner), two_servers(settings) as (left, right):
        for name in ("alice", "bob", "carol"):
            left.open(name, 1000)
        ring = [("alice", "bob"), ("bob", "carol"), ("carol", "alice")]
        requests: list[Any] = []
        for source, destination in ring * 4:
            hold = held(left, source, 10)
            paid = left.send(transfer(source, destination, 10)).transaction.name
            requests += [capture(hold, destination, 4), capture(hold, destination, 4), reverse(paid, 3), reverse(paid)]
            requests += [transfer(destination, source, 1), place(destination, 1), deposit(source, 1)]
            requests += [atomic([item(*ends, 1) for ends in order]) for order in (ring, ring[::-1])]
            requests += [with_(void(hold), validate_only=True)]

        results = together([partial((left, right)[n % 2].send, request) for n, request in enumerate(requests)])

        # A part of a reversed transfer may come after its whole; nothing else can be refused.
        assert set(said(results)) <= {"STATE_TRANSITION_FORBIDDEN", "LIMIT_EXCEEDED"}
        assert sum(left.balances("alice", "bob", "carol")) == 3000 + 12
    assert database.broken_rules() == []


def test_of_one_commit_each_call_on_a_hold_sees_what_those_before_it_did(app: App, database: Database) -> None:
    """A part, a part that is only tried, too much, the rest given up, and then there is nothing to end any more."""

    for name, balance in (("gate", 0), ("alice", 100), ("bob", 0)):
        books.open_wallet(app, name, balance)
    alice, hold = WalletId("alice"), new_id()
    placing = PlaceHold(
        request=books.request(),
        id=hold,
        wallet=alice,
        amount=Money("USD", 60),
        expire_time=datetime(2100, 1, 1, tzinfo=UTC),
        description="",
    )
    app.ledger.post(placing)
    (claim,) = app.claims.to_expire(limit=1, lease=timedelta(seconds=1), clock_offset=TO_2126)
    capturing = CaptureHold(
        request=books.request(),
        id=new_id(),
        hold=hold,
        destination=WalletId("bob"),
        amount=Money("USD", 25),
        final=False,
        description="",
    )
    commands = [
        capturing,
        replace(capturing, request=books.request(), id=new_id(), final=True, validate_only=True),
        replace(capturing, request=books.request(), id=new_id(), amount=Money("USD", 36)),
        replace(capturing, id=new_id()),
        VoidHold(request=books.request(), hold=hold),
        ExpireHold(claim=claim, clock_offset=TO_2126),
        replace(capturing, request=books.request(), id=new_id(), amount=None),
    ]

    told = gathered(app, database.url, commands)

    assert [
        type(one).__name__ if isinstance(one, Exception) else (one.replayed, one.hold.state if one.hold else None)
        for one in told
    ] == [
        (False, HoldState.ACTIVE),
        (False, HoldState.CAPTURED),
        "LimitExceeded",
        (True, None),
        (False, HoldState.VOIDED),
        "StaleClaim",
        "StateTransitionForbidden",
    ]
    assert (app.reads.hold(hold).state, app.reads.hold(hold).captured) == (HoldState.VOIDED, 25)
    (found,) = app.reads.wallets([alice])
    assert (found.balance, found.held) == (75, 0)
