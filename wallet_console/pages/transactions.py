"""Transactions: found across wallets, one with all that belongs to it, its receipt, its reversal."""

import asyncio
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from wallet.v1 import transaction_service_pb2 as pb

from wallet_console import words
from wallet_console.actions import Action, Call, Field, Subject
from wallet_console.formats import NotReadable
from wallet_console.pages.lists import amounts, between, equal, joined, label, listed
from wallet_console.service import attempt
from wallet_console.texts import LANGUAGES
from wallet_console.web import Visit, render, visit_of

TYPES = tuple(pb.Transaction.Type.keys())[1:]
_PREFIX = "TYPE_"


async def transactions(request: Request) -> Response:
    """Show the transactions that match."""
    query, problem = request.query_params, ""
    wallet = query.get("wallet", "").strip()
    chosen = [
        *equal(query, reference="external_reference", caller="caller", state="state"),
        f"type = {query['type']}" if query.get("type") in TYPES else "",
        label(query),
    ]
    try:
        chosen += [*between(query, "execute_time"), *amounts(query, await visit_of(request).formats())]
    except NotReadable as wrong:
        problem = str(wrong)
    page = await listed(
        request,
        pb.ListTransactionsRequest(wallet=_wallet_name(wallet), filter=joined(*chosen)),
        "transactions",
    )
    types = [(one, words.word(one.removeprefix(_PREFIX)).text) for one in TYPES]
    return await render(request, "transactions.html", page=page, types=types, problem=problem)


def _wallet_name(typed: str) -> str:
    return typed if not typed or typed.startswith("wallets/") else f"wallets/{typed}"


async def transaction(request: Request) -> Response:
    """Show one transaction with its legs, its commission and rule, its cause and its reversals."""
    visit = visit_of(request)
    one = await visit.client.get_transaction(f"transactions/{request.path_params['transaction']}")
    rule, reversals, reversed_one = await asyncio.gather(
        attempt(visit.client.get_commission_rule(one.commission.rule) if one.commission.rule else _none()),
        asyncio.gather(*(attempt(visit.client.get_transaction(name)) for name in one.reversals)),
        attempt(visit.client.get_transaction(one.reverses) if one.reverses else _none()),
    )
    reversible = one.type in {pb.Transaction.TYPE_TRANSFER, pb.Transaction.TYPE_DEPOSIT}
    return await render(
        request,
        "transaction.html",
        one=one,
        rule=rule,
        reversals=reversals,
        reversed_one=reversed_one,
        reversible=reversible and one.state != pb.Transaction.STATE_REVERSED,
    )


async def _none() -> None:
    return None


async def receipt(request: Request) -> Response:
    """Send a receipt, to be shown by the browser."""
    language = request.query_params.get("receipt", "en")
    one = await visit_of(request).client.get_receipt(
        f"transactions/{request.path_params['transaction']}", language=language if language in LANGUAGES else "en"
    )
    headers = {"content-disposition": f'inline; filename="{one.filename}"'}
    return Response(one.pdf, media_type="application/pdf", headers=headers)


async def _about(visit: Visit, path: Mapping[str, str]) -> Subject:
    one = await visit.client.get_transaction(f"transactions/{path['transaction']}")
    t, f = visit.texts, await visit.formats()
    currency = one.amount.currency_code
    left = one.amount.minor_units - one.reversed_amount.minor_units
    return Subject(
        title=t(words.of(one, "type").text) + " " + words.short_id(one.name),
        back=words.path_of(one.name),
        facts=(
            (t("Amount"), f"{f.amount(one.amount)} {currency}"),
            (t("From"), words.last_part(one.source)),
            (t("To"), words.last_part(one.destination)),
            (t("Not yet reversed"), f"{f.minor(left, currency)} {currency}"),
        ),
        fields=(
            Field(name="amount", label="Amount", kind="amount", help="Empty for all that is left."),
            Field(name="keep", label="Keep the commission", kind="yes"),
            Field(name="description", label="Description"),
        ),
        currency=currency,
    )


async def _reverse(call: Call) -> str:
    typed = call.form.get("amount", "").strip()
    made = await call.client.reverse_transaction(
        f"transactions/{call.path['transaction']}",
        amount=call.formats.parse_amount(typed, call.subject.currency) if typed else None,
        keep_commission=bool(call.form.get("keep")),
        description=call.form.get("description", ""),
        **call.options,
    )
    return f"{words.path_of(made.transaction.name)}?done=1"


REVERSE = Action(
    path="/transactions/{transaction}/reverse",
    title="Reverse this transaction",
    warning="Money moves back, by a new transaction that names this one.",
    button="Reverse",
    about=_about,
    call=_reverse,
    danger=True,
)

ROUTES: list[BaseRoute] = [
    Route("/transactions", transactions, methods=["GET"]),
    *REVERSE.routes(),
    Route("/transactions/{transaction}/receipt", receipt, methods=["GET"]),
    Route("/transactions/{transaction}", transaction, methods=["GET"]),
]
