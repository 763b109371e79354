"""The feed that all watchers of a process share, and the errors of the database that it passes on."""

import pytest

from wallet_core.domain.model.errors import DatabaseNotReady, DatabaseNotServing, LedgerBroken, ServiceError
from wallet_core.domain.model.event import JournalRecord
from wallet_core.usecases.follow_journal import JournalFeed


class FailingReads:
    """Reads of a database that cannot serve."""

    def __init__(self, error: ServiceError) -> None:
        self._error = error

    def journal_end(self) -> JournalRecord | None:
        """Fail."""
        raise self._error


@pytest.mark.parametrize(
    "error",
    [DatabaseNotServing(), LedgerBroken(), DatabaseNotReady("run the migrations")],
    ids=lambda one: type(one).__name__,
)
def test_a_follower_raises_the_error_of_the_reads_as_it_was(error: ServiceError) -> None:
    """An error with fields keeps them: it must not become a defect because it cannot be made a second time."""

    feed = JournalFeed(FailingReads(error), poll_s=0.01, page=10, kept=10)  # type: ignore[arg-type]  # fails at once
    feed.start()
    try:
        with feed.following() as follower, pytest.raises(ServiceError) as raised:
            follower.after(0, wait_s=20, given_up=lambda: False)
    finally:
        feed.stop()
        feed.close()

    assert (type(raised.value), str(raised.value)) == (type(error), str(error))
    assert raised.value is not error
