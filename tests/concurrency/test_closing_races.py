"""A wallet that is closed while other calls use it: one of them comes first, and a closed wallet is empty."""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import psycopg
from google.protobuf.message import Message
from wallet.v1 import hold_service_pb2 as hold_pb
from wallet.v1 import schedule_service_pb2 as order_pb
from wallet.v1 import transaction_service_pb2 as pb
from wallet.v1 import wallet_service_pb2 as wallet_pb

from tests.support import books, commands
from tests.support.api import several_servers
from tests.support.batching import post_as_one_batch
from tests.support.callers import aware, everything
from tests.support.commands import a_change
from tests.support.database import Database
from tests.support.deadlocks import no_deadlock
from tests.support.requests import LATE, a_deposit, a_transfer, an_update, money, new_id
from tests.support.together import together
from tests.support.wire import Answer
from wallet_core.domain.commands.holds.place_hold import PlaceHold
from wallet_core.domain.commands.payments.schedule_deposit import ScheduleDeposit
from wallet_core.domain.commands.transfers.deposit import Deposit
from wallet_core.domain.commands.transfers.transfer import Transfer
from wallet_core.domain.commands.wallets.change_wallet import CloseWallet, FreezeWallet, UpdateWallet
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decision import Done
from wallet_core.domain.model.errors import StateTransitionForbidden, WalletNotActive
from wallet_core.domain.model.money import Money
from wallet_core.settings import Settings
from wallet_core.usecases.app import App

ROUNDS = 5
FAR = aware(LATE)

Work = Callable[[str], Message]


def at(wallet: str, units: int = 1) -> dict[str, Any]:
    """Return the states of all payment orders and holds."""
    return {"wallet": f"wallets/{wallet}", "amount": money(units), "request_id": new_id()}


WORK: dict[str, Work] = {
    "deposit": lambda name: a_deposit(name, 1),
    "transfer_in": lambda name: a_transfer("rich", name, 1),
    "batch_in": lambda name: pb.BatchTransferRequest(
        mode=pb.BATCH_MODE_ATOMIC,
        items=[
            pb.TransferItem(source="wallets/rich", destination="wallets/other", amount=money(1)),
            pb.TransferItem(source="wallets/rich", destination=f"wallets/{name}", amount=money(1)),
        ],
        request_id=new_id(),
    ),
    "transfer_out": lambda name: a_transfer(name, "other", 1),
    "hold": lambda name: hold_pb.PlaceHoldRequest(**at(name), expire_time=LATE),
    "withdrawal": lambda name: order_pb.ScheduleWithdrawalRequest(**at(name), execute_time=LATE),
    "reserving": lambda name: order_pb.ScheduleWithdrawalRequest(**at(name), execute_time=LATE, reserve=True),
    "scheduled_deposit": lambda name: order_pb.ScheduleDepositRequest(**at(name), execute_time=LATE),
    "collection": lambda name: order_pb.ScheduleDepositRequest(**at(name), execute_time=LATE, collect=True),
}
"""What opens something in a wallet, or leaves it with money or debts."""


def close(wallet: str) -> wallet_pb.CloseWalletRequest:
    """Return the closing of a wallet."""
    return wallet_pb.CloseWalletRequest(name=f"wallets/{wallet}", request_id=new_id())


def closed_with_something(owner: psycopg.Connection) -> list[str]:
    """Return the closed wallets that have money, hold some, or have anything open in them."""
    rows = owner.execute(
        """
        SELECT id FROM wallets
        WHERE state = 'CLOSED' AND (
            balance <> 0 OR held <> 0
            OR EXISTS (SELECT FROM holds WHERE wallet = key AND state = 'ACTIVE')
            OR EXISTS (SELECT FROM withdrawals WHERE wallet = key AND next_attempt_time IS NOT NULL)
            OR EXISTS (SELECT FROM scheduled_deposits WHERE wallet = key AND next_attempt_time IS NOT NULL)
        )
        """
    ).fetchall()
    return [id_ for (id_,) in rows]


def test_against_a_closing_exactly_one_comes_first(
    settings: Settings, owner: psycopg.Connection, database: Database
) -> None:
    """Either the wallet is closed and the other call refused, or that is done and the closing refused."""

    with no_deadlock(owner), several_servers(settings) as servers:
        servers[0].open("rich", 1000)
        servers[0].open("other")
        kinds = list(WORK.values()) * ROUNDS
        calls: list[Callable[[], Answer]] = []
        for number, kind in enumerate(kinds):
            name = f"w{number}"
            servers[0].open(name, overdraft_limit=money(10))
            pair = [close(name), kind(name)]
            calls += [partial(servers[(number + place) % 2].insist, request) for place, request in enumerate(pair)]

        answers = [cast("Answer", answer) for answer in together(calls)]

    results = [(closing.reason, other.reason) for closing, other in zip(answers[::2], answers[1::2], strict=True)]
    assert set(results) <= {("", "WALLET_NOT_ACTIVE"), ("STATE_TRANSITION_FORBIDDEN", "")}
    assert closed_with_something(owner) == []
    states = owner.execute("SELECT state FROM wallets WHERE id LIKE 'w%' ORDER BY key").fetchall()
    assert [state for (state,) in states] == ["ACTIVE" if closing else "CLOSED" for closing, _ in results]
    assert database.broken_rules() == []


