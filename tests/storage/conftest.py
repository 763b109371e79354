"""What tests of the tables begin with."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from tests.support.audited_books import Tampered


@pytest.fixture
def books(written: Engine) -> Iterator[Tampered]:
    """Return the books that a module has *written*, to be tampered with."""
    with written.connect() as tx:
        yield Tampered(tx)
        tx.rollback()
