"""A wallet's life as callers lead it: changed, frozen, unfrozen, closed; and what each state lets through."""

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
from tests.support.asking import Asking, all_refused, refused
from tests.support.callers import BIGGEST, everything
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
from tests.support.together import together
from tests.support.wire import Answer
from wallet_core.usecases.app import App

ACTIVE, FROZEN, CLOSED = pb.Wallet.STATE_ACTIVE, pb.Wallet.STATE_FROZEN, pb.Wallet.STATE_CLOSED

Change = pb.UpdateWalletRequest | pb.FreezeWalletRequest | pb.UnfreezeWalletRequest | pb.CloseWalletRequest
Changed = pb.UpdateWalletResponse | pb.FreezeWalletResponse | pb.UnfreezeWalletResponse | pb.CloseWalletResponse


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


def done(asking: Asking, request: Change) -> Changed:
    """Make a change of a wallet."""
    changed_: Changed = asking.ok(request)
    return changed_


def held(asking: Asking, wallet: str, units: int) -> str:
    """Hold so much of a wallet; return the hold's name."""
    return str(asking.ok(a_hold(wallet, units)).hold.name)


def named(asking: Asking, filter_: str) -> list[str]:
    """Return the ids of the wallets that a filter lets through."""
    found = asking.ok(pb.ListWalletsRequest(filter=filter_)).wallets
    return [wallet.name.removeprefix("wallets/") for wallet in found]


def test_a_frozen_wallet_gives_nothing_and_takes_everything(
    asking: Asking, owner: psycopg.Connection, app: App
) -> None:
    """Debits, holds and captures are refused by its state; credits pass, and whatever makes money available again."""

    asking.open("alice", 1000)
    asking.open("bob", 1000)
    mine, given_up, bobs = held(asking, "alice", 10), held(asking, "alice", 20), held(asking, "bob", 30)
    reserving = payout("alice", 40)
    reserving.reserve = True
    order = asking.ok(reserving).withdrawal.name
    frozen = done(asking, a_freeze("alice"))
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

    for request, told in zip(debits, all_refused(asking, owner, debits), strict=True):
        assert (told.code, told.reason) == ("FAILED_PRECONDITION", "WALLET_NOT_ACTIVE"), request
        assert {"resourceName": "wallets/alice", "state": "FROZEN"}.items() <= told.metadata.items()
    for request in passing:
        assert asking.answer(request).code == "OK", request
    credit_due_deposits.run_once(app)
    expire_holds.run_once(app, clock_offset=timedelta(days=50_000))
    thawed = done(asking, an_unfreeze("alice"))

    assert [frozen.wallet.state, thawed.wallet.state] == [FROZEN, ACTIVE]
    assert (thawed.wallet.balance, thawed.wallet.held) == (money(1000 + 5 + 7 + 30 + 9), money(0))
    assert {asking.refused(request).reason for request in debits} == {"WALLET_NOT_ACTIVE"}  # kept with their ids
    asking.transfer("alice", "bob", 1051)
    assert asking.balances("alice", "bob") == [0, 1000 - 30 - 7 + 1051]


def test_each_state_lets_the_changes_of_its_own_through(asking: Asking, owner: psycopg.Connection) -> None:
    """Active may be frozen, frozen unfrozen, both closed; closed is for good. All else names wallet and state."""

    for name in ("hot", "cold", "gone"):
        asking.open(name)
    done(asking, a_freeze("cold"))
    assert done(asking, a_close("gone")).wallet.state == CLOSED
    forbidden: list[tuple[Any, str]] = [
        (an_unfreeze("hot"), "ACTIVE"),
        (a_freeze("cold"), "FROZEN"),
        (a_freeze("gone"), "CLOSED"),
        (an_unfreeze("gone"), "CLOSED"),
        (a_close("gone"), "CLOSED"),
    ]

    answers = all_refused(asking, owner, [request for request, _ in forbidden])
    for (request, state), told in zip(forbidden, answers, strict=True):
        assert (told.code, told.reason) == ("FAILED_PRECONDITION", "STATE_TRANSITION_FORBIDDEN"), request
        assert (told.metadata["resourceName"], told.metadata["state"]) == (request.name, state)
        assert "explanation" in told.metadata
    assert done(asking, a_close("cold")).wallet.state == CLOSED
    assert named(asking, "state = CLOSED") == ["gone", "cold"]


