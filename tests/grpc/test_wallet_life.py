"""A wallet's life as callers lead it: changed, frozen, unfrozen, closed; and what each state lets through."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import psycopg
import pytest
from google.protobuf.message import Message
from wallet.v1 import hold_service_pb2 as hold_pb
from wallet.v1 import schedule_service_pb2 as order_pb
from wallet.v1 import transaction_service_pb2 as transaction_pb
from wallet.v1 import wallet_service_pb2 as pb

from bank_stub.server import BankServer
from scheduler.jobs import credit_due_deposits, expire_holds, pay_due_withdrawals
from tests.support.callers import BIGGEST, everything
from tests.support.direct import (
    LATE,
    Direct,
    a_deposit,
    a_transfer,
    all_refused,
    an_update,
    changed,
    money,
    new_id,
)
from tests.support.payouts import Bank
from tests.support.together import together
from tests.support.wire import Answer
from wallet_core.usecases.app import App

ACTIVE, FROZEN, CLOSED = pb.Wallet.STATE_ACTIVE, pb.Wallet.STATE_FROZEN, pb.Wallet.STATE_CLOSED

Change = pb.UpdateWalletRequest | pb.FreezeWalletRequest | pb.UnfreezeWalletRequest | pb.CloseWalletRequest
Changed = pb.UpdateWalletResponse | pb.FreezeWalletResponse | pb.UnfreezeWalletResponse | pb.CloseWalletResponse
ANSWERS: dict[type[Change], type[Changed]] = {
    pb.UpdateWalletRequest: pb.UpdateWalletResponse,
    pb.FreezeWalletRequest: pb.FreezeWalletResponse,
    pb.UnfreezeWalletRequest: pb.UnfreezeWalletResponse,
    pb.CloseWalletRequest: pb.CloseWalletResponse,
}


@pytest.fixture
def direct(server: str) -> Iterator[Direct]:
    """Return callers' calls to the server."""
    with Direct(server) as direct:
        yield direct


def freeze(wallet: str, etag: str = "") -> pb.FreezeWalletRequest:
    """Return the freezing of a wallet."""
    return pb.FreezeWalletRequest(name=f"wallets/{wallet}", etag=etag, request_id=new_id())


def unfreeze(wallet: str, etag: str = "") -> pb.UnfreezeWalletRequest:
    """Return the unfreezing of a wallet."""
    return pb.UnfreezeWalletRequest(name=f"wallets/{wallet}", etag=etag, request_id=new_id())


def close(wallet: str, etag: str = "") -> pb.CloseWalletRequest:
    """Return the closing of a wallet."""
    return pb.CloseWalletRequest(name=f"wallets/{wallet}", etag=etag, request_id=new_id())


def hold(wallet: str, units: int = 1, currency: str = "USD") -> hold_pb.PlaceHoldRequest:
    """Return a hold."""
    return hold_pb.PlaceHoldRequest(
        wallet=f"wallets/{wallet}", amount=money(units, currency), expire_time=LATE, request_id=new_id()
    )


def capture(name: str, destination: str) -> hold_pb.CaptureHoldRequest:
    """Return the capture of all of a hold."""
    return hold_pb.CaptureHoldRequest(name=name, destination=f"wallets/{destination}", request_id=new_id())


def payout(wallet: str, units: int = 1) -> order_pb.ScheduleWithdrawalRequest:
    """Return a withdrawal that is not due for long."""
    return order_pb.ScheduleWithdrawalRequest(
        wallet=f"wallets/{wallet}", amount=money(units), execute_time=LATE, request_id=new_id()
    )


def credit(wallet: str, units: int = 1) -> order_pb.ScheduleDepositRequest:
    """Return a scheduled deposit that is not due for long."""
    return order_pb.ScheduleDepositRequest(
        wallet=f"wallets/{wallet}", amount=money(units), execute_time=LATE, request_id=new_id()
    )


def done(direct: Direct, request: Change) -> Changed:
    """Make a change of a wallet."""
    return direct.ask(request, ANSWERS[type(request)])


def held(direct: Direct, wallet: str, units: int) -> str:
    """Hold so much of a wallet; return the hold's name."""
    return direct.ask(hold(wallet, units), hold_pb.PlaceHoldResponse).hold.name


