"""Signing in and out."""

from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from wallet_client import CallError
from wallet_console.forms import Form, change
from wallet_console.guard import session_cookie, set_cookie
from wallet_console.oidc import Refused
from wallet_console.service import token_now
from wallet_console.sessions import new_id
from wallet_console.web import render, visit_of

_ATTEMPT = "wallet_console_login"
_ATTEMPT_S = 600


async def show(request: Request) -> Response:
    """Show how to sign in."""
    return await render(request, "login.html", wrong=None, next=own_path(request.query_params.get("next", "/")))


async def sign_in(request: Request, form: Form) -> Response:
    """Sign in with a token, if the service accepts it; or go to the provider."""
    visit = visit_of(request)
    wanted = own_path(form.get("next", "/"))
    provider = visit.console.provider
    if provider is not None:
        try:
            address, attempt = await provider.begin(wanted)
        except Refused as refused:
            return await render(request, "login.html", status=502, wrong=visit.texts(refused.text), next=wanted)
        response = RedirectResponse(address, 303)
        # Lax, because the way back begins at the provider; it opens nothing but this one attempt.
        _add(response.headers, visit.console.settings.secure, _ATTEMPT, attempt, samesite="Lax", max_age=_ATTEMPT_S)
        return response
    if visit.console.settings.login != "token":
        raise HTTPException(404)
    token = form.get("token", "").strip()
    try:
        await _begin(request, token)
    except CallError as error:
        return await render(request, "login.html", status=401, wrong=error.localized or error.message, next=wanted)
    response = RedirectResponse(wanted, 303)
    _start_session(request, response, token)
    return response


async def back(request: Request) -> Response:
    """Take the code that the provider has sent the browser back with."""
    visit = visit_of(request)
    provider = visit.console.provider
    if provider is None:
        raise HTTPException(404)
    try:
        token, wanted = await provider.end(request.cookies.get(_ATTEMPT, ""), dict(request.query_params))
        await _begin(request, token)
    except Refused as refused:
        return await render(request, "login.html", status=401, wrong=visit.texts(refused.text), next="/")
    except CallError as error:
        return await render(request, "login.html", status=401, wrong=error.localized or error.message, next="/")
    # A page and no redirect: a browser sends a strict cookie only on a way that began here.
    response = await render(request, "signed_in.html", next=wanted)
    _start_session(request, response, token)
    _add(response.headers, visit.console.settings.secure, _ATTEMPT, "", samesite="Lax", max_age=0)
    return response


async def sign_out(request: Request, form: Form) -> Response:
    """End the session."""
    del form
    visit = visit_of(request)
    visit.console.sessions.end(visit.session_id)
    response = RedirectResponse("/login", 303)
    _add(response.headers, visit.console.settings.secure, session_cookie(visit.console), new_id())
    return response


def own_path(wanted: str) -> str:
    """Return a path of this console, whatever was asked for."""
    parts = urlsplit(wanted)
    is_own = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and not parts.netloc
    return wanted if is_own and wanted.isprintable() else "/"


async def _begin(request: Request, token: str) -> None:
    """Ask the service whether it accepts a token; raise ``CallError`` where it does not."""
    token_now.set(token)
    await visit_of(request).client.get_service_info()


def _start_session(request: Request, response: Response, token: str) -> None:
    """Begin a session under a new id, so that nobody knows it from before."""
    console = visit_of(request).console
    console.sessions.end(visit_of(request).session_id)
    _add(response.headers, console.settings.secure, session_cookie(console), console.sessions.begin(token))


def _add(headers: MutableHeaders, secure: bool, name: str, value: str, **attributes: str | int | bool) -> None:  # noqa: FBT001  # of the settings
    set_cookie(headers, name, value, **({"secure": True} if secure else {}), **attributes)


ROUTES: list[BaseRoute] = [
    Route("/login", show, methods=["GET"]),
    change("/login", sign_in),
    Route("/login/back", back, methods=["GET"]),
    change("/logout", sign_out),
]
