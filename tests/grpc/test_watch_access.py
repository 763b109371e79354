"""What watchers may read, and how their watches end with their rights or their client."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any

import psycopg
import pytest
from wallet.v1 import event_service_pb2 as pb

from tests.support.api import Api
from tests.support.books import open_wallet
from tests.support.issuer import Issuer, bearer, ending_in
from tests.support.watching import served, tell_of, wait_until_published, watching, writing_journal
from wallet_client import AsyncWalletClient, WalletClient
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_grpc.security.access import Scope
from wallet_grpc.server.process import authentication
from wallet_grpc.server.serving import serving
from walletctl.local.waiting import wait_until

AT_ONCE_S = 8.0

# A server keeps the end of the journal at hand.
pytestmark = pytest.mark.own_app


def test_confined_watchers_get_events_of_their_owners_wallets_only(
    app: App, guarded: Settings, issuer: Issuer, owner: psycopg.Connection
) -> None:
    """S9 for events: neither another's events nor the names of others' wallets; the service's own to operators only."""

    def caller(scope: str = " ".join(Scope), **claims: Any) -> Api:  # noqa: ANN401  # any claim
        return Api(target, metadata=bearer(issuer.token(scope, **claims)))

    with (
        writing_journal(app),
        serving(app, guarded, authentication(guarded)) as port,
    ):
        target = f"127.0.0.1:{port}"
        with (
            caller() as all_,
            caller(owner="anna") as anna,
            caller(" ".join(set(Scope) - {Scope.OPERATIONS})) as plain,
            caller(" ".join(set(Scope) - {Scope.EVENTS_READ})) as deaf,
        ):
            for who in ("anna", "bert"):
                all_.open(f"{who}s", owner=who)
            wait_until_published(owner)
            with watching(anna) as of_anna, watching(plain) as of_plain, watching(all_) as of_all:
                all_.deposit("annas", 100)
                all_.deposit("berts", 100)
                moved = all_.transfer("annas", "berts", 1).name
                received = [of_anna.wait_for_events(2), of_plain.wait_for_events(3), of_all.wait_for_events(3)]
            refusals = [
                anna.refused(pb.WatchEventsRequest(wallet=f"wallets/{name}"))
                for name in ("berts", "nobody", "system:external:USD")
            ]
            unheard = deaf.refused(pb.WatchEventsRequest())
            hidden = plain.refused(pb.WatchEventsRequest(wallet="wallets/system:external:USD"))

    assert [list(event.wallets) for event in received[0]] == [["wallets/annas"]] * 2
    assert [[bool(event.number) for event in one] for one in received] == [[False] * 2, [True] * 3, [True] * 3]
    assert received[0][1].resource == moved
    assert [list(event.wallets) for event in received[1]] == [
        ["wallets/annas"],
        ["wallets/berts"],
        ["wallets/annas", "wallets/berts"],
    ]
    assert list(received[2][0].wallets) == ["wallets/system:external:USD", "wallets/annas"]
    assert [answer.metadata["permission"] for answer in refusals] == ["owner", "owner", "operations"]
    assert unheard.metadata == {"permission": "events.read"}
    assert hidden.metadata == {"permission": "operations"}


