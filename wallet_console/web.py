"""What every page shares: who is signed in, in which language, and how a page is made from a template."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from wallet_client import AsyncWalletClient, CallError, new_request_id
from wallet_console import charts, words
from wallet_console.formats import Formats, now
from wallet_console.service import Service
from wallet_console.sessions import Session, Sessions
from wallet_console.settings import ConsoleSettings
from wallet_console.texts import LANGUAGES, Texts

if TYPE_CHECKING:
    from wallet_console.live import Hub
    from wallet_console.oidc import Provider
    from wallet_console.proof import Proof

# What a page answers where a call was refused.
_STATUS = {
    "NOT_FOUND": 404,
    "PERMISSION_DENIED": 403,
    "INVALID_ARGUMENT": 400,
    "RESOURCE_EXHAUSTED": 503,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_OTHER_STATUS = 500


@dataclass(slots=True, kw_only=True)
class Console:
    """What lives as long as the process."""

    settings: ConsoleSettings
    sessions: Sessions
    service: Service
    hub: "Hub"
    proof: "Proof"
    provider: "Provider | None"


@dataclass(slots=True, kw_only=True)
class Visit:
    """One request: by whom, in which language."""

    console: Console
    session_id: str
    session: Session | None
    texts: Texts

    @property
    def client(self) -> AsyncWalletClient:
        """The service, with the rights of the user."""
        return self.console.service.client(self.texts.language)

    @property
    def csrf(self) -> str:
        """What the forms of this session have."""
        return self.console.sessions.csrf(self.session_id)

    @property
    def may_read(self) -> bool:
        """Whether someone is signed in, where that is needed."""
        return self.session is not None or self.console.settings.login == "none"

    async def formats(self) -> Formats:
        """Return what writes amounts and times."""
        exponents = await self.console.service.exponents(self.texts.language) if self.may_read else {}
        return Formats(self.texts, exponents)


def visit_of(request: Request) -> Visit:
    """Return the visit that a request is."""
    visit: Visit = request.scope["visit"]
    return visit


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("wallet_console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"words": words, "charts": charts, "languages": LANGUAGES, "new_request_id": new_request_id}
    made.filters |= {"id": words.short_id, "path": words.path_of, "last": words.last_part}
    made.tests["failed"] = lambda value: isinstance(value, CallError)
    return made


_TEMPLATES = _environment()


async def render(request: Request, template: str, *, status: int = 200, **values: Any) -> Response:  # noqa: ANN401  # a template's
    """Return a page."""
    visit = visit_of(request)
    return HTMLResponse(
        _TEMPLATES.get_template(template).render(
            t=visit.texts,
            f=await visit.formats(),
            visit=visit,
            here=request.url.path,
            query=dict(request.query_params),
            with_query=lambda **changes: with_query(request, changes),
            now=now(),
            **values,
        ),
        status_code=status,
    )


def with_query(request: Request, changes: Mapping[str, str]) -> str:
    """Return the address of this page with other parameters."""
    query = request.url.include_query_params(**changes).query
    return f"{request.url.path}?{query}"


async def failed(request: Request, error: CallError) -> Response:
    """Return the page of a call that failed."""
    status = _STATUS.get(error.code, _OTHER_STATUS)
    visit = visit_of(request)
    try:
        await visit.formats()
    except CallError:
        return await bare(request, error.localized or error.message, status=status)
    return await render(request, "failed.html", status=status, error=error)


async def bare(request: Request, text: str, *, status: int = _OTHER_STATUS) -> Response:
    """Return a page that needs nothing of the service."""
    t = visit_of(request).texts
    return HTMLResponse(_TEMPLATES.get_template("bare.html").render(t=t, text=t(text)), status_code=status)
