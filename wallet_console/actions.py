"""Changes, each in two steps: a form with a request id, and a confirmation of what the service says it would do.

The request id is made with the form and stays the same until the service has answered: a double click, a reload and
"ask again" after an unknown outcome do nothing twice.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from wallet_client import AsyncWalletClient, CallError, OutcomeUnknown, new_request_id
from wallet_console.formats import Formats, NotReadable
from wallet_console.forms import Form, change
from wallet_console.web import Visit, render, visit_of

Options = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of a form."""

    name: str
    label: str
    kind: str = "text"
    """``text``, ``long``, ``amount``, ``time``, ``choice`` or ``yes``."""
    help: str = ""
    required: bool = False
    options: Options = ()
    value: str = ""
    """What it begins with."""
    longest: int = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What an action is about, read anew for each step."""

    title: str
    """The resource, as people call it."""
    back: str
    """The page to go back to."""
    facts: tuple[tuple[str, str], ...] = ()
    """What to know before deciding: labels and values."""
    fields: tuple[Field, ...] = ()
    """The fields of the form."""
    currency: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of an action."""

    client: AsyncWalletClient
    formats: Formats
    subject: Subject
    path: Mapping[str, str]
    form: Form
    request_id: str
    validate_only: bool

    @property
    def options(self) -> dict[str, Any]:
        """What every change is called with."""
        return {"request_id": self.request_id, "validate_only": self.validate_only}


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Something that a user can do."""

    path: str
    title: str
    warning: str
    """What follows from it, for the confirmation."""
    button: str
    about: Callable[[Visit, Mapping[str, str]], Awaitable[Subject]]
    call: Callable[[Call], Awaitable[str]]
    """Makes the call; returns the page to go to, empty for the subject's own."""
    danger: bool = False

    def routes(self) -> list[Route]:
        """Return the routes of the form and of what it sends."""

        async def show(request: Request) -> Response:
            subject = await self.about(visit_of(request), request.path_params)
            values = {one.name: request.query_params.get(one.name, one.value) for one in subject.fields}
            return await _Step(self, request, subject, values, new_request_id()).form()

        async def take(request: Request, form: Form) -> Response:
            request_id = form.pop("request_id", "")
            step = form.pop("step", "")
            subject = await self.about(visit_of(request), request.path_params)
            return await _Step(self, request, subject, form, request_id).answer(step)

        name = self.path.strip("/").replace("/", "_")
        show.__name__, take.__name__ = f"show_{name}", f"take_{name}"
        return [Route(self.path, show, methods=["GET"]), change(self.path, take)]


@dataclass(frozen=True, slots=True)
class _Step:
    """A step of an action."""

    action: Action
    request: Request
    subject: Subject
    values: Form
    request_id: str
    problem: dict[str, Any] = field(default_factory=dict)

    async def answer(self, step: str) -> Response:
        """Check what was sent, or do it once it was confirmed."""
        if step == "edit":
            return await self.form()
        confirmed = step == "confirmed"
        call = Call(
            client=visit_of(self.request).client,
            formats=await visit_of(self.request).formats(),
            subject=self.subject,
            path=self.request.path_params,
            form=self.values,
            request_id=self.request_id,
            validate_only=not confirmed,
        )
        try:
            page = await self.action.call(call)
        except NotReadable as wrong:
            return await self.form(status=400, problem=str(wrong))
        except OutcomeUnknown as unknown:
            return await self._render("unknown", 504, error=unknown)
        except CallError as error:
            if error.reason == "CREDENTIALS_INVALID":
                raise
            # What is refused stays refused under its request id: the corrected form is another request.
            fresh = _Step(self.action, self.request, self.subject, self.values, new_request_id())
            return await fresh.form(status=409, error=error)
        if not confirmed:
            return await self._render("confirm", 200)
        return RedirectResponse(page or f"{self.subject.back}?done=1", 303)

    async def form(self, *, status: int = 200, **problem: Any) -> Response:  # noqa: ANN401  # a template's values
        """Show the form."""
        return await self._render("form", status, **problem)

    async def _render(self, state: str, status: int, **problem: Any) -> Response:  # noqa: ANN401  # a template's values
        return await render(
            self.request,
            "action.html",
            status=status,
            action=self.action,
            subject=self.subject,
            values=self.values,
            request_id=self.request_id,
            state=state,
            error=problem.get("error"),
            problem=problem.get("problem"),
        )
