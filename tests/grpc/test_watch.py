"""Watching: events are sent as they happen, in order, from any position on, to a bounded number of watchers."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import islice
from time import monotonic
from typing import Any

import psycopg
import pytest
from psycopg import sql
from structlog.testing import capture_logs
from wallet.v1 import event_service_pb2 as pb

from tests.support.api import Api
from tests.support.database import Cluster, cut_all_others
from tests.support.idle import Idle
from tests.support.requests import a_deposit
from tests.support.rows import without_triggers
from tests.support.watching import Watcher, served, tell_of, types_of, wait_until_published, watching, writing_journal
from wallet_client import WalletClient
from wallet_core.domain.model.event import JournalRecord
from wallet_core.settings import Settings
from wallet_core.storage.reads.all import Reads
from wallet_core.usecases.app import App
from wallet_grpc.errors.kinds import WatcherTooSlow
from wallet_grpc.runtime.listening import CannotListen
from wallet_grpc.server.serving import serving
from wallet_grpc.servicers.streams import Stream
from wallet_grpc.servicers.watches import Watch
from walletctl.local.waiting import wait_until

# A server keeps the end of the journal at hand.
pytestmark = pytest.mark.own_app

EVENT = pb.Event
NOTHING: Any = None
# Less than a heartbeat, by which a server would notice that a watcher has left.
AT_ONCE_S = 8.0


@pytest.fixture
def api(app: App, server: str) -> Iterator[Api]:
    """Return a bare channel to a server beside which the journal is written."""
    with Api(server) as api, writing_journal(app):
        yield api


def is_watching(api: Api) -> bool:
    """Return whether a watch is accepted."""
    answer = api.call("EventService/WatchEvents", pb.WatchEventsRequest())
    assert (answer.code, answer.reason) in {("OK", ""), ("RESOURCE_EXHAUSTED", "SERVER_OVERLOADED")}, answer
    return answer.code == "OK"


def test_events_are_sent_in_order_with_their_resource_and_wallets(api: Api, owner: psycopg.Connection) -> None:
    """Each once, numbered without gaps, at the time that the transaction itself has."""

    api.open_all("alice", "bob")
    wait_until_published(owner)
    with watching(api) as watcher:
        assert watcher.responses[0].resume_token
        assert watcher.events == []
        deposited = api.deposit("alice", 100)
        moved = api.transfer("alice", "bob", 10)
        first, second = watcher.wait_for_events(2)

    assert types_of([first, second]) == ["TRANSACTION_POSTED"] * 2
    assert [event.resource for event in (first, second)] == [deposited.name, moved.name]
    assert list(first.wallets) == ["wallets/system:external:USD", "wallets/alice"]
    assert list(second.wallets) == ["wallets/alice", "wallets/bob"]
    assert [event.time for event in (first, second)] == [deposited.execute_time, moved.execute_time]
    assert second.number == first.number + 1


def test_a_watch_continues_from_any_position_and_repeats_the_rest(api: Api, owner: psycopg.Connection) -> None:
    """With the token of any event, and of the empty beginning: exactly what came after it, the same each time."""

    api.open_all("alice", "bob")
    wait_until_published(owner)
    with watching(api) as watcher:
        for _ in range(5):
            api.deposit("alice", 1)
        received = watcher.wait_for_events(5)
        began = watcher.responses[0].resume_token
    rests = [(began, received), *((event.resume_token, received[place + 1 :]) for place, event in enumerate(received))]

    last = api.deposit("bob", 1).name
    for token, rest in rests:
        with watching(api, resume_token=token) as watcher:
            received = watcher.wait_for_events(len(rest) + 1)
            assert received[:-1] == rest
            assert received[-1].resource == last
    with watching(api, from_start=True) as watcher:
        received = watcher.wait_for(lambda events: bool(events) and events[-1].resource == last)
        assert [event.number for event in received] == list(range(1, len(received) + 1))
        assert types_of(received)[:2] == ["WALLET_CREATED"] * 2


def test_a_watch_is_of_one_wallet_or_of_some_types_where_it_asks_for_them(api: Api, owner: psycopg.Connection) -> None:
    """What was not asked for is passed over; the token of a response goes past it."""

    api.open_all("alice", "bob", "carol")
    api.deposit("alice", 100)
    wait_until_published(owner)
    some = [EVENT.TYPE_WALLET_FROZEN, EVENT.TYPE_WALLET_UNFROZEN]
    with (
        watching(api, wallet="wallets/bob") as of_bob,
        watching(api, types=some) as of_types,
        watching(api, wallet="wallets/bob", types=some) as of_both,
    ):
        to_bob = api.transfer("alice", "bob", 1).name
        api.transfer("alice", "carol", 1)
        api.freeze("carol")
        api.freeze("bob")
        received = [of_bob.wait_for_events(2), of_types.wait_for_events(2), of_both.wait_for_events(1)]

    assert [event.resource for event in received[0]] == [to_bob, "wallets/bob"]
    assert [event.resource for event in received[1]] == ["wallets/carol", "wallets/bob"]
    assert received[2] == received[0][1:] == received[1][1:]


def test_what_cannot_be_watched_is_refused_at_once(api: Api) -> None:
    """Before any event is sent: a wallet that is not there, forged tokens, two beginnings, types that are none."""

    api.open_all("alice")
    with watching(api) as watcher:
        token = watcher.responses[0].resume_token

    def refused(**asked: Any) -> tuple[str, tuple[str, ...], dict[str, str]]:  # noqa: ANN401  # fields of the request
        answer = api.refused(pb.WatchEventsRequest(**asked))
        return answer.reason, answer.violations, answer.metadata

    assert refused(wallet="wallets/nobody") == ("RESOURCE_NOT_FOUND", (), {"resourceName": "wallets/nobody"})
    for forged in (token[:-1], token[1:], "x", "W10.x"):
        assert refused(resume_token=forged) == ("INVALID_FIELDS", ("resume_token",), {})
    assert refused(wallet="alice")[:2] == ("INVALID_FIELDS", ("wallet",))
    assert refused(types=[0])[0] == refused(types=[999])[0] == "INVALID_FIELDS"
    assert refused(resume_token=token, from_start=True)[0] == "INVALID_FIELDS"


def test_a_position_that_the_journal_lacks_is_reported_as_expired(
    app: App, api: Api, owner: psycopg.Connection
) -> None:
    """A database that was restored from before it, and one that has gone on otherwise since; and how to begin anew."""

    api.open_all("alice")
    wait_until_published(owner)
    with watching(api) as watcher:
        api.deposit("alice", 1)
        (event,) = watcher.wait_for_events(1)

    with without_triggers(owner):
        owner.execute("DELETE FROM journal WHERE number = %s", [event.number])
    shorter = api.refused(pb.WatchEventsRequest(resume_token=event.resume_token))
    tell_of(owner, "alice", 1)
    assert wait_until(lambda: app.reads.journal_record(event.number) is not None, timeout_s=30)
    other = api.refused(pb.WatchEventsRequest(resume_token=event.resume_token))

    for answer in (shorter, other):
        assert (answer.code, answer.reason) == ("OUT_OF_RANGE", "WATCH_CURSOR_EXPIRED")
    with watching(api, resume_token=other.metadata["oldestResumeToken"]) as watcher:
        assert watcher.wait_for_events(1)[0].number == 1
    owner.execute(
        "INSERT INTO outbox (type, subject, wallets, time) VALUES ('transaction.posted', %s, '{}', now())",
        [event.resource],
    )


def test_watchers_are_bounded_and_no_other_call_waits_for_them(app: App, settings: Settings) -> None:
    """The next gets SERVER_OVERLOADED; calls are served beside more watchers than threads; a place comes free."""

    with served(app, settings, watchers_max=3, grpc_threads=2) as target, Api(target) as api, ExitStack() as all_:
        watchers = [all_.enter_context(watching(api)) for _ in range(3)]
        refused = api.refused(pb.WatchEventsRequest())
        assert (refused.code, refused.reason, refused.retry_ms is None) == (
            "RESOURCE_EXHAUSTED",
            "SERVER_OVERLOADED",
            False,
        )
        api.open_all("alice")
        api.deposit("alice", 1)
        assert [types_of(watcher.wait_for_events(2)) for watcher in watchers] == [
            ["WALLET_CREATED", "TRANSACTION_POSTED"]
        ] * 3
        watchers[0].leave()
        assert wait_until(lambda: is_watching(api), timeout_s=AT_ONCE_S)
        assert wait_until(lambda: is_watching(api), timeout_s=AT_ONCE_S)


def test_a_watcher_gets_heartbeats(app: App, settings: Settings, owner: psycopg.Connection) -> None:
    """Responses without events, with a token that continues from there, also past events that were not requested."""

    with served(app, settings, watch_heartbeat_s=0.1) as target, Api(target) as api:
        api.open_all("alice", "bob")
        wait_until_published(owner)
        with watching(api, wallet="wallets/bob") as watcher, watching(api) as of_all:
            api.deposit("alice", 1)
            of_all.wait_for_events(1)
            already = len(watcher.responses)
            # The second of them came after the deposit had been looked at.
            assert wait_until(lambda: len(watcher.responses) > already + 2, timeout_s=30)
            assert watcher.events == []
            token = watcher.responses[-1].resume_token
        with watching(api, resume_token=token) as watcher:
            moved = api.deposit("bob", 1).name
            assert [event.resource for event in watcher.wait_for_events(1)] == [moved]


def test_a_server_that_stops_ends_all_watches_at_once_with_the_reason(app: App, settings: Settings) -> None:
    """SERVER_DRAINING, without waiting for its callers; what came before it is whole."""

    with served(app, settings, drain_grace_s=20.0) as target:
        api = Api(target)
        watchers = [Watcher(api.stream(pb.WatchEventsRequest(), timeout_s=None)) for _ in range(5)]
        assert wait_until(lambda: all(watcher.responses for watcher in watchers), timeout_s=30)
        api.open_all("alice")
        for watcher in watchers:
            watcher.wait_for_events(1)
    ends = [watcher.end() for watcher in watchers]
    api.hang_up()

    assert {(end.code, end.reason) for end in ends} == {("UNAVAILABLE", "SERVER_DRAINING")}


def test_a_watcher_that_takes_nothing_keeps_no_place(app: App, settings: Settings, owner: psycopg.Connection) -> None:
    """It is ended once its connection is full; a watcher that reads meanwhile receives every event."""

    with (
        served(app, settings, watchers_max=2, stream_stall_s=0.2) as target,
        Api(target) as api,
        Idle(target) as idle,
    ):
        api.open_all("alice")
        tell_of(owner, "alice", 10_000)
        stuck = idle.stream(pb.WatchEventsRequest(from_start=True), timeout_s=None)
        next(stuck)
        # A busy machine may make a reader seem stuck, too: it continues by itself.
        with WalletClient(target) as client:
            received = [event.number for event in islice(client.watch_events(from_start=True), 10_001)]
        assert wait_until(lambda: is_watching(api), timeout_s=AT_ONCE_S)
        end = idle.stream_error(stuck)

    assert received == list(range(1, 10_002))
    assert (end.code, end.reason) in {("CANCELLED", ""), ("ABORTED", "WATCHER_TOO_SLOW")}


def test_a_watcher_that_reads_too_slowly_is_ended_with_the_reason() -> None:
    """Where it reads on before it is cut off: WATCHER_TOO_SLOW after what it was slow to take."""

    for longest_s, is_slow in ((-1.0, True), (60.0, False)):
        response = pb.WatchEventsResponse(resume_token="x")
        said = Watch(NOTHING, Stream(NOTHING), heartbeat_s=1.0, slow_s=longest_s).sent(response)
        assert next(said) is response
        with pytest.raises(WatcherTooSlow if is_slow else StopIteration):
            next(said)


def test_a_server_that_stops_does_not_wait_for_a_watcher_that_takes_nothing(
    app: App, settings: Settings, owner: psycopg.Connection
) -> None:
    """Not for the time that calls under way are given."""

    with served(app, settings, drain_grace_s=60.0) as target:
        with Api(target) as api:
            api.open_all("alice")
        tell_of(owner, "alice", 10_000)
        idle = Idle(target)
        stuck = idle.stream(pb.WatchEventsRequest(from_start=True), timeout_s=None)
        next(stuck)
        wait_until_published(owner)
        assert not wait_until(lambda: not stuck.is_active(), timeout_s=0.3)
        began_at = monotonic()
    took_s = monotonic() - began_at

    assert idle.stream_error(stuck).code in {"CANCELLED", "UNAVAILABLE"}
    idle.hang_up()
    assert took_s < 30


def test_an_event_of_a_type_that_is_not_known_here_is_passed_over(api: Api, owner: psycopg.Connection) -> None:
    """One that a later version has written: the events after it are sent."""

    api.open_all("alice")
    wait_until_published(owner)
    with watching(api) as watcher:
        tell_of(owner, "alice", 1, "wallet.renamed")
        last = api.deposit("alice", 1)
        assert [event.resource for event in watcher.wait_for_events(1)] == [last.name]


def test_a_defect_ends_watches_with_a_word(app: App, settings: Settings) -> None:
    """INTERNAL, rather than heartbeats for ever; a watcher that begins afterwards receives events as before."""

    class Broken(Reads):
        def journal_after(self, number: int, limit: int) -> list[JournalRecord]:
            if broken.is_set():
                raise RuntimeError("a defect")
            return super().journal_after(number, limit)

    broken = threading.Event()
    with (
        capture_logs() as logged,
        served(replace(app, reads=Broken(app.reads.engine)), settings) as target,
        Api(target) as api,
    ):
        api.open_all("alice")
        with watching(api, from_start=True) as watcher:
            watcher.wait_for_events(1)
            broken.set()
            end = watcher.end()
        broken.clear()
        with watching(api, from_start=True) as watcher:
            watcher.wait_for_events(1)

    assert (end.code, end.reason) == ("INTERNAL", "INTERNAL")
    assert "loop failed" in {entry["event"] for entry in logged}


def test_a_server_that_cannot_listen_leaves_nobody_behind(app: App, settings: Settings, server: str) -> None:
    """No thread that follows the journal for nobody."""

    before = set(threading.enumerate())
    taken = settings.replaced(grpc_port=int(server.rpartition(":")[2]))
    for _ in range(3):
        with pytest.raises(CannotListen), serving(app, taken):
            pass

    def begun() -> set[str]:
        return {thread.name for thread in set(threading.enumerate()) - before}

    # The server that has the port starts threads of its pools when it needs them; timers of the rate limiter end soon.
    assert wait_until(lambda: begun() <= {"grpc_0", "default_0"}, timeout_s=30), begun()


def test_a_watch_ends_where_the_journal_becomes_another_one(api: Api, owner: psycopg.Connection) -> None:
    """As after a failover to a standby that was behind: its token is checked against the new journal."""

    api.open_all("alice")
    wait_until_published(owner)
    with watching(api) as watcher:
        api.deposit("alice", 1)
        (event,) = watcher.wait_for_events(1)
        before = owner.execute("SELECT hash FROM journal WHERE number = %s", [event.number]).fetchone()
        assert before is not None
        with without_triggers(owner):
            owner.execute("UPDATE journal SET hash = sha256(hash) WHERE number = %s", [event.number])
        end = watcher.end()
    assert (end.code, end.reason) == ("UNAVAILABLE", "DATABASE_UNAVAILABLE")
    gone = api.refused(pb.WatchEventsRequest(resume_token=event.resume_token))
    assert gone.reason == "WATCH_CURSOR_EXPIRED"
    with without_triggers(owner):
        owner.execute("UPDATE journal SET hash = %s WHERE number = %s", [*before, event.number])


def test_a_watch_ends_where_the_database_is_lost_and_continues_with_its_token(
    app: App, settings: Settings, cluster: Cluster, owner: psycopg.Connection
) -> None:
    """Rather than be silent as if nothing happened: DATABASE_UNAVAILABLE; then nothing is missing."""

    with served(app, settings) as target, Api(target) as api:
        api.open_all("alice")
        wait_until_published(owner)
        with watching(api) as watcher:
            api.deposit("alice", 1)
            watcher.wait_for_events(1)
            with nobody_let_in(cluster, owner):
                end = watcher.end()
            token = watcher.responses[-1].resume_token
        assert (end.code, end.reason, end.retry_ms is None) == ("UNAVAILABLE", "DATABASE_UNAVAILABLE", False)
        assert wait_until(lambda: api.answer(a_deposit("alice", 2)).code == "OK", timeout_s=30)
        assert wait_until(lambda: api.call("EventService/WatchEvents", b"").code == "OK", timeout_s=30)
        with watching(api, resume_token=token) as watcher:
            assert types_of(watcher.wait_for_events(1)) == ["TRANSACTION_POSTED"]


@contextmanager
def nobody_let_in(cluster: Cluster, owner: psycopg.Connection) -> Iterator[None]:
    """Send everybody but the owner away from the owner's database, and let nobody in for as long as this lasts."""
    allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    name = sql.Identifier(owner.info.dbname)
    with psycopg.connect(cluster.url, autocommit=True) as other:
        other.execute(allow.format(name, sql.SQL("false")))
        try:
            cut_all_others(owner)
            yield
        finally:
            other.execute(allow.format(name, sql.SQL("true")))
