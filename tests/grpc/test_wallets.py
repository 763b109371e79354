"""Wallets as callers create and read them."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from wallet.v1 import wallet_service_pb2 as pb

from tests.support.callers import balance, count, everything, open_funded, refusal, usd
from tests.support.together import together
from wallet_client import WalletClient


def test_a_new_wallet_is_empty_and_active(client: WalletClient) -> None:
    """W1: name, zero balance, create time."""

    wallet = client.create_wallet("alice", "USD", owner="crm-7", display_name="Alice").wallet

    assert wallet.name == "wallets/alice"
    assert (wallet.owner, wallet.display_name) == ("crm-7", "Alice")
    assert wallet.state == pb.Wallet.STATE_ACTIVE
    amounts = (wallet.balance, wallet.held, wallet.available, wallet.overdraft_limit)
    assert [(amount.currency_code, amount.minor_units) for amount in amounts] == [("USD", 0)] * 4
    assert wallet.create_time.seconds > 1_700_000_000
    assert client.get_wallet("wallets/alice") == wallet


def test_wallets_without_a_chosen_id_get_different_ones(client: WalletClient) -> None:
    """W1: ids differ."""

    names = {client.create_wallet("", "USD").wallet.name for _ in range(5)}

    assert len(names) == 5
    assert all(client.get_wallet(name).name == name for name in names)


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.get_wallet("wallets/nobody"),
        lambda client: client.batch_get_wallets(["wallets/alice", "wallets/nobody"]),
        lambda client: client.deposit("wallets/nobody", usd(1)),
        lambda client: client.transfer("wallets/nobody", "wallets/alice", usd(1)),
        lambda client: client.transfer("wallets/alice", "wallets/nobody", usd(1)),
        lambda client: client.schedule_withdrawal("wallets/nobody", usd(1)),
        lambda client: list(client.list_transactions("wallets/nobody")),
        lambda client: list(client.list_withdrawals("wallets/nobody")),
    ],
    ids=["get", "batch_get", "deposit", "from", "to", "withdraw", "list_transactions", "list_withdrawals"],
)
def test_an_unknown_wallet_is_not_found(client: WalletClient, call: Callable[[WalletClient], object]) -> None:
    """W2: for lists too, never an empty page."""

    open_funded(client, alice=10)

    refused = refusal(partial(call, client))

    assert (refused.code, refused.reason) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    assert refused.metadata == {"resourceName": "wallets/nobody"}
    assert balance(client, "alice") == 10


@pytest.mark.parametrize("minor_units", [123_456, 2**53 + 1, 2**62 + 1])
def test_a_balance_is_exact(client: WalletClient, minor_units: int) -> None:
    """W4: exactly 1234.56, and beyond what a float can distinguish."""

    open_funded(client, alice=minor_units)

    assert client.get_wallet("wallets/alice").balance.minor_units == minor_units
    assert client.get_wallet("wallets/system:external:USD").balance.minor_units == -minor_units


def test_a_balance_below_zero_is_refused_by_the_database(client: WalletClient, owner: psycopg.Connection) -> None:
    """W6: the last check is the database's own."""

    open_funded(client, alice=0)

    with pytest.raises(psycopg.errors.CheckViolation) as caught:
        owner.execute("UPDATE wallets SET balance = -1 WHERE id = 'alice'")

    assert caught.value.diag.constraint_name == "wallets_floor"


def test_several_wallets_are_returned_in_the_requested_order(client: WalletClient) -> None:
    """Requested twice, returned twice; system wallets among them."""

    open_funded(client, alice=1, bob=2, carol=3)
    names = ["wallets/carol", "wallets/alice", "wallets/system:external:USD", "wallets/bob", "wallets/alice"]

    assert [wallet.name for wallet in client.batch_get_wallets(names)] == names


def test_the_first_missing_wallet_fails_the_whole_batch(client: WalletClient) -> None:
    """The first in the requested order."""

    open_funded(client, alice=1)
    names = ["wallets/alice", "wallets/zoe", "wallets/bob", "wallets/alice"]

    assert refusal(lambda: client.batch_get_wallets(names)).metadata == {"resourceName": "wallets/zoe"}


@pytest.mark.parametrize("names", [0, 101])
def test_too_few_or_too_many_wallets_at_once_are_refused(client: WalletClient, names: int) -> None:
    """1 to 100 names."""

    refused = refusal(lambda: client.batch_get_wallets(["wallets/alice"] * names))

    assert (refused.reason, list(refused.violations)) == ("INVALID_FIELDS", ["names"])


