"""Atomic batches: all of their transfers are made, or none."""

from collections.abc import Sequence
from typing import Any

import psycopg
import pytest
from wallet.v1 import transaction_service_pb2 as pb

from tests.support.api import Api, refused
from tests.support.batch_results import outcomes
from tests.support.callers import BIGGEST, count, everything
from tests.support.commission import COMMISSION_WALLET
from tests.support.requests import (
    DESTINATION,
    SOURCE,
    a_deposit,
    a_hold,
    a_transfer,
    an_item,
    atomic,
    changed,
    each,
    money,
    new_id,
)

pytestmark = pytest.mark.usefixtures("alice_bob_and_carol")


def bare(response: pb.BatchTransferResponse) -> Sequence[Any]:
    """Return the results without what is only known once they are made."""
    results = changed(response).results
    for result in results:
        for field in ("name", "execute_time", "batch"):
            result.transaction.ClearField(field)
    return list(results)


def test_an_atomic_batch_is_made_in_order_and_its_transactions_know_each_other(api: Api) -> None:
    """Each item is a transfer like any other, with the batch that it was made in."""

    requests = [
        an_item("alice", "bob", 10, description="d", external_reference="r", labels={"k": "v"}),
        an_item("alice", "carol", 20),
        an_item("alice", "bob", 10, description="d", external_reference="r", labels={"k": "v"}),
    ]

    made = api.ok(atomic(requests))

    assert [result.WhichOneof("outcome") for result in made.results] == ["transaction"] * 3
    assert not made.replayed
    first, second, third = (result.transaction for result in made.results)
    assert len({first.name, second.name, third.name}) == 3
    assert first.batch == second.batch == third.batch != ""
    for one, its in zip((first, second, third), requests, strict=True):
        assert (one.source, one.destination, one.amount) == (its.source, its.destination, its.amount)
        assert (one.description, one.external_reference, dict(one.labels)) == (
            its.description,
            its.external_reference,
            dict(its.labels),
        )
        assert (one.type, api.transaction(one.name)) == (pb.Transaction.TYPE_TRANSFER, one)
    assert [
        [
            (entry.amount.minor_units, entry.balance_after.minor_units)
            for entry in one.entries
            if entry.wallet == "wallets/alice"
        ]
        for one in (first, second, third)
    ] == [[(-10, 90)], [(-20, 70)], [(-10, 60)]]
    assert api.balances("alice", "bob", "carol") == [60, 20, 20]


def test_an_items_money_is_there_for_the_items_after_it_and_not_before(api: Api, owner: psycopg.Connection) -> None:
    """A to B, then B to C, with B empty; the other way round nothing moves, and it is the first that fails."""

    there, on = an_item("alice", "bob", 100), an_item("bob", "carol", 100)

    refusal = refused(api, owner, atomic([on, there]))
    assert refusal.metadata == {
        "wallet": "wallets/bob",
        "currencyCode": "USD",
        "available": "0",
        "required": "100",
        "item": "0",
    }
    api.ok(atomic([there, on, an_item("carol", "alice", 40)]))

    assert api.balances("alice", "bob", "carol") == [40, 0, 60]


def test_a_full_wallet_may_give_before_it_receives(api: Api, owner: psycopg.Connection) -> None:
    """Every step must fit, not only the end."""

    api.open("full", BIGGEST - 100)
    api.transfer("alice", "full", 100)
    api.transfer("full", "bob", 10)
    api.deposit("full", 1)
    api.transfer("bob", "full", 9)

    refusal = refused(api, owner, atomic([an_item("bob", "full", 1), an_item("full", "bob", 1)]))
    api.ok(atomic([an_item("full", "bob", 1), an_item("bob", "full", 1)]))

    assert refusal.metadata == {"resourceName": "wallets/full", "limit": str(BIGGEST), "item": "0"}
    assert api.balances("full", "bob") == [BIGGEST, 1]


def test_the_first_item_that_is_refused_refuses_the_batch_with_its_place(api: Api, owner: psycopg.Connection) -> None:
    """With any reason; items before it are undone, those after it are not decided."""

    api.open("eva", 100, currency="EUR")
    api.open("cold", 100)
    api.open("gone")
    api.ok(a_hold("alice", 50))
    api.freeze("cold")
    api.close("gone")
    good = an_item("alice", "bob", 10)
    cases: list[tuple[pb.TransferItem, str, str]] = [
        (an_item("nobody", "bob", 1), "RESOURCE_NOT_FOUND", "wallets/nobody"),
        (an_item("alice", "nobody", 1), "RESOURCE_NOT_FOUND", "wallets/nobody"),
        (an_item("eva", "bob", 1), "CURRENCY_MISMATCH", "wallets/eva"),
        (an_item("alice", "eva", 1), "CURRENCY_MISMATCH", "wallets/eva"),
        (an_item("cold", "bob", 1), "WALLET_NOT_ACTIVE", "wallets/cold"),
        (an_item("alice", "gone", 1), "WALLET_NOT_ACTIVE", "wallets/gone"),
        (an_item("alice", "bob", 31), "INSUFFICIENT_FUNDS", "wallets/alice"),
        (an_item("alice", "bob", BIGGEST), "INSUFFICIENT_FUNDS", "wallets/alice"),
    ]

    for bad, reason, about in cases:
        refusal = refused(api, owner, atomic([good, good, bad, an_item("nobody-else", "bob", 1)]))
        assert (refusal.reason, refusal.metadata["item"]) == (reason, "2")
        assert about in {refusal.metadata.get("resourceName"), refusal.metadata.get("wallet")}
    assert api.balances("alice", "bob") == [100, 0]