def test_a_wallet_that_is_not_empty_is_not_closed(asking: Asking, owner: psycopg.Connection) -> None:
    """Above zero and below; once it is zero it closes, though it was refused before."""

    asking.open("rich", 5)
    asking.open("poor", overdraft_limit=money(5))
    asking.open("bob")
    asking.transfer("poor", "bob", 5)

    for name in ("rich", "poor"):
        told = refused(asking, owner, a_close(name))
        assert (told.reason, told.metadata["resourceName"]) == ("STATE_TRANSITION_FORBIDDEN", f"wallets/{name}")
        assert (told.metadata["state"], told.metadata["explanation"] != "") == ("ACTIVE", True)
    asking.transfer("rich", "poor", 5)
    assert {done(asking, a_close(name)).wallet.state for name in ("rich", "poor")} == {CLOSED}


def test_a_wallet_with_something_open_is_not_closed_and_hears_what(asking: Asking, owner: psycopg.Connection) -> None:
    """A hold, a withdrawal with or without reserve, a scheduled deposit: named in `explanation` until it is final."""

    asking.open("alice", overdraft_limit=money(100))
    reserving = payout("alice", 5)
    reserving.reserve = True
    opened: list[tuple[str, Callable[[], Message]]] = []
    name = held(asking, "alice", 5)
    opened.append((name, lambda: hold_pb.VoidHoldRequest(name=name, request_id=new_id())))
    for request in (payout("alice"), reserving):
        order = asking.ok(request).withdrawal.name
        opened.append((order, partial(order_pb.CancelWithdrawalRequest, name=order, request_id=new_id())))
    for collect in (False, True):
        credited = credit("alice")
        credited.collect = collect
        order = asking.ok(credited).scheduled_deposit.name
        opened.append((order, partial(order_pb.CancelScheduledDepositRequest, name=order, request_id=new_id())))
    names = {name for name, _ in opened}

    for _ in range(len(opened)):
        told = refused(asking, owner, a_close("alice"))
        assert (told.reason, told.metadata["state"]) == ("STATE_TRANSITION_FORBIDDEN", "ACTIVE")
        (found,) = (name for name in names if name in told.metadata["explanation"])
        names.remove(found)
        assert asking.answer(dict(opened)[found]()).code == "OK"
    assert done(asking, a_close("alice")).wallet.state == CLOSED


def test_a_payout_under_way_or_in_doubt_keeps_its_wallet_open(asking: Asking, app: App, bank: BankServer) -> None:
    """The money may come back: nobody may close the wallet that it would come back to."""

    asking.open("alice", 100)
    Bank(bank.url).order("garbage")
    request = order_pb.ScheduleWithdrawalRequest(wallet="wallets/alice", amount=money(100), request_id=new_id())
    order = asking.ok(request).withdrawal
    pay_due_withdrawals.run_once(app)
    found = asking.ok(order_pb.GetWithdrawalRequest(name=order.name)).withdrawal

    told = asking.refused(a_close("alice"))

    assert found.state == order_pb.Withdrawal.STATE_IN_DOUBT
    assert asking.balances("alice") == [0]
    assert (told.reason, order.name in told.metadata["explanation"]) == ("STATE_TRANSITION_FORBIDDEN", True)


def test_a_closed_wallet_is_closed_for_good(asking: Asking, owner: psycopg.Connection) -> None:
    """Nothing is deposited, moved, held, scheduled or changed; its history is still read, its name still taken."""

    asking.open("alice", 10, display_name="Alice", labels={"a": "1"}, overdraft_limit=money(5))
    asking.open("bob", 100)
    bobs = held(asking, "bob", 10)
    asking.transfer("alice", "bob", 10)
    closed = done(asking, a_close("alice"))
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

    for request, told in zip(wanted, all_refused(asking, owner, wanted), strict=True):
        assert (told.reason, told.metadata) == (
            "WALLET_NOT_ACTIVE",
            {"resourceName": "wallets/alice", "state": "CLOSED"},
        ), request
    assert asking.wallet("alice") == closed.wallet
    assert (closed.wallet.balance, closed.wallet.held, closed.wallet.display_name) == (money(0), money(0), "Alice")
    listed = asking.ok(transaction_pb.ListTransactionsRequest(wallet="wallets/alice"))
    assert [moved.amount.minor_units for moved in listed.transactions] == [10, 10]
    taken = pb.CreateWalletRequest(wallet_id="alice", wallet=pb.Wallet(currency_code="USD"), request_id=new_id())
    assert asking.refused(taken).reason == "RESOURCE_EXISTS"