@pytest.mark.parametrize("role", ["external", "in_transit", "commission"])
def test_the_first_wallet_of_a_currency_brings_the_system_wallets(client: WalletClient, role: str) -> None:
    """They can be read, and are in no list."""

    assert refusal(lambda: client.get_wallet(f"wallets/system:{role}:EUR")).reason == "RESOURCE_NOT_FOUND"

    client.create_wallet("eva", "EUR")

    assert client.get_wallet(f"wallets/system:{role}:EUR").balance.minor_units == 0
    assert [wallet.name for wallet in client.list_wallets()] == ["wallets/eva"]


def test_a_repeated_creation_returns_the_wallet_as_it_is_now(client: WalletClient, owner: psycopg.Connection) -> None:
    """A living resource, marked replayed."""

    id_ = str(uuid4())
    assert not client.create_wallet("alice", "USD", request_id=id_).replayed
    client.deposit("wallets/alice", usd(5))
    before = everything(owner)

    again = client.create_wallet("alice", "USD", request_id=id_.upper())

    assert (again.replayed, again.wallet.balance.minor_units) == (True, 5)
    assert everything(owner) == before


@pytest.mark.parametrize(
    "change", [{"currency_code": "EUR"}, {"owner": "x"}, {"display_name": "x"}, {"wallet_id": "other"}]
)
def test_a_creation_with_a_used_id_and_other_fields_is_refused(client: WalletClient, change: dict[str, Any]) -> None:
    """The metadata names the first use."""

    id_ = str(uuid4())
    first: dict[str, Any] = {"wallet_id": "alice", "currency_code": "USD", "request_id": id_}
    client.create_wallet(**first)

    refused = refusal(lambda: client.create_wallet(**{**first, **change}))

    assert (refused.code, refused.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")
    assert refused.metadata == {"requestId": id_, "method": "CreateWallet", "resourceName": "wallets/alice"}


def test_a_taken_name_is_refused_for_good(client: WalletClient) -> None:
    """RESOURCE_EXISTS is final: the same id gets it again."""

    open_funded(client, alice=0)
    id_ = str(uuid4())

    for _ in range(2):
        refused = refusal(lambda: client.create_wallet("alice", "EUR", request_id=id_))
        assert (refused.code, refused.reason) == ("ALREADY_EXISTS", "RESOURCE_EXISTS")
        assert refused.metadata == {"resourceName": "wallets/alice"}
    assert client.get_wallet("wallets/alice").currency_code == "USD"


def test_an_id_outside_the_grammar_is_refused(client: WalletClient, owner: psycopg.Connection) -> None:
    """A newline at the end too, which many a ``$`` lets through."""

    for wallet_id in ("-a", "a-", "A", "a_b", "a" * 64, "system:external:USD", "a\n", "é", "a b", "wallets/a"):
        refused = refusal(partial(client.create_wallet, wallet_id, "USD"))
        assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "INVALID_FIELDS")
        assert list(refused.violations) == ["wallet_id"]
    assert count(owner, "wallets") == 0


def test_an_unknown_currency_is_refused(client: WalletClient, owner: psycopg.Connection) -> None:
    """ISO 4217 with minor units, nothing else."""

    for currency in ("", "usd", "US", "USDD", "ABC", "XAU", "XXX", "USD\n", "ÜSD"):
        refused = refusal(partial(client.create_wallet, "alice", currency))
        assert (refused.reason, list(refused.violations)) == ("INVALID_FIELDS", ["wallet.currency_code"])
    assert count(owner, "wallets") == 0


def test_one_name_requested_by_many_is_given_once(client: WalletClient) -> None:
    """30 at once: one gets it, 29 get RESOURCE_EXISTS, and each gets the same again."""

    ids = [str(uuid4()) for _ in range(30)]
    calls = [partial(client.create_wallet, "alice", "USD", request_id=id_) for id_ in ids]

    first, again = together(calls), together(calls)

    outcomes = [getattr(result, "reason", "OK") for result in first]
    assert sorted(outcomes) == ["OK"] + ["RESOURCE_EXISTS"] * 29
    assert [getattr(result, "reason", "OK") for result in again] == outcomes


def test_one_creation_sent_by_many_makes_one_wallet(client: WalletClient, owner: psycopg.Connection) -> None:
    """The same request id 30 times at once, the service choosing the name."""

    id_ = str(uuid4())

    results = together([partial(client.create_wallet, "", "USD", request_id=id_)] * 30)

    answers = [result for result in results if isinstance(result, pb.CreateWalletResponse)]
    assert len(answers) == 30
    assert len({answer.wallet.name for answer in answers}) == 1
    assert sum(not answer.replayed for answer in answers) == 1
    assert count(owner, "wallets") == 4
