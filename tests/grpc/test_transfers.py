"""Transfers as callers make them."""

from functools import partial
from uuid import uuid4

import psycopg
import pytest
from wallet.v1 import transaction_service_pb2 as pb

from tests.support.callers import (
    BIGGEST,
    balance,
    count,
    events_of,
    everything,
    open_funded,
    reasons,
    refusal,
    served,
    succeeded,
    usd,
)
from tests.support.database import Database
from tests.support.rows import rewrite
from tests.support.together import together
from wallet_client import Amount, WalletClient
from wallet_core.domain.model.errors import InvalidField
from wallet_core.domain.model.money import Money, listed_currencies, parse_amount
from wallet_core.settings import Settings

ALICE, BOB = "wallets/alice", "wallets/bob"


def balances(client: WalletClient) -> tuple[int, int]:
    """Return what Alice and Bob have."""
    return balance(client, "alice"), balance(client, "bob")


def test_a_transfer_is_one_transaction_and_published_once(client: WalletClient, owner: psycopg.Connection) -> None:
    """T1: 1000 and 0 are 900 and 100, one transaction, one notification."""

    open_funded(client, alice=1000, bob=0)
    transactions, facts = count(owner, "transactions"), count(owner, "outbox")

    made = client.transfer(ALICE, BOB, usd(100), description="rent")

    transaction = made.transaction
    assert balances(client) == (900, 100)
    assert (
        made.source_available.minor_units,
        transaction.type,
        transaction.source,
        transaction.destination,
        transaction.description,
    ) == (
        900,
        pb.Transaction.TYPE_TRANSFER,
        ALICE,
        BOB,
        "rent",
    )
    entries = {
        entry.wallet: (entry.amount.minor_units, entry.balance_after.minor_units) for entry in transaction.entries
    }
    assert entries == {ALICE: (-100, 900), BOB: (100, 100)}
    assert client.get_transaction(transaction.name) == transaction
    assert count(owner, "transactions") == transactions + 1
    assert count(owner, "outbox") == facts + 1
    assert events_of(owner, transaction.name) == ["transaction.posted"]


def test_a_transfer_beyond_the_balance_is_refused_for_good(client: WalletClient, owner: psycopg.Connection) -> None:
    """T2: nothing moved, nothing published; refused with its id even when the money is there later."""

    open_funded(client, alice=100, bob=0)
    rows = {table: count(owner, table) for table in ("transactions", "entries", "outbox")}
    again = partial(client.transfer, ALICE, BOB, usd(150), request_id=str(uuid4()))

    first = refusal(again)

    assert (first.code, first.reason) == ("FAILED_PRECONDITION", "INSUFFICIENT_FUNDS")
    assert first.metadata == {"wallet": ALICE, "currencyCode": "USD", "available": "100", "required": "150"}
    assert balances(client) == (100, 0)
    assert {table: count(owner, table) for table in rows} == rows
    client.deposit(ALICE, usd(1000))
    repeated = refusal(again)
    assert (repeated.reason, repeated.metadata) == (first.reason, first.metadata)
    client.transfer(ALICE, BOB, usd(150))
    assert balances(client) == (950, 150)


def test_a_transfer_to_oneself_is_refused(client: WalletClient, owner: psycopg.Connection) -> None:
    """T7."""

    open_funded(client, alice=100)
    before = everything(owner)

    refused = refusal(lambda: client.transfer(ALICE, ALICE, usd(10)))

    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "INVALID_FIELDS")
    assert everything(owner) == before


def test_a_transfer_to_a_missing_wallet_is_refused_finally(client: WalletClient) -> None:
    """T8: NOT_FOUND, and still so with that id once the wallet is there."""

    open_funded(client, alice=100)
    call = partial(client.transfer, ALICE, BOB, usd(10), request_id=str(uuid4()))

    first = refusal(call)
    client.create_wallet("bob", "USD")
    second = refusal(call)

    for refused in (first, second):
        assert (refused.code, refused.reason) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
        assert refused.metadata == {"resourceName": BOB}
    assert balances(client) == (100, 0)


