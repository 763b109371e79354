"""One hold, and its end."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from wallet_console import words
from wallet_console.actions import Action, Call, Subject
from wallet_console.web import Visit, render, visit_of


async def hold(request: Request) -> Response:
    """Show one hold."""
    one = await visit_of(request).client.get_hold(f"holds/{request.path_params['hold']}")
    return await render(request, "hold.html", one=one)


async def _about(visit: Visit, path: Mapping[str, str]) -> Subject:
    one = await visit.client.get_hold(f"holds/{path['hold']}")
    t, f = visit.texts, await visit.formats()
    return Subject(
        title=f"{t('Hold')} {words.short_id(one.name)}",
        back=words.path_of(one.name),
        facts=(
            (t("Wallet"), words.last_part(one.wallet)),
            (t("Left of it"), f"{f.amount(one.remaining_amount)} {one.amount.currency_code}"),
            (t("State"), t(words.of(one, "state").text)),
        ),
    )


async def _void(call: Call) -> str:
    await call.client.void_hold(f"holds/{call.path['hold']}", **call.options)
    return ""


VOID = Action(
    path="/holds/{hold}/void",
    title="Void this hold",
    warning="What is left of it is available in the wallet again.",
    button="Void",
    about=_about,
    call=_void,
    danger=True,
)

ROUTES: list[BaseRoute] = [*VOID.routes(), Route("/holds/{hold}", hold, methods=["GET"])]
