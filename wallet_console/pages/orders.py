"""Payment orders: payouts and collections by state, the timeline of one, and what can be done with it."""

import asyncio
from collections.abc import Mapping
from typing import Any

from google.protobuf.message import Message
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from wallet.v1 import schedule_service_pb2 as pb

from wallet_console import words
from wallet_console.actions import Action, Call, Field, Subject
from wallet_console.formats import NotReadable, parse_time
from wallet_console.pages.lists import amounts, between, equal, joined, listed
from wallet_console.pages.timeline import timeline
from wallet_console.service import attempt
from wallet_console.web import Visit, render, visit_of

_CARDS = 8
PAYOUTS, COLLECTIONS = "payouts", "collections"
# The columns of the board, in the order of an order's life.
_STATES = {
    PAYOUTS: ("SCHEDULED", "PROCESSING", "IN_DOUBT", "SUCCEEDED", "FAILED", "RETURNED", "CANCELLED"),
    COLLECTIONS: ("SCHEDULED", "PROCESSING", "IN_DOUBT", "SUCCEEDED", "FAILED", "CANCELLED"),
}
_REQUESTS: Mapping[str, Any] = {PAYOUTS: pb.ListWithdrawalsRequest, COLLECTIONS: pb.ListScheduledDepositsRequest}
_ITEMS = {PAYOUTS: "withdrawals", COLLECTIONS: "scheduled_deposits"}
_DECISIONS = frozenset(pb.ResolutionKind.keys())
_RESOURCES = {PAYOUTS: "withdrawals", COLLECTIONS: "scheduledDeposits"}


async def board(request: Request) -> Response:
    """Show the newest orders of each state; with a filter, those that match."""
    visit, kind = visit_of(request), request.url.path.strip("/")
    query, problem = request.query_params, ""
    if query.get("state") in _STATES[kind] or any(
        query.get(one) for one in ("from", "until", "least", "most", "caller")
    ):
        chosen = equal(query, caller="caller", reference="external_reference", state="state")
        try:
            chosen += [*between(query, "execute_time"), *amounts(query, await visit.formats())]
        except NotReadable as wrong:
            problem = str(wrong)
        page = await listed(request, _REQUESTS[kind](filter=joined(*chosen)), _ITEMS[kind])
        return await render(
            request, "orders.html", kind=kind, states=_STATES[kind], page=page, columns=None, problem=problem
        )
    answers = await asyncio.gather(
        *(
            attempt(visit.client.read_page(_REQUESTS[kind](filter=f"state = {state}", page_size=_CARDS)))
            for state in _STATES[kind]
        )
    )
    columns = [
        (state, answer if not hasattr(answer, "DESCRIPTOR") else list(getattr(answer, _ITEMS[kind])), answer)
        for state, answer in zip(_STATES[kind], answers, strict=True)
    ]
    return await render(
        request,
        "orders.html",
        kind=kind,
        states=_STATES[kind],
        page=None,
        columns=columns,
        problem=problem,
        subject=_RESOURCES[kind],
    )


async def _order(visit: Visit, kind: str, id_: str) -> Any:  # noqa: ANN401  # either kind of order
    if kind == PAYOUTS:
        return await visit.client.get_withdrawal(f"withdrawals/{id_}")
    return await visit.client.get_scheduled_deposit(f"scheduledDeposits/{id_}")


async def order(request: Request) -> Response:
    """Show one payment order, and all that has happened to it."""
    kind = request.url.path.strip("/").partition("/")[0]
    one = await _order(visit_of(request), kind, request.path_params["order"])
    return await render(request, "order.html", kind=kind, one=one, steps=timeline(one), choices=_choices(one))


def _choices(one: Message) -> tuple[str, ...]:
    """Return the decisions that fit an order's state, the likely ones first; the service has the last word."""
    state = words.value_name(one, "state")
    if state in {"PROCESSING", "IN_DOUBT"}:
        return ("EXECUTED", "NOT_EXECUTED")
    if getattr(one, "attention", ""):
        return ("APPLIED_TO_WALLET", "ACKNOWLEDGED")
    return ()