@pytest.mark.parametrize(
    "text",
    [
        "0.005",
        "10.001",
        "1e3",
        "0",
        "0.00",
        "-1",
        "+1",
        "",
        " 1",
        "1\n",
        "1,5",
        "1.",
        ".5",
        "abc",
        "NaN",
        "Infinity",
        "0x10",
        "1_000",
        "\N{ARABIC-INDIC DIGIT ONE}",
        "92233720368547758.08",
        "9" * 400,
        "10.0000000000000000000000000000000001",
        "92233720368547758.0700000000000000000000000000000001",
    ],
)
def test_a_text_that_is_no_amount_is_refused_by_the_tools(text: str) -> None:
    """T9: the wire has integers only; typed decimals may have no sub-unit, however small, and no other notation."""

    with pytest.raises(InvalidField):
        parse_amount(text, listed_currencies()["USD"])


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("10.05", "USD", 1005),
        ("10.050", "USD", 1005),
        ("0.01", "USD", 1),
        ("10", "JPY", 10),
        ("1.234", "KWD", 1234),
        ("92233720368547758.07", "USD", BIGGEST),
    ],
)
def test_an_amount_as_typed_is_read_exactly(text: str, currency: str, minor: int) -> None:
    """T9: exponents are ISO 4217's."""

    assert parse_amount(text, listed_currencies()[currency]) == Money(currency, minor)


def test_two_transfers_of_all_there_is_end_in_one(client: WalletClient) -> None:
    """T10: exactly one succeeds."""

    open_funded(client, alice=10, bob=0)

    results = together([partial(client.transfer, ALICE, BOB, usd(10))] * 2)

    assert (len(succeeded(results)), reasons(results)) == (1, ["INSUFFICIENT_FUNDS"])
    assert balances(client) == (0, 10)


@pytest.mark.parametrize(
    ("funds", "callers", "amount", "done"), [(1000, 30, 100, 10), (100, 5, 30, 3)], ids=["T11", "T12"]
)
def test_many_transfers_end_where_the_money_does(
    client: WalletClient, funds: int, callers: int, amount: int, done: int
) -> None:
    """T11, T12: exactly as many succeed as the balance allows."""

    open_funded(client, alice=funds, bob=0)

    results = together([partial(client.transfer, ALICE, BOB, usd(amount))] * callers)

    assert len(succeeded(results)) == done
    assert reasons(results) == ["INSUFFICIENT_FUNDS"] * (callers - done)
    assert balances(client) == (funds - done * amount, done * amount)


def test_a_transfer_that_cannot_be_stored_moves_nothing_and_harms_no_neighbour(
    client: WalletClient, owner: psycopg.Connection
) -> None:
    """T15: the insert into the ledger fails for one of a batch."""

    open_funded(client, alice=1000, bob=0, carol=100, dora=0)
    bad = partial(client.transfer, ALICE, BOB, usd(666), request_id=str(uuid4()))
    good = partial(client.transfer, "wallets/carol", "wallets/dora", usd(1))
    owner.execute("ALTER TABLE entries ADD CONSTRAINT magic CHECK (abs(amount) <> 666) NOT VALID")
    try:
        results = together([good] * 10 + [bad] + [good] * 10)
    finally:
        owner.execute("ALTER TABLE entries DROP CONSTRAINT magic")

    assert (len(succeeded(results)), reasons(results)) == (20, ["INTERNAL"])
    refused = results[10]
    assert list(getattr(refused, "metadata", {})) == ["correlationId"]
    assert "magic" not in str(refused)
    assert (balances(client), balance(client, "dora")) == ((1000, 0), 20)
    assert bad().replayed is False
    assert balances(client) == (334, 666)