def refused(direct: Direct, owner: psycopg.Connection, request: Message) -> Answer:
    """Send one request that must be refused; return how."""
    return all_refused(direct, owner, [request])[0]


def named(direct: Direct, filter_: str) -> list[str]:
    """Return the ids of the wallets that a filter lets through."""
    found = direct.ask(pb.ListWalletsRequest(filter=filter_), pb.ListWalletsResponse).wallets
    return [wallet.name.removeprefix("wallets/") for wallet in found]


def test_a_frozen_wallet_gives_nothing_and_takes_everything(
    direct: Direct, owner: psycopg.Connection, app: App
) -> None:
    """Debits, holds and captures are refused by its state; credits pass, and whatever makes money available again."""

    direct.open("alice", 1000)
    direct.open("bob", 1000)
    mine, given_up, bobs = held(direct, "alice", 10), held(direct, "alice", 20), held(direct, "bob", 30)
    reserving = payout("alice", 40)
    reserving.reserve = True
    order = direct.ask(reserving, order_pb.ScheduleWithdrawalResponse).withdrawal.name
    frozen = done(direct, freeze("alice"))
    item = transaction_pb.TransferItem(source="wallets/alice", destination="wallets/bob", amount=money(1))
    debits: list[Message] = [
        a_transfer("alice", "bob", 1),
        hold("alice"),
        capture(mine, "bob"),
        payout("alice"),
        transaction_pb.BatchTransferRequest(mode=transaction_pb.BATCH_MODE_ATOMIC, items=[item], request_id=new_id()),
    ]
    passing: list[Message] = [
        a_deposit("alice", 5),
        a_transfer("bob", "alice", 7),
        capture(bobs, "alice"),
        order_pb.ScheduleDepositRequest(wallet="wallets/alice", amount=money(9), request_id=new_id()),
        hold_pb.VoidHoldRequest(name=given_up, request_id=new_id()),
        order_pb.CancelWithdrawalRequest(name=order, request_id=new_id()),
        an_update("alice", display_name="cold"),
    ]

    for request, told in zip(debits, all_refused(direct, owner, debits), strict=True):
        assert (told.code, told.reason) == ("FAILED_PRECONDITION", "WALLET_NOT_ACTIVE"), request
        assert {"resourceName": "wallets/alice", "state": "FROZEN"}.items() <= told.metadata.items()
    for request in passing:
        assert direct.answer(request).code == "OK", request
    credit_due_deposits.run_once(app)
    expire_holds.run_once(app, clock_offset=timedelta(days=50_000))
    thawed = done(direct, unfreeze("alice"))

    assert [frozen.wallet.state, thawed.wallet.state] == [FROZEN, ACTIVE]
    assert (thawed.wallet.balance, thawed.wallet.held) == (money(1000 + 5 + 7 + 30 + 9), money(0))
    assert {direct.refused(request).reason for request in debits} == {"WALLET_NOT_ACTIVE"}  # kept with their ids
    direct.transfer("alice", "bob", 1051)
    assert direct.balances("alice", "bob") == [0, 1000 - 30 - 7 + 1051]


def test_each_state_lets_the_changes_of_its_own_through(direct: Direct, owner: psycopg.Connection) -> None:
    """Active may be frozen, frozen unfrozen, both closed; closed is for good. All else names wallet and state."""

    for name in ("hot", "cold", "gone"):
        direct.open(name)
    done(direct, freeze("cold"))
    assert done(direct, close("gone")).wallet.state == CLOSED
    forbidden: list[tuple[Any, str]] = [
        (unfreeze("hot"), "ACTIVE"),
        (freeze("cold"), "FROZEN"),
        (freeze("gone"), "CLOSED"),
        (unfreeze("gone"), "CLOSED"),
        (close("gone"), "CLOSED"),
    ]

    answers = all_refused(direct, owner, [request for request, _ in forbidden])
    for (request, state), told in zip(forbidden, answers, strict=True):
        assert (told.code, told.reason) == ("FAILED_PRECONDITION", "STATE_TRANSITION_FORBIDDEN"), request
        assert (told.metadata["resourceName"], told.metadata["state"]) == (request.name, state)
        assert "because" in told.metadata
    assert done(direct, close("cold")).wallet.state == CLOSED
    assert named(direct, "state = CLOSED") == ["gone", "cold"]