def _about(kind: str, *, resolves: bool) -> Any:  # noqa: ANN401  # of Action.about
    async def about(visit: Visit, path: Mapping[str, str]) -> Subject:
        one = await _order(visit, kind, path["order"])
        t, f = visit.texts, await visit.formats()
        facts = [
            (t("State"), t(words.of(one, "state").text)),
            (t("Amount"), f"{f.amount(one.amount)} {one.amount.currency_code}"),
            (t("Wallet"), words.last_part(one.wallet)),
        ]
        if one.bank_attempts:
            facts.append((t("Key at the bank"), one.bank_attempts[0].key))
        if one.attention:
            facts.append((t("Why it is here"), one.attention))
        title = t("Payout") if kind == PAYOUTS else t("Collection")
        return Subject(
            title=f"{title} {words.short_id(one.name)}",
            back=words.path_of(one.name),
            facts=tuple(facts),
            fields=_resolution_fields(_choices(one)) if resolves else (),
            currency=one.amount.currency_code,
        )

    return about


def _resolution_fields(likely: tuple[str, ...]) -> tuple[Field, ...]:
    kinds = likely or ("EXECUTED", "NOT_EXECUTED", "APPLIED_TO_WALLET", "ACKNOWLEDGED")
    fields = [
        Field(
            name="resolution",
            label="What did the bank do?" if "EXECUTED" in kinds else "Decision",
            kind="choice",
            required=True,
            options=tuple((one, words.word(one).text) for one in kinds),
        ),
        Field(
            name="reason",
            label="Reason",
            kind="long",
            required=True,
            longest=1024,
            help="Kept forever with your name. Say how you know.",
        ),
    ]
    if "EXECUTED" in kinds:
        fields += [
            Field(name="evidence", label="What the bank said", kind="long", longest=1024),
            Field(
                name="reference",
                label="The bank's reference",
                longest=128,
                help="Only where the bank executed it; without one the key takes its place.",
            ),
        ]
    if "APPLIED_TO_WALLET" in kinds:
        fields.append(
            Field(name="destination", label="Wallet to credit", longest=64, help="Only to credit a wallet: its id.")
        )
    return tuple(fields)


def _resolve(kind: str) -> Any:  # noqa: ANN401  # of Action.call
    async def resolve(call: Call) -> str:
        resolution, reason = call.form.get("resolution", ""), call.form.get("reason", "").strip()
        if f"RESOLUTION_KIND_{resolution}" not in _DECISIONS:
            raise NotReadable("Choose a decision.")
        if not reason:
            raise NotReadable("Give a reason.")
        destination = call.form.get("destination", "").strip()
        applies = resolution == "APPLIED_TO_WALLET"
        method = call.client.resolve_withdrawal if kind == PAYOUTS else call.client.resolve_scheduled_deposit
        await method(
            f"{_RESOURCES[kind]}/{call.path['order']}",
            resolution,
            reason=reason,
            bank_evidence=call.form.get("evidence", "").strip(),
            bank_reference=call.form.get("reference", "").strip() if resolution == "EXECUTED" else "",
            destination=f"wallets/{words.last_part(destination)}" if applies and destination else "",
            **call.options,
        )
        return ""

    return resolve


def _cancel(kind: str) -> Any:  # noqa: ANN401  # of Action.call
    async def cancel(call: Call) -> str:
        method = call.client.cancel_withdrawal if kind == PAYOUTS else call.client.cancel_scheduled_deposit
        await method(f"{_RESOURCES[kind]}/{call.path['order']}", **call.options)
        return ""

    return cancel