def test_a_repeat_after_a_restart_is_the_first_transfer(settings: Settings, database: Database) -> None:
    """T16: yes and no are both remembered by the database, not by a process."""

    paid, refused = str(uuid4()), str(uuid4())
    with served(settings) as client:
        open_funded(client, alice=100, bob=0)
        made = client.transfer(ALICE, BOB, usd(40), request_id=paid)
        error = refusal(lambda: client.transfer(ALICE, BOB, usd(61), request_id=refused))
    with served(settings) as client:
        client.deposit(ALICE, usd(500))
        again = client.transfer(ALICE, BOB, usd(40), request_id=paid)
        repeated = refusal(lambda: client.transfer(ALICE, BOB, usd(61), request_id=refused))
        assert (again.transaction, again.source_available, again.replayed) == (
            made.transaction,
            made.source_available,
            True,
        )
        assert (repeated.reason, repeated.metadata) == (error.reason, error.metadata)
        assert balances(client) == (560, 40)
    assert database.broken_rules() == []


def test_a_full_destination_refuses_the_transfer(client: WalletClient) -> None:
    """LIMIT_EXCEEDED names the destination; what fits goes through."""

    open_funded(client, bob=BIGGEST - 5)
    client.create_wallet("alice", "USD")
    client.transfer(BOB, ALICE, usd(100))
    client.deposit(BOB, usd(5))

    client.transfer(ALICE, BOB, usd(100))

    assert balances(client) == (0, BIGGEST)
    refused = refusal(lambda: client.deposit(BOB, usd(1)))
    assert (refused.reason, refused.metadata) == ("LIMIT_EXCEEDED", {"resourceName": BOB, "limit": str(BIGGEST)})


def test_a_wallet_that_is_not_active_refuses_by_its_state(client: WalletClient, owner: psycopg.Connection) -> None:
    """Frozen gives nothing and takes; closed does neither. The state is looked at before the balance."""

    open_funded(client, alice=0, bob=100)
    there, back = (partial(client.transfer, *ends, usd(10)) for ends in ((BOB, ALICE), (ALICE, BOB)))

    rewrite(owner, "UPDATE wallets SET state = 'CLOSED' WHERE id = 'alice'")
    closed = [refusal(there), refusal(back)]
    rewrite(owner, "UPDATE wallets SET state = 'FROZEN' WHERE id = 'alice'")
    frozen = refusal(back)

    assert there().source_available.minor_units == 90
    assert [(result.reason, result.metadata["state"]) for result in [*closed, frozen]] == [
        ("WALLET_NOT_ACTIVE", "CLOSED"),
        ("WALLET_NOT_ACTIVE", "CLOSED"),
        ("WALLET_NOT_ACTIVE", "FROZEN"),
    ]
    assert {result.metadata["resourceName"] for result in [*closed, frozen]} == {ALICE}
    assert balances(client) == (10, 90)


@pytest.mark.parametrize(
    ("amount", "reason"),
    [(usd(101), "INSUFFICIENT_FUNDS"), (Amount("EUR", 1), "CURRENCY_MISMATCH"), (usd(100), None)],
)
def test_validating_a_transfer_answers_alike_and_stores_nothing(
    client: WalletClient, owner: psycopg.Connection, amount: Amount, reason: str | None
) -> None:
    """Not even the request."""

    open_funded(client, alice=100, bob=0)
    before = everything(owner)
    call = partial(client.transfer, ALICE, BOB, amount, validate_only=True)

    if reason is None:
        tried = call()
        assert (tried.source_available.minor_units, tried.transaction.name) == (0, "")
        assert [entry.balance_after.minor_units for entry in tried.transaction.entries] == [0, 100]
    else:
        assert refusal(call).reason == reason
    assert everything(owner) == before


def test_a_transfer_between_currencies_names_the_wallet_that_does_not_fit(client: WalletClient) -> None:
    """Source first, then destination."""

    open_funded(client, alice=100)
    client.create_wallet("eva", "EUR")

    assert refusal(lambda: client.transfer(ALICE, "wallets/eva", usd(1))).metadata == {
        "resourceName": "wallets/eva",
        "currency": "EUR",
    }
    assert refusal(lambda: client.transfer(ALICE, "wallets/eva", Amount("EUR", 1))).metadata == {
        "resourceName": ALICE,
        "currency": "USD",
    }
