"""Fixtures of the tests of single modules."""

from collections.abc import Iterator

import httpx
import pytest

from bank_stub.server import BankServer


@pytest.fixture
def bank_client(bank: BankServer) -> Iterator[httpx.Client]:
    """Open a client of the bank stub."""
    with httpx.Client(base_url=bank.url, timeout=5) as opened:
        yield opened
