"""One field that finds a wallet or a payment by whatever is known of it."""

import asyncio
import re
from collections.abc import Awaitable
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from wallet.v1 import schedule_service_pb2 as schedule_pb
from wallet.v1 import transaction_service_pb2 as transaction_pb
from wallet.v1 import wallet_service_pb2 as wallet_pb

from wallet_client import CallError
from wallet_console import words
from wallet_console.pages.lists import joined, label, quoted
from wallet_console.service import attempt
from wallet_console.web import render, visit_of

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_WALLET = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?|system:[a-z_]{1,16}:[A-Z]{3}")
_SHOWN = 10


async def search(request: Request) -> Response:
    """Go to what has this name; otherwise show what has this owner, name, reference, label or caller."""
    visit, typed = visit_of(request), request.query_params.get("q", "").strip()
    client = visit.client
    last = words.last_part(typed)
    named: list[Awaitable[Any]] = []
    if _UUID.fullmatch(last):
        named += [
            client.get_transaction(f"transactions/{last}"),
            client.get_withdrawal(f"withdrawals/{last}"),
            client.get_scheduled_deposit(f"scheduledDeposits/{last}"),
            client.get_hold(f"holds/{last}"),
        ]
    if _WALLET.fullmatch(last):
        named.append(client.get_wallet(f"wallets/{last}"))
    for found in await asyncio.gather(*map(attempt, named)):
        if not isinstance(found, CallError):
            return RedirectResponse(words.path_of(found.name), 303)
    labelled = label({"label": typed})
    of_wallets = [labelled] if labelled else [f"{field} = {quoted(typed)}" for field in ("owner", "display_name")]
    of_transactions = (
        [labelled] if labelled else [f"{field} = {quoted(typed)}" for field in ("external_reference", "caller")]
    )
    of_deposits = [] if labelled else [f"external_reference = {quoted(typed)}"]
    pages = [
        *(wallet_pb.ListWalletsRequest(filter=joined(one), page_size=_SHOWN) for one in of_wallets),
        *(transaction_pb.ListTransactionsRequest(filter=joined(one), page_size=_SHOWN) for one in of_transactions),
        *(schedule_pb.ListScheduledDepositsRequest(filter=joined(one), page_size=_SHOWN) for one in of_deposits),
    ]
    answers = await asyncio.gather(*(attempt(client.read_page(page)) for page in pages)) if typed else []
    found_by: dict[str, dict[str, Any]] = {"wallets": {}, "transactions": {}, "scheduled_deposits": {}}
    for answer in answers:
        for kind, rows in found_by.items():
            if not isinstance(answer, CallError) and kind in answer.DESCRIPTOR.fields_by_name:
                rows |= {one.name: one for one in getattr(answer, kind)}
    return await render(request, "search.html", typed=typed, found=found_by)


ROUTES: list[BaseRoute] = [Route("/search", search, methods=["GET"])]
