"""What only a person can settle: what is known, what to check, and what can be done."""

from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from wallet.v1 import operations_service_pb2 as pb

from wallet_console import words
from wallet_console.pages.lists import listed
from wallet_console.web import render

# What to check and to do, by the kind of the case.
ADVICE = {
    "IN_DOUBT": "Ask the bank whether it executed the payment with this key. Then settle it: executed or not executed. "
    "Until the grace time after the last call is over, the service refuses a decision.",
    "OVERDUE": "Check that a scheduler runs and reaches the bank. The order continues by itself.",
    "UNAPPLIED_FUNDS": "The money is in transit and belongs to nobody yet. Name the wallet to credit.",
    "DISCREPANCY": "Find out with the bank which side is wrong, and correct it. Then close the discrepancy.",
    "RECONCILIATION_STALLED": "Ask the bank for its statement. If it has begun another one, accept it.",
    "MISSING_AT_BANK": "Ask the bank. If it executed nothing, correct the balance by a deposit or a transfer that "
    "names this order. Then acknowledge it.",
    "CLOCK_BEHIND": "Set the clock of the database. Until then no money moves in this currency.",
    "WEBHOOK_DISABLED": "The endpoint said that it is gone. Correct its address and enable it, or delete it.",
    "WEBHOOK_DEAD_LETTERS": "See what the endpoint answered, repair it, then send the events again.",
    "EVENTS_STALLED": "Events wait to be published. Start a scheduler, or see its log.",
    "CHECKPOINTS_STALLED": "No checkpoint has been signed for long. See the scheduler's log and its signing key.",
}


class Button(NamedTuple):
    """A way to settle a case."""

    text: str
    path: str


def buttons(item: pb.AttentionItem) -> list[Button]:
    """Return what can be done about a case; the first is the likely one."""
    kind, page = words.value_name(item, "kind"), words.path_of(item.resource_name)
    is_order = item.resource_name.startswith(("withdrawals/", "scheduledDeposits/"))
    found: list[tuple[str, str]] = []
    if kind == "IN_DOUBT":
        found = [
            ("The bank executed it", f"{page}/resolve?resolution=EXECUTED"),
            ("The bank did not execute it", f"{page}/resolve?resolution=NOT_EXECUTED"),
        ]
    elif kind == "UNAPPLIED_FUNDS":
        found = [("Credit a wallet", f"{page}/resolve?resolution=APPLIED_TO_WALLET")]
    elif is_order and kind in {"MISSING_AT_BANK", "DISCREPANCY"}:
        found = [("Acknowledge", f"{page}/resolve?resolution=ACKNOWLEDGED")]
    elif kind == "DISCREPANCY":
        found = [("Close the discrepancy", f"{page}/resolve")]
    elif kind == "RECONCILIATION_STALLED" and page:
        found = [("Accept the new statement", f"{page}/accept")]
    elif kind.startswith("WEBHOOK"):
        found = [("Look at the webhook", page)]
    return [Button(*one) for one in found]


async def attention(request: Request) -> Response:
    """Show the open cases, the oldest first."""
    page = await listed(request, pb.ListAttentionRequest(), "items")
    return await render(request, "attention.html", page=page, advice=ADVICE, buttons=buttons)


ROUTES: list[BaseRoute] = [Route("/attention", attention, methods=["GET"])]