def test_labels_are_replaced_as_a_whole_and_wallets_found_by_them(asking: Asking) -> None:
    """Set when created, replaced, cleared; an empty value is one, no label is none."""

    asking.open("alice", labels={"tier": "gold", "kind": ""})
    asking.open("bob", labels={"tier": "silver"})
    asking.open("carol")
    assert named(asking, 'labels.tier = "gold"') == ["alice"]
    assert named(asking, 'labels.kind = ""') == ["alice"]

    replaced = asking.update("alice", labels={"tier": "silver", "region": '\N{SNOWMAN} \\" \U0001f600'})

    assert dict(replaced.labels) == {"tier": "silver", "region": '\N{SNOWMAN} \\" \U0001f600'}
    assert asking.wallet("alice") == replaced
    assert named(asking, 'labels.tier = "silver"') == ["bob", "alice"]
    assert named(asking, 'labels.tier = "silver" AND labels.region != "x"') == ["bob", "alice"]
    assert named(asking, 'labels.tier != "silver"') == ["carol"]
    assert named(asking, 'labels.region = "\N{SNOWMAN} \\\\\\" \U0001f600"') == ["alice"]
    assert named(asking, 'labels.kind = ""') == []
    assert asking.update("bob", display_name="Bob").labels == {"tier": "silver"}
    assert asking.update("bob", "labels").labels == {}
    assert named(asking, 'labels.tier = "silver"') == ["alice"]


def test_labels_keep_to_their_grammar(asking: Asking, owner: psycopg.Connection) -> None:
    """At most 32; keys of 1 to 63 that begin with a letter; values of up to 63 characters without controls."""

    asking.open("alice")
    most = {f"k{number}": "v" * 63 for number in range(32)}
    good: list[dict[str, str]] = [most, {"a": ""}, {"a" * 63: "é" * 63}, {"a-_9": "\U0001f600" * 63}]
    bad: list[dict[str, str]] = [
        {**most, "k32": ""},
        *({key: "v"} for key in ("", "A", "aB", "1a", "-a", "_a", "a" * 64, "a b", "a.b", "é", "a\n")),
        *({"a": value} for value in ("v" * 64, "\0", "a\tb", "a\n", "\x1f", "\x7f", "\U0001f600" * 64)),
    ]

    for labels in good:
        assert dict(asking.update("alice", labels=labels).labels) == labels
    before = everything(owner)
    for labels in bad:
        refusals = [
            asking.refused(an_update("alice", labels=labels)),
            asking.refused(
                pb.CreateWalletRequest(
                    wallet_id="new", wallet=pb.Wallet(currency_code="USD", labels=labels), request_id=new_id()
                )
            ),
        ]
        assert {told.reason for told in refusals} == {"INVALID_FIELDS"}, labels
        assert {violation.partition("[")[0] for told in refusals for violation in told.violations} == {"wallet.labels"}
    assert everything(owner) == before


