"""Forms: read once, with a limit, and only those that this session's own pages have made."""

from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from wallet_console.web import visit_of

Form = dict[str, str]
Handler = Callable[[Request, Form], Awaitable[Response]]


def change(path: str, handler: Handler) -> Route:
    """Return the route of a form: the only way by which a request changes something."""

    async def handle(request: Request) -> Response:
        return await handler(request, await _read(request))

    return Route(path, handle, methods=["POST"], name=handler.__name__)


async def _read(request: Request) -> Form:
    visit = visit_of(request)
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > visit.console.settings.form_max_bytes:
            raise HTTPException(413, "The form is too large. Nothing was done.")
    try:
        form = dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=200))
    except ValueError:
        raise HTTPException(400, "The form cannot be read. Nothing was done.") from None
    if not visit.console.sessions.is_own_form(visit.session_id, form.pop("csrf", "")):
        raise HTTPException(
            403, "This form belongs to a session that has ended. Nothing was done: open the page again."
        )
    # Browsers send line ends as two characters.
    return {name: value.replace("\r\n", "\n") for name, value in form.items()}
