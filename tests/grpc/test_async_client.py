"""The client for asyncio: the same calls as the one for threads, many at once on one channel."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from tests.support.callers import usd
from tests.support.issuer import SECRET, by_secret
from wallet_client import (
    AsyncWalletClient,
    CallError,
    CallFailed,
    OutcomeUnknown,
    Tls,
    TransferItem,
    WalletClient,
    item_failed,
    unknown_outcome,
)
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_grpc.security.tokens import DEVELOPMENT_ISSUER
from wallet_grpc.server.process import authentication, credentials
from wallet_grpc.server.serving import serving
from walletctl.commands.development import certs

ALICE, BOB = "wallets/alice", "wallets/bob"
EVER = datetime(2020, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def run(target: str, story: Callable[[AsyncWalletClient], Awaitable[None]]) -> None:
    """Run a coroutine that begins with two wallets, alice's with 1000 in it."""

    async def run() -> None:
        async with AsyncWalletClient(target) as client:
            await client.create_wallet("alice", "USD")
            await client.create_wallet("bob", "USD")
            await client.deposit(ALICE, usd(1000))
            await story(client)

    asyncio.run(run())


async def balance(client: AsyncWalletClient, wallet: str) -> int:
    """Return what a wallet has."""
    return (await client.get_wallet(wallet)).balance.minor_units


async def failed(call: Awaitable[object]) -> CallError:
    """Return the error of a call that fails."""
    with pytest.raises(CallError) as caught:
        await call
    return caught.value


def test_both_clients_have_the_same_calls() -> None:
    """With the same parameters in the same order; what one awaits, the other returns."""

    def parameters(client: type) -> dict[str, list[str]]:
        calls = inspect.getmembers(client, inspect.isfunction)
        return {name: list(inspect.signature(call).parameters) for name, call in calls if not name.startswith("_")}

    assert parameters(AsyncWalletClient) == parameters(WalletClient)
    assert len(parameters(WalletClient)) > 40


def test_many_calls_at_once_are_each_done_once(server: str) -> None:
    """A hundred transfers and their repeats, all under way together."""

    async def story(client: AsyncWalletClient) -> None:
        ids = [str(uuid4()) for _ in range(100)] * 2
        made = await asyncio.gather(*(client.transfer(ALICE, BOB, usd(3), request_id=id_) for id_ in ids))
        assert sorted(one.replayed for one in made) == [False] * 100 + [True] * 100
        assert (await balance(client, ALICE), await balance(client, BOB)) == (700, 300)

    run(server, story)


def test_a_refusal_has_its_reason_and_resource(server: str) -> None:
    """Also of one item of a batch."""

    async def story(client: AsyncWalletClient) -> None:
        error = await failed(client.transfer(BOB, ALICE, usd(1)))
        assert (error.code, error.reason, error.metadata["available"]) == (
            "FAILED_PRECONDITION",
            "INSUFFICIENT_FUNDS",
            "0",
        )
        items = [TransferItem(source=ALICE, destination=to, amount=usd(1)) for to in (BOB, "wallets/nobody")]
        done = await client.batch_transfer(items, atomic=False)
        results = [item_failed(result, item.request_id) for result, item in zip(done.results, items, strict=True)]
        assert [one.reason if one else None for one in results] == [None, "RESOURCE_NOT_FOUND"]

    run(server, story)


def test_a_call_whose_answer_is_late_is_found_out_by_its_id(server: str, owner: psycopg.Connection) -> None:
    """OutcomeUnknown has the id; repeated it was done once."""

    async def story(client: AsyncWalletClient) -> None:
        async with AsyncWalletClient(server, timeout_s=0.2) as hasty:
            with owner.transaction():
                owner.execute("SELECT FROM wallets WHERE id = 'alice' FOR UPDATE")
                error = await failed(hasty.deposit(ALICE, usd(5)))
            assert isinstance(error, OutcomeUnknown)
        await client.deposit(ALICE, usd(5), request_id=error.request_id)
        assert await balance(client, ALICE) == 1005

    run(server, story)


def test_a_call_that_is_cancelled_may_have_been_done(server: str, owner: psycopg.Connection) -> None:
    """So a later refusal under its id leaves the outcome unknown, until it is repeated unchanged."""

    async def story(client: AsyncWalletClient) -> None:
        id_ = str(uuid4())
        with owner.transaction():
            owner.execute("SELECT FROM wallets WHERE id = 'alice' FOR UPDATE")
            with pytest.raises(TimeoutError) as late:
                await asyncio.wait_for(client.deposit(ALICE, usd(5), request_id=id_), 0.3)
            under_way = asyncio.ensure_future(client.deposit(ALICE, usd(6), request_id=str(uuid4())))
            await asyncio.sleep(0.1)
            under_way.cancel()
            with pytest.raises(asyncio.CancelledError) as cancelled:
                await under_way
        left = unknown_outcome(late.value)
        assert left is not None
        assert (left.request_id, left.code) == (id_, "CANCELLED")
        assert unknown_outcome(cancelled.value) is not None
        assert isinstance(await failed(client.deposit(ALICE, usd(-5), request_id=id_)), OutcomeUnknown)
        await client.deposit(ALICE, usd(5), request_id=id_)
        assert await balance(client, ALICE) in {1005, 1011}
        assert type(await failed(client.deposit(ALICE, usd(-5), request_id=id_))) is CallFailed

    run(server, story)


