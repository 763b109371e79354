"""Fixtures of the tests of the scheduler's jobs."""

from collections.abc import Iterator

import pytest

from bank_stub.server import BankServer
from tests.support.books import open_wallet
from tests.support.endpoint import Endpoint, running_endpoint
from tests.support.payouts import Bank
from tests.support.scheduled import CollectingBank
from wallet_core.domain.model.wallet import WalletId
from wallet_core.usecases.app import App


@pytest.fixture
def alice(app: App) -> WalletId:
    """Return a wallet with 1,000."""
    return open_wallet(app, "alice", 1000)


@pytest.fixture
def stub(bank: BankServer) -> Bank:
    """Return the bank stub, for ordering faults on payouts and for reading its own records."""
    return Bank(bank.url)


@pytest.fixture
def collecting_bank(bank: BankServer) -> CollectingBank:
    """Return the bank stub, for ordering faults on collections and for reading its own records."""
    return CollectingBank(bank.url)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """Return an endpoint that accepts everything unless a test changes it."""
    with running_endpoint() as endpoint:
        yield endpoint