def test_a_confined_watcher_does_not_learn_how_much_happens_to_others(
    app: App, guarded: Settings, issuer: Issuer, owner: psycopg.Connection
) -> None:
    """Neither by the number of heartbeats nor by a token; it continues from each and misses none."""

    every_s = 0.5
    often = guarded.replaced(watch_heartbeat_s=every_s)
    with writing_journal(app), serving(app, often, authentication(often)) as port:
        target = f"127.0.0.1:{port}"
        with (
            Api(target, metadata=bearer(issuer.token(" ".join(Scope)))) as all_,
            Api(target, metadata=bearer(issuer.token(" ".join(Scope), owner="anna"))) as anna,
        ):
            for who in ("anna", "bert"):
                all_.open(f"{who}s", owner=who)
            wait_until_published(owner)
            with watching(anna) as quiet:
                assert wait_until(lambda: len(quiet.responses) > 3, timeout_s=30)
            began_at = monotonic()
            with watching(anna) as of_anna, watching(all_, wallet="wallets/berts") as of_bert:
                for _ in range(20):
                    all_.deposit("berts", 1)
                of_bert.wait_for_events(20)
                already = len(of_anna.responses)
                assert wait_until(lambda: len(of_anna.responses) > already + 2, timeout_s=30)
                beats, took_s = len(of_anna.responses), monotonic() - began_at
                assert of_anna.events == []
            moved = [all_.deposit("annas", 1).name for _ in range(2)]
            received = []
            for token in [event.resume_token for event in of_anna.responses]:
                with watching(anna, resume_token=token) as again:
                    received.append(again.wait_for_events(2))

    tokens = [event.resume_token for watcher in (quiet, of_anna) for event in watcher.responses]
    assert len(set(tokens)) == len(tokens)
    assert len(set(map(len, tokens))) == 1
    assert beats <= took_s / every_s + 2
    assert all([event.resource for event in events] == moved for events in received)
    assert len({tuple(event.resume_token for event in events) for events in received}) == 1


def test_a_watch_ends_with_the_token_that_it_was_begun_with(
    app: App, guarded: Settings, issuer: Issuer, owner: psycopg.Connection
) -> None:
    """CREDENTIALS_INVALID at the next response; our client continues if a function gives it the next token."""

    strict = guarded.replaced(auth_leeway_s=0.0, watch_heartbeat_s=0.2)
    tokens = [issuer.token("events.read", exp=ending_in(1)), issuer.token("events.read")]
    given: list[str] = []

    def next_token() -> str:
        given.append(tokens[min(len(given), 1)])
        return given[-1]

    with writing_journal(app), serving(app, strict, authentication(strict)) as port:
        open_wallet(app, "alice")
        wait_until_published(owner)
        target = f"127.0.0.1:{port}"
        with Api(target, metadata=bearer(tokens[0])) as api, watching(api) as watcher:
            end = watcher.end()
        assert (end.code, end.reason) == ("UNAUTHENTICATED", "CREDENTIALS_INVALID")
        tokens[0] = issuer.token("events.read", exp=ending_in(4))
        with WalletClient(target, token=next_token) as client, ThreadPoolExecutor(1) as pool:
            first = pool.submit(next, client.watch_events())
            assert wait_until(lambda: len(given) > 1, timeout_s=30)
            tell_of(owner, "alice", 1)
            assert first.result(15).resource == "wallets/alice"


def test_closing_a_client_ends_its_watches(app: App, settings: Settings) -> None:
    """Quietly, from whatever thread or task it is closed, while it waits for events and between two streams."""

    with served(app, settings) as target:
        with WalletClient(target) as client, ThreadPoolExecutor(1) as pool:
            rest = pool.submit(list, client.watch_events())
            assert wait_until(lambda: not rest.done(), timeout_s=30)
            client.close()
            assert rest.result(AT_ONCE_S) == []
        assert asyncio.run(closed_while_watching(target)) == []
    with WalletClient(target) as client, ThreadPoolExecutor(1) as pool:
        nobody = pool.submit(list, client.watch_events())
        client.close()
        assert nobody.result(AT_ONCE_S) == []


async def closed_while_watching(target: str) -> list[pb.Event]:
    """Return the events of a watch by asyncio until its client is closed under it."""

    async def received(client: AsyncWalletClient) -> list[pb.Event]:
        return [event async for event in client.watch_events()]

    async with AsyncWalletClient(target) as client:
        watch = asyncio.create_task(received(client))
        await asyncio.sleep(0.3)  # until it is under way, or not yet: it ends quietly in both cases
        await client.close()
        return await asyncio.wait_for(watch, 10)
