"""The proof of the ledger: started, followed, read."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from wallet_console.forms import Form, change
from wallet_console.web import render, visit_of


async def verify(request: Request) -> Response:
    """Show the last check, with its progress or its report."""
    visit = visit_of(request)
    await visit.client.list_checkpoint_keys()  # who may not audit sees no report of someone who may
    check = visit.console.proof.last
    return await render(request, "verify.html", check=check, running=check is not None and check.ended is None)


async def start(request: Request, form: Form) -> Response:
    """Begin a check."""
    visit = visit_of(request)
    await visit.client.list_checkpoint_keys()
    person = visit.session.person if visit.session is not None else ""
    visit.console.proof.start(visit.client, form.get("request_id", ""), person)
    return RedirectResponse("/verify", 303)


ROUTES: list[BaseRoute] = [Route("/verify", verify, methods=["GET"]), change("/verify", start)]
