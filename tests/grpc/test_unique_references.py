"""External references that must be unique: the second payment of a caller is refused, and names the first."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from wallet.v1 import reference_policy_pb2
from wallet.v1 import schedule_service_pb2 as order_pb
from wallet.v1 import transaction_service_pb2 as pb

from tests.support.api import Api
from tests.support.callers import everything
from tests.support.issuer import Issuer, bearer
from tests.support.requests import (
    LATE,
    a_deposit,
    a_reversal,
    a_transfer,
    an_item,
    atomic,
    changed,
    each,
    money,
    new_id,
)
from tests.support.wire import Answer
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_grpc.server.process import authentication
from wallet_grpc.server.serving import serving

UNIQUE: dict[str, Any] = {"reference_policy": reference_policy_pb2.REFERENCE_POLICY_UNIQUE}
INVOICE = UNIQUE | {"external_reference": "invoice-7"}


def a_scheduled_deposit(wallet: str, units: int, **fields: Any) -> order_pb.ScheduleDepositRequest:  # noqa: ANN401  # any field's
    """Return a deposit to be scheduled for a late day."""
    return order_pb.ScheduleDepositRequest(
        wallet=f"wallets/{wallet}", amount=money(units), execute_time=LATE, request_id=new_id(), **fields
    )


# By kind: a payment, and the name that its response has for it.
PAYMENTS: dict[str, Callable[..., Message]] = {
    "deposit": lambda **fields: a_deposit("alice", 5, **fields),
    "transfer": lambda **fields: a_transfer("alice", "bob", 5, **fields),
    "atomic": lambda **fields: atomic([an_item("alice", "bob", 5, **fields)]),
    "scheduled": lambda **fields: a_scheduled_deposit("alice", 5, **fields),
}


def name_of(response: Any) -> str:  # noqa: ANN401  # any payment's response
    """Return the name of the payment in a response."""
    if isinstance(response, order_pb.ScheduleDepositResponse):
        return str(response.scheduled_deposit.name)
    if isinstance(response, pb.BatchTransferResponse):
        return str(response.results[0].transaction.name)
    return str(response.transaction.name)


@pytest.fixture
def api(api: Api) -> Api:
    """Return a channel to two wallets with money."""
    api.open("alice", 1000)
    api.open("bob", 1000)
    return api


def is_reused(answer: Answer, first: str, reference: str = "invoice-7", item: int | None = None) -> bool:
    """Return whether a payment was refused because the first one has the reference."""
    metadata = {"externalReference": reference, "resourceName": first, "outcome": "NOT_DONE"}
    metadata |= {"item": str(item)} if item is not None else {}
    refusal = (answer.code, answer.reason, dict(answer.infos[0].metadata))
    return refusal == ("ALREADY_EXISTS", "EXTERNAL_REFERENCE_REUSED", metadata)


@pytest.mark.parametrize("first", PAYMENTS)
def test_a_second_payment_is_refused_for_good_whatever_it_is(api: Api, owner: psycopg.Connection, first: str) -> None:
    """Deposits, transfers, batches and scheduled deposits share the references of a caller; repeats are repeats."""

    paid = PAYMENTS[first](**INVOICE)
    name = name_of(api.ok(paid))
    before = everything(owner)

    for second in PAYMENTS.values():
        refused = second(**INVOICE)
        item = 0 if isinstance(refused, pb.BatchTransferRequest) else None
        assert is_reused(api.refused(refused), name, item=item)
        assert is_reused(api.refused(refused), name, item=item)  # as it was stored
    again = api.ok(paid)

    after = everything(owner)
    assert (again.replayed, name_of(again)) == (True, name)
    assert {table for table in before if after[table] != before[table]} == {"requests"}


def test_a_payment_that_does_not_ask_is_not_looked_at(api: Api, owner: psycopg.Connection) -> None:
    """The same reference, before and after the one that asks; nothing is kept of it."""

    for payment in PAYMENTS.values():
        api.ok(payment(external_reference="invoice-7"))
    assert owner.execute("SELECT count(*) FROM unique_references").fetchone() == (0,)

    api.ok(a_deposit("alice", 1, **INVOICE))
    for payment in PAYMENTS.values():
        api.ok(payment(external_reference="invoice-7"))
    assert owner.execute("SELECT count(*) FROM unique_references").fetchone() == (1,)


def test_what_was_not_done_uses_no_reference(api: Api) -> None:
    """A refused payment, of which a repeat stays refused, and one that was only validated."""

    refused = a_transfer("alice", "bob", 10**6, **INVOICE)
    assert api.refused(refused).reason == "INSUFFICIENT_FUNDS"
    validated = a_transfer("alice", "bob", 5, validate_only=True, **INVOICE)
    for _ in range(2):
        assert api.ok(validated).transaction.name == ""

    paid = api.ok(changed(validated, validate_only=False))

    assert api.refused(refused).reason == "INSUFFICIENT_FUNDS"
    second = a_transfer("alice", "bob", 10**6, validate_only=True, **INVOICE)
    assert is_reused(api.refused(second), paid.transaction.name)


def test_neither_a_reversal_nor_a_cancellation_frees_it(api: Api) -> None:
    """It was paid under that reference once; what became of it is to be looked at."""

    paid = api.ok(a_transfer("alice", "bob", 5, **INVOICE)).transaction
    api.ok(a_reversal(paid.name))
    scheduled = api.ok(a_scheduled_deposit("alice", 5, **UNIQUE, external_reference="order-1")).scheduled_deposit
    api.ok(order_pb.CancelScheduledDepositRequest(name=scheduled.name, request_id=new_id()))

    assert is_reused(api.refused(a_transfer("alice", "bob", 5, **INVOICE)), paid.name)
    second = a_deposit("alice", 5, **UNIQUE, external_reference="order-1")
    assert is_reused(api.refused(second), scheduled.name, "order-1")


def test_two_items_of_an_atomic_batch_cannot_both_have_it(api: Api, owner: psycopg.Connection) -> None:
    """The request is wrong in itself; of two items that are fine, the one that was paid before is named."""

    before = everything(owner)
    twice = [an_item("alice", "bob", 1, **UNIQUE, external_reference=f"r-{number % 2}") for number in range(3)]
    wrong = api.refused(atomic(twice))
    assert (wrong.reason, wrong.violations) == ("INVALID_FIELDS", ("items[2].external_reference",))
    assert everything(owner) == before

    one_asks = [an_item("alice", "bob", 1, external_reference="r-1"), twice[1], twice[0]]
    made = api.ok(atomic(one_asks)).results
    assert is_reused(api.refused(atomic([an_item("alice", "bob", 1), twice[1]])), made[1].transaction.name, "r-1", 1)


def test_of_two_independent_items_the_first_has_it(api: Api) -> None:
    """The second result names the transaction of the first; a repeat says the same."""

    asked = each([an_item("alice", "bob", 1, **INVOICE), an_item("bob", "alice", 1, **INVOICE)])

    for replayed in (False, True):
        first, second = api.ok(asked).results
        assert is_error(second.error) == {
            "externalReference": "invoice-7",
            "resourceName": first.transaction.name,
            "outcome": "NOT_DONE",
        }
        assert (first.replayed, second.replayed) == (replayed, replayed)
    fresh = [an_item("alice", "bob", 1, **UNIQUE, external_reference="fresh") for _ in range(2)]
    validated = api.ok(each(fresh, validate_only=True)).results
    assert [one.WhichOneof("outcome") for one in validated] == ["transaction"] * 2  # each checked by itself


def is_error(status: Status) -> dict[str, str]:
    """Return the metadata of an item's error."""
    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.reason == "EXTERNAL_REFERENCE_REUSED"
    return dict(info.metadata)


