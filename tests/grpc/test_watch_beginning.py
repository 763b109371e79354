"""Watching from before the first record that the journal still has."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from wallet.v1 import event_service_pb2 as pb

from tests.support.api import Api
from tests.support.rows import without_triggers
from tests.support.watching import wait_until_published, watching, writing_journal
from wallet_core.usecases.app import App

# A server keeps the end of the journal at hand.
pytestmark = pytest.mark.own_app


@pytest.fixture
def api(app: App, server: str) -> Iterator[Api]:
    """Return a channel to the server, while the journal is written."""
    with writing_journal(app), Api(server) as api:
        yield api


def test_a_place_before_the_journals_beginning_is_said_to_be_gone(api: Api, owner: psycopg.Connection) -> None:
    """Its records were dropped, before the watch or while the watcher was behind: none is skipped silently."""

    api.open_all("alice", "bob", "carol", "dave")
    wait_until_published(owner)
    with watching(api, from_start=True) as watcher:
        first, *_ = watcher.wait_for_events(4)

    with without(owner, 1):
        from_start = api.refused(pb.WatchEventsRequest(from_start=True))
        behind = api.refused(pb.WatchEventsRequest(resume_token=first.resume_token))
        with watching(api, resume_token=from_start.metadata["oldestResumeToken"]) as watcher:
            assert watcher.wait_for_events(1)[0].number == 3  # after the record that the journal begins with
    with without(owner, 2), watching(api, resume_token=first.resume_token) as watcher:
        meanwhile = watcher.end()
    for answer in (from_start, behind, meanwhile):
        assert (answer.code, answer.reason) == ("OUT_OF_RANGE", "WATCH_CURSOR_EXPIRED")


@contextmanager
def without(owner: psycopg.Connection, number: int) -> Iterator[None]:
    """Take a record out of the journal, and put it back."""
    (row,) = owner.execute("SELECT journal::text FROM journal WHERE number = %s", [number]).fetchall()
    with without_triggers(owner):
        owner.execute("DELETE FROM journal WHERE number = %s", [number])
    try:
        yield
    finally:
        owner.execute("INSERT INTO journal SELECT (%s::journal).*", row)
