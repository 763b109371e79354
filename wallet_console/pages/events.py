"""The journal's events, as the user may see them: from now on, or from a place."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from wallet.v1.event_service_pb2 import Event

from wallet_console import words
from wallet_console.web import Visit, render, visit_of

TYPES = tuple(Event.Type.keys())[1:]  # the first is never sent
_PREFIX = "TYPE_"
_PAGE = 100
_SILENCE_S = 0.4


async def events(request: Request) -> Response:
    """Show a page of events: after a place, from the start, or, without either, the newest."""
    visit, query = visit_of(request), request.query_params
    wallet = query.get("wallet", "").strip()
    place, from_start = query.get("after", "").strip(), query.get("from") == "start"
    if not place and not from_start:
        places = visit.console.hub.places
        place = places[0] if places else ""
    chosen = [one for one in query.getlist("type") if one in TYPES]
    found = await _read(
        visit,
        wallet=wallet if not wallet or wallet.startswith("wallets/") else f"wallets/{wallet}",
        types=[Event.Type.Value(one) for one in chosen],
        resume_token=place,
        from_start=from_start and not place,
    )
    types = [(one, words.word(one.removeprefix(_PREFIX)).text) for one in TYPES]
    return await render(request, "events.html", events=found, types=types, chosen=chosen, is_full=len(found) == _PAGE)


async def _read(
    visit: Visit, *, wallet: str, types: list[Event.Type.ValueType], resume_token: str, from_start: bool
) -> list[Event]:
    """Watch for as long as events come at once: a page of what is there."""
    found: list[Event] = []
    if not (resume_token or from_start):
        return found
    watch = visit.client.watch_events(wallet=wallet, types=types, resume_token=resume_token, from_start=from_start)
    async with aclosing(cast("AsyncGenerator[Event, None]", watch)) as stream:
        while len(found) < _PAGE:
            try:
                found.append(await asyncio.wait_for(anext(stream), _SILENCE_S))
            except (TimeoutError, StopAsyncIteration):
                break
    return found


ROUTES: list[BaseRoute] = [Route("/events", events, methods=["GET"])]