def test_a_wallet_that_is_not_empty_is_not_closed(direct: Direct, owner: psycopg.Connection) -> None:
    """Above zero and below; once it is zero it closes, though it was refused before."""

    direct.open("rich", 5)
    direct.open("poor", overdraft_limit=money(5))
    direct.open("bob")
    direct.transfer("poor", "bob", 5)

    for name in ("rich", "poor"):
        told = refused(direct, owner, close(name))
        assert (told.reason, told.metadata["resourceName"]) == ("STATE_TRANSITION_FORBIDDEN", f"wallets/{name}")
        assert (told.metadata["state"], told.metadata["because"] != "") == ("ACTIVE", True)
    direct.transfer("rich", "poor", 5)
    assert {done(direct, close(name)).wallet.state for name in ("rich", "poor")} == {CLOSED}


def test_a_wallet_with_something_open_is_not_closed_and_hears_what(direct: Direct, owner: psycopg.Connection) -> None:
    """A hold, a withdrawal with or without reserve, a scheduled deposit: named in `because` until it is final."""

    direct.open("alice", overdraft_limit=money(100))
    reserving = payout("alice", 5)
    reserving.reserve = True
    opened: list[tuple[str, Callable[[], Message]]] = []
    name = held(direct, "alice", 5)
    opened.append((name, lambda: hold_pb.VoidHoldRequest(name=name, request_id=new_id())))
    for request in (payout("alice"), reserving):
        order = direct.ask(request, order_pb.ScheduleWithdrawalResponse).withdrawal.name
        opened.append((order, partial(order_pb.CancelWithdrawalRequest, name=order, request_id=new_id())))
    for collect in (False, True):
        credited = credit("alice")
        credited.collect = collect
        order = direct.ask(credited, order_pb.ScheduleDepositResponse).scheduled_deposit.name
        opened.append((order, partial(order_pb.CancelScheduledDepositRequest, name=order, request_id=new_id())))
    names = {name for name, _ in opened}

    for _ in range(len(opened)):
        told = refused(direct, owner, close("alice"))
        assert (told.reason, told.metadata["state"]) == ("STATE_TRANSITION_FORBIDDEN", "ACTIVE")
        (found,) = (name for name in names if name in told.metadata["because"])
        names.remove(found)
        assert direct.answer(dict(opened)[found]()).code == "OK"
    assert done(direct, close("alice")).wallet.state == CLOSED


def test_a_payout_under_way_or_in_doubt_keeps_its_wallet_open(direct: Direct, app: App, bank: BankServer) -> None:
    """The money may come back: nobody may close the wallet that it would come back to."""

    direct.open("alice", 100)
    Bank(bank.url).order("garbage")
    request = order_pb.ScheduleWithdrawalRequest(wallet="wallets/alice", amount=money(100), request_id=new_id())
    order = direct.ask(request, order_pb.ScheduleWithdrawalResponse).withdrawal
    pay_due_withdrawals.run_once(app)
    found = direct.ask(order_pb.GetWithdrawalRequest(name=order.name), order_pb.GetWithdrawalResponse).withdrawal

    told = direct.refused(close("alice"))

    assert found.state == order_pb.Withdrawal.STATE_IN_DOUBT
    assert direct.balances("alice") == [0]
    assert (told.reason, order.name in told.metadata["because"]) == ("STATE_TRANSITION_FORBIDDEN", True)


