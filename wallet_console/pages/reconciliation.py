"""The bank statement against the ledger: how far it was read, and what does not match."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from wallet.v1 import operations_service_pb2 as pb

from wallet_console import words
from wallet_console.actions import Action, Call, Field, Subject
from wallet_console.formats import NotReadable
from wallet_console.pages.attention import ADVICE, buttons
from wallet_console.pages.lists import listed
from wallet_console.service import attempt
from wallet_console.web import Visit, render, visit_of

KINDS = ("DISCREPANCY", "MISSING_AT_BANK", "UNAPPLIED_FUNDS", "RECONCILIATION_STALLED")
_MOST = 1000


async def reconciliation(request: Request) -> Response:
    """Show what the statement and the ledger do not agree about."""
    page = await listed(request, pb.ListAttentionRequest(), "items", size=_MOST)
    figures = await attempt(visit_of(request).client.get_figures())
    breaks = [one for one in page.items if words.value_name(one, "kind") in KINDS]
    return await render(
        request, "reconciliation.html", page=page, breaks=breaks, figures=figures, advice=ADVICE, buttons=buttons
    )


_REASON = Field(
    name="reason",
    label="Reason",
    kind="long",
    required=True,
    longest=1024,
    help="Kept forever with your name. Say how you know.",
)


async def _about_line(visit: Visit, path: Mapping[str, str]) -> Subject:
    t = visit.texts
    return Subject(
        title=t("Line {number} of the bank statement", number=path["number"]),
        back="/reconciliation",
        facts=((t("Line"), path["number"]),),
        fields=(_REASON,),
    )


async def _about_statement(visit: Visit, path: Mapping[str, str]) -> Subject:
    t = visit.texts
    return Subject(
        title=t("Bank statement {number}", number=path["number"]),
        back="/reconciliation",
        facts=((t("Statement that was read before"), path["number"]),),
        fields=(_REASON,),
    )


def _reason(call: Call) -> str:
    reason = call.form.get("reason", "").strip()
    if not reason:
        raise NotReadable("Give a reason.")
    return reason


async def _close(call: Call) -> str:
    await call.client.resolve_discrepancy(
        f"bankStatementLines/{call.path['number']}", reason=_reason(call), **call.options
    )
    return ""


async def _accept(call: Call) -> str:
    await call.client.accept_bank_statement(
        f"bankStatements/{call.path['number']}", reason=_reason(call), **call.options
    )
    return ""


ACTIONS = (
    Action(
        path="/reconciliation/lines/{number:int}/resolve",
        title="Close this discrepancy",
        warning="It leaves the list for good. No money moves.",
        button="Close the discrepancy",
        about=_about_line,
        call=_close,
        danger=True,
    ),
    Action(
        path="/reconciliation/statements/{number:int}/accept",
        title="Accept the bank's new statement",
        warning="The new statement is read from its beginning. What the old one showed as executed stays executed.",
        button="Accept the new statement",
        about=_about_statement,
        call=_accept,
        danger=True,
    ),
)

ROUTES: list[BaseRoute] = [
    Route("/reconciliation", reconciliation, methods=["GET"]),
    *(route for action in ACTIONS for route in action.routes()),
]
