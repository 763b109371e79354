"""Deposits as callers make them."""

from collections.abc import Iterator
from functools import partial
from uuid import uuid4

import psycopg
import pytest
from google.protobuf import json_format
from wallet.v1 import transaction_service_pb2 as pb
from wallet.v1.money_pb2 import Money

from tests.support.callers import (
    BIGGEST,
    aware,
    balance,
    count,
    everything,
    open_funded,
    reasons,
    refusal,
    succeeded,
    usd,
)
from tests.support.rows import rewrite
from tests.support.together import together
from tests.support.wire import Wire
from wallet_client import Amount, WalletClient

DEPOSIT = "TransactionService/Deposit"


@pytest.fixture
def wire(server: str) -> Iterator[Wire]:
    """Return a bare channel to the server."""
    with Wire(server) as wire:
        yield wire


def deposit_request(**fields: object) -> pb.DepositRequest:
    """Return a valid deposit of 250 for alice, but for *fields*."""
    request = pb.DepositRequest(wallet="wallets/alice", request_id=str(uuid4()))
    request.amount.CopyFrom(Money(currency_code="USD", minor_units=250))
    request.MergeFrom(pb.DepositRequest(**fields))  # type: ignore[arg-type]  # fields of the message
    return request


def with_varint(varint: bytes) -> bytes:
    """Return a deposit whose amount is these bytes."""
    money = b"\x10" + varint
    return deposit_request().SerializeToString() + b"\x12" + bytes([len(money)]) + money


def test_a_deposit_is_returned_in_full(client: WalletClient) -> None:
    """D1: 1000 and 250 are 1250; type, state, entries and time."""

    open_funded(client, alice=1000)

    made = client.deposit("wallets/alice", usd(250), description="wages", external_reference="card-7")

    transaction = made.transaction
    assert (made.available.minor_units, made.replayed) == (1250, False)
    assert (transaction.type, transaction.state) == (pb.Transaction.TYPE_DEPOSIT, pb.Transaction.STATE_POSTED)
    assert (transaction.source, transaction.destination) == ("wallets/system:external:USD", "wallets/alice")
    assert (transaction.description, transaction.external_reference, transaction.withdrawal) == ("wages", "card-7", "")
    assert aware(transaction.execute_time) >= aware(client.get_wallet("wallets/alice").create_time)
    entries = [
        (entry.wallet, entry.amount.minor_units, entry.balance_after.minor_units) for entry in transaction.entries
    ]
    assert sorted(entries) == [("wallets/alice", 250, 1250), ("wallets/system:external:USD", -250, -1250)]
    assert balance(client, "alice") == 1250
    assert client.get_transaction(transaction.name) == transaction


def test_two_deposits_are_two_entries(client: WalletClient) -> None:
    """D2: 1000 and 2500 are 3500."""

    open_funded(client, alice=0)
    client.deposit("wallets/alice", usd(1000))
    client.deposit("wallets/alice", usd(2500))

    listed = list(client.list_transactions("wallets/alice"))

    mine = [[e for e in t.entries if e.wallet == "wallets/alice"][0] for t in listed]  # noqa: RUF015  # one each
    assert [(e.sequence, e.amount.minor_units, e.balance_after.minor_units) for e in mine] == [
        (2, 2500, 3500),
        (1, 1000, 1000),
    ]
    assert balance(client, "alice") == 3500


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(lambda: deposit_request(amount=Money(minor_units=-250)).SerializeToString(), id="below"),
        pytest.param(lambda: with_varint(b"\x00"), id="zero"),
        pytest.param(lambda: with_varint(b"\xff" * 9 + b"\x01"), id="minus_one"),
        pytest.param(lambda: with_varint(b"\x80" * 9 + b"\x01"), id="two_to_the_63"),
        pytest.param(lambda: with_varint(b"\xff" * 9 + b"\x7f"), id="seventy_bits"),
        pytest.param(lambda: with_varint(b"\xff" * 12), id="varint_without_end"),
        pytest.param(
            lambda: pb.DepositRequest(wallet="wallets/alice", request_id=str(uuid4())).SerializeToString(), id="missing"
        ),
        pytest.param(
            lambda: pb.DepositRequest(
                wallet="wallets/alice", request_id=str(uuid4()), amount=Money(currency_code="USD")
            ).SerializeToString(),
            id="no_units",
        ),
    ],
)
def test_an_amount_that_is_none_is_refused(
    client: WalletClient, wire: Wire, owner: psycopg.Connection, request_bytes: object
) -> None:
    """D3: 0, -1, missing, more than an int64; nothing changes, never INTERNAL."""

    open_funded(client, alice=1000)
    before = everything(owner)

    answer = wire.call(DEPOSIT, request_bytes())  # type: ignore[operator]  # the parameters are functions

    assert (answer.code, answer.reason) == ("INVALID_ARGUMENT", "INVALID_FIELDS")
    assert everything(owner) == before


@pytest.mark.parametrize("units", [2**63, "1.5", "abc", "NaN", "Infinity", "1e400", -(2**63) - 1, True])
def test_json_of_an_amount_that_is_none_is_refused_before_it_is_sent(units: object) -> None:
    """D3: protobuf's JSON has no integers of that size."""

    with pytest.raises(json_format.ParseError):
        json_format.ParseDict({"amount": {"currency_code": "USD", "minor_units": units}}, pb.DepositRequest())


def test_a_repeated_deposit_is_made_once(client: WalletClient, owner: psycopg.Connection) -> None:
    """D5: the same transaction, as it was, marked replayed; the balance moves once."""

    open_funded(client, alice=1000)
    again = partial(client.deposit, "wallets/alice", usd(250), description="a", request_id=str(uuid4()))
    first = again()
    client.deposit("wallets/alice", usd(1))
    before = everything(owner)

    repeated = again()

    assert (repeated.transaction, repeated.available) == (first.transaction, first.available)
    assert (first.replayed, repeated.replayed) == (False, True)
    assert everything(owner) == before