def _about_wallet(kind: str) -> Any:  # noqa: ANN401  # of Action.about
    async def about(visit: Visit, path: Mapping[str, str]) -> Subject:
        one = await visit.client.get_wallet(f"wallets/{path['wallet']}")
        t, f = visit.texts, await visit.formats()
        available = [(t("Available"), f"{f.amount(one.available)} {one.currency_code}")]
        fields = [
            Field(name="amount", label="Amount", kind="amount", required=True),
            Field(name="time", label="When, in UTC", kind="time", help="Empty for now."),
            Field(name="account", label="Bank account", longest=64, help="Empty: the bank chooses by the owner."),
            Field(name="description", label="Description"),
        ]
        if kind == PAYOUTS:
            fields.append(Field(name="reserve", label="Reserve the money from now on", kind="yes"))
        else:
            fields.append(Field(name="reference", label="Reference", longest=128))
        return Subject(
            title=one.display_name or words.last_part(one.name),
            back=words.path_of(one.name),
            facts=tuple(available if one.HasField("available") else ()),
            fields=tuple(fields),
            currency=one.currency_code,
        )

    return about


async def _pay_out(call: Call) -> str:
    made = await call.client.schedule_withdrawal(
        f"wallets/{call.path['wallet']}",
        call.formats.parse_amount(call.form.get("amount", ""), call.subject.currency),
        execute_time=parse_time(call.form.get("time", "")),
        reserve=bool(call.form.get("reserve")),
        bank_account=call.form.get("account", "").strip(),
        description=call.form.get("description", ""),
        **call.options,
    )
    return f"{words.path_of(made.withdrawal.name)}?done=1"


async def _collect(call: Call) -> str:
    made = await call.client.schedule_deposit(
        f"wallets/{call.path['wallet']}",
        call.formats.parse_amount(call.form.get("amount", ""), call.subject.currency),
        execute_time=parse_time(call.form.get("time", "")),
        collect=True,
        bank_account=call.form.get("account", "").strip(),
        description=call.form.get("description", ""),
        external_reference=call.form.get("reference", "").strip(),
        **call.options,
    )
    return f"{words.path_of(made.scheduled_deposit.name)}?done=1"


_RESOLVED = "The decision takes effect once and is kept forever, with your name and your reason."
_CANCELLED = "It will not be executed. Reserved money is available again."

ACTIONS = (
    Action(
        path="/payouts/{order}/resolve",
        title="Settle this payout by hand",
        warning=_RESOLVED,
        button="Settle",
        about=_about(PAYOUTS, resolves=True),
        call=_resolve(PAYOUTS),
        danger=True,
    ),
    Action(
        path="/collections/{order}/resolve",
        title="Settle this collection by hand",
        warning=_RESOLVED,
        button="Settle",
        about=_about(COLLECTIONS, resolves=True),
        call=_resolve(COLLECTIONS),
        danger=True,
    ),
    Action(
        path="/payouts/{order}/cancel",
        title="Cancel this payout",
        warning=_CANCELLED,
        button="Cancel the payout",
        about=_about(PAYOUTS, resolves=False),
        call=_cancel(PAYOUTS),
        danger=True,
    ),
    Action(
        path="/collections/{order}/cancel",
        title="Cancel this collection",
        warning=_CANCELLED,
        button="Cancel the collection",
        about=_about(COLLECTIONS, resolves=False),
        call=_cancel(COLLECTIONS),
        danger=True,
    ),
    Action(
        path="/wallets/{wallet}/pay-out",
        title="Schedule a payout",
        warning="Money leaves the service through the bank at this time.",
        button="Schedule the payout",
        about=_about_wallet(PAYOUTS),
        call=_pay_out,
    ),
    Action(
        path="/wallets/{wallet}/collect",
        title="Schedule a collection",
        warning="The bank is asked to collect the money at this time; the wallet is credited once it has.",
        button="Schedule the collection",
        about=_about_wallet(COLLECTIONS),
        call=_collect,
    ),
)

ROUTES: list[BaseRoute] = [
    *(Route(f"/{kind}", board, methods=["GET"]) for kind in (PAYOUTS, COLLECTIONS)),
    *(route for action in ACTIONS for route in action.routes()),
    *(Route(f"/{kind}/{{order}}", order, methods=["GET"]) for kind in (PAYOUTS, COLLECTIONS)),
]