def test_a_closed_wallet_is_closed_for_good(direct: Direct, owner: psycopg.Connection) -> None:
    """Nothing is deposited, moved, held, scheduled or changed; its history is still read, its name still taken."""

    direct.open("alice", 10, display_name="Alice", labels={"a": "1"}, overdraft_limit=money(5))
    direct.open("bob", 100)
    bobs = held(direct, "bob", 10)
    direct.transfer("alice", "bob", 10)
    closed = done(direct, close("alice"))
    wanted: list[Message] = [
        a_deposit("alice", 1),
        a_transfer("alice", "bob", 1),
        a_transfer("bob", "alice", 1),
        hold("alice"),
        capture(bobs, "alice"),
        payout("alice"),
        credit("alice"),
        an_update("alice", display_name="other"),
        an_update("alice", "labels"),
        an_update("alice", overdraft_limit=money(0)),
        an_update("alice", overdraft_limit=money(1, "EUR")),
    ]

    for request, told in zip(wanted, all_refused(direct, owner, wanted), strict=True):
        assert (told.reason, told.metadata) == (
            "WALLET_NOT_ACTIVE",
            {"resourceName": "wallets/alice", "state": "CLOSED"},
        ), request
    assert direct.wallet("alice") == closed.wallet
    assert (closed.wallet.balance, closed.wallet.held, closed.wallet.display_name) == (money(0), money(0), "Alice")
    listed = direct.ask(
        transaction_pb.ListTransactionsRequest(wallet="wallets/alice"), transaction_pb.ListTransactionsResponse
    )
    assert [moved.amount.minor_units for moved in listed.transactions] == [10, 10]
    taken = pb.CreateWalletRequest(wallet_id="alice", wallet=pb.Wallet(currency_code="USD"), request_id=new_id())
    assert direct.refused(taken).reason == "RESOURCE_EXISTS"


def test_labels_are_replaced_as_a_whole_and_wallets_found_by_them(direct: Direct) -> None:
    """Set when created, replaced, cleared; an empty value is one, no label is none."""

    direct.open("alice", labels={"tier": "gold", "kind": ""})
    direct.open("bob", labels={"tier": "silver"})
    direct.open("carol")
    assert named(direct, 'labels.tier = "gold"') == ["alice"]
    assert named(direct, 'labels.kind = ""') == ["alice"]

    replaced = direct.update("alice", labels={"tier": "silver", "region": '\N{SNOWMAN} \\" \U0001f600'})

    assert dict(replaced.labels) == {"tier": "silver", "region": '\N{SNOWMAN} \\" \U0001f600'}
    assert direct.wallet("alice") == replaced
    assert named(direct, 'labels.tier = "silver"') == ["bob", "alice"]
    assert named(direct, 'labels.tier = "silver" AND labels.region != "x"') == ["bob", "alice"]
    assert named(direct, 'labels.tier != "silver"') == ["carol"]
    assert named(direct, 'labels.region = "\N{SNOWMAN} \\\\\\" \U0001f600"') == ["alice"]
    assert named(direct, 'labels.kind = ""') == []
    assert direct.update("bob", display_name="Bob").labels == {"tier": "silver"}
    assert direct.update("bob", "labels").labels == {}
    assert named(direct, 'labels.tier = "silver"') == ["alice"]


def test_labels_keep_to_their_grammar(direct: Direct, owner: psycopg.Connection) -> None:
    """At most 32; keys of 1 to 63 that begin with a letter; values of up to 63 characters without controls."""

    direct.open("alice")
    most = {f"k{number}": "v" * 63 for number in range(32)}
    good: list[dict[str, str]] = [most, {"a": ""}, {"a" * 63: "é" * 63}, {"a-_9": "\U0001f600" * 63}]
    bad: list[dict[str, str]] = [
        {**most, "k32": ""},
        *({key: "v"} for key in ("", "A", "aB", "1a", "-a", "_a", "a" * 64, "a b", "a.b", "é", "a\n")),
        *({"a": value} for value in ("v" * 64, "\0", "a\tb", "a\n", "\x1f", "\x7f", "\U0001f600" * 64)),
    ]

    for labels in good:
        assert dict(direct.update("alice", labels=labels).labels) == labels
    before = everything(owner)
    for labels in bad:
        refusals = [
            direct.refused(an_update("alice", labels=labels)),
            direct.refused(
                pb.CreateWalletRequest(
                    wallet_id="new", wallet=pb.Wallet(currency_code="USD", labels=labels), request_id=new_id()
                )
            ),
        ]
        assert {told.reason for told in refusals} == {"INVALID_FIELDS"}, labels
        assert {violation.partition("[")[0] for told in refusals for violation in told.violations} == {"wallet.labels"}
    assert everything(owner) == before


