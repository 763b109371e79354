"""Batches by item: each transfer is made, refused or replayed on its own."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import psycopg
import pytest
from wallet.v1 import transaction_service_pb2 as pb

from tests.support.api import Api, Refused
from tests.support.batch_results import info_of, outcomes
from tests.support.callers import everything
from tests.support.requests import a_transfer, an_item, atomic, changed, each, new_id

pytestmark = pytest.mark.usefixtures("alice_bob_and_carol")


NUMBER_OF = {code.name: code.value[0] for code in grpc.StatusCode}


def test_each_item_has_an_outcome_of_its_own_as_transfer_would_have_answered(api: Api) -> None:
    """A refused one harms no other; its error is a status with the ErrorInfo that Transfer sends."""

    api.open("eva", currency="EUR")
    request = each(
        [
            an_item("alice", "bob", 60),
            an_item("alice", "carol", 60),
            an_item("nobody", "carol", 1),
            an_item("alice", "eva", 1),
            an_item("bob", "carol", 60),
            an_item("alice", "carol", 40),
        ]
    )

    made = api.ok(request)

    assert outcomes(made) == [
        "MADE",
        "INSUFFICIENT_FUNDS",
        "RESOURCE_NOT_FOUND",
        "CURRENCY_MISMATCH",
        "MADE",
        "MADE",
    ]
    assert [result.source_available.minor_units for result in made.results] == [40, 0, 0, 0, 0, 0]
    assert [result.HasField("source_available") for result in made.results] == [True, False, False, False, True, True]
    assert {result.transaction.batch for result in made.results} == {""}
    assert api.balances("alice", "bob", "carol") == [0, 0, 100]
    for its, result in zip(request.items, made.results, strict=True):
        alone = transfer_of(its)
        if result.WhichOneof("outcome") == "transaction":
            again = api.ok(alone)
            assert (again.transaction, again.source_available) == (result.transaction, result.source_available)
            assert again.replayed
        else:
            answer, info = api.refused(alone), info_of(result)
            assert (NUMBER_OF[answer.code], answer.message) == (result.error.code, result.error.message)
            assert (answer.reason, {**answer.metadata, "outcome": answer.outcome}, info.domain) == (
                info.reason,
                dict(info.metadata),
                "wallet.example.com",
            )


def transfer_of(its: pb.TransferItem) -> pb.TransferRequest:
    """Return the call to Transfer that is the same as an item."""
    request = pb.TransferRequest()
    for field, value in its.ListFields():
        request.MergeFrom(pb.TransferRequest(**{field.name: value}))
    return request


def test_an_item_of_an_id_that_transfer_has_used_replays_that_transfer(api: Api, owner: psycopg.Connection) -> None:
    """Both ways, and of a refusal too; for something else the id is refused in the item's result."""

    done, no = a_transfer("alice", "bob", 10, description="d"), a_transfer("bob", "carol", 999)
    first = api.ok(done)
    refusal = api.refused(no)
    api.deposit("bob", 5000)
    same = an_item("alice", "bob", 10, description="d", request_id=done.request_id)
    other = an_item("alice", "bob", 11, description="d", request_id=done.request_id)
    refused_too = an_item("bob", "carol", 999, request_id=no.request_id)
    before = everything(owner)

    made = api.ok(each([same, other, refused_too]))

    assert everything(owner) == before
    assert outcomes(made) == ["REPLAYED", "REQUEST_ID_REUSED", "INSUFFICIENT_FUNDS"]
    assert (made.results[0].transaction, made.results[0].source_available) == (
        first.transaction,
        first.source_available,
    )
    assert dict(info_of(made.results[1]).metadata) == {
        "requestId": done.request_id,
        "method": "Transfer",
        "resourceName": first.transaction.name,
        "outcome": "NOT_DONE_RETRY",
    }
    assert dict(info_of(made.results[2]).metadata) == {**refusal.metadata, "outcome": refusal.outcome}