def test_a_call_that_got_no_token_was_not_made(server: str) -> None:
    """Nothing is left open: what is refused later under its id was not done."""

    failing = [OSError("the issuer is away")]

    async def token() -> str:
        if failing:
            raise failing.pop()
        return "any"

    async def run() -> None:
        id_ = str(uuid4())
        async with AsyncWalletClient(server, token=token) as client:
            with pytest.raises(OSError, match="the issuer is away"):
                await client.deposit(ALICE, usd(5), request_id=id_)
            assert type(await failed(client.deposit(ALICE, usd(-5), request_id=id_))) is CallFailed

    asyncio.run(run())


def test_a_client_in_another_event_loop_raises_an_error(server: str) -> None:
    """Any call, at once, and nothing is sent: gRPC's own channel would wait without a limit."""

    async def in_another(client: AsyncWalletClient) -> None:
        uses: list[Awaitable[object]] = [
            client.create_wallet("bob", "USD"),
            client.get_wallet(ALICE),
            anext(client.list_wallets()),
            anext(client.export_statement(ALICE, *EVER)),
            anext(client.watch_events()),
            client.is_serving(),
            client.close(),
        ]
        for use in uses:
            with pytest.raises(RuntimeError, match=r"belongs to the event loop that created it.*Nothing was sent"):
                await asyncio.wait_for(use, 5)

    async def in_its_own() -> None:
        async with AsyncWalletClient(server) as client:
            await client.create_wallet("alice", "USD")
            await asyncio.to_thread(asyncio.run, in_another(client))
            assert [wallet.name async for wallet in client.list_wallets()] == [ALICE]

    asyncio.run(in_its_own())


def test_a_client_that_no_event_loop_runs_for_is_not_made(server: str) -> None:
    """It would belong to one that never runs."""

    with pytest.raises(RuntimeError, match="inside a coroutine"):
        AsyncWalletClient(server)


def test_lists_turn_their_pages_and_streams_come_to_their_end(server: str) -> None:
    """Each is returned once; a caller that leaves early leaves nothing behind."""

    async def story(client: AsyncWalletClient) -> None:
        for _ in range(10):
            await client.transfer(ALICE, BOB, usd(1))
        seen = [one.name async for one in client.list_transactions(ALICE, page_size=3)]
        assert len(seen) == len(set(seen)) == 11
        entries = [entry async for page in client.get_statement(ALICE, *EVER, page_size=4) for entry in page.entries]
        assert [entry.sequence for entry in entries] == list(range(1, 12))
        file = b"".join([piece async for piece in client.export_statement(ALICE, *EVER)])
        assert file.count(b"\n") == 12
        for _ in range(20):  # more than may be open at once
            async with aclosing(client.export_statement(ALICE, *EVER)) as pieces:  # type: ignore[type-var]  # a generator
                await anext(pieces)

    run(server, story)


def test_a_token_is_required_at_every_call_and_certificates_are_checked(
    app: App, settings: Settings, tmp_path: Path
) -> None:
    """As tokens end, and clients continue."""

    certs(tmp_path, None, None)
    changed = {
        "auth_dev_secret": SECRET,
        "tls_certificate": tmp_path / "server.pem",
        "tls_key": tmp_path / "server-key.pem",
    }
    mine = settings.replaced(**changed)
    requests: list[str] = []

    async def token() -> str:
        requests.append("again")
        return by_secret(iss=DEVELOPMENT_ISSUER)

    async def run(target: str) -> None:
        tls = Tls(ca=(tmp_path / "ca.pem").read_bytes())
        async with AsyncWalletClient(target, token=token, tls=tls) as client:
            assert await client.is_serving()
            await client.create_wallet("alice", "USD")
            assert await balance(client, ALICE) == 0
        async with AsyncWalletClient(target, tls=tls) as stranger:
            assert (await failed(stranger.get_wallet(ALICE))).reason == "CREDENTIALS_INVALID"
        async with AsyncWalletClient(target, tls=Tls(), timeout_s=1.0) as trusting:
            assert not await trusting.is_serving()

    with serving(app, mine, authentication(mine), credentials(mine)) as port:
        asyncio.run(run(f"localhost:{port}"))
    assert len(requests) == 2
