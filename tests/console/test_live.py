"""Live pages: one watch for all of them, and each learns of its own subject only."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import httpx

from scheduler.jobs import write_journal
from tests.support.callers import open_funded, usd
from tests.support.console import Visitor, running_console, words
from wallet_client import WalletClient
from wallet_core.usecases.app import App
from wallet_grpc.runtime.metrics import IN_PROGRESS

PAGES = 50
_TRIES = 100
_PAUSE_S = 0.1


@dataclass
class Open:
    """The stream of an open page."""

    lines: AsyncIterator[str]
    seen: list[str] = field(default_factory=list)

    async def read(self) -> None:
        """Take what arrives."""
        async for line in self.lines:
            if line.startswith("event: "):
                self.seen.append(line.removeprefix("event: "))


@asynccontextmanager
async def opened(url: str, subjects: list[str], cookies: Mapping[str, str]) -> AsyncIterator[list[Open]]:
    """Open a page of each subject."""
    limits = httpx.Limits(max_connections=None)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=url, limits=limits, timeout=60, trust_env=False, cookies=dict(cookies))
        )
        pages, tasks = [], []
        for subject in subjects:
            response = await stack.enter_async_context(client.stream("GET", "/live", params={"of": subject}))
            assert response.headers["content-type"].startswith("text/event-stream")
            pages.append(Open(response.aiter_lines()))
            tasks.append(asyncio.create_task(pages[-1].read()))
        try:
            yield pages
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Callable[[], bool], act: Callable[[], object] | None = None) -> None:
    """Act again and again until a condition holds."""
    for _ in range(_TRIES):
        if act is not None:
            await asyncio.to_thread(act)
        await asyncio.sleep(_PAUSE_S)
        if condition():
            return
    raise AssertionError("it did not come to it")


def test_fifty_open_pages_cost_the_service_one_watch(server: str, app: App, client: WalletClient) -> None:
    """Each page that shows what has changed learns of it, and a page of something else does not."""

    open_funded(client, alice=1_000, bob=1_000)
    write_journal.run_once(app)

    def pay() -> None:
        client.deposit("wallets/alice", usd(1))
        write_journal.run_once(app)

    async def story() -> None:
        async with opened(url, ["wallets/alice"] * PAGES + ["wallets/bob"], {}) as pages:
            await until(lambda: IN_PROGRESS._value.get() == 1)  # noqa: SLF001  # the calls that the server is at
            *alices, bobs = pages
            await until(lambda: all("changed" in page.seen for page in alices), pay)
            assert IN_PROGRESS._value.get() == 1  # noqa: SLF001
            assert bobs.seen == ["quiet"]

    with running_console(server) as url:
        asyncio.run(story())


def test_as_many_pages_as_may_update_by_themselves_do(server: str) -> None:
    """One more is answered at once, and stays as it was read."""

    async def story() -> None:
        async with opened(url, [""] * 2, {}), httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(f"{url}/live?of=")).status_code == 503

    with running_console(server, streams_max=2) as url:
        asyncio.run(story())


def test_a_page_polls_what_makes_no_event(server: str) -> None:
    """Ages grow by themselves."""

    async def story() -> None:
        async with opened(url, [""], {}) as (page,):
            await until(lambda: page.seen.count("changed") > 1)
            assert page.seen.count("changed") > 1  # without an event

    with running_console(server, poll_s=0.05) as url:
        asyncio.run(story())


def test_new_events_are_shown_as_they_happen(server: str, app: App, client: WalletClient) -> None:
    """The page of events reads them with its own user's rights, from a place that the watch has passed."""

    open_funded(client, alice=1_000)

    def pay() -> None:
        client.deposit("wallets/alice", usd(1))
        write_journal.run_once(app)

    async def story() -> None:
        async with opened(url, [""], {}) as (page,):
            await until(lambda: page.seen.count("changed") > 1, pay)

    with running_console(server) as url:
        asyncio.run(story())
        visitor = Visitor(url)
        assert "Money moved" in words(visitor.get("/events"))
        visitor.http.close()