@pytest.mark.parametrize("kind", PAYMENTS)
def test_a_reference_is_required_where_it_must_be_unique(api: Api, kind: str) -> None:
    """Or all payments without one would count as the same."""

    answer = api.refused(PAYMENTS[kind](**UNIQUE))

    assert answer.reason == "INVALID_FIELDS"


def test_the_policy_is_part_of_the_request(api: Api) -> None:
    """A repeat that asks for another policy is another request."""

    paid = a_deposit("alice", 5, **INVOICE)
    api.ok(paid)

    assert api.refused(changed(paid, reference_policy=None)).reason == "REQUEST_ID_REUSED"


@pytest.mark.own_app
def test_each_caller_has_references_of_its_own(app: App, guarded: Settings, issuer: Issuer) -> None:
    """A caller that is confined to an owner is refused, too, without the name of another owner's payment."""

    @contextmanager
    def as_caller(client: str, **claims: str) -> Iterator[Api]:
        token = issuer.token("wallet.read wallet.write money.deposit", client, **claims)
        with Api(f"127.0.0.1:{port}", metadata=bearer(token)) as api:
            yield api

    with serving(app, guarded, authentication(guarded)) as port:
        with as_caller("shop-client") as shop, as_caller("billing-client") as billing:
            shop.open("alice", owner="ada")
            paid = shop.ok(a_deposit("alice", 5, **INVOICE)).transaction.name
            others: Message = billing.ok(a_deposit("alice", 5, **INVOICE))
            assert is_reused(shop.refused(a_deposit("alice", 5, **INVOICE)), paid)
        with as_caller("shop-client", owner="ada") as confined:
            assert is_reused(confined.refused(a_deposit("alice", 5, **INVOICE)), "")
    assert name_of(others) != paid
