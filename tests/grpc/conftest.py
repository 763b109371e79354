"""What tests of the calls begin with."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from wallet.v1 import schedule_service_pb2 as schedule_pb

from bank_stub.server import BankServer
from tests.support.api import Api
from tests.support.issuer import ISSUER, Issuer
from tests.support.requests import a_hold, money, new_id, stamp
from tests.support.sample_ledger import LATER
from tests.support.scheduled import CollectingBank
from tests.support.two_owners import TwoOwners, two_owners
from tests.support.world import World, a_world
from wallet_core.settings import Settings
from wallet_core.usecases.app import App


@pytest.fixture
def api(server: str) -> Iterator[Api]:
    """Return a bare channel to the server."""
    with Api(server) as api:
        yield api


@pytest.fixture
def alice(api: Api) -> None:
    """Open a wallet for Alice, with 1,000."""
    api.open("alice", 1000)


@pytest.fixture
def alice_and_bob(api: Api) -> None:
    """Open wallets for Alice, with 1,000, and for Bob."""
    api.open("alice", 1000)
    api.open("bob")


@pytest.fixture
def alice_bob_and_carol(api: Api) -> None:
    """Open wallets for Alice, with 100, and for Bob and Carol."""
    api.open("alice", 100)
    api.open_all("bob", "carol")


@pytest.fixture
def funded_pair(api: Api) -> tuple[str, str]:
    """Return two wallets with money."""
    for name in ("a", "b"):
        api.open(name, 1_000_000)
    return "a", "b"


@pytest.fixture
def stub(bank: BankServer) -> CollectingBank:
    """Return the bank stub, for ordering faults and for reading its own records."""
    return CollectingBank(bank.url)


@pytest.fixture
def populated(api: Api) -> Api:
    """Return a channel to a ledger with two wallets, one with 1,000 in it, and an order, a hold and a rule."""
    api.open_all("alice", "bob")
    api.deposit("alice", 1000)
    later: dict[str, Any] = {"wallet": "wallets/alice", "amount": money(1), "execute_time": stamp(LATER)}
    for kind in (schedule_pb.ScheduleWithdrawalRequest, schedule_pb.ScheduleDepositRequest):
        api.ok(kind(**later, request_id=new_id()))
    api.ok(a_hold("alice", until=stamp(LATER)))
    api.charge(currency_code="EUR")
    return api


CALLERS = {"shop": {"clients": ["shop-client"]}, "billing": {"clients": ["billing-client", "billing-old"]}}


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    """Return an issuer with a key of every kind."""
    issuer = Issuer()
    for algorithm in ("RS256", "ES256", "EdDSA"):
        issuer.add(algorithm)
    return issuer


@pytest.fixture
def guarded(settings: Settings, issuer: Issuer, tmp_path: Path) -> Settings:
    """Return settings that want a token of the issuer's."""
    keys = tmp_path / "keys.json"
    keys.write_text(issuer.key_set())
    found = {"auth_keys": str(keys), "auth_issuer": ISSUER, "callers": CALLERS, "auth_keys_retry_s": 0.1}
    return settings.replaced(**found)


@pytest.fixture
def world(app: App, guarded: Settings, issuer: Issuer, bank: BankServer) -> Iterator[World]:
    """Return a service with resources of every kind, and its callers."""
    with a_world(app, guarded, issuer, bank) as world:
        yield world


@pytest.fixture
def owners(app: App, guarded: Settings, issuer: Issuer) -> Iterator[TwoOwners]:
    """Return the service, its wallets funded."""
    with two_owners(app, guarded, issuer) as owners:
        yield owners
