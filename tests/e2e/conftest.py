"""``walletctl`` for tests."""

import pytest

from tests.e2e.cli import Walletctl
from tests.support.database import Database


@pytest.fixture
def walletctl(server: str, database: Database) -> Walletctl:
    """Return what runs commands against ``server``."""
    return Walletctl(server, database.url)


@pytest.fixture
def funded(walletctl: Walletctl) -> Walletctl:
    """Return the same, with alice (100.00 USD) and bob (nothing) there."""
    for arguments in (["wallet", "create", "alice"], ["wallet", "create", "bob"], ["deposit", "alice", "100.00"]):
        assert walletctl(*arguments).exit_code == 0
    return walletctl
