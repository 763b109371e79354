"""A wallet's states: what a frozen, a closed and an active wallet permits, and when it can be closed."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import psycopg
from google.protobuf.message import Message
from wallet.v1 import hold_service_pb2 as hold_pb
from wallet.v1 import schedule_service_pb2 as order_pb
from wallet.v1 import transaction_service_pb2 as transaction_pb
from wallet.v1 import wallet_service_pb2 as pb

from bank_stub.server import BankServer
from scheduler.jobs import credit_due_deposits, expire_holds, pay_due_withdrawals
from tests.support.api import Api, all_refused, refused
from tests.support.callers import events_of, everything
from tests.support.holds import place_hold
from tests.support.payouts import Bank
from tests.support.requests import (
    LATE,
    a_capture,
    a_close,
    a_deposit,
    a_freeze,
    a_hold,
    a_transfer,
    an_unfreeze,
    an_update,
    changed,
    money,
    new_id,
)
from tests.support.wallet_changes import ACTIVE, CLOSED, FROZEN, change, ids_matching, payout
from wallet_core.usecases.app import App


def credit(wallet: str, units: int = 1) -> order_pb.ScheduleDepositRequest:
    """Return a scheduled deposit that is not due for long."""
    return order_pb.ScheduleDepositRequest(
        wallet=f"wallets/{wallet}", amount=money(units), execute_time=LATE, request_id=new_id()
    )


def test_a_frozen_wallet_gives_nothing_and_takes_everything(api: Api, owner: psycopg.Connection, app: App) -> None:
    """Debits, holds and captures are refused by its state; credits pass, and all that makes money available again."""

    api.open("alice", 1000)
    api.open("bob", 1000)
    mine, given_up, bobs = (
        place_hold(api, "alice", 10),
        place_hold(api, "alice", 20),
        place_hold(api, "bob", 30),
    )
    reserving = payout("alice", 40)
    reserving.reserve = True
    order = api.ok(reserving).withdrawal.name
    frozen = change(api, a_freeze("alice"))
    item = transaction_pb.TransferItem(source="wallets/alice", destination="wallets/bob", amount=money(1))
    debits: list[Message] = [
        a_transfer("alice", "bob", 1),
        a_hold("alice"),
        a_capture(mine, "bob"),
        payout("alice"),
        transaction_pb.BatchTransferRequest(mode=transaction_pb.BATCH_MODE_ATOMIC, items=[item], request_id=new_id()),
    ]
    passing: list[Message] = [
        a_deposit("alice", 5),
        a_transfer("bob", "alice", 7),
        a_capture(bobs, "alice"),
        order_pb.ScheduleDepositRequest(wallet="wallets/alice", amount=money(9), request_id=new_id()),
        hold_pb.VoidHoldRequest(name=given_up, request_id=new_id()),
        order_pb.CancelWithdrawalRequest(name=order, request_id=new_id()),
        an_update("alice", display_name="cold"),
    ]

    for request, refusal in zip(debits, all_refused(api, owner, debits), strict=True):
        assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "WALLET_NOT_ACTIVE"), request
        assert {"resourceName": "wallets/alice", "state": "FROZEN"}.items() <= refusal.metadata.items()
    for request in passing:
        assert api.answer(request).code == "OK", request
    credit_due_deposits.run_once(app)
    expire_holds.run_once(app, clock_offset=timedelta(days=50_000))
    thawed = change(api, an_unfreeze("alice"))

    assert [frozen.wallet.state, thawed.wallet.state] == [FROZEN, ACTIVE]
    assert (thawed.wallet.balance, thawed.wallet.held) == (money(1000 + 5 + 7 + 30 + 9), money(0))
    assert {api.refused(request).reason for request in debits} == {"WALLET_NOT_ACTIVE"}  # kept with their ids
    api.transfer("alice", "bob", 1051)
    assert api.balances("alice", "bob") == [0, 1000 - 30 - 7 + 1051]


def test_each_state_permits_its_own_changes(api: Api, owner: psycopg.Connection) -> None:
    """Active may be frozen, frozen unfrozen, both closed; closed is final. All else names wallet and state."""

    for name in ("hot", "cold", "gone"):
        api.open(name)
    change(api, a_freeze("cold"))
    assert change(api, a_close("gone")).wallet.state == CLOSED
    forbidden: list[tuple[Any, str]] = [
        (an_unfreeze("hot"), "ACTIVE"),
        (a_freeze("cold"), "FROZEN"),
        (a_freeze("gone"), "CLOSED"),
        (an_unfreeze("gone"), "CLOSED"),
        (a_close("gone"), "CLOSED"),
    ]

    answers = all_refused(api, owner, [request for request, _ in forbidden])
    for (request, state), answer in zip(forbidden, answers, strict=True):
        assert (answer.code, answer.reason) == ("FAILED_PRECONDITION", "STATE_TRANSITION_FORBIDDEN"), request
        assert (answer.metadata["resourceName"], answer.metadata["state"]) == (request.name, state)
        assert "explanation" in answer.metadata
    assert change(api, a_close("cold")).wallet.state == CLOSED
    assert ids_matching(api, "state = CLOSED") == ["gone", "cold"]


def test_a_wallet_that_is_not_empty_is_not_closed(api: Api, owner: psycopg.Connection) -> None:
    """Above zero and below; once it is zero it closes, though it was refused before."""

    api.open("rich", 5)
    api.open("poor", overdraft_limit=money(5))
    api.open("bob")
    api.transfer("poor", "bob", 5)

    for name in ("rich", "poor"):
        refusal = refused(api, owner, a_close(name))
        assert (refusal.reason, refusal.metadata["resourceName"]) == ("STATE_TRANSITION_FORBIDDEN", f"wallets/{name}")
        assert (refusal.metadata["state"], refusal.metadata["explanation"] != "") == ("ACTIVE", True)
    api.transfer("rich", "poor", 5)
    assert {change(api, a_close(name)).wallet.state for name in ("rich", "poor")} == {CLOSED}


def test_a_wallet_with_an_open_item_is_not_closed_and_the_item_is_named(api: Api, owner: psycopg.Connection) -> None:
    """A hold, a withdrawal with or without reserve, a scheduled deposit: named in `explanation` until it is final."""

    api.open("alice", overdraft_limit=money(100))
    reserving = payout("alice", 5)
    reserving.reserve = True
    opened: list[tuple[str, Callable[[], Message]]] = []
    name = place_hold(api, "alice", 5)
    opened.append((name, lambda: hold_pb.VoidHoldRequest(name=name, request_id=new_id())))
    for request in (payout("alice"), reserving):
        order = api.ok(request).withdrawal.name
        opened.append((order, partial(order_pb.CancelWithdrawalRequest, name=order, request_id=new_id())))
    for collect in (False, True):
        credited = credit("alice")
        credited.collect = collect
        order = api.ok(credited).scheduled_deposit.name
        opened.append((order, partial(order_pb.CancelScheduledDepositRequest, name=order, request_id=new_id())))
    names = {name for name, _ in opened}

    for _ in range(len(opened)):
        refusal = refused(api, owner, a_close("alice"))
        assert (refusal.reason, refusal.metadata["state"]) == ("STATE_TRANSITION_FORBIDDEN", "ACTIVE")
        (found,) = (name for name in names if name in refusal.metadata["explanation"])
        names.remove(found)
        assert api.answer(dict(opened)[found]()).code == "OK"
    assert change(api, a_close("alice")).wallet.state == CLOSED


def test_a_payout_under_way_or_in_doubt_keeps_its_wallet_open(api: Api, app: App, bank: BankServer) -> None:
    """The money may come back: the wallet that it would come back to may not be closed."""

    api.open("alice", 100)
    Bank(bank.url).order("garbage")
    request = order_pb.ScheduleWithdrawalRequest(wallet="wallets/alice", amount=money(100), request_id=new_id())
    order = api.ok(request).withdrawal
    pay_due_withdrawals.run_once(app)
    found = api.ok(order_pb.GetWithdrawalRequest(name=order.name)).withdrawal

    refusal = api.refused(a_close("alice"))

    assert found.state == order_pb.Withdrawal.STATE_IN_DOUBT
    assert api.balances("alice") == [0]
    assert (refusal.reason, order.name in refusal.metadata["explanation"]) == ("STATE_TRANSITION_FORBIDDEN", True)


def test_a_closed_wallet_is_closed_for_good(api: Api, owner: psycopg.Connection) -> None:
    """Nothing is deposited, moved, held, scheduled or changed; its history is still read, its name still taken."""

    api.open("alice", 10, display_name="Alice", labels={"a": "1"}, overdraft_limit=money(5))
    api.open("bob", 100)
    bobs = place_hold(api, "bob", 10)
    api.transfer("alice", "bob", 10)
    closed = change(api, a_close("alice"))
    wanted: list[Message] = [
        a_deposit("alice", 1),
        a_transfer("alice", "bob", 1),
        a_transfer("bob", "alice", 1),
        a_hold("alice"),
        a_capture(bobs, "alice"),
        payout("alice"),
        credit("alice"),
        an_update("alice", display_name="other"),
        an_update("alice", "labels"),
        an_update("alice", overdraft_limit=money(0)),
        an_update("alice", overdraft_limit=money(1, "EUR")),
    ]

    for request, refusal in zip(wanted, all_refused(api, owner, wanted), strict=True):
        assert (refusal.reason, refusal.metadata) == (
            "WALLET_NOT_ACTIVE",
            {"resourceName": "wallets/alice", "state": "CLOSED"},
        ), request
    assert api.wallet("alice") == closed.wallet
    assert (closed.wallet.balance, closed.wallet.held, closed.wallet.display_name) == (money(0), money(0), "Alice")
    listed = api.ok(transaction_pb.ListTransactionsRequest(wallet="wallets/alice"))
    assert [moved.amount.minor_units for moved in listed.transactions] == [10, 10]
    taken = pb.CreateWalletRequest(wallet_id="alice", wallet=pb.Wallet(currency_code="USD"), request_id=new_id())
    assert api.refused(taken).reason == "RESOURCE_EXISTS"


def test_a_repeat_returns_the_wallet_as_it_is_now(api: Api, owner: psycopg.Connection) -> None:
    """It changes nothing more: what was frozen once and is active again stays so."""

    api.open("alice")
    requests: list[Any] = [
        an_update("alice", display_name="A", labels={"b": "2", "a": "1"}),
        a_freeze("alice"),
        an_unfreeze("alice"),
    ]
    assert [change(api, request).replayed for request in requests] == [False] * 3
    api.deposit("alice", 5)
    api.update("alice", display_name="later")
    before = everything(owner)

    for request in requests:
        again = change(api, changed(request, request_id=request.request_id.upper()))
        assert (again.wallet, again.replayed) == (api.wallet("alice"), True)
        assert change(api, changed(request, validate_only=True)).replayed
    assert (again.wallet.state, again.wallet.balance, again.wallet.display_name) == (ACTIVE, money(5), "later")
    assert everything(owner) == before


def test_an_id_reused_with_other_fields_or_by_another_call_is_refused(api: Api, owner: psycopg.Connection) -> None:
    """Naming the first use; where that was refused there is no resource."""

    for name in ("alice", "bob"):
        api.open(name)
    first = an_update("alice", display_name="A", etag=api.wallet("alice").etag)
    change(api, first)
    other = an_unfreeze("alice")
    api.refused(other)
    reused: list[tuple[Any, str, str, str]] = [
        *(
            (changed(other, request_id=first.request_id), "UpdateWallet", "wallets/alice", first.request_id)
            for other in (
                an_update("bob", display_name="A", etag=first.wallet.etag),
                an_update("alice", display_name="B", etag=first.wallet.etag),
                an_update("alice", "display_name", etag=first.wallet.etag),
                an_update("alice", display_name="A"),
                an_update("alice", "labels", display_name="A", etag=first.wallet.etag),
                a_freeze("alice"),
                a_close("alice"),
                a_deposit("alice", 1),
            )
        ),
        (changed(a_freeze("alice"), request_id=other.request_id), "UnfreezeWallet", "", other.request_id),
        (changed(an_unfreeze("bob"), request_id=other.request_id), "UnfreezeWallet", "", other.request_id),
    ]
    before = everything(owner)

    for request, method, resource, id_ in reused:
        refusal = api.refused(request)
        assert (refusal.code, refusal.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED"), request
        assert refusal.metadata == {"requestId": id_, "method": method, "resourceName": resource}, request
    assert everything(owner) == before


def test_a_change_that_is_only_tried_is_answered_and_not_made(api: Api, owner: psycopg.Connection) -> None:
    """The wallet as it would be, its next etag too; the id stays free."""

    api.open("alice", overdraft_limit=money(3))
    for request in (
        an_update("alice", display_name="A", labels={"a": "1"}, overdraft_limit=money(9)),
        a_freeze("alice"),
        an_unfreeze("alice"),
        a_close("alice"),
    ):
        before = everything(owner)
        tried = change(api, changed(request, validate_only=True))
        assert everything(owner) == before
        made = change(api, request)
        assert (tried.wallet, tried.replayed, made.replayed) == (made.wallet, False, False)


def test_no_call_changes_what_a_system_wallet_is_like(api: Api, owner: psycopg.Connection) -> None:
    """Any role, whether or not it exists; not even with a used id."""

    api.open("alice")
    used = a_freeze("alice")
    change(api, used)
    before = everything(owner)

    for wallet in ("system:external:USD", "system:in_transit:USD", "system:commission:USD", "system:commission:EUR"):
        requests = [
            an_update(wallet, display_name="mine"),
            an_update(wallet, labels={"a": "b"}),
            an_update(wallet, overdraft_limit=money(5)),
            *(kind(wallet) for kind in (a_freeze, an_unfreeze, a_close)),
            changed(a_freeze(wallet), request_id=used.request_id),
            a_freeze(wallet, etag='"1"'),
        ]
        for request in requests:
            refusal = api.refused(request)
            assert (refusal.code, refusal.reason) == ("PERMISSION_DENIED", "PERMISSION_MISSING"), request
    assert everything(owner) == before


def test_of_two_faults_in_a_change_the_first_documented_is_reported(api: Api, owner: psycopg.Connection) -> None:
    """Shape, permission, used id, the wallet, its etag, its state, then currency and limit."""

    api.open("alice", overdraft_limit=money(10))
    api.open("bob")
    api.transfer("alice", "bob", 5)
    api.open("gone")
    change(api, a_close("gone"))
    used = a_freeze("bob")
    change(api, used)
    system, bad = "system:external:USD", '"999"'
    cases: list[tuple[Any, str]] = [
        (an_update(system, display_name="x" * 129), "INVALID_FIELDS"),
        (an_update(system, overdraft_limit=money(1, "xxx")), "INVALID_FIELDS"),
        (an_update(system, overdraft_limit=money(1), etag=bad), "PERMISSION_MISSING"),
        (changed(an_update("nobody", "labels"), request_id=used.request_id), "REQUEST_ID_REUSED"),
        (an_update("nobody", "labels", etag=bad), "RESOURCE_NOT_FOUND"),
        (an_update("gone", "labels", etag=bad), "ETAG_MISMATCH"),
        (an_update("alice", overdraft_limit=money(1, "EUR"), etag=bad), "ETAG_MISMATCH"),
        (an_update("alice", overdraft_limit=money(4), etag=bad), "ETAG_MISMATCH"),
        (an_update("gone", overdraft_limit=money(1, "EUR")), "WALLET_NOT_ACTIVE"),
        (an_update("alice", overdraft_limit=money(4, "EUR")), "CURRENCY_MISMATCH"),
        (an_update("alice", overdraft_limit=money(4)), "LIMIT_EXCEEDED"),
    ]
    for kind in (a_freeze, an_unfreeze, a_close):
        cases += [
            (kind(system, etag="é"), "INVALID_FIELDS"),
            (kind(system, etag=bad), "PERMISSION_MISSING"),
            (changed(kind("nobody"), request_id=new_id()), "RESOURCE_NOT_FOUND"),
            (kind("nobody", etag=bad), "RESOURCE_NOT_FOUND"),
            (kind("gone", etag=bad), "ETAG_MISMATCH"),
            (kind("gone"), "STATE_TRANSITION_FORBIDDEN"),
        ]
    cases += [
        (changed(kind("nobody"), request_id=used.request_id), "REQUEST_ID_REUSED") for kind in (an_unfreeze, a_close)
    ]
    cases += [(a_close("alice", etag=bad), "ETAG_MISMATCH"), (an_unfreeze("alice", etag=bad), "ETAG_MISMATCH")]

    refusals = all_refused(api, owner, [request for request, _ in cases])
    assert [answer.reason for answer in refusals] == [reason for _, reason in cases]
    missing = cases[4][0]
    api.open("nobody")
    assert api.refused(missing).metadata == {"resourceName": "wallets/nobody"}


def test_every_change_is_published_once(api: Api, owner: psycopg.Connection) -> None:
    """An event each, by its type; a refused or repeated change publishes nothing."""

    api.open("alice")
    for request in (an_update("alice", display_name="A"), a_freeze("alice"), an_unfreeze("alice"), a_close("alice")):
        for _ in range(2):
            change(api, request)
    api.refused(a_freeze("alice"))

    kinds = ["created", "updated", "frozen", "unfrozen", "closed"]
    assert events_of(owner, "wallets/alice") == [f"wallet.{kind}" for kind in kinds]