def test_an_overdraft_limit_lets_money_go_below_zero_and_no_further(asking: Asking, owner: psycopg.Connection) -> None:
    """Raised, used, and never lowered below what is in use of it, held money too; unset clears it."""

    asking.open("alice", 10)
    asking.open("bob")
    assert asking.refused(a_transfer("alice", "bob", 11)).reason == "INSUFFICIENT_FUNDS"

    raised = asking.update("alice", overdraft_limit=money(100))
    assert (raised.overdraft_limit, raised.available, raised.balance) == (money(100), money(110), money(10))
    asking.transfer("alice", "bob", 40)
    mine = held(asking, "alice", 20)
    wallet = asking.wallet("alice")
    assert (wallet.balance, wallet.held, wallet.available) == (money(-30), money(20), money(50))
    over = asking.refused(a_transfer("alice", "bob", 51))
    assert (over.reason, over.metadata["available"], over.metadata["required"]) == ("INSUFFICIENT_FUNDS", "50", "51")

    for request in (an_update("alice", overdraft_limit=money(49)), an_update("alice", "overdraft_limit")):
        told = refused(asking, owner, request)
        assert (told.code, told.reason) == ("FAILED_PRECONDITION", "LIMIT_EXCEEDED")
        assert told.metadata == {"resourceName": "wallets/alice", "limit": "50"}
    assert asking.update("alice", overdraft_limit=money(50)).available == money(0)
    asking.ok(hold_pb.VoidHoldRequest(name=mine, request_id=new_id()))
    assert asking.update("alice", overdraft_limit=money(30)).available == money(0)
    asking.deposit("alice", 30)
    cleared = asking.update("alice", "overdraft_limit")
    assert (cleared.overdraft_limit, cleared.available) == (money(0), money(0))


def test_an_overdraft_limit_is_in_the_wallets_currency_and_not_negative(
    asking: Asking, owner: psycopg.Connection
) -> None:
    """When created and when changed; as large as can be counted with the balance, and never a defect."""

    asking.open("alice", 10)
    for limit in (money(-1), money(1, "xxx"), money(1, "usd"), money(1, "")):
        assert refused(asking, owner, an_update("alice", overdraft_limit=limit)).reason == "INVALID_FIELDS"
    wrong = refused(asking, owner, an_update("alice", overdraft_limit=money(1, "EUR")))
    assert (wrong.reason, wrong.metadata) == (
        "CURRENCY_MISMATCH",
        {"resourceName": "wallets/alice", "currency": "USD"},
    )
    for limit in (money(-1), money(1, "EUR")):
        asked = pb.Wallet(currency_code="USD", overdraft_limit=limit)
        told = asking.refused(pb.CreateWalletRequest(wallet_id="x", wallet=asked, request_id=new_id()))
        assert told.reason == "INVALID_FIELDS"

    assert asking.update("alice", overdraft_limit=money(BIGGEST - 10)).available == money(BIGGEST)
    told = refused(asking, owner, an_update("alice", overdraft_limit=money(BIGGEST - 9)))
    assert told.reason == "LIMIT_EXCEEDED"
    assert asking.refused(a_deposit("alice", 1)).reason == "LIMIT_EXCEEDED"
    asking.open("deep", overdraft_limit=money(BIGGEST))
    asking.update("alice", "overdraft_limit")
    asking.transfer("deep", "alice", BIGGEST - 10)
    assert asking.balances("deep", "alice") == [-(BIGGEST - 10), BIGGEST]
    assert asking.wallet("deep").available == money(10)


def test_an_etag_changes_with_what_a_wallet_is_like_and_not_with_its_money(asking: Asking) -> None:
    """Name, labels, limit, state: each a new one. Deposits, transfers, holds: the same."""

    first = asking.open("alice").etag
    asking.open("bob")
    asking.deposit("alice", 100)
    asking.transfer("alice", "bob", 10)
    held(asking, "alice", 5)
    asking.ok(payout("alice"))
    assert asking.wallet("alice").etag == first
    assert first

    etags = [
        first,
        asking.update("alice", display_name="A").etag,
        asking.update("alice", labels={"a": "b"}).etag,
        asking.update("alice", overdraft_limit=money(7)).etag,
        done(asking, a_freeze("alice")).wallet.etag,
        done(asking, an_unfreeze("alice")).wallet.etag,
        asking.update("alice", "display_name", "labels", "overdraft_limit").etag,
    ]

    assert len(set(etags)) == len(etags)
    assert asking.wallet("alice").etag == etags[-1]
    asking.open("carol")
    assert done(asking, a_close("carol")).wallet.etag != first


