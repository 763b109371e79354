"""Quotes, batches and repeats charge the commission that a single transfer is charged."""

from fractions import Fraction
from functools import partial
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wallet.v1 import commission_service_pb2 as rule_pb
from wallet.v1 import transaction_service_pb2 as pb
from wallet.v1 import wallet_service_pb2 as wallet_pb

from tests.support.api import Api
from tests.support.callers import everything
from tests.support.commission import COMMISSION_WALLET, amounts_by_wallet, batch_of, fee, with_sorted_entries
from tests.support.requests import DESTINATION, SOURCE, a_quote, a_transfer, changed, money, new_id
from tests.support.together import together
from tests.support.toolchain import often

SMALL = st.integers(0, 5000)
TERMS = st.fixed_dictionaries(
    {
        "payer": st.sampled_from([SOURCE, DESTINATION]),
        "rate_millionths": st.one_of(st.sampled_from([0, 15_000, 500_000, 1_000_000]), st.integers(0, 1_000_000)),
        "fixed_minor_units": st.one_of(st.just(0), SMALL),
        "minimum_minor_units": st.one_of(st.just(0), SMALL),
        "threshold_minor_units": st.one_of(st.just(0), SMALL),
    },
    optional={"maximum_minor_units": st.integers(0, 9000)},
)