def test_against_a_closing_what_ends_in_a_wallet_comes_before_or_the_wallet_stays(
    settings: Settings, owner: psycopg.Connection, database: Database
) -> None:
    """Voiding, cancelling, capturing and paying out the last unit always succeed; the closing only after them."""

    with no_deadlock(owner), several_servers(settings) as servers:
        left = servers[0]
        left.open("other")
        calls: list[Callable[[], Answer]] = []
        names = [f"{kind}-{number}" for kind in ("void", "capture", "cancel", "empty") for number in range(4)]
        for number, name in enumerate(names):
            kind = name.partition("-")[0]
            left.open(name, 1 if kind in {"capture", "empty"} else 0, overdraft_limit=money(1))
            ending: Message = a_transfer(name, "other", 1)
            if kind in {"void", "capture"}:
                hold = left.ok(cast("Any", WORK["hold"](name))).hold.name
                ending = hold_pb.VoidHoldRequest(name=hold, request_id=new_id())
            if kind == "capture":
                ending = hold_pb.CaptureHoldRequest(name=hold, destination="wallets/other", request_id=new_id())
            if kind == "cancel":
                order = left.ok(WORK["reserving"](name)).withdrawal.name
                ending = order_pb.CancelWithdrawalRequest(name=order, request_id=new_id())
            calls += [partial(servers[number % 2].insist, close(name)), partial(servers[1 - number % 2].insist, ending)]

        answers = [cast("Answer", answer) for answer in together(calls)]
        late = [left.answer(close(name)).reason for name in names]

    assert {answer.reason for answer in answers[1::2]} == {""}
    closings = [answer.reason for answer in answers[::2]]
    assert set(closings) <= {"", "STATE_TRANSITION_FORBIDDEN"}
    assert late == ["" if closing else "STATE_TRANSITION_FORBIDDEN" for closing in closings]
    assert closed_with_something(owner) == []
    assert database.broken_rules() == []


