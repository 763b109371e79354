"""What tests of the calls begin with."""

from collections.abc import Iterator

import pytest

from tests.support.asking import Asking


@pytest.fixture
def asking(server: str) -> Iterator[Asking]:
    """Return a bare channel to the server."""
    with Asking(server) as asking:
        yield asking