def test_an_overdraft_limit_lets_money_go_below_zero_and_no_further(direct: Direct, owner: psycopg.Connection) -> None:
    """Raised, used, and never lowered below what is in use of it, held money too; unset clears it."""

    direct.open("alice", 10)
    direct.open("bob")
    assert direct.refused(a_transfer("alice", "bob", 11)).reason == "INSUFFICIENT_FUNDS"

    raised = direct.update("alice", overdraft_limit=money(100))
    assert (raised.overdraft_limit, raised.available, raised.balance) == (money(100), money(110), money(10))
    direct.transfer("alice", "bob", 40)
    mine = held(direct, "alice", 20)
    wallet = direct.wallet("alice")
    assert (wallet.balance, wallet.held, wallet.available) == (money(-30), money(20), money(50))
    over = direct.refused(a_transfer("alice", "bob", 51))
    assert (over.reason, over.metadata["available"], over.metadata["required"]) == ("INSUFFICIENT_FUNDS", "50", "51")

    for request in (an_update("alice", overdraft_limit=money(49)), an_update("alice", "overdraft_limit")):
        told = refused(direct, owner, request)
        assert (told.code, told.reason) == ("FAILED_PRECONDITION", "LIMIT_EXCEEDED")
        assert told.metadata == {"resourceName": "wallets/alice", "limit": "50"}
    assert direct.update("alice", overdraft_limit=money(50)).available == money(0)
    direct.ask(hold_pb.VoidHoldRequest(name=mine, request_id=new_id()), hold_pb.VoidHoldResponse)
    assert direct.update("alice", overdraft_limit=money(30)).available == money(0)
    direct.deposit("alice", 30)
    cleared = direct.update("alice", "overdraft_limit")
    assert (cleared.overdraft_limit, cleared.available) == (money(0), money(0))


def test_an_overdraft_limit_is_in_the_wallets_currency_and_not_negative(
    direct: Direct, owner: psycopg.Connection
) -> None:
    """When created and when changed; as large as can be counted with the balance, and never a defect."""

    direct.open("alice", 10)
    for limit in (money(-1), money(1, "XXX"), money(1, "usd"), money(1, "")):
        assert refused(direct, owner, an_update("alice", overdraft_limit=limit)).reason == "INVALID_FIELDS"
    wrong = refused(direct, owner, an_update("alice", overdraft_limit=money(1, "EUR")))
    assert (wrong.reason, wrong.metadata) == (
        "CURRENCY_MISMATCH",
        {"resourceName": "wallets/alice", "currency": "USD"},
    )
    for limit in (money(-1), money(1, "EUR")):
        asked = pb.Wallet(currency_code="USD", overdraft_limit=limit)
        told = direct.refused(pb.CreateWalletRequest(wallet_id="x", wallet=asked, request_id=new_id()))
        assert told.reason == "INVALID_FIELDS"

    assert direct.update("alice", overdraft_limit=money(BIGGEST - 10)).available == money(BIGGEST)
    told = refused(direct, owner, an_update("alice", overdraft_limit=money(BIGGEST - 9)))
    assert told.reason == "LIMIT_EXCEEDED"
    assert direct.refused(a_deposit("alice", 1)).reason == "LIMIT_EXCEEDED"
    direct.open("deep", overdraft_limit=money(BIGGEST))
    direct.update("alice", "overdraft_limit")
    direct.transfer("deep", "alice", BIGGEST - 10)
    assert direct.balances("deep", "alice") == [-(BIGGEST - 10), BIGGEST]
    assert direct.wallet("deep").available == money(10)


