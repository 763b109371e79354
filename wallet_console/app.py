"""The application: its pages, and what lives as long as it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from wallet_client import CallError
from wallet_console import login
from wallet_console.formats import NotReadable
from wallet_console.guard import Guard
from wallet_console.live import Hub
from wallet_console.oidc import Provider
from wallet_console.pages import (
    attention,
    commission,
    events,
    holds,
    orders,
    overview,
    reconciliation,
    search,
    streams,
    transactions,
    verify,
    wallets,
    webhooks,
)
from wallet_console.proof import Proof
from wallet_console.service import open_service
from wallet_console.sessions import Sessions
from wallet_console.settings import ConsoleSettings
from wallet_console.web import Console, bare, failed, render, visit_of

PAGES = (
    overview,
    wallets,
    transactions,
    holds,
    orders,
    attention,
    commission,
    events,
    webhooks,
    reconciliation,
    verify,
    search,
    streams,
    login,
)

_DEFECT = "The console has failed. A change that you had confirmed may have been done: open its page to see."


def application(settings: ConsoleSettings) -> Starlette:
    """Return the console with these settings."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with open_service(settings) as service:
            sessions = Sessions(settings)
            hub, proof = Hub(settings, service, sessions), Proof()
            app.state.console = Console(
                settings=settings,
                sessions=sessions,
                service=service,
                hub=hub,
                proof=proof,
                provider=Provider(settings) if settings.login == "oidc" else None,
            )
            watching = asyncio.create_task(hub.run())
            try:
                yield
            finally:
                watching.cancel()
                with suppress(asyncio.CancelledError):
                    await watching
                await proof.stop()

    routes: list[BaseRoute] = [
        Mount("/static", StaticFiles(packages=[("wallet_console", "static")]), name="static"),
        Route("/health", _health, methods=["GET"]),
        *(route for page in PAGES for route in page.ROUTES),
    ]
    return Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(settings.hosts)), Middleware(Guard)],
        exception_handlers={
            CallError: _call_failed,
            HTTPException: _refused,
            NotReadable: _not_readable,
            Exception: _defect,
        },
    )


async def _health(request: Request) -> Response:
    """Return whether the console answers; it says nothing of the service."""
    del request
    return PlainTextResponse("ok")


async def _call_failed(request: Request, error: Exception) -> Response:
    """Show a call that failed; where the token is no longer accepted, sign in again."""
    visit = visit_of(request)
    if isinstance(error, CallError) and error.reason == "CREDENTIALS_INVALID" and visit.session is not None:
        visit.console.sessions.end(visit.session_id)
        return RedirectResponse("/login", 303)
    return await failed(request, cast("CallError", error))


async def _refused(request: Request, error: Exception) -> Response:
    """Show what the console itself has refused."""
    refused = cast("HTTPException", error)
    if "visit" not in request.scope:
        return PlainTextResponse(refused.detail, refused.status_code)
    return await render(request, "refused.html", status=refused.status_code, detail=refused.detail)


async def _not_readable(request: Request, error: Exception) -> Response:
    """Show what an address has that cannot be read."""
    return await render(request, "refused.html", status=400, detail=str(error))


async def _defect(request: Request, error: Exception) -> Response:
    """Show that the console has failed; what it is goes to the log, and not to the reader."""
    del error
    return await bare(request, _DEFECT)
