"""What every request passes: the session, the language, and the headers that confine a page."""

from collections.abc import Mapping
from http.cookies import SimpleCookie
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wallet_console.service import token_now
from wallet_console.sessions import new_id
from wallet_console.texts import LANGUAGES, preferred, texts
from wallet_console.web import Console, Visit

LANGUAGE = "wallet_console_language"

# Nothing from elsewhere, no script or style inside a page, no frame around it.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_YEAR_S = 31_536_000
# What a browser may read before anyone has signed in.
_OPEN = ("/login", "/static/", "/health")


def session_cookie(console: Console) -> str:
    """Return the name of the session's cookie; with the prefix, no other host can set it."""
    return "__Host-wallet_console" if console.settings.secure else "wallet_console"


def set_cookie(headers: MutableHeaders, name: str, value: str, **attributes: str | int | bool) -> None:
    """Add a cookie that no script can read."""
    cookie: SimpleCookie = SimpleCookie()
    cookie[name] = value
    for key, attribute in {"path": "/", "httponly": True, "samesite": "Strict", **attributes}.items():
        cookie[name][key.replace("_", "-")] = attribute
    headers.append("set-cookie", cookie[name].OutputString())


def _by_itself(request: Request) -> bool:
    """Return whether a page, and not its reader, has sent a request."""
    return "x-live" in request.headers or request.url.path == "/live"


class Guard:
    """Wraps the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        console: Console = request.app.state.console
        visit, cookies = _visit(request, console)
        scope["visit"] = visit

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add_headers(MutableHeaders(scope=message), scope["path"], console, cookies)
            await send(message)

        if not visit.may_read and not scope["path"].startswith(_OPEN):
            url = request.url
            wanted = f"{url.path}?{url.query}".rstrip("?") if request.method == "GET" else "/"
            await RedirectResponse(f"/login?next={quote(wanted, safe='')}", 303)(scope, receive, sent)
            return
        token_now.set(visit.session.token if visit.session is not None else "")
        await self._app(scope, receive, sent)


def _visit(request: Request, console: Console) -> tuple[Visit, dict[str, str]]:
    """Return who asks, in which language, and the cookies to remember both by."""
    cookies = {}
    id_ = request.cookies.get(session_cookie(console), "")
    session = console.sessions.find(id_, used=not _by_itself(request))
    if not id_:
        id_ = cookies[session_cookie(console)] = new_id()
    language = request.query_params.get("language", "")
    if language in LANGUAGES:
        cookies[LANGUAGE] = language
    else:
        language = request.cookies.get(LANGUAGE, "")
    if language not in LANGUAGES:
        language = preferred(request.headers.get("accept-language", ""))
    return Visit(console=console, session_id=id_, session=session, texts=texts(language)), cookies


def _add_headers(headers: MutableHeaders, path: str, console: Console, cookies: Mapping[str, str]) -> None:
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    # Pages are kept nowhere; files are asked for again, and sent only if they have changed.
    headers.setdefault("cache-control", "no-cache" if path.startswith("/static/") else "no-store")
    if console.settings.secure:
        headers["strict-transport-security"] = f"max-age={_YEAR_S}"
    secure: Mapping[str, bool] = {"secure": True} if console.settings.secure else {}
    session = session_cookie(console)
    set_by_page = any(one.startswith(f"{session}=") for one in headers.getlist("set-cookie"))
    if LANGUAGE in cookies:
        set_cookie(headers, LANGUAGE, cookies[LANGUAGE], max_age=_YEAR_S, **secure)
    # Pages alone begin a session: files that a browser reads at the same time would begin others.
    if session in cookies and not set_by_page and not path.startswith(("/static/", "/health")):
        set_cookie(headers, session, cookies[session], **secure)