def test_an_etag_changes_with_what_a_wallet_is_like_and_not_with_its_money(direct: Direct) -> None:
    """Name, labels, limit, state: each a new one. Deposits, transfers, holds: the same."""

    first = direct.open("alice").etag
    direct.open("bob")
    direct.deposit("alice", 100)
    direct.transfer("alice", "bob", 10)
    held(direct, "alice", 5)
    direct.ask(payout("alice"), order_pb.ScheduleWithdrawalResponse)
    assert direct.wallet("alice").etag == first
    assert first

    etags = [
        first,
        direct.update("alice", display_name="A").etag,
        direct.update("alice", labels={"a": "b"}).etag,
        direct.update("alice", overdraft_limit=money(7)).etag,
        done(direct, freeze("alice")).wallet.etag,
        done(direct, unfreeze("alice")).wallet.etag,
        direct.update("alice", "display_name", "labels", "overdraft_limit").etag,
    ]

    assert len(set(etags)) == len(etags)
    assert direct.wallet("alice").etag == etags[-1]
    direct.open("carol")
    assert done(direct, close("carol")).wallet.etag != first


def test_an_etag_that_is_not_the_last_one_is_refused_for_good(direct: Direct, owner: psycopg.Connection) -> None:
    """By each of the four calls, after another came in between; the right one and none pass."""

    seen = direct.open("alice").etag
    now = direct.update("alice", display_name="other").etag
    requests: list[Any] = [
        an_update("alice", display_name="mine", etag=seen),
        freeze("alice", etag=seen),
        unfreeze("alice", etag=seen),
        close("alice", etag=seen),
        an_update("alice", display_name="mine", etag=now + "x"),
    ]

    for request, told in zip(requests, all_refused(direct, owner, requests), strict=True):
        assert (told.code, told.reason) == ("ABORTED", "ETAG_MISMATCH"), request
        assert told.metadata == {"resourceName": "wallets/alice"}
    rename = an_update("alice", display_name="next")
    early = freeze("alice", etag=done(direct, changed(rename, validate_only=True)).wallet.etag)
    told = direct.refused(early)
    etag = done(direct, rename).wallet.etag
    assert (etag, told.reason) == (early.etag, "ETAG_MISMATCH")
    assert direct.refused(early) == told
    for kind in (freeze, unfreeze, freeze, close):
        etag = done(direct, kind("alice", etag=etag)).wallet.etag
    assert direct.wallet("alice").state == CLOSED
    for bad in ("é", "a b", "x" * 65, "\n"):
        assert direct.refused(freeze("alice", etag=bad)).reason == "INVALID_FIELDS"


def test_of_many_who_saw_the_same_wallet_one_changes_it(direct: Direct) -> None:
    """Twenty at once with the etag that they read: the others hear that it has changed."""

    etag = direct.open("alice").etag
    requests = [an_update("alice", display_name=f"n{number}", etag=etag) for number in range(20)]

    answers = together([partial(direct.answer, request) for request in requests])

    told = [answer.reason for answer in answers if isinstance(answer, Answer)]
    assert sorted(told) == ["", *["ETAG_MISMATCH"] * 19]
    assert direct.wallet("alice").display_name == f"n{told.index('')}"


def test_only_what_the_mask_names_is_changed(direct: Direct, owner: psycopg.Connection) -> None:
    """At least one of three, and nothing else; what it names and is unset is cleared, what it does not stays."""

    direct.open("alice", owner="crm-7", display_name="Alice", labels={"a": "1"}, overdraft_limit=money(5))
    everything_else: dict[str, Any] = {
        "owner": "other",
        "state": CLOSED,
        "balance": money(9),
        "currency_code": "EUR",
        "display_name": "B",
        "labels": {"b": "2"},
        "overdraft_limit": money(7),
        "held": money(1),
    }

    def masked(*paths: str) -> pb.UpdateWalletRequest:
        request = an_update("alice", **everything_else)
        request.update_mask.paths[:] = paths
        return request

    named_only = done(direct, masked("display_name")).wallet
    assert (named_only.display_name, dict(named_only.labels), named_only.overdraft_limit) == ("B", {"a": "1"}, money(5))
    two = done(direct, masked("labels", "overdraft_limit", "labels")).wallet
    assert (dict(two.labels), two.overdraft_limit) == ({"b": "2"}, money(7))
    cleared = direct.update("alice", "display_name", "labels", "overdraft_limit")
    assert (cleared.display_name, dict(cleared.labels), cleared.overdraft_limit) == ("", {}, money(0))
    assert (cleared.owner, cleared.state, cleared.currency_code, cleared.name) == (
        *("crm-7", ACTIVE, "USD", "wallets/alice"),
    )
    before = everything(owner)
    for paths in (
        (),
        *((bad,) for bad in ("", "*", "owner", "state", "etag", "balance", "currency_code", "displayName", "labels.a")),
        ("display_name", "owner"),
    ):
        told = direct.refused(masked(*paths))
        assert (told.reason, told.violations) == ("INVALID_FIELDS", ("update_mask",)), paths
    for request in (
        changed(masked("labels"), update_mask=None),
        changed(masked("labels"), wallet=None),
        changed(masked("labels"), wallet=pb.Wallet()),
        changed(masked("labels"), wallet=pb.Wallet(name="alice")),
        changed(masked("labels"), request_id=None),
        changed(freeze("alice"), name="alice"),
        changed(close("alice"), request_id="x"),
    ):
        assert direct.refused(request).reason == "INVALID_FIELDS", request
    assert everything(owner) == before