def test_one_id_twice_in_a_batch_moves_money_once(api: Api) -> None:
    """The second is a repeat of the first; or refused, where its content differs."""

    one, other = new_id(), new_id()
    twice = an_item("alice", "bob", 10, request_id=one)
    request = each(
        [
            twice,
            twice,
            an_item("alice", "carol", 10, request_id=other),
            an_item("alice", "carol", 11, request_id=other),
            an_item("alice", "bob", 10, request_id=one.upper()),
        ]
    )

    made = api.ok(request)

    assert outcomes(made) == ["MADE", "REPLAYED", "MADE", "REQUEST_ID_REUSED", "REPLAYED"]
    assert made.results[0].transaction == made.results[1].transaction == made.results[4].transaction
    assert api.balances("alice", "bob", "carol") == [80, 10, 10]


def test_items_that_were_made_are_replayed_each_and_new_ones_are_made(api: Api) -> None:
    """A batch that is sent again with one more moves only that."""

    old = each([an_item("alice", "bob", 10), an_item("alice", "carol", 10)])
    made = api.ok(old)

    again = api.ok(each([*old.items, an_item("alice", "bob", 5)]))

    assert outcomes(again) == ["REPLAYED", "REPLAYED", "MADE"]
    assert [one.transaction for one in again.results[:2]] == [one.transaction for one in made.results]
    assert [one.source_available for one in again.results[:2]] == [one.source_available for one in made.results]
    assert again.replayed is False
    assert api.balances("alice", "bob", "carol") == [75, 15, 10]


def test_an_item_that_was_refused_before_is_marked_replayed(api: Api) -> None:
    """``replayed`` is whether an earlier call had made or refused it."""

    request = each([an_item("alice", "bob", 999)])
    first = api.ok(request)
    api.deposit("alice", 5000)

    again = api.ok(request)

    assert outcomes(first) == outcomes(again) == ["INSUFFICIENT_FUNDS"]
    assert first.results[0].error == again.results[0].error
    assert [first.results[0].replayed, again.results[0].replayed] == [False, True]


def test_an_item_that_is_only_validated_is_refused_as_it_would_be_and_leaves_nothing(
    api: Api, owner: psycopg.Connection
) -> None:
    """Not even its id."""

    request = each([an_item("alice", "bob", 101), an_item("alice", "nobody", 1), an_item("alice", "bob", 100)])
    before = everything(owner)

    tried = api.ok(changed(request, validate_only=True))

    assert everything(owner) == before
    assert outcomes(tried) == ["INSUFFICIENT_FUNDS", "RESOURCE_NOT_FOUND", "MADE"]
    api.deposit("alice", 1)
    assert outcomes(api.ok(request)) == ["MADE", "RESOURCE_NOT_FOUND", "INSUFFICIENT_FUNDS"]


def test_validating_items_checks_each_by_itself_on_what_is_there_now(api: Api) -> None:
    """As separate validated transfers would be: none of them leaves anything behind for the next."""

    request = each([an_item("alice", "bob", 60), an_item("alice", "carol", 60), an_item("bob", "carol", 60)])

    tried = api.ok(changed(request, validate_only=True))

    assert outcomes(tried) == ["MADE", "MADE", "INSUFFICIENT_FUNDS"]
    assert outcomes(api.ok(request)) == ["MADE", "INSUFFICIENT_FUNDS", "MADE"]


def test_a_stuck_wallet_holds_up_its_own_items_only(api: Api, owner: psycopg.Connection) -> None:
    """TRANSACTION_CONFLICT in its result, to be repeated with the same id; an atomic batch is refused whole."""

    api.open("dora", 10)
    request = each([an_item("alice", "bob", 1), an_item("dora", "carol", 1)])
    together = atomic([an_item("dora", "carol", 1), an_item("alice", "bob", 1)])
    with owner.transaction():
        owner.execute("SELECT FROM wallets WHERE id = 'alice' FOR UPDATE")
        with ThreadPoolExecutor(1) as pool:
            whole = pool.submit(api.ok, together)
            single = api.ok(request)
            error = whole.exception()

    assert outcomes(single) == ["TRANSACTION_CONFLICT", "MADE"]
    assert isinstance(error, Refused)
    assert (error.answer.reason, error.answer.metadata) == ("TRANSACTION_CONFLICT", {})
    assert api.balances("alice", "bob", "carol", "dora") == [100, 0, 1, 9]
    assert outcomes(api.ok(request)) == ["MADE", "REPLAYED"]
    api.ok(together)
    assert api.balances("alice", "bob", "carol", "dora") == [98, 2, 2, 8]
