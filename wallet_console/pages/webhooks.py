"""Webhooks: endpoints, what was sent to them, dead letters, and sending again."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from wallet.v1 import webhook_service_pb2 as pb

from wallet_console import words
from wallet_console.actions import Action, Call, Field, Subject
from wallet_console.formats import NotReadable, parse_time
from wallet_console.pages.lists import equal, joined, listed
from wallet_console.web import Visit, render, visit_of

STATES = ("PENDING", "DELIVERED", "DEAD")


async def webhooks(request: Request) -> Response:
    """Show the webhooks."""
    return await render(request, "webhooks.html", page=await listed(request, pb.ListWebhooksRequest(), "webhooks"))


async def webhook(request: Request) -> Response:
    """Show one webhook and its deliveries."""
    name = f"webhooks/{request.path_params['webhook']}"
    one = await visit_of(request).client.get_webhook(name)
    chosen = joined(*equal(request.query_params, state="state"))
    page = await listed(request, pb.ListDeliveriesRequest(webhook=name, filter=chosen), "deliveries")
    return await render(request, "webhook.html", one=one, page=page, states=STATES)


async def _about(visit: Visit, path: Mapping[str, str]) -> Subject:
    one = await visit.client.get_webhook(f"webhooks/{path['webhook']}")
    t = visit.texts
    return Subject(
        title=one.url,
        back=words.path_of(one.name),
        facts=((t("State"), t(words.of(one, "state").text)), (t("Description"), one.description or "–")),
        fields=(Field(name="etag", label="", kind="hidden", value=one.etag),),
    )


async def _about_dead(visit: Visit, path: Mapping[str, str]) -> Subject:
    subject = await _about(visit, path)
    since = Field(name="since", label="Dead letters since, in UTC", kind="time", required=True)
    return Subject(title=subject.title, back=subject.back, facts=subject.facts, fields=(since,))


async def _about_delivery(visit: Visit, path: Mapping[str, str]) -> Subject:
    subject = await _about(visit, path)
    fact = (visit.texts("Delivery"), path["delivery"])
    return Subject(title=subject.title, back=subject.back, facts=(*subject.facts, fact))


async def _ping(call: Call) -> str:
    await call.client.ping_webhook(f"webhooks/{call.path['webhook']}", **call.options)
    return ""


async def _enable(call: Call) -> str:
    await call.client.update_webhook(
        f"webhooks/{call.path['webhook']}", enabled=True, etag=call.form.get("etag", ""), **call.options
    )
    return ""


async def _disable(call: Call) -> str:
    await call.client.update_webhook(
        f"webhooks/{call.path['webhook']}", enabled=False, etag=call.form.get("etag", ""), **call.options
    )
    return ""


async def _redeliver(call: Call) -> str:
    name = f"webhooks/{call.path['webhook']}"
    await call.client.redeliver_event(name, delivery=f"{name}/deliveries/{call.path['delivery']}", **call.options)
    return ""


async def _redeliver_dead(call: Call) -> str:
    since = parse_time(call.form.get("since", ""))
    if since is None:
        raise NotReadable("Write a time as 2026-01-31T12:00.")
    await call.client.redeliver_event(f"webhooks/{call.path['webhook']}", dead_since=since, **call.options)
    return ""


_AGAIN = "The endpoint gets the same events once more; it must recognize those that it has."

ACTIONS = (
    Action(
        path="/webhooks/{webhook}/ping",
        title="Send a test request",
        warning="The endpoint gets a request without an event.",
        button="Send",
        about=_about,
        call=_ping,
    ),
    Action(
        path="/webhooks/{webhook}/enable",
        title="Enable this webhook",
        warning="Events are sent again, those that have waited, too.",
        button="Enable",
        about=_about,
        call=_enable,
    ),
    Action(
        path="/webhooks/{webhook}/disable",
        title="Disable this webhook",
        warning="Nothing is sent until it is enabled again.",
        button="Disable",
        about=_about,
        call=_disable,
        danger=True,
    ),
    Action(
        path="/webhooks/{webhook}/redeliver",
        title="Send all dead letters again",
        warning=_AGAIN,
        button="Send again",
        about=_about_dead,
        call=_redeliver_dead,
    ),
    Action(
        path="/webhooks/{webhook}/deliveries/{delivery}/redeliver",
        title="Send this event again",
        warning=_AGAIN,
        button="Send again",
        about=_about_delivery,
        call=_redeliver,
    ),
)

ROUTES: list[BaseRoute] = [
    Route("/webhooks", webhooks, methods=["GET"]),
    *(route for action in ACTIONS for route in action.routes()),
    Route("/webhooks/{webhook}", webhook, methods=["GET"]),
]
