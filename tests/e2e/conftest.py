"""``walletctl`` for tests."""

import pytest

from tests.e2e.cli import Walletctl
from tests.support.books import deposit, open_wallet
from tests.support.database import Database
from wallet_core.domain.model.wallet import WalletId
from wallet_core.usecases.app import App


@pytest.fixture
def walletctl(server: str, database: Database) -> Walletctl:
    """Return what runs commands against ``server``."""
    return Walletctl(server, database.url)


@pytest.fixture
def funded(walletctl: Walletctl, app: App) -> Walletctl:
    """Return the same, with alice (100.00 USD) and bob (nothing) there."""
    for wallet in ("alice", "bob"):
        open_wallet(app, wallet)
    deposit(app, WalletId("alice"), 10_000)
    return walletctl