def test_an_etag_that_is_not_the_last_one_is_refused_for_good(asking: Asking, owner: psycopg.Connection) -> None:
    """By each of the four calls, after another came in between; the right one and none pass."""

    seen = asking.open("alice").etag
    now = asking.update("alice", display_name="other").etag
    requests: list[Any] = [
        an_update("alice", display_name="mine", etag=seen),
        a_freeze("alice", etag=seen),
        an_unfreeze("alice", etag=seen),
        a_close("alice", etag=seen),
        an_update("alice", display_name="mine", etag=now + "x"),
    ]

    for request, told in zip(requests, all_refused(asking, owner, requests), strict=True):
        assert (told.code, told.reason) == ("ABORTED", "ETAG_MISMATCH"), request
        assert told.metadata == {"resourceName": "wallets/alice"}
    rename = an_update("alice", display_name="next")
    early = a_freeze("alice", etag=done(asking, changed(rename, validate_only=True)).wallet.etag)
    told = asking.refused(early)
    etag = done(asking, rename).wallet.etag
    assert (etag, told.reason) == (early.etag, "ETAG_MISMATCH")
    assert asking.refused(early) == told
    for kind in (a_freeze, an_unfreeze, a_freeze, a_close):
        etag = done(asking, kind("alice", etag=etag)).wallet.etag
    assert asking.wallet("alice").state == CLOSED
    for bad in ("é", "a b", "x" * 65, "\n"):
        assert asking.refused(a_freeze("alice", etag=bad)).reason == "INVALID_FIELDS"


def test_of_many_who_saw_the_same_wallet_one_changes_it(asking: Asking) -> None:
    """Twenty at once with the etag that they read: the others hear that it has changed."""

    etag = asking.open("alice").etag
    requests = [an_update("alice", display_name=f"n{number}", etag=etag) for number in range(20)]

    answers = together([partial(asking.answer, request) for request in requests])

    told = [answer.reason for answer in answers if isinstance(answer, Answer)]
    assert sorted(told) == ["", *["ETAG_MISMATCH"] * 19]
    assert asking.wallet("alice").display_name == f"n{told.index('')}"


def test_only_what_the_mask_names_is_changed(asking: Asking, owner: psycopg.Connection) -> None:
    """At least one of three, and nothing else; what it names and is unset is cleared, what it does not stays."""

    asking.open("alice", owner="crm-7", display_name="Alice", labels={"a": "1"}, overdraft_limit=money(5))
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

    named_only = done(asking, masked("display_name")).wallet
    assert (named_only.display_name, dict(named_only.labels), named_only.overdraft_limit) == ("B", {"a": "1"}, money(5))
    two = done(asking, masked("labels", "overdraft_limit", "labels")).wallet
    assert (dict(two.labels), two.overdraft_limit) == ({"b": "2"}, money(7))
    cleared = asking.update("alice", "display_name", "labels", "overdraft_limit")
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
        told = asking.refused(masked(*paths))
        assert (told.reason, told.violations) == ("INVALID_FIELDS", ("update_mask",)), paths
    for request in (
        changed(masked("labels"), update_mask=None),
        changed(masked("labels"), wallet=None),
        changed(masked("labels"), wallet=pb.Wallet()),
        changed(masked("labels"), wallet=pb.Wallet(name="alice")),
        changed(masked("labels"), request_id=None),
        changed(a_freeze("alice"), name="alice"),
        changed(a_close("alice"), request_id="x"),
    ):
        assert asking.refused(request).reason == "INVALID_FIELDS", request
    assert everything(owner) == before


def test_a_display_name_has_up_to_128_characters(asking: Asking, owner: psycopg.Connection) -> None:
    """Characters, not bytes; any but control characters."""

    asking.open("alice")
    for name in ("", "x" * 128, "\U0001f600" * 128, "a b'\";--\\"):
        assert asking.update("alice", "display_name", display_name=name).display_name == name
        assert asking.wallet("alice").display_name == name
    before = everything(owner)
    for name in ("x" * 129, "\U0001f600" * 129, "a\0b", "a\n"):
        told = asking.refused(an_update("alice", display_name=name))
        assert (told.reason, told.violations) == ("INVALID_FIELDS", ("wallet.display_name",))
    assert everything(owner) == before


