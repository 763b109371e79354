"""Batches of transfers as callers make them: all or none, or each on its own."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import psycopg
import pytest
from google.rpc import error_details_pb2
from wallet.v1 import transaction_service_pb2 as pb

from tests.support.asking import Asking, Refused, refused
from tests.support.callers import BIGGEST, count, everything
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

EARNED = "system:commission:USD"
NUMBER_OF = {code.name: code.value[0] for code in grpc.StatusCode}


@pytest.fixture
def people(asking: Asking) -> Asking:
    """Return the channel, with Alice who has 100, and Bob and Carol who have nothing."""
    asking.open("alice", 100)
    for name in ("bob", "carol"):
        asking.open(name)
    return asking


def info_of(result: Any) -> Any:  # noqa: ANN401  # google.rpc has no types
    """Return the only ErrorInfo of an item's error."""
    infos = [detail for detail in result.error.details if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR)]
    (packed,) = infos
    info = error_details_pb2.ErrorInfo()
    packed.Unpack(info)
    return info


def outcomes(response: pb.BatchTransferResponse) -> list[str]:
    """Return what became of each item: the reason of its refusal, or whether it was made or replayed."""
    return [
        info_of(result).reason
        if result.WhichOneof("outcome") == "error"
        else ("REPLAYED" if result.replayed else "MADE")
        for result in response.results
    ]


def bare(response: pb.BatchTransferResponse) -> Sequence[Any]:
    """Return the results without what is only known once they are made."""
    results = changed(response).results
    for result in results:
        for field in ("name", "execute_time", "batch"):
            result.transaction.ClearField(field)
    return list(results)


def test_an_atomic_batch_is_made_in_order_and_its_transactions_know_each_other(people: Asking) -> None:
    """Each item is a transfer like any other, with the batch that it was made in."""

    asked = [
        an_item("alice", "bob", 10, description="d", external_reference="r", labels={"k": "v"}),
        an_item("alice", "carol", 20),
        an_item("alice", "bob", 10, description="d", external_reference="r", labels={"k": "v"}),
    ]

    made = people.ok(atomic(asked))

    assert [result.WhichOneof("outcome") for result in made.results] == ["transaction"] * 3
    assert not made.replayed
    first, second, third = (result.transaction for result in made.results)
    assert len({first.name, second.name, third.name}) == 3
    assert first.batch == second.batch == third.batch != ""
    for one, its in zip((first, second, third), asked, strict=True):
        assert (one.source, one.destination, one.amount) == (its.source, its.destination, its.amount)
        assert (one.description, one.external_reference, dict(one.labels)) == (
            its.description,
            its.external_reference,
            dict(its.labels),
        )
        assert (one.type, people.transaction(one.name)) == (pb.Transaction.TYPE_TRANSFER, one)
    assert [
        [
            (entry.amount.minor_units, entry.balance_after.minor_units)
            for entry in one.entries
            if entry.wallet == "wallets/alice"
        ]
        for one in (first, second, third)
    ] == [[(-10, 90)], [(-20, 70)], [(-10, 60)]]
    assert people.balances("alice", "bob", "carol") == [60, 20, 20]


def test_an_items_money_is_there_for_the_items_after_it_and_not_before(
    people: Asking, owner: psycopg.Connection
) -> None:
    """A to B, then B to C, with B empty; the other way round nothing moves, and it is the first that fails."""

    there, on = an_item("alice", "bob", 100), an_item("bob", "carol", 100)

    told = refused(people, owner, atomic([on, there]))
    assert told.metadata == {
        "wallet": "wallets/bob",
        "currencyCode": "USD",
        "available": "0",
        "required": "100",
        "item": "0",
    }
    people.ok(atomic([there, on, an_item("carol", "alice", 40)]))

    assert people.balances("alice", "bob", "carol") == [40, 0, 60]


def test_a_full_wallet_may_give_before_it_receives(asking: Asking, owner: psycopg.Connection) -> None:
    """Every step must fit, not only the end."""

    asking.open("full", BIGGEST)
    asking.open("bob")
    asking.transfer("full", "bob", 10)
    asking.deposit("full", 1)
    asking.transfer("bob", "full", 9)

    told = refused(asking, owner, atomic([an_item("bob", "full", 1), an_item("full", "bob", 1)]))
    asking.ok(atomic([an_item("full", "bob", 1), an_item("bob", "full", 1)]))

    assert told.metadata == {"resourceName": "wallets/full", "limit": str(BIGGEST), "item": "0"}
    assert asking.balances("full", "bob") == [BIGGEST, 1]