def test_of_many_closings_freezings_and_changes_each_meets_a_wallet_in_one_state(
    settings: Settings, owner: psycopg.Connection, database: Database
) -> None:
    """Frozen once, closed once; a change is made before the closing or not at all; each etag is given once."""

    with no_deadlock(owner), several_servers(settings) as servers:
        servers[0].open("alice")
        requests: list[Any] = []
        for number in range(8):
            requests += [
                close("alice"),
                wallet_pb.FreezeWalletRequest(name="wallets/alice", request_id=new_id()),
                an_update("alice", display_name=f"n{number}"),
                an_update("alice", labels={"n": f"{number}"}),
            ]

        answers = together([partial(servers[n // 4 % 2].insist, request) for n, request in enumerate(requests)])
        wallet = servers[1].wallet("alice")

    outcomes = [cast("Answer", answer) for answer in answers]
    assert sorted(answer.reason for answer in outcomes[::4]) == ["", *["STATE_TRANSITION_FORBIDDEN"] * 7]
    assert [answer.reason for answer in outcomes[1::4]].count("") <= 1
    assert {answer.reason for answer in outcomes[1::4]} <= {"", "STATE_TRANSITION_FORBIDDEN"}
    assert {answer.reason for answer in [*outcomes[2::4], *outcomes[3::4]]} <= {"", "WALLET_NOT_ACTIVE"}
    etags = [
        wallet_pb.UpdateWalletResponse.FromString(answer.body).wallet.etag for answer in outcomes if not answer.reason
    ]
    assert len(set(etags)) == len(etags)
    assert (wallet.state, wallet.etag in etags) == (wallet_pb.Wallet.STATE_CLOSED, True)
    assert database.broken_rules() == []


def test_one_closing_sent_through_two_servers_is_made_once(
    settings: Settings, owner: psycopg.Connection, database: Database
) -> None:
    """The same request id: one that is not a repeat, and all get the closed wallet."""

    with no_deadlock(owner), several_servers(settings) as servers:
        servers[0].open("alice")
        request = close("alice")
        answers = together([partial(one.insist, request) for one in servers * 10])
        wallet = servers[0].wallet("alice")

    outcomes = [wallet_pb.CloseWalletResponse.FromString(cast("Answer", answer).body) for answer in answers]
    assert [answer.replayed for answer in outcomes].count(False) == 1
    assert [answer.wallet for answer in outcomes] == [wallet] * 20
    assert owner.execute("SELECT count(*) FROM outbox WHERE type = 'wallet.closed'").fetchone() == (1,)
    assert database.broken_rules() == []


def test_a_limit_lowered_while_it_is_being_used_is_never_below_its_use(
    settings: Settings, owner: psycopg.Connection, database: Database
) -> None:
    """Either the money went first and the limit stays, or the limit is gone and the money too short."""

    with no_deadlock(owner), several_servers(settings) as servers:
        servers[0].open("other")
        names = [f"w{number}" for number in range(3 * ROUNDS)]
        calls: list[Callable[[], Answer]] = []
        for number, name in enumerate(names):
            servers[0].open(name, overdraft_limit=money(10))
            using = (WORK["hold"], WORK["transfer_out"], WORK["reserving"])[number % 3](name)
            pair = [an_update(name, "overdraft_limit"), using]
            calls += [partial(servers[(number + place) % 2].insist, request) for place, request in enumerate(pair)]

        answers = [cast("Answer", answer) for answer in together(calls)]

    found = {(lowering.reason, using.reason) for lowering, using in zip(answers[::2], answers[1::2], strict=True)}
    assert found <= {("", "INSUFFICIENT_FUNDS"), ("LIMIT_EXCEEDED", "")}
    assert database.broken_rules() == []


# In one batch, in a known order: what is decided together is stored together.


def deposit(into: str, units: int = 5) -> Deposit:
    """Return a deposit."""
    return commands.a_deposit(into, Money("USD", units))


def transfer(source: str, destination: str, units: int = 5) -> Transfer:
    """Return a transfer."""
    return commands.a_transfer(source, destination, Money("USD", units))


def holding(wallet: str) -> PlaceHold:
    """Return a hold."""
    return commands.a_hold(wallet, Money("USD", 1), FAR)


def crediting(wallet: str) -> ScheduleDeposit:
    """Return a scheduled deposit."""
    return commands.a_scheduled_deposit(wallet, Money("USD", 1), FAR)


def limiting(wallet: str, units: int) -> UpdateWallet:
    """Return a change of a wallet's overdraft limit."""
    return commands.an_update(wallet, overdraft_limit=Money("USD", units))


def test_in_one_batch_each_change_sees_those_before_it(app: App) -> None:
    """Money and state together, in any order; what is stored is what was returned."""

    stories: list[tuple[list[Command], list[type], list[int]]] = [
        (
            [transfer("a1", "b1"), a_change(CloseWallet, "a1"), deposit("a1")],
            [Done, Done, WalletNotActive],
            [0, 10],
        ),
        (
            [a_change(CloseWallet, "a2"), transfer("a2", "b2"), a_change(CloseWallet, "a2")],
            [StateTransitionForbidden, Done, Done],
            [0, 10],
        ),
        (
            [a_change(FreezeWallet, "a3"), transfer("a3", "b3"), transfer("b3", "a3")],
            [Done, WalletNotActive, Done],
            [10, 0],
        ),
        (
            [limiting("a4", 3), transfer("a4", "b4", 8), deposit("a4", 3), limiting("a4", 0)],
            [Done, Done, Done, Done],
            [0, 13],
        ),
        (
            [transfer("a5", "b5"), a_change(FreezeWallet, "a5"), a_change(CloseWallet, "a5")],
            [Done, Done, Done],
            [0, 10],
        ),
    ]
    for number, (request, result, balances) in enumerate(stories, start=1):
        names = [books.open_wallet(app, f"{side}{number}", 5) for side in "ab"]

        outcomes = post_as_one_batch(app, request)

        assert [type(outcome) for outcome in outcomes] == result
        assert [books.balance_of(app, name) for name in names] == balances


def test_in_one_batch_a_closing_sees_what_others_open_and_end(app: App) -> None:
    """What is opened before it is in its way, what is ended before it no longer; and after it nothing is opened."""

    for name in ("a", "b", "c", "d"):
        books.open_wallet(app, name)
    for name in ("a", "b", "c"):
        app.ledger.post(limiting(name, 5))
    first, order = holding("a"), crediting("d")
    app.ledger.post(first)
    app.ledger.post(order)
    void = commands.a_void(first.id)
    cancel = commands.a_cancelled_deposit(order.id)
    stories: list[tuple[Command, type]] = [
        (a_change(CloseWallet, "a"), StateTransitionForbidden),
        (void, Done),
        (a_change(CloseWallet, "a"), Done),
        (holding("a"), WalletNotActive),
        (holding("b"), Done),
        (a_change(CloseWallet, "b"), StateTransitionForbidden),
        (crediting("c"), Done),
        (a_change(CloseWallet, "c"), StateTransitionForbidden),
        (cancel, Done),
        (a_change(CloseWallet, "d"), Done),
        (crediting("d"), WalletNotActive),
    ]

    outcomes = post_as_one_batch(app, [command for command, _ in stories])

    assert [type(outcome) for outcome in outcomes] == [result for _, result in stories]


def test_a_closing_that_loses_is_refused_for_good_and_leaves_nothing(
    settings: Settings, owner: psycopg.Connection, database: Database
) -> None:
    """A repeat returns the same though the wallet is empty by then; another id closes it."""

    with several_servers(settings) as (left, right):
        left.open("alice", 5)
        left.open("bob")
        request = close("alice")
        refused = left.refused(request)
        right.transfer("alice", "bob", 5)
        before = everything(owner)

        assert right.refused(request) == refused
        assert everything(owner) == before
        assert left.answer(close("alice")).code == "OK"
    assert database.broken_rules() == []