def test_a_display_name_has_up_to_128_characters(direct: Direct, owner: psycopg.Connection) -> None:
    """Characters, not bytes; any but NUL."""

    direct.open("alice")
    for name in ("", "x" * 128, "\U0001f600" * 128, "a\nb\t'\";--\\"):
        assert direct.update("alice", "display_name", display_name=name).display_name == name
        assert direct.wallet("alice").display_name == name
    before = everything(owner)
    for name in ("x" * 129, "\U0001f600" * 129, "a\0b"):
        told = direct.refused(an_update("alice", display_name=name))
        assert (told.reason, told.violations) == ("INVALID_FIELDS", ("wallet.display_name",))
    assert everything(owner) == before


def test_a_repeat_returns_the_wallet_as_it_is_now(direct: Direct, owner: psycopg.Connection) -> None:
    """It changes nothing more: what was frozen once and is active again stays so."""

    direct.open("alice")
    requests: list[Any] = [
        an_update("alice", display_name="A", labels={"b": "2", "a": "1"}),
        freeze("alice"),
        unfreeze("alice"),
    ]
    assert [done(direct, request).replayed for request in requests] == [False] * 3
    direct.deposit("alice", 5)
    direct.update("alice", display_name="later")
    before = everything(owner)

    for request in requests:
        again = done(direct, changed(request, request_id=request.request_id.upper()))
        assert (again.wallet, again.replayed) == (direct.wallet("alice"), True)
        assert done(direct, changed(request, validate_only=True)).replayed
    assert (again.wallet.state, again.wallet.balance, again.wallet.display_name) == (ACTIVE, money(5), "later")
    assert everything(owner) == before


