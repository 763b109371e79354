"""Commission rules on a line of time, and what a transfer would cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from wallet.v1 import commission_service_pb2 as pb

from wallet_client import CallError
from wallet_console import words
from wallet_console.actions import Action, Call, Field, Subject
from wallet_console.formats import NotReadable, now, parse_time
from wallet_console.pages.lists import equal, joined, listed
from wallet_console.web import Visit, render, visit_of

_WIDTH = 1000
_MARGIN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Bar:
    """When a rule is in force, on the line of time."""

    rule: pb.CommissionRule
    x: int
    width: int
    in_force: bool


async def commission(request: Request) -> Response:
    """Show the rules; with amounts and wallets given, a quote."""
    visit, query = visit_of(request), request.query_params
    page = await listed(
        request, pb.ListCommissionRulesRequest(filter=joined(*equal(query, currency="currency_code"))), "rules"
    )
    quote, problem = None, ""
    if query.get("source") and query.get("destination") and query.get("amount"):
        try:
            source = await visit.client.get_wallet(_wallet(query["source"]))
            amount = (await visit.formats()).parse_amount(query["amount"], source.currency_code)
            quote = await visit.client.quote_commission(source.name, _wallet(query["destination"]), amount)
        except NotReadable as wrong:
            problem = visit.texts(str(wrong))
        except CallError as error:
            if error.reason == "CREDENTIALS_INVALID":
                raise
            problem = error.localized or error.message
    bars, today = _bars(page.items)
    return await render(
        request, "commission.html", page=page, bars=bars, today=today, quote=quote, problem=problem, width=_WIDTH
    )


def _wallet(typed: str) -> str:
    return f"wallets/{words.last_part(typed.strip())}"


def _bars(rules: list[pb.CommissionRule]) -> tuple[list[Bar], int]:
    """Return the rules as bars, and where today is."""
    today = now()
    starts = [rule.start_time.ToDatetime(UTC) for rule in rules]
    ends = [rule.end_time.ToDatetime(UTC) if rule.HasField("end_time") else None for rule in rules]
    first = min([*starts, today]) - _MARGIN
    last = max([today + (today - first) / 4, *starts, *(end for end in ends if end)]) + _MARGIN

    def x(moment: datetime) -> int:
        return round(_WIDTH * ((moment - first) / (last - first)))

    bars = [
        Bar(rule, x(start), max(4, x(end or last) - x(start)), start <= today and (end is None or today < end))
        for rule, start, end in zip(rules, starts, ends, strict=True)
    ]
    return bars, x(today)


async def _about(visit: Visit, path: Mapping[str, str]) -> Subject:
    rule = await visit.client.get_commission_rule(f"commissionRules/{path['rule']}")
    t, f = visit.texts, await visit.formats()
    return Subject(
        title=f"{t('Commission rule')} {words.short_id(rule.name)}",
        back="/commission",
        facts=(
            (t("Currency"), rule.currency_code),
            (t("Rate"), f.percent(rule.rate_millionths)),
            (t("Since"), f.time(rule.start_time)),
        ),
        fields=(Field(name="time", label="When, in UTC", kind="time", help="Empty for now."),),
    )


async def _end(call: Call) -> str:
    await call.client.end_commission_rule(
        f"commissionRules/{call.path['rule']}", end_time=parse_time(call.form.get("time", "")), **call.options
    )
    return ""


END = Action(
    path="/commission/{rule}/end",
    title="End this commission rule",
    warning="Transfers after this time no longer pay it. A rule that has ended stays ended.",
    button="End the rule",
    about=_about,
    call=_end,
    danger=True,
)

ROUTES: list[BaseRoute] = [Route("/commission", commission, methods=["GET"]), *END.routes()]