def test_a_refusal_of_a_batch_is_final_though_its_cause_is_gone(api: Api) -> None:
    """The same item is named again; another try needs a new id."""

    request = atomic([an_item("alice", "bob", 60), an_item("alice", "carol", 60)])
    first = api.refused(request)
    api.deposit("alice", 1000)

    again = api.refused(request)

    assert again == first
    assert (first.reason, first.metadata["item"], first.metadata["available"]) == ("INSUFFICIENT_FUNDS", "1", "40")
    assert api.balances("alice", "bob", "carol") == [1100, 0, 0]
    api.ok(changed(request, request_id=new_id()))
    assert api.balances("alice", "bob", "carol") == [980, 60, 60]


def test_system_wallets_in_an_item_are_refused(api: Api, owner: psycopg.Connection) -> None:
    """Atomic: the whole batch, with the item's place; otherwise the item alone."""

    good, bad = an_item("alice", "bob", 10), an_item("alice", "system:external:USD", 1)

    refusal = refused(api, owner, atomic([good, bad]))
    made = api.ok(each([good, bad]))

    assert (refusal.code, refusal.reason, refusal.metadata) == (
        "PERMISSION_DENIED",
        "PERMISSION_MISSING",
        {"permission": "none", "item": "1"},
    )
    assert outcomes(made) == ["MADE", "PERMISSION_MISSING"]
    assert api.balances("alice", "bob") == [90, 10]


def test_batches_out_of_shape_are_refused_whole_and_nothing_is_done(api: Api, owner: psycopg.Connection) -> None:
    """Number of items, ids where they must not be or must, and any field of any item, in both modes."""

    good = an_item("alice", "bob", 1)
    named = changed(good, request_id=new_id())
    empty = pb.BatchTransferRequest(items=[good], request_id=new_id())
    bad_items = [
        (an_item("alice", "bob", 0), "items[1].amount"),
        (an_item("alice", "bob", 1, currency="xyz"), "items[1].amount.currency_code"),
        (an_item("alice", "alice", 1), "items[1]"),
        (an_item("alice", "bob", 1, max_commission=money(-1)), "items[1].max_commission"),
        (an_item("alice", "bob", 1, max_commission=money(1, "EUR")), "items[1]"),
        (an_item("alice", "bob", 1, max_commission=money(1, "XYZ")), "items[1]"),
        (an_item("al ice", "bob", 1), "items[1].source"),
        (an_item("alice", "bob", 1, request_id="me"), "items[1].request_id"),
    ]
    cases: list[tuple[Any, str | None]] = [
        (atomic([]), "items"),
        (atomic([good] * 1001), "items"),
        (each([]), "items"),
        (each([good] * 1001), "items"),
        (empty, "mode"),
        (changed(empty, mode=3), "mode"),
        (atomic([named]), None),
        (changed(atomic([good]), request_id=""), None),
        (changed(atomic([good]), request_id="me"), "request_id"),
        (changed(each([good]), request_id=new_id()), None),
        (pb.BatchTransferRequest(mode=pb.BATCH_MODE_ITEM, items=[named, good]), None),
        *((atomic([good, bad]), field) for bad, field in bad_items),
        *((each([good, bad]), field) for bad, field in bad_items),
    ]
    before = everything(owner)

    for request, field in cases:
        refusal = api.refused(request)
        assert refusal.reason == "INVALID_FIELDS", request
        assert field in {None, *refusal.violations}, (refusal.violations, field)
    assert everything(owner) == before


@pytest.mark.parametrize("mode", [atomic, each])
def test_a_thousand_transfers_fit_into_one_call(api: Api, owner: psycopg.Connection, mode: Any) -> None:  # noqa: ANN401  # a function
    """There and back, each on what the one before left; a repeat of them all moves nothing."""

    request = mode([an_item("alice", "bob", 100), an_item("bob", "alice", 100)] * 500)
    transactions = count(owner, "transactions")

    made = api.ok(request)
    again = api.ok(request)

    assert outcomes(made) == ["MADE"] * 1000
    assert count(owner, "transactions") == transactions + 1000
    assert [result.transaction for result in again.results] == [result.transaction for result in made.results]
    assert api.balances("alice", "bob") == [100, 0]


