"""The first page: is the money safe, what is under way, what needs a person."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from wallet.v1 import operations_service_pb2 as operations

from wallet_console.service import attempt
from wallet_console.web import render, visit_of

_ATTENTION = 5


async def overview(request: Request) -> Response:
    """Show the overview."""
    visit = visit_of(request)
    figures, attention, info = await asyncio.gather(
        attempt(visit.client.get_figures()),
        attempt(visit.client.read_page(operations.ListAttentionRequest(page_size=_ATTENTION))),
        attempt(visit.client.get_service_info()),
    )
    return await render(
        request,
        "overview.html",
        figures=figures,
        attention=attention,
        info=info,
        check=visit.console.proof.last,
        live=visit.console.hub.watching,
    )


ROUTES: list[BaseRoute] = [Route("/", overview, methods=["GET"])]
