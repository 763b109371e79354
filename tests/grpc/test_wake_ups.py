"""Wake-ups: an event reaches a watcher at once, and nothing depends on them."""

import threading
from time import monotonic

import psycopg
import pytest

from tests.support.api import Api
from tests.support.watching import watching
from wallet_core.bootstrap import open_app
from wallet_core.settings import Settings
from wallet_grpc.server.serving import serving
from walletctl.local.waiting import wait_until

# No poll happens within a test.
NEVER_S = 3600.0


def test_an_event_wakes_writer_and_watcher_at_once(settings: Settings) -> None:
    """Without any poll: both would otherwise look an hour later."""

    never = settings.replaced(watch_poll_s=NEVER_S, journal_write_s=NEVER_S)
    with open_app(never, name="tests-writer") as writer, open_app(never, name="tests-server") as app:
        woken = threading.Event()

        def write() -> None:
            woken.set()
            writer.journal.write(1000)

        with writer.on_events(write), serving(app, never) as port, Api(f"127.0.0.1:{port}") as api:
            assert woken.wait(30)  # once, when it begins to listen
            api.open("alice")
            with watching(api) as watcher:
                api.deposit("alice", 5)
                assert watcher.wait_for(lambda events: any(event.transaction.name for event in events))


def test_a_lost_connection_is_listened_on_again(settings: Settings, owner: psycopg.Connection) -> None:
    """The database ends all connections of the process; a later event wakes it all the same."""

    with open_app(settings, name="tests-listener") as app:
        wakes: list[float] = []
        with app.on_events(lambda: wakes.append(monotonic())):
            assert wait_until(lambda: bool(wakes), timeout_s=30)
            owner.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tests-listener'"
            )
            assert wait_until(lambda: len(wakes) > 1, timeout_s=30)  # it listens again, and looks at once


@pytest.mark.parametrize("wake_ups", [False, True])
def test_wake_ups_can_be_switched_off(settings: Settings, owner: psycopg.Connection, *, wake_ups: bool) -> None:
    """Then no connection listens, and polls are all there is."""

    with open_app(settings.replaced(journal_wake_ups=wake_ups), name="tests-quiet") as app:
        wakes: list[float] = []
        with app.on_events(lambda: wakes.append(monotonic())):
            if wake_ups:
                assert wait_until(lambda: bool(wakes), timeout_s=30)
            listening = owner.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tests-quiet' AND query LIKE 'LISTEN%'"
            )
            assert listening.fetchone() == (int(wake_ups),)