@given(terms=TERMS, amount=st.one_of(st.integers(1, 10_000), st.integers(1, 10**12)), spare=st.integers(-1, 1))
@settings(
    max_examples=often(25),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_quote_is_what_a_transfer_then_takes(api: Api, terms: dict[str, int], amount: int, spare: int) -> None:
    """Yes and no alike, and max_commission is held to it; by the contract's own arithmetic."""

    maximum = terms.get("maximum_minor_units")
    if maximum is not None:
        terms = {**terms, "maximum_minor_units": max(maximum, terms["minimum_minor_units"])}
    a, b = f"a-{new_id()}", f"b-{new_id()}"
    api.open(a, overdraft_limit=money(10**15))
    api.open(b)
    on_top = terms["payer"] == SOURCE
    rule = api.charge(**terms, wallet=f"wallets/{a if on_top else b}")
    exact = terms["fixed_minor_units"] + Fraction(amount * terms["rate_millionths"], 1_000_000)
    due = max(int(exact + Fraction(1, 2)), terms["minimum_minor_units"])
    due = min(due, terms.get("maximum_minor_units", due))
    applies = amount > terms["threshold_minor_units"]
    request = a_transfer(a, b, amount, max_commission=money(max(0, due + spare)))

    requested = api.answer(a_quote(a, b, amount))
    tried, made = api.answer(changed(request, validate_only=True)), api.answer(request)

    if applies and not on_top and due > amount:
        assert {one.reason for one in (requested, tried, made)} == {"LIMIT_EXCEEDED"}
        assert requested.metadata == {"resourceName": rule.name, "limit": str(amount)}
        return
    quote = rule_pb.QuoteCommissionResponse.FromString(requested.body)
    taken = due if applies else 0
    assert requested.code == "OK"
    assert quote.HasField("commission") is applies
    assert (quote.source_debit, quote.destination_credit) == (
        money(amount + (taken if on_top else 0)),
        money(amount - (0 if on_top else taken)),
    )
    if applies and due > request.max_commission.minor_units:
        assert tried == made
        assert (made.reason, made.metadata) == (
            "LIMIT_EXCEEDED",
            {"resourceName": rule.name, "limit": str(request.max_commission.minor_units)},
        )
        return
    for moved in (pb.TransferResponse.FromString(answer.body).transaction for answer in (tried, made)):
        assert moved.HasField("commission") is applies
        assert moved.commission == quote.commission
        assert fee(moved) == ((rule.name, taken, terms["payer"]) if applies else ("", 0, 0))
        moves = {a: -quote.source_debit.minor_units, b: quote.destination_credit.minor_units, COMMISSION_WALLET: taken}
        assert amounts_by_wallet(moved) == {name: part for name, part in moves.items() if part}


def test_a_quote_looks_at_neither_balances_nor_states_and_changes_nothing(api: Api, owner: psycopg.Connection) -> None:
    """An empty, a frozen and a closed wallet are quoted alike; nothing at all is written."""

    for name in ("empty", "cold", "gone", "b"):
        api.open(name)
    api.ok(wallet_pb.FreezeWalletRequest(name="wallets/cold", request_id=new_id()))
    api.ok(wallet_pb.CloseWalletRequest(name="wallets/gone", request_id=new_id()))
    rule = api.charge(rate_millionths=100_000)
    before = everything(owner)

    quotes = [api.quote(name, "b", 1000) for name in ("empty", "cold", "gone")]
    quotes += [api.quote("b", name, 1000) for name in ("empty", "cold", "gone")]

    assert {(quote.commission.rule, quote.commission.amount.minor_units) for quote in quotes} == {(rule.name, 100)}
    assert {(quote.source_debit.minor_units, quote.destination_credit.minor_units) for quote in quotes} == {
        (1100, 1000)
    }
    assert everything(owner) == before


def test_of_two_faults_in_a_quote_the_first_documented_is_reported(api: Api) -> None:
    """All of the source before all of the destination, as in a transfer; then the limit."""

    api.open("alice")
    api.open("bob")
    api.open("eva", currency="EUR")
    api.charge(fixed_minor_units=100, payer=DESTINATION)
    api.charge(fixed_minor_units=100, payer=DESTINATION, currency_code="EUR")
    system = "system:external:USD"
    cases = [
        (a_quote(system, "bob", 0), "INVALID_FIELDS", ""),
        (a_quote(system, system, 1), "INVALID_FIELDS", ""),
        (a_quote("alice", "alice", 1), "INVALID_FIELDS", ""),
        (a_quote(system, "bob", 1, "XXX"), "PERMISSION_MISSING", ""),
        (a_quote("alice", "bob", -5), "INVALID_FIELDS", ""),
        (a_quote("nobody", system, 1), "PERMISSION_MISSING", ""),
        (a_quote(COMMISSION_WALLET, "nobody", 1), "PERMISSION_MISSING", ""),
        (a_quote("nobody", "nobody-else", 1), "RESOURCE_NOT_FOUND", "wallets/nobody"),
        (a_quote("nobody", "eva", 1), "RESOURCE_NOT_FOUND", "wallets/nobody"),
        (a_quote("eva", "bob", 1), "CURRENCY_MISMATCH", "wallets/eva"),
        (a_quote("alice", "bob", 1, "XXX"), "CURRENCY_MISMATCH", "wallets/alice"),
        (a_quote("alice", "bob", 1, "EUR"), "CURRENCY_MISMATCH", "wallets/alice"),
        (a_quote("alice", "nobody", 1), "RESOURCE_NOT_FOUND", "wallets/nobody"),
        (a_quote("alice", "eva", 1), "CURRENCY_MISMATCH", "wallets/eva"),
        (a_quote("alice", "bob", 1), "LIMIT_EXCEEDED", None),
    ]

    for request, reason, resource in cases:
        refusal = api.refused(request)
        assert refusal.reason == reason, request
        if resource is not None:
            assert refusal.metadata.get("resourceName", "") == resource, request


def test_a_quote_reports_a_source_in_another_currency_before_a_missing_destination(api: Api) -> None:
    """As a transfer does: `RESOURCE_NOT_FOUND` and `CURRENCY_MISMATCH` of the source, then of the destination."""

    api.open("eva", currency="EUR")

    refusals = [api.refused(ask("eva", "nobody", 1)) for ask in (a_transfer, a_quote)]

    assert [one.reason for one in refusals] == ["CURRENCY_MISMATCH"] * 2
    assert refusals[0].metadata == refusals[1].metadata == {"resourceName": "wallets/eva", "currency": "EUR"}


def test_an_atomic_batch_is_charged_item_by_item(api: Api, owner: psycopg.Connection) -> None:
    """Each on what those before it left, commission included; one that cannot pay it fails all, and is named."""

    for name, units in (("a", 1000), ("b", 0), ("c", 0)):
        api.open(name, units)
    rule = api.charge(rate_millionths=100_000)
    there, on = a_transfer("a", "b", 500), a_transfer("b", "c", 400)
    atomic = partial(batch_of, pb.BATCH_MODE_ATOMIC)
    refusals = [
        (atomic(there, a_transfer("b", "c", 460)), "INSUFFICIENT_FUNDS", {"available": "500", "required": "506"}),
        (atomic(there, there), "INSUFFICIENT_FUNDS", {"available": "450", "required": "550"}),
        (atomic(there, changed(on, max_commission=money(39))), "LIMIT_EXCEEDED", {"limit": "39"}),
    ]
    before = everything(owner)

    for request, reason, metadata in refusals:
        refusal = api.refused(changed(request, validate_only=True))
        assert (refusal.reason, refusal.metadata["item"]) == (reason, "1")
        assert metadata.items() <= refusal.metadata.items()
    tried = api.ok(changed(atomic(there, on), validate_only=True))
    assert everything(owner) == before
    request = atomic(there, on)
    made, again = (api.ok(request) for _ in range(2))

    moved = [result.transaction for result in made.results]
    assert [fee(one) for one in moved] == [(rule.name, 50, SOURCE), (rule.name, 40, SOURCE)]
    assert [amounts_by_wallet(result.transaction) for result in tried.results] == [
        amounts_by_wallet(one) for one in moved
    ]
    assert api.balances("a", "b", "c", COMMISSION_WALLET) == [450, 60, 400, 90]
    assert again.replayed
    assert [with_sorted_entries(result.transaction) for result in again.results] == list(
        map(with_sorted_entries, moved)
    )


def test_items_of_a_batch_are_charged_each_on_its_own(api: Api) -> None:
    """One that cannot pay its commission, or exceeds its max_commission, affects no other item."""

    api.open("a", 1000)
    api.open("b")
    rule = api.charge(rate_millionths=100_000)
    items = [
        a_transfer("a", "b", 500),
        a_transfer("a", "b", 100, max_commission=money(9)),
        a_transfer("a", "b", 450),
        a_transfer("a", "b", 400, max_commission=money(40)),
    ]

    made = api.ok(batch_of(pb.BATCH_MODE_ITEM, *items))

    outcomes = [
        result.error.details[0] if result.HasField("error") else fee(result.transaction) for result in made.results
    ]
    assert (outcomes[0], outcomes[3]) == ((rule.name, 50, SOURCE), (rule.name, 40, SOURCE))
    refused = [api.refused(item).reason for item in items[1:3]]
    assert refused == ["LIMIT_EXCEEDED", "INSUFFICIENT_FUNDS"]
    assert [result.HasField("error") for result in made.results] == [False, True, True, False]
    assert api.balances("a", "b", COMMISSION_WALLET) == [10, 900, 90]


def test_a_repeat_is_the_first_transfer_under_any_later_rules(api: Api, owner: psycopg.Connection) -> None:
    """Fee and refusal are of the first call; another guard under its id is another request."""

    api.open("a", 10_000)
    api.open("b")
    rule = api.charge(fixed_minor_units=10)
    paid = a_transfer("a", "b", 100, max_commission=money(10))
    guarded = a_transfer("a", "b", 100, max_commission=money(9))
    first, refused = api.ok(paid), api.refused(guarded)
    api.charge(fixed_minor_units=5000)
    api.end(rule.name)
    before = everything(owner)

    again = api.ok(paid)

    assert (again.source_available, again.replayed) == (first.source_available, True)
    assert with_sorted_entries(again.transaction) == with_sorted_entries(first.transaction)
    assert api.refused(guarded) == refused
    for other in (None, money(11), money(9)):
        assert api.refused(changed(paid, max_commission=other)).reason == "REQUEST_ID_REUSED"
    assert everything(owner) == before


@pytest.mark.parametrize("payer", [SOURCE, DESTINATION])
def test_a_charged_transfer_is_alike_in_the_call_in_a_repeat_and_in_a_read(api: Api, payer: Any) -> None:  # noqa: ANN401  # an enum
    """To the order of its entries."""

    api.open("a", 10_000)
    api.open("b")
    api.charge(fixed_minor_units=30, payer=payer)
    request = a_transfer("a", "b", 100)

    first, again = (api.ok(request).transaction for _ in range(2))

    assert again == first
    assert api.ok(pb.GetTransactionRequest(name=first.name)).transaction == first


def test_one_charged_transfer_sent_by_many_is_charged_once(api: Api) -> None:
    """Twenty at once with the same id: one transaction, one fee."""

    api.open("a", 10_000)
    api.open("b")
    api.charge(fixed_minor_units=10)
    request = a_transfer("a", "b", 100)

    answers = together([partial(api.ok, request)] * 20)

    outcomes = [answer for answer in answers if isinstance(answer, pb.TransferResponse)]
    assert len(outcomes) == 20
    assert len({answer.transaction.name for answer in outcomes}) == 1
    assert sum(not answer.replayed for answer in outcomes) == 1
    assert api.balances("a", "b", COMMISSION_WALLET) == [9890, 100, 10]