def test_the_first_item_that_is_refused_refuses_the_batch_with_its_place(
    people: Asking, owner: psycopg.Connection
) -> None:
    """Whatever the reason; items before it are undone, those after it are not looked at."""

    people.open("eva", 100, currency="EUR")
    people.open("cold", 100)
    people.open("gone")
    people.ok(a_hold("alice", 50))
    people.freeze("cold")
    people.close("gone")
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
        told = refused(people, owner, atomic([good, good, bad, an_item("nobody-else", "bob", 1)]))
        assert (told.reason, told.metadata["item"]) == (reason, "2")
        assert about in {told.metadata.get("resourceName"), told.metadata.get("wallet")}
    assert people.balances("alice", "bob") == [100, 0]


def test_a_refusal_of_a_batch_is_final_though_its_cause_is_gone(people: Asking) -> None:
    """The same item is named again; another try needs a new id."""

    asked = atomic([an_item("alice", "bob", 60), an_item("alice", "carol", 60)])
    first = people.refused(asked)
    people.deposit("alice", 1000)

    again = people.refused(asked)

    assert again == first
    assert (first.reason, first.metadata["item"], first.metadata["available"]) == ("INSUFFICIENT_FUNDS", "1", "40")
    assert people.balances("alice", "bob", "carol") == [1100, 0, 0]
    people.ok(changed(asked, request_id=new_id()))
    assert people.balances("alice", "bob", "carol") == [980, 60, 60]


def test_system_wallets_in_an_item_are_refused(people: Asking, owner: psycopg.Connection) -> None:
    """Atomic: the whole batch, with the item's place; otherwise the item alone."""

    good, bad = an_item("alice", "bob", 10), an_item("alice", "system:external:USD", 1)

    told = refused(people, owner, atomic([good, bad]))
    made = people.ok(each([good, bad]))

    assert (told.code, told.reason, told.metadata) == (
        "PERMISSION_DENIED",
        "PERMISSION_MISSING",
        {"permission": "none", "item": "1"},
    )
    assert outcomes(made) == ["MADE", "PERMISSION_MISSING"]
    assert people.balances("alice", "bob") == [90, 10]


def test_batches_out_of_shape_are_refused_whole_and_nothing_is_done(people: Asking, owner: psycopg.Connection) -> None:
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
        told = people.refused(request)
        assert told.reason == "INVALID_FIELDS", request
        assert field in {None, *told.violations}, (told.violations, field)
    assert everything(owner) == before


@pytest.mark.parametrize("mode", [atomic, each])
def test_a_thousand_transfers_fit_into_one_call(people: Asking, owner: psycopg.Connection, mode: Any) -> None:  # noqa: ANN401  # a function
    """There and back, each on what the one before left; a repeat of them all moves nothing."""

    asked = mode([an_item("alice", "bob", 100), an_item("bob", "alice", 100)] * 500)
    transactions = count(owner, "transactions")

    made = people.ok(asked)
    again = people.ok(asked)

    assert outcomes(made) == ["MADE"] * 1000
    assert count(owner, "transactions") == transactions + 1000
    assert [result.transaction for result in again.results] == [result.transaction for result in made.results]
    assert people.balances("alice", "bob") == [100, 0]


def test_commission_is_charged_on_every_item_and_kept_to_each_items_most(
    people: Asking, owner: psycopg.Connection
) -> None:
    """In both modes; one unit more than an item allows refuses it."""

    people.charge(payer=SOURCE, fixed_minor_units=3)
    enough, too_little = (an_item("alice", "bob", 10, max_commission=money(most)) for most in (3, 2))

    told = refused(people, owner, atomic([enough, too_little]))
    assert (told.reason, told.metadata["item"], told.metadata["limit"]) == ("LIMIT_EXCEEDED", "1", "2")
    made = people.ok(atomic([enough, an_item("alice", "carol", 10)]))
    assert [result.transaction.commission.amount for result in made.results] == [money(3)] * 2
    assert people.balances("alice", "bob", "carol", EARNED) == [74, 10, 10, 6]

    people.charge(payer=DESTINATION, fixed_minor_units=4)
    single = people.ok(each([enough, an_item("alice", "carol", 10)]))
    assert outcomes(single) == ["LIMIT_EXCEEDED", "MADE"]
    assert people.balances("alice", "bob", "carol", EARNED) == [64, 10, 16, 10]


def test_money_that_goes_for_commission_is_not_there_for_the_next_item(
    people: Asking, owner: psycopg.Connection
) -> None:
    """A hundred is enough for two transfers of 49 with one each, and not for a unit more."""

    people.charge(payer=SOURCE, fixed_minor_units=1)

    told = refused(people, owner, atomic([an_item("alice", "bob", 49), an_item("alice", "bob", 50)]))
    people.ok(atomic([an_item("alice", "bob", 49), an_item("alice", "bob", 49)]))

    assert (told.metadata["available"], told.metadata["required"], told.metadata["item"]) == ("50", "51", "1")
    assert people.balances("alice", "bob", EARNED) == [0, 98, 2]


