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
from tests.support import books, commands
from tests.support.api import Api, several_servers
from tests.support.batching import post_as_one_batch
from tests.support.callers import reasons, succeeded
from tests.support.database import Database
from tests.support.deadlocks import no_deadlock
from tests.support.requests import (
    a_capture,
    a_deposit,
    a_hold,
    a_reversal,
    a_transfer,
    a_void,
    an_item,
    atomic,
    changed,
    money,
)
from tests.support.together import together
from wallet_core.domain.commands.holds.end_hold import ExpireHold
from wallet_core.domain.model.hold import HoldState
from wallet_core.domain.model.money import Money
from wallet_core.settings import Settings
from wallet_core.usecases.app import App, new_id
from wallet_core.usecases.expire_hold import expire_hold

TO_2126 = timedelta(days=36_525)
ROUNDS = 25


@pytest.fixture
def servers(settings: Settings, database: Database) -> Iterator[list[Api]]:
    """Return channels to two servers on one database; the ledger is verified at the end."""
    with several_servers(settings) as servers:
        yield servers
    assert database.broken_rules() == []


def held(calls: Api, wallet: str, units: int) -> str:
    """Place a hold; return its name."""
    return str(calls.ok(a_hold(wallet, units)).hold.name)


def claimed_expiry(app: App) -> Callable[[], object]:
    """Claim the one hold that there is; return the rest of the job."""
    (claim,) = app.claims.to_expire(limit=10, lease=timedelta(seconds=1), clock_offset=TO_2126)

    def expire() -> object:
        expired = expire_hold(app, claim, clock_offset=TO_2126)
        if expired is None:
            raise LookupError
        return expired

    return expire


def test_of_a_capture_a_void_and_an_expiry_at_once_exactly_one_ends_the_hold(servers: list[Api], app: App) -> None:
    """Round after round: one winner, its state stays, and the money is where that state requires."""

    left, right = servers
    most = 20 * ROUNDS  # by then two have won, however busy the machine is
    left.open("alice", most * 10)
    left.open("bob")
    captured, winners = 0, set[int]()

    for round_ in range(most):
        if round_ >= ROUNDS and len(winners) > 1:
            break
        hold = held(left, "alice", 10)
        calls: list[Callable[[], Any]] = [
            partial(left.ok, a_capture(hold, "bob")),
            partial(right.ok, a_void(hold)),
            claimed_expiry(app),
            partial(right.ok, a_capture(hold, "bob", 3, final=True)),
            partial(left.ok, a_void(hold)),
        ]
        turn = round_ % len(calls)
        results = together(calls[turn:] + calls[:turn])

        assert len(succeeded(results)) == 1, results
        assert set(reasons(results)) <= {"STATE_TRANSITION_FORBIDDEN", "LookupError"}
        found = right.hold(hold)
        captured += found.captured_amount.minor_units
        winners.add(found.state)
        assert (found.state != pb.Hold.STATE_ACTIVE, found.remaining_amount.minor_units) == (True, 0)
        assert (found.state == pb.Hold.STATE_CAPTURED) == (found.captured_amount.minor_units > 0)
        assert left.balances("alice", "bob") == [most * 10 - captured, captured]
        assert left.funds("alice")[1] == 0
    assert len(winners) > 1


def test_jobs_that_claim_while_callers_end_the_holds_leave_each_ended_once(
    servers: list[Api], app: App, owner: psycopg.Connection
) -> None:
    """Claims raise the fence during the calls: no caller gets a defect, and every hold ends."""

    left, right = servers
    left.open("alice", 600)
    left.open("bob")
    holds = [held(left, "alice", 10) for _ in range(40)]

    results = together(
        [
            *(partial(left.ok, a_void(hold)) for hold in holds[::2]),
            *(partial(right.ok, a_capture(hold, "bob", 4, final=True)) for hold in holds),
            *[partial(expire_holds.run_once, app, clock_offset=TO_2126)] * 2,
        ]
    )

    assert set(reasons(results)) <= {"STATE_TRANSITION_FORBIDDEN", "TRANSACTION_CONFLICT"}
    expire_holds.run_once(app, clock_offset=2 * TO_2126)
    found = [left.hold(hold) for hold in holds]
    assert pb.Hold.STATE_ACTIVE not in {hold.state for hold in found}
    captured = 4 * sum(hold.state == pb.Hold.STATE_CAPTURED for hold in found)
    assert [left.funds("alice"), left.funds("bob")] == [(600 - captured, 0, 600 - captured), (captured, 0, captured)]
    result = owner.execute("SELECT count(*) FROM outbox WHERE type IN ('hold.captured', 'hold.voided', 'hold.expired')")
    assert result.fetchone() == (40,)


def test_parts_captured_at_once_are_never_more_than_was_held(servers: list[Api]) -> None:
    """Ten of thirty, to two wallets, through two servers."""

    left, right = servers
    left.open("alice", 500)
    for name in ("bob", "carol"):
        left.open(name)
    hold = held(left, "alice", 100)

    results = together(
        [
            partial((left, right)[number % 2].ok, a_capture(hold, ("bob", "carol")[number % 3 == 0], 10))
            for number in range(30)
        ]
    )

    assert len(succeeded(results)) == 10
    assert set(reasons(results)) <= {"STATE_TRANSITION_FORBIDDEN", "LIMIT_EXCEEDED"}
    assert sum(left.balances("bob", "carol")) == 100
    assert (left.funds("alice"), left.hold(hold).state) == ((400, 0, 400), pb.Hold.STATE_CAPTURED)


