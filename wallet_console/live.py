"""Live pages: one watch of the service's events for all open pages.

A page is sent only that something of its subject has happened; it then reads itself again, with the rights of its own
user. So the one watch may run with the token of any user, and shows no user more than the user's own token does.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import cast

from wallet.v1.event_service_pb2 import Event

from wallet_client import CallError
from wallet_console.service import Service, token_now
from wallet_console.sessions import Sessions
from wallet_console.settings import ConsoleSettings
from wallet_console.texts import ENGLISH

log = logging.getLogger(__name__)

_RETRY_S = 2.0
_PLACES = 101
# How long the watch lasts without a page, so that going from one page to the next does not end it.
_LINGER_S = 5.0

CHANGED, QUIET = "changed", "quiet"


@dataclass(eq=False, slots=True)
class Page:
    """An open page, and what it shows."""

    subject: str
    """A resource name, a collection such as ``withdrawals``, or empty for everything."""
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def shows(self, event: Event) -> bool:
        """Return whether an event may change the page."""
        return (
            not self.subject
            or self.subject in (event.resource, event.resource.partition("/")[0])
            or self.subject in event.wallets
            or (self.subject == "wallets" and bool(event.wallets))
        )


class TooManyPages(Exception):
    """As many pages as may update by themselves do."""


class Hub:
    """The watch, and the pages that it wakes."""

    def __init__(self, settings: ConsoleSettings, service: Service, sessions: Sessions) -> None:
        self._settings, self._service, self._sessions = settings, service, sessions
        self._pages: set[Page] = set()
        self._wanted = asyncio.Event()
        self.watching = False
        """Whether events come in."""
        self.places: deque[str] = deque(maxlen=_PLACES)
        """The resume tokens of the newest events: places, from which a page reads with its user's own rights."""

    async def run(self) -> None:
        """Watch until cancelled, while a page is open: one that is not looked at costs the service nothing."""
        while True:
            await self._wanted.wait()
            watching = asyncio.create_task(self._keep_watching())
            try:
                while self._wanted.is_set():  # noqa: ASYNC110  # looked at from time to time: the watch lingers
                    await asyncio.sleep(_LINGER_S)
            finally:
                watching.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watching

    async def _keep_watching(self) -> None:
        """Watch with the token of a user who may; begin again where that ends."""
        while True:
            try:
                for id_, token in self._tokens():
                    await self._watch(id_, token)
            except Exception:  # a defect here must not end the updates of all pages
                log.exception("the watch of events failed")
            finally:
                self.watching = False
            await asyncio.sleep(_RETRY_S)

    def _tokens(self) -> list[tuple[str, str]]:
        if self._settings.login == "none":
            return [("", "")]
        return [(id_, session.token) for id_, session in self._sessions.alive()]

    async def _watch(self, session_id: str, token: str) -> None:
        """Watch with one token, for as long as its session lasts."""
        token_now.set(token)
        client = self._service.client(ENGLISH)
        with contextlib.suppress(CallError):  # this user may not watch, or no server is there: pages poll
            watch = cast("AsyncGenerator[Event, None]", client.watch_events())
            async with aclosing(watch) as events:
                self.watching = True
                async for event in events:
                    if token and all(id_ != session_id for id_, _ in self._tokens()):
                        return
                    self.places.append(event.resume_token)
                    for page in self._pages:
                        if page.shows(event):
                            page.woken.set()

    async def updates(self, subject: str) -> AsyncIterator[str]:
        """Yield each time that a page must read itself again, and what else keeps its stream open.

        Raises ``TooManyPages``.
        """
        if len(self._pages) >= self._settings.streams_max:
            raise TooManyPages
        page = Page(subject)
        self._pages.add(page)
        self._wanted.set()
        try:
            yield QUIET
            while True:
                try:
                    await asyncio.wait_for(page.woken.wait(), self._settings.poll_s)
                except TimeoutError:
                    yield CHANGED  # what has no events, such as ages
                    continue
                page.woken.clear()
                yield CHANGED
                await asyncio.sleep(self._settings.update_s)
        finally:
            self._pages.discard(page)
            if not self._pages:
                self._wanted.clear()