def test_a_repeat_returns_the_wallet_as_it_is_now(asking: Asking, owner: psycopg.Connection) -> None:
    """It changes nothing more: what was frozen once and is active again stays so."""

    asking.open("alice")
    requests: list[Any] = [
        an_update("alice", display_name="A", labels={"b": "2", "a": "1"}),
        a_freeze("alice"),
        an_unfreeze("alice"),
    ]
    assert [done(asking, request).replayed for request in requests] == [False] * 3
    asking.deposit("alice", 5)
    asking.update("alice", display_name="later")
    before = everything(owner)

    for request in requests:
        again = done(asking, changed(request, request_id=request.request_id.upper()))
        assert (again.wallet, again.replayed) == (asking.wallet("alice"), True)
        assert done(asking, changed(request, validate_only=True)).replayed
    assert (again.wallet.state, again.wallet.balance, again.wallet.display_name) == (ACTIVE, money(5), "later")
    assert everything(owner) == before


def test_an_id_used_with_other_words_or_by_another_call_is_refused(asking: Asking, owner: psycopg.Connection) -> None:
    """Naming the first use; where that was refused there is no resource."""

    for name in ("alice", "bob"):
        asking.open(name)
    first = an_update("alice", display_name="A", etag=asking.wallet("alice").etag)
    done(asking, first)
    other = an_unfreeze("alice")
    asking.refused(other)
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
        told = asking.refused(request)
        assert (told.code, told.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED"), request
        assert told.metadata == {"requestId": id_, "method": method, "resourceName": resource}, request
    assert everything(owner) == before


def test_a_change_that_is_only_tried_is_answered_and_not_made(asking: Asking, owner: psycopg.Connection) -> None:
    """The wallet as it would be, its next etag too; the id stays free."""

    asking.open("alice", overdraft_limit=money(3))
    for request in (
        an_update("alice", display_name="A", labels={"a": "1"}, overdraft_limit=money(9)),
        a_freeze("alice"),
        an_unfreeze("alice"),
        a_close("alice"),
    ):
        before = everything(owner)
        tried = done(asking, changed(request, validate_only=True))
        assert everything(owner) == before
        made = done(asking, request)
        assert (tried.wallet, tried.replayed, made.replayed) == (made.wallet, False, False)


def test_no_call_changes_what_a_system_wallet_is_like(asking: Asking, owner: psycopg.Connection) -> None:
    """Any role, whether or not it exists; not even with a used id."""

    asking.open("alice")
    used = a_freeze("alice")
    done(asking, used)
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
            told = asking.refused(request)
            assert (told.code, told.reason) == ("PERMISSION_DENIED", "PERMISSION_MISSING"), request
    assert everything(owner) == before


def test_of_two_faults_in_a_change_the_first_documented_is_told(asking: Asking, owner: psycopg.Connection) -> None:
    """Shape, permission, used id, the wallet, its etag, its state, then currency and limit."""

    asking.open("alice", overdraft_limit=money(10))
    asking.open("bob")
    asking.transfer("alice", "bob", 5)
    asking.open("gone")
    done(asking, a_close("gone"))
    used = a_freeze("bob")
    done(asking, used)
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

    told = all_refused(asking, owner, [request for request, _ in cases])
    assert [answer.reason for answer in told] == [reason for _, reason in cases]
    missing = cases[4][0]
    asking.open("nobody")
    assert asking.refused(missing).metadata == {"resourceName": "wallets/nobody"}


def test_every_change_is_told_once(asking: Asking, owner: psycopg.Connection) -> None:
    """A fact each, by its kind; a refused or repeated one tells nothing."""

    asking.open("alice")
    for request in (an_update("alice", display_name="A"), a_freeze("alice"), an_unfreeze("alice"), a_close("alice")):
        for _ in range(2):
            done(asking, request)
    asking.refused(a_freeze("alice"))

    rows = owner.execute("SELECT type FROM outbox WHERE subject = 'wallets/alice' ORDER BY position").fetchall()

    kinds = ["created", "updated", "frozen", "unfrozen", "closed"]
    assert [kind for (kind,) in rows] == [f"wallet.{kind}" for kind in kinds]