def test_a_repeat_of_an_atomic_batch_returns_its_transactions(people: Asking, owner: psycopg.Connection) -> None:
    """In order; the same items in another order, or one of them alone, are something else."""

    asked = atomic([an_item("alice", "bob", 10), an_item("alice", "carol", 20)])
    made = people.ok(asked)
    people.transfer("bob", "carol", 10)
    before = everything(owner)

    again = people.ok(asked)

    assert (again.replayed, list(again.results)) == (True, list(made.results))
    assert people.ok(changed(asked, validate_only=True)) == again
    assert everything(owner) == before
    others: list[Any] = [
        changed(asked, items=list(asked.items)[::-1]),
        changed(asked, items=list(asked.items)[:1]),
        changed(asked, items=[*asked.items, asked.items[0]]),
        changed(a_transfer("alice", "bob", 10), request_id=asked.request_id),
    ]
    for request in others:
        told = refused(people, owner, request)
        assert (told.reason, told.metadata["method"]) == ("REQUEST_ID_REUSED", "BatchTransfer")
        assert told.metadata["requestId"] == asked.request_id


@pytest.mark.parametrize("mode", [atomic, each])
def test_validating_a_batch_answers_alike_and_stores_nothing(
    people: Asking,
    owner: psycopg.Connection,
    mode: Any,  # noqa: ANN401  # a function
) -> None:
    """Transfers that would be made have no name and no batch yet."""

    if mode is atomic:
        people.charge(payer=SOURCE, rate_millionths=100_000)
    people.open("dora", 10)
    asked = mode([an_item("alice", "bob", 10, labels={"a": "b"}), an_item("dora", "carol", 5)])
    before = everything(owner)

    tried = people.ok(changed(asked, validate_only=True))

    assert everything(owner) == before
    assert {(result.transaction.name, result.transaction.batch) for result in tried.results} == {("", "")}
    made = people.ok(asked)
    assert bare(tried) == bare(made)
    assert tried.replayed is made.replayed is False


def test_of_two_faults_the_first_documented_is_told(people: Asking) -> None:
    """Shape of any item, system wallets of any, the batch's id, then item by item."""

    used = new_id()
    people.ok(changed(a_deposit("alice", 1), request_id=used))
    people.open("cold")
    people.freeze("cold")
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
        told = people.refused(request)
        assert (told.reason, told.metadata.get("item")) == (reason, its_place), request