def test_an_id_used_with_other_words_or_by_another_call_is_refused(direct: Direct, owner: psycopg.Connection) -> None:
    """Naming the first use; where that was refused there is no resource."""

    for name in ("alice", "bob"):
        direct.open(name)
    first = an_update("alice", display_name="A", etag=direct.wallet("alice").etag)
    done(direct, first)
    other = unfreeze("alice")
    direct.refused(other)
    reused: list[tuple[Any, str, str, str]] = [
        *(
            (changed(other, request_id=first.request_id), "UpdateWallet", "wallets/alice", first.request_id)
            for other in (
                an_update("bob", display_name="A", etag=first.wallet.etag),
                an_update("alice", display_name="B", etag=first.wallet.etag),
                an_update("alice", "display_name", etag=first.wallet.etag),
                an_update("alice", display_name="A"),
                an_update("alice", "labels", display_name="A", etag=first.wallet.etag),
                freeze("alice"),
                close("alice"),
                a_deposit("alice", 1),
            )
        ),
        (changed(freeze("alice"), request_id=other.request_id), "UnfreezeWallet", "", other.request_id),
        (changed(unfreeze("bob"), request_id=other.request_id), "UnfreezeWallet", "", other.request_id),
    ]
    before = everything(owner)

    for request, method, resource, id_ in reused:
        told = direct.refused(request)
        assert (told.code, told.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED"), request
        assert told.metadata == {"requestId": id_, "method": method, "resourceName": resource}, request
    assert everything(owner) == before


def test_a_change_that_is_only_tried_is_answered_and_not_made(direct: Direct, owner: psycopg.Connection) -> None:
    """The wallet as it would be, its next etag too; the id stays free."""

    direct.open("alice", overdraft_limit=money(3))
    for request in (
        an_update("alice", display_name="A", labels={"a": "1"}, overdraft_limit=money(9)),
        freeze("alice"),
        unfreeze("alice"),
        close("alice"),
    ):
        before = everything(owner)
        tried = done(direct, changed(request, validate_only=True))
        assert everything(owner) == before
        made = done(direct, request)
        assert (tried.wallet, tried.replayed, made.replayed) == (made.wallet, False, False)


def test_no_call_changes_what_a_system_wallet_is_like(direct: Direct, owner: psycopg.Connection) -> None:
    """Any role, whether or not it exists; not even with a used id."""

    direct.open("alice")
    used = freeze("alice")
    done(direct, used)
    before = everything(owner)

    for wallet in ("system:external:USD", "system:in_transit:USD", "system:commission:USD", "system:commission:EUR"):
        requests = [
            an_update(wallet, display_name="mine"),
            an_update(wallet, labels={"a": "b"}),
            an_update(wallet, overdraft_limit=money(5)),
            *(kind(wallet) for kind in (freeze, unfreeze, close)),
            changed(freeze(wallet), request_id=used.request_id),
            freeze(wallet, etag='"1"'),
        ]
        for request in requests:
            told = direct.refused(request)
            assert (told.code, told.reason) == ("PERMISSION_DENIED", "PERMISSION_MISSING"), request
    assert everything(owner) == before


def test_of_two_faults_in_a_change_the_first_documented_is_told(direct: Direct, owner: psycopg.Connection) -> None:
    """Shape, permission, used id, the wallet, its etag, its state, then currency and limit."""

    direct.open("alice", overdraft_limit=money(10))
    direct.open("bob")
    direct.transfer("alice", "bob", 5)
    direct.open("gone")
    done(direct, close("gone"))
    used = freeze("bob")
    done(direct, used)
    system, bad = "system:external:USD", '"999"'
    cases: list[tuple[Any, str]] = [
        (an_update(system, display_name="x" * 129), "INVALID_FIELDS"),
        (an_update(system, overdraft_limit=money(1, "XXX")), "INVALID_FIELDS"),
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
    for kind in (freeze, unfreeze, close):
        cases += [
            (kind(system, etag="é"), "INVALID_FIELDS"),
            (kind(system, etag=bad), "PERMISSION_MISSING"),
            (changed(kind("nobody"), request_id=new_id()), "RESOURCE_NOT_FOUND"),
            (kind("nobody", etag=bad), "RESOURCE_NOT_FOUND"),
            (kind("gone", etag=bad), "ETAG_MISMATCH"),
            (kind("gone"), "STATE_TRANSITION_FORBIDDEN"),
        ]
    cases += [(changed(kind("nobody"), request_id=used.request_id), "REQUEST_ID_REUSED") for kind in (unfreeze, close)]
    cases += [(close("alice", etag=bad), "ETAG_MISMATCH"), (unfreeze("alice", etag=bad), "ETAG_MISMATCH")]

    told = all_refused(direct, owner, [request for request, _ in cases])
    assert [answer.reason for answer in told] == [reason for _, reason in cases]
    missing = cases[4][0]
    direct.open("nobody")
    assert direct.refused(missing).metadata == {"resourceName": "wallets/nobody"}


def test_every_change_is_told_once(direct: Direct, owner: psycopg.Connection) -> None:
    """A fact each, by its kind; a refused or repeated one tells nothing."""

    direct.open("alice")
    for request in (an_update("alice", display_name="A"), freeze("alice"), unfreeze("alice"), close("alice")):
        for _ in range(2):
            done(direct, request)
    direct.refused(freeze("alice"))

    rows = owner.execute("SELECT kind FROM outbox WHERE subject = 'wallets/alice' ORDER BY position").fetchall()

    kinds = ["created", "updated", "frozen", "unfrozen", "closed"]
    assert [kind for (kind,) in rows] == [f"wallet.{kind}" for kind in kinds]
