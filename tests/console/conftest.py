"""One console for the tests of a module, beside the server that they share."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from bank_stub.server import BankServer
from tests.support.console import Visitor, running_console
from tests.support.scheduled import CollectingBank


class Consoles:
    """The console that runs at present, if any; another server needs another one."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._target = ""
        self._url = ""

    def of(self, target: str) -> str:
        """Return the address of a console of this server."""
        if target != self._target:
            self.close()
            self._target, self._url = target, self._stack.enter_context(running_console(target))
        return self._url

    def close(self) -> None:
        """Stop it."""
        self._stack.close()
        self._stack, self._target = ExitStack(), ""


@pytest.fixture(scope="module")
def consoles() -> Iterator[Consoles]:
    """Return what keeps a console from test to test."""
    consoles = Consoles()
    yield consoles
    consoles.close()


@pytest.fixture
def console(server: str, consoles: Consoles) -> Iterator[Visitor]:
    """Return a visitor of the console of ``server``."""
    visitor = Visitor(consoles.of(server))
    yield visitor
    visitor.http.close()


@pytest.fixture
def other(console: Visitor) -> Iterator[Visitor]:
    """Return a visitor with a session of its own."""
    visitor = Visitor(console.url)
    yield visitor
    visitor.http.close()


@pytest.fixture
def stub(bank: BankServer) -> CollectingBank:
    """Return the bank stub, for ordering faults and for reading its own records."""
    return CollectingBank(bank.url)