def test_one_capture_one_void_and_one_hold_sent_through_two_servers_are_each_done_once(
    servers: list[Api],
) -> None:
    """The same request id: one is the first, all others are replays of it."""

    left, right = servers
    left.open("alice", 100)
    left.open("bob")
    first, second = held(left, "alice", 20), held(left, "alice", 20)

    for request in (a_hold("alice", 10), a_capture(first, "bob", 5), a_void(second)):
        results = together([partial(calls.ok, request) for calls in (left, right)] * 6)
        made = succeeded(results)
        assert reasons(results) == []
        assert [answer.replayed for answer in made].count(False) == 1
        assert len({answer.hold.name for answer in made}) == 1

    assert (left.funds("alice"), left.funds("bob")) == ((95, 25, 70), (5, 0, 5))


def test_the_last_of_the_money_is_held_or_spent_once(servers: list[Api]) -> None:
    """Holds and transfers of all there is, at once: as many pass as the balance allows."""

    left, right = servers
    left.open("alice", 100)
    left.open("bob")

    results = together(
        [
            *(partial(left.ok, a_hold("alice", 10)) for _ in range(15)),
            *(partial(right.ok, a_transfer("alice", "bob", 10)) for _ in range(15)),
        ]
    )

    assert (len(succeeded(results)), reasons(results)) == (10, ["INSUFFICIENT_FUNDS"] * 20)
    balance, on_hold, available = left.funds("alice")
    assert (balance - on_hold, available) == (0, 0)
    assert left.balances("bob") == [100 - balance]


def test_a_wallet_is_closed_or_has_a_hold_but_not_both(servers: list[Api]) -> None:
    """On the overdraft of an empty wallet."""

    left, right = servers
    for number in range(8):
        name = f"alice-{number}"
        left.open(name, overdraft_limit=money(100))
        close = wallet_pb.CloseWalletRequest(name=f"wallets/{name}", request_id=str(uuid4()))

        calls = [partial(left.ok, a_hold(name, 10)), partial(right.ok, close)]
        results = together(calls if number % 2 else calls[::-1])

        assert len(succeeded(results)) == 1
        assert reasons(results)[0] in {"WALLET_NOT_ACTIVE", "STATE_TRANSITION_FORBIDDEN"}


def test_captures_transfers_reversals_and_batches_both_ways_never_deadlock(
    settings: Settings, owner: psycopg.Connection, database: Database
) -> None:
    """Wallets are locked in one order, both those that are named and those of dependent rows."""

    with no_deadlock(owner), several_servers(settings) as (left, right):
        for name in ("alice", "bob", "carol"):
            left.open(name, 1000)
        ring = [("alice", "bob"), ("bob", "carol"), ("carol", "alice")]
        requests: list[Any] = []
        for source, destination in ring * 4:
            hold = held(left, source, 10)
            paid = left.transfer(source, destination, 10).name
            requests += [
                a_capture(hold, destination, 4),
                a_capture(hold, destination, 4),
                a_reversal(paid, 3),
                a_reversal(paid),
            ]
            requests += [a_transfer(destination, source, 1), a_hold(destination, 1), a_deposit(source, 1)]
            requests += [atomic([an_item(*ends, 1) for ends in order]) for order in (ring, ring[::-1])]
            requests += [changed(a_void(hold), validate_only=True)]

        results = together([partial((left, right)[n % 2].ok, request) for n, request in enumerate(requests)])

        # A part of a reversed transfer may come after its whole; nothing else can be refused.
        assert set(reasons(results)) <= {"STATE_TRANSITION_FORBIDDEN", "LIMIT_EXCEEDED"}
        assert sum(left.balances("alice", "bob", "carol")) == 3000 + 12
    assert database.broken_rules() == []


def test_of_one_commit_each_call_on_a_hold_sees_what_those_before_it_did(app: App) -> None:
    """A part, a validated part, too much, the rest voided, and then there is nothing left to end."""

    alice, *_ = (books.open_wallet(app, name, 100 if name == "alice" else 0) for name in ("alice", "bob", "gate"))
    hold = new_id()
    placing = commands.a_hold("alice", Money("USD", 60), datetime(2100, 1, 1, tzinfo=UTC), id=hold)
    app.ledger.post(placing)
    (claim,) = app.claims.to_expire(limit=1, lease=timedelta(seconds=1), clock_offset=TO_2126)
    capturing = commands.a_capture(hold, "bob", Money("USD", 25))
    requests = [
        capturing,
        commands.a_capture(hold, "bob", Money("USD", 25), final=True, validate_only=True),
        commands.a_capture(hold, "bob", Money("USD", 36)),
        replace(capturing, id=new_id()),
        commands.a_void(hold),
        ExpireHold(claim=claim, clock_offset=TO_2126),
        commands.a_capture(hold, "bob"),
    ]

    outcomes = post_as_one_batch(app, requests)

    assert [
        type(one).__name__ if isinstance(one, Exception) else (one.replayed, one.hold.state if one.hold else None)
        for one in outcomes
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