def test_each_item_has_an_outcome_of_its_own_as_transfer_would_have_answered(people: Asking) -> None:
    """A refused one harms no other; its error is a status with the ErrorInfo that Transfer sends."""

    people.open("eva", currency="EUR")
    asked = each(
        [
            an_item("alice", "bob", 60),
            an_item("alice", "carol", 60),
            an_item("nobody", "carol", 1),
            an_item("alice", "eva", 1),
            an_item("bob", "carol", 60),
            an_item("alice", "carol", 40),
        ]
    )

    made = people.ok(asked)

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
    assert people.balances("alice", "bob", "carol") == [0, 0, 100]
    for its, result in zip(asked.items, made.results, strict=True):
        alone = transfer_of(its)
        if result.WhichOneof("outcome") == "transaction":
            again = people.ok(alone)
            assert (again.transaction, again.source_available) == (result.transaction, result.source_available)
            assert again.replayed
        else:
            told, info = people.refused(alone), info_of(result)
            assert (NUMBER_OF[told.code], told.message) == (result.error.code, result.error.message)
            assert (told.reason, {**told.metadata, "outcome": told.outcome}, info.domain) == (
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


def test_an_item_of_an_id_that_transfer_has_used_replays_that_transfer(
    people: Asking, owner: psycopg.Connection
) -> None:
    """Both ways, and of a refusal too; for something else the id is refused in the item's result."""

    done, no = a_transfer("alice", "bob", 10, description="d"), a_transfer("bob", "carol", 999)
    first = people.ok(done)
    told = people.refused(no)
    people.deposit("bob", 5000)
    same = an_item("alice", "bob", 10, description="d", request_id=done.request_id)
    other = an_item("alice", "bob", 11, description="d", request_id=done.request_id)
    refused_too = an_item("bob", "carol", 999, request_id=no.request_id)
    before = everything(owner)

    made = people.ok(each([same, other, refused_too]))

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
    assert dict(info_of(made.results[2]).metadata) == {**told.metadata, "outcome": told.outcome}


def test_one_id_twice_in_a_batch_moves_money_once(people: Asking) -> None:
    """The second is a repeat of the first; or refused, where it asks for something else."""

    one, other = new_id(), new_id()
    twice = an_item("alice", "bob", 10, request_id=one)
    asked = each(
        [
            twice,
            twice,
            an_item("alice", "carol", 10, request_id=other),
            an_item("alice", "carol", 11, request_id=other),
            an_item("alice", "bob", 10, request_id=one.upper()),
        ]
    )

    made = people.ok(asked)

    assert outcomes(made) == ["MADE", "REPLAYED", "MADE", "REQUEST_ID_REUSED", "REPLAYED"]
    assert made.results[0].transaction == made.results[1].transaction == made.results[4].transaction
    assert people.balances("alice", "bob", "carol") == [80, 10, 10]


def test_items_that_were_made_are_replayed_each_and_new_ones_are_made(people: Asking) -> None:
    """A batch that is sent again with one more moves only that."""

    old = each([an_item("alice", "bob", 10), an_item("alice", "carol", 10)])
    made = people.ok(old)

    again = people.ok(each([*old.items, an_item("alice", "bob", 5)]))

    assert outcomes(again) == ["REPLAYED", "REPLAYED", "MADE"]
    assert [one.transaction for one in again.results[:2]] == [one.transaction for one in made.results]
    assert [one.source_available for one in again.results[:2]] == [one.source_available for one in made.results]
    assert again.replayed is False
    assert people.balances("alice", "bob", "carol") == [75, 15, 10]


def test_an_item_that_was_refused_before_is_marked_replayed(people: Asking) -> None:
    """``replayed`` says whether an earlier call had made or refused it."""

    asked = each([an_item("alice", "bob", 999)])
    first = people.ok(asked)
    people.deposit("alice", 5000)

    again = people.ok(asked)

    assert outcomes(first) == outcomes(again) == ["INSUFFICIENT_FUNDS"]
    assert first.results[0].error == again.results[0].error
    assert [first.results[0].replayed, again.results[0].replayed] == [False, True]


def test_an_item_that_is_only_validated_is_refused_as_it_would_be_and_leaves_nothing(
    people: Asking, owner: psycopg.Connection
) -> None:
    """Not even its id."""

    asked = each([an_item("alice", "bob", 101), an_item("alice", "nobody", 1), an_item("alice", "bob", 100)])
    before = everything(owner)

    tried = people.ok(changed(asked, validate_only=True))

    assert everything(owner) == before
    assert outcomes(tried) == ["INSUFFICIENT_FUNDS", "RESOURCE_NOT_FOUND", "MADE"]
    people.deposit("alice", 1)
    assert outcomes(people.ok(asked)) == ["MADE", "RESOURCE_NOT_FOUND", "INSUFFICIENT_FUNDS"]


def test_validating_items_checks_each_by_itself_on_what_is_there_now(people: Asking) -> None:
    """As so many validated transfers would be: none of them leaves anything behind for the next."""

    asked = each([an_item("alice", "bob", 60), an_item("alice", "carol", 60), an_item("bob", "carol", 60)])

    tried = people.ok(changed(asked, validate_only=True))

    assert outcomes(tried) == ["MADE", "MADE", "INSUFFICIENT_FUNDS"]
    assert outcomes(people.ok(asked)) == ["MADE", "INSUFFICIENT_FUNDS", "MADE"]


def test_a_stuck_wallet_holds_up_its_own_items_only(people: Asking, owner: psycopg.Connection) -> None:
    """TRANSACTION_CONFLICT in its result, to be asked again with the same id; an atomic batch is refused whole."""

    people.open("dora", 10)
    asked = each([an_item("alice", "bob", 1), an_item("dora", "carol", 1)])
    together = atomic([an_item("dora", "carol", 1), an_item("alice", "bob", 1)])
    with owner.transaction():
        owner.execute("SELECT FROM wallets WHERE id = 'alice' FOR UPDATE")
        with ThreadPoolExecutor(1) as pool:
            whole = pool.submit(people.ok, together)
            single = people.ok(asked)
            error = whole.exception()

    assert outcomes(single) == ["TRANSACTION_CONFLICT", "MADE"]
    assert isinstance(error, Refused)
    assert (error.answer.reason, error.answer.metadata) == ("TRANSACTION_CONFLICT", {})
    assert people.balances("alice", "bob", "carol", "dora") == [100, 0, 1, 9]
    assert outcomes(people.ok(asked)) == ["MADE", "REPLAYED"]
    people.ok(together)
    assert people.balances("alice", "bob", "carol", "dora") == [98, 2, 2, 8]
