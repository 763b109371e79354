"""What tests of the calls begin with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bank_stub.server import BankServer
from tests.support.asking import Asking
from tests.support.issuer import ISSUER, Issuer
from tests.support.world import World, a_world
from wallet_core.settings import Settings
from wallet_core.usecases.app import App


@pytest.fixture
def asking(server: str) -> Iterator[Asking]:
    """Return a bare channel to the server."""
    with Asking(server) as asking:
        yield asking


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
    """Return a service with something of everything, and who calls it."""
    with a_world(app, guarded, issuer, bank) as world:
        yield world