@pytest.mark.parametrize(
    "change",
    [
        {"amount": usd(130)},
        {"amount": Amount("EUR", 120)},
        {"wallet": "wallets/bob"},
        {"description": "x"},
        {"external_reference": "x"},
    ],
)
def test_a_used_id_with_another_deposit_is_refused(
    client: WalletClient, owner: psycopg.Connection, change: dict[str, object]
) -> None:
    """D6: ALREADY_EXISTS, nothing changes, the metadata names the first use."""

    open_funded(client, alice=0, bob=0)
    id_ = str(uuid4())
    first = {"wallet": "wallets/alice", "amount": usd(120), "request_id": id_}
    made = client.deposit(**first)  # type: ignore[arg-type]  # its fields
    before = everything(owner)

    refused = refusal(lambda: client.deposit(**{**first, **change}))  # type: ignore[arg-type]  # its fields

    assert (refused.code, refused.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")
    assert refused.metadata == {"requestId": id_, "method": "Deposit", "resourceName": made.transaction.name}
    assert everything(owner) == before


def test_one_deposit_sent_fifty_times_at_once_is_made_once(client: WalletClient, owner: psycopg.Connection) -> None:
    """D8: all succeed with one transaction, exactly one of them not replayed."""

    open_funded(client, alice=0)
    call = partial(client.deposit, "wallets/alice", usd(250), request_id=str(uuid4()))

    results = together([call] * 50)

    answers = succeeded(results)
    assert reasons(results) == []
    assert len({answer.transaction.name for answer in answers}) == 1
    assert [answer.replayed for answer in answers].count(False) == 1
    assert {answer.available.minor_units for answer in answers} == {250}
    assert (balance(client, "alice"), count(owner, "transactions")) == (250, 1)


def test_a_request_id_that_is_no_uuid_is_refused(client: WalletClient, wire: Wire, owner: psycopg.Connection) -> None:
    """D10: blank or not a UUID."""

    open_funded(client, alice=1000)
    before = everything(owner)
    for id_ in (
        "",
        " ",
        "7",
        "not-a-uuid",
        "0" * 32,
        f"{uuid4()}\n",
        f"{{{uuid4()}}}",
        f"urn:uuid:{uuid4()}",
        "g" * 36,
    ):
        request = deposit_request()
        request.request_id = id_
        answer = wire.call(DEPOSIT, request)
        assert (answer.code, answer.reason) == ("INVALID_ARGUMENT", "INVALID_FIELDS"), id_
        assert answer.violations == ("request_id",)
    assert everything(owner) == before


def test_validating_a_deposit_stores_nothing(client: WalletClient, owner: psycopg.Connection) -> None:
    """It answers as the real call would, without a name; the id stays free for anything."""

    open_funded(client, alice=1000)
    before = everything(owner)
    id_ = str(uuid4())

    tried = client.deposit("wallets/alice", usd(250), validate_only=True, request_id=id_)

    assert (tried.available.minor_units, tried.transaction.name, tried.replayed) == (1250, "", False)
    assert not tried.transaction.HasField("execute_time")
    assert everything(owner) == before
    assert not client.deposit("wallets/alice", usd(7), request_id=id_).replayed


@pytest.mark.parametrize("validate_only", [False, True])
def test_another_currency_is_refused(client: WalletClient, owner: psycopg.Connection, *, validate_only: bool) -> None:
    """CURRENCY_MISMATCH names the wallet's; validating returns the same and records nothing."""

    open_funded(client, alice=0)
    before = everything(owner)

    refused = refusal(lambda: client.deposit("wallets/alice", Amount("EUR", 1), validate_only=validate_only))

    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "CURRENCY_MISMATCH")
    assert refused.metadata == {"resourceName": "wallets/alice", "currency": "USD"}
    assert (everything(owner) == before) is validate_only


def test_a_full_wallet_takes_no_more(client: WalletClient) -> None:
    """LIMIT_EXCEEDED, not wrapped; what fits still goes in, and what is outside cannot owe more either."""

    open_funded(client, alice=BIGGEST - 10, bob=0)

    refused = refusal(lambda: client.deposit("wallets/alice", usd(11)))
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "LIMIT_EXCEEDED")
    assert refused.metadata == {"resourceName": "wallets/alice", "limit": str(BIGGEST)}
    assert client.deposit("wallets/alice", usd(10)).available.minor_units == BIGGEST
    assert client.deposit("wallets/bob", usd(1)).available.minor_units == 1
    outside = refusal(lambda: client.deposit("wallets/bob", usd(1)))
    assert outside.metadata == {"resourceName": "wallets/system:external:USD", "limit": str(-BIGGEST - 1)}
    assert (balance(client, "alice"), balance(client, "bob")) == (BIGGEST, 1)


def test_a_frozen_wallet_takes_deposits_and_a_closed_one_does_not(
    client: WalletClient, owner: psycopg.Connection
) -> None:
    """Credits pass a freeze; a closed wallet refuses finally."""

    open_funded(client, alice=0, bob=0)
    rewrite(owner, "UPDATE wallets SET state = 'FROZEN' WHERE id = 'alice'")
    rewrite(owner, "UPDATE wallets SET state = 'CLOSED' WHERE id = 'bob'")

    assert client.deposit("wallets/alice", usd(5)).available.minor_units == 5
    refused = refusal(lambda: client.deposit("wallets/bob", usd(5)))
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "WALLET_NOT_ACTIVE")
    assert refused.metadata == {"resourceName": "wallets/bob", "state": "CLOSED"}