def test_commission_is_charged_on_every_item_and_kept_to_each_items_most(api: Api, owner: psycopg.Connection) -> None:
    """In both modes; one unit more than an item allows refuses it."""

    api.charge(payer=SOURCE, fixed_minor_units=3)
    enough, too_little = (an_item("alice", "bob", 10, max_commission=money(most)) for most in (3, 2))

    refusal = refused(api, owner, atomic([enough, too_little]))
    assert (refusal.reason, refusal.metadata["item"], refusal.metadata["limit"]) == ("LIMIT_EXCEEDED", "1", "2")
    made = api.ok(atomic([enough, an_item("alice", "carol", 10)]))
    assert [result.transaction.commission.amount for result in made.results] == [money(3)] * 2
    assert api.balances("alice", "bob", "carol", COMMISSION_WALLET) == [74, 10, 10, 6]

    api.charge(payer=DESTINATION, fixed_minor_units=4)
    single = api.ok(each([enough, an_item("alice", "carol", 10)]))
    assert outcomes(single) == ["LIMIT_EXCEEDED", "MADE"]
    assert api.balances("alice", "bob", "carol", COMMISSION_WALLET) == [64, 10, 16, 10]


def test_money_that_goes_for_commission_is_not_there_for_the_next_item(api: Api, owner: psycopg.Connection) -> None:
    """A hundred is enough for two transfers of 49 with one each, and not for a unit more."""

    api.charge(payer=SOURCE, fixed_minor_units=1)

    refusal = refused(api, owner, atomic([an_item("alice", "bob", 49), an_item("alice", "bob", 50)]))
    api.ok(atomic([an_item("alice", "bob", 49), an_item("alice", "bob", 49)]))

    assert (refusal.metadata["available"], refusal.metadata["required"], refusal.metadata["item"]) == ("50", "51", "1")
    assert api.balances("alice", "bob", COMMISSION_WALLET) == [0, 98, 2]


def test_a_repeat_of_an_atomic_batch_returns_its_transactions(api: Api, owner: psycopg.Connection) -> None:
    """In order; the same items in another order, or one of them alone, are something else."""

    requested = atomic([an_item("alice", "bob", 10), an_item("alice", "carol", 20)])
    made = api.ok(requested)
    api.transfer("bob", "carol", 10)
    before = everything(owner)

    again = api.ok(requested)

    assert (again.replayed, list(again.results)) == (True, list(made.results))
    assert api.ok(changed(requested, validate_only=True)) == again
    assert everything(owner) == before
    others: list[Any] = [
        changed(requested, items=list(requested.items)[::-1]),
        changed(requested, items=list(requested.items)[:1]),
        changed(requested, items=[*requested.items, requested.items[0]]),
        changed(a_transfer("alice", "bob", 10), request_id=requested.request_id),
    ]
    for request in others:
        refusal = refused(api, owner, request)
        assert (refusal.reason, refusal.metadata["method"]) == ("REQUEST_ID_REUSED", "BatchTransfer")
        assert refusal.metadata["requestId"] == requested.request_id


@pytest.mark.parametrize("mode", [atomic, each])
def test_validating_a_batch_answers_alike_and_stores_nothing(
    api: Api,
    owner: psycopg.Connection,
    mode: Any,  # noqa: ANN401  # a function
) -> None:
    """Transfers that would be made have no name and no batch yet."""

    if mode is atomic:
        api.charge(payer=SOURCE, rate_millionths=100_000)
    api.open("dora", 10)
    request = mode([an_item("alice", "bob", 10, labels={"a": "b"}), an_item("dora", "carol", 5)])
    before = everything(owner)

    tried = api.ok(changed(request, validate_only=True))

    assert everything(owner) == before
    assert {(result.transaction.name, result.transaction.batch) for result in tried.results} == {("", "")}
    made = api.ok(request)
    assert bare(tried) == bare(made)
    assert tried.replayed is made.replayed is False


def test_of_two_faults_the_first_documented_is_reported(api: Api) -> None:
    """Shape of any item, system wallets of any, the batch's id, then item by item."""

    used = new_id()
    api.ok(changed(a_deposit("alice", 1), request_id=used))
    api.open("cold")
    api.freeze("cold")
    short, none = an_item("alice", "bob", 999), an_item("nobody", "bob", 1)
    system, shapeless = an_item("system:external:USD", "bob", 1), an_item("alice", "bob", 0)
    cases: list[tuple[Any, str, str | None]] = [
        (changed(atomic([none, system, shapeless]), request_id=used), "INVALID_FIELDS", None),
        (changed(atomic([none, short, system]), request_id=used), "PERMISSION_MISSING", "2"),
        (changed(atomic([none, short]), request_id=used), "REQUEST_ID_REUSED", None),
        (atomic([short, none]), "INSUFFICIENT_FUNDS", "0"),
        (atomic([an_item("alice", "bob", 1), none, short]), "RESOURCE_NOT_FOUND", "1"),
        (atomic([an_item("cold", "nobody", 999)]), "WALLET_NOT_ACTIVE", "0"),
        (atomic([an_item("alice", "nobody", 999)]), "RESOURCE_NOT_FOUND", "0"),
    ]

    for request, reason, its_place in cases:
        refusal = api.refused(request)
        assert (refusal.reason, refusal.metadata.get("item")) == (reason, its_place), request
