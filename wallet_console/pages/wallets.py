"""Wallets: found, looked at, frozen, limited."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from wallet.v1 import hold_service_pb2 as hold_pb
from wallet.v1 import schedule_service_pb2 as schedule_pb
from wallet.v1 import transaction_service_pb2 as transaction_pb
from wallet.v1 import wallet_service_pb2 as pb

from wallet_client import CallError
from wallet_console import words
from wallet_console.actions import Action, Call, Field, Subject
from wallet_console.charts import Chart, steps
from wallet_console.formats import NotReadable, now, parse_time, stamp
from wallet_console.pages.lists import equal, joined, label, listed
from wallet_console.service import attempt
from wallet_console.web import Visit, render, visit_of

# The ranges of a wallet's chart, and of its statement.
RANGES = {"24h": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30), "90d": timedelta(days=90)}
_POINTS = 96
_POINTS_OF_MANY = 24
_FEW = 200
_AT_ONCE = 8
_MOMENT = timedelta(milliseconds=1)
_SHORT = 10


async def wallets(request: Request) -> Response:
    """Show the wallets that match."""
    query = request.query_params
    chosen = joined(
        *equal(query, owner="owner", display_name="display_name", state="state", currency="currency_code"), label(query)
    )
    page = await listed(request, pb.ListWalletsRequest(filter=chosen), "wallets")
    return await render(request, "wallets.html", page=page)


async def wallet(request: Request) -> Response:
    """Show one wallet."""
    visit, name = visit_of(request), f"wallets/{request.path_params['wallet']}"
    one = await visit.client.get_wallet(name)
    chosen = request.query_params.get("range", "7d")
    length = RANGES.get(chosen, RANGES["7d"])
    chart, newest, holds, payouts, collections = await asyncio.gather(
        _balances(visit, one, length),
        attempt(visit.client.read_page(transaction_pb.ListTransactionsRequest(wallet=name, page_size=_SHORT))),
        attempt(visit.client.read_page(hold_pb.ListHoldsRequest(wallet=name, page_size=_SHORT))),
        attempt(visit.client.read_page(schedule_pb.ListWithdrawalsRequest(wallet=name, page_size=_SHORT))),
        attempt(visit.client.read_page(schedule_pb.ListScheduledDepositsRequest(wallet=name, page_size=_SHORT))),
    )
    return await render(
        request,
        "wallet.html",
        wallet=one,
        chart=chart,
        range=chosen,
        ranges=RANGES,
        newest=newest,
        holds=holds,
        payouts=payouts,
        collections=collections,
    )


async def _balances(visit: Visit, one: pb.Wallet, length: timedelta) -> Chart | None:
    """Return the chart of a wallet's balance, exact at each of its points, whatever the number of transactions."""
    if not one.HasField("balance"):
        return None
    end = now()
    begin = max(end - length, one.create_time.ToDatetime(end.tzinfo))
    try:
        past = await _of_few(visit, one.name, begin, end) or await _of_many(visit, one.name, begin, end)
    except CallError:
        return None
    return steps([*past, one.balance.minor_units], from_zero=True)


async def _of_few(visit: Visit, name: str, begin: datetime, end: datetime) -> list[int]:
    """Return the balances by all entries of the range, which one call reads; none where there are more."""
    page = await visit.client.read_page(
        transaction_pb.GetStatementRequest(
            wallet=name, start_time=stamp(begin), end_time=stamp(end + _MOMENT), page_size=_FEW
        )
    )
    if page.next_page_token:
        return []
    balance, entries, found = page.opening_balance.minor_units, list(page.entries), []
    for number in range(1, _POINTS):
        point = begin + number * (end - begin) / _POINTS
        while entries and entries[0].execute_time.ToDatetime(end.tzinfo) <= point:
            balance = entries.pop(0).balance_after.minor_units
        found.append(balance)
    return found


async def _of_many(visit: Visit, name: str, begin: datetime, end: datetime) -> list[int]:
    """Return the balances at fewer points, one call for each."""
    gate, distance = asyncio.Semaphore(_AT_ONCE), (end - begin) / _POINTS_OF_MANY

    async def at(number: int) -> int:
        async with gate:
            past = await visit.client.get_wallet(name, as_of=begin + number * distance)
            return past.balance.minor_units

    return list(await asyncio.gather(*(at(number) for number in range(1, _POINTS_OF_MANY))))


def _range(request: Request) -> tuple[datetime, datetime]:
    begin = parse_time(request.query_params.get("from", ""))
    end = parse_time(request.query_params.get("until", ""))
    end = end or now() + timedelta(minutes=1)
    begin = begin or end - RANGES["30d"]
    if begin >= end:
        raise NotReadable("The start must be before the end.")
    return begin, end


async def statement(request: Request) -> Response:
    """Show a wallet's statement."""
    visit, name = visit_of(request), f"wallets/{request.path_params['wallet']}"
    one = await visit.client.get_wallet(name)
    begin, end = _range(request)
    page = await listed(
        request,
        transaction_pb.GetStatementRequest(wallet=name, start_time=stamp(begin), end_time=stamp(end)),
        "entries",
    )
    return await render(request, "statement.html", wallet=one, page=page, begin=begin, end=end)


async def export(request: Request) -> Response:
    """Send a wallet's statement as a file."""
    visit, name = visit_of(request), f"wallets/{request.path_params['wallet']}"
    begin, end = _range(request)
    chunks = visit.client.export_statement(name, begin, end)
    first = await anext(chunks, b"")  # an error comes before the file begins

    async def file() -> AsyncIterator[bytes]:
        yield first
        async for chunk in chunks:
            yield chunk

    file_name = f"statement-{words.last_part(name).replace(':', '-')}.csv"
    headers = {"content-disposition": f'attachment; filename="{file_name}"'}
    return StreamingResponse(file(), media_type="text/csv; charset=utf-8", headers=headers)


async def _about(visit: Visit, path: Mapping[str, str]) -> Subject:
    one = await visit.client.get_wallet(f"wallets/{path['wallet']}")
    t, f = visit.texts, await visit.formats()
    facts = [(t("State"), t(words.of(one, "state").text)), (t("Owner"), one.owner or "–")]
    if one.HasField("balance"):
        facts += [
            (t("Balance"), f"{f.amount(one.balance)} {one.currency_code}"),
            (t("Available"), f"{f.amount(one.available)} {one.currency_code}"),
        ]
    return Subject(
        title=one.display_name or words.last_part(one.name),
        back=words.path_of(one.name),
        facts=tuple(facts),
        # What was seen is what is changed: the form fails where another operator was faster.
        fields=(Field(name="etag", label="", kind="hidden", value=one.etag),),
        currency=one.currency_code,
    )


async def _about_limit(visit: Visit, path: Mapping[str, str]) -> Subject:
    subject = await _about(visit, path)
    limit = Field(
        name="limit",
        label="Overdraft limit",
        kind="amount",
        required=True,
        help="How far below zero the balance may go. 0 for none.",
    )
    return Subject(
        title=subject.title,
        back=subject.back,
        facts=subject.facts,
        fields=(*subject.fields, limit),
        currency=subject.currency,
    )


async def _freeze(call: Call) -> str:
    await call.client.freeze_wallet(f"wallets/{call.path['wallet']}", etag=call.form.get("etag", ""), **call.options)
    return ""


async def _unfreeze(call: Call) -> str:
    await call.client.unfreeze_wallet(f"wallets/{call.path['wallet']}", etag=call.form.get("etag", ""), **call.options)
    return ""


async def _limit(call: Call) -> str:
    limit = call.formats.parse_amount(call.form.get("limit", ""), call.subject.currency)
    await call.client.update_wallet(
        f"wallets/{call.path['wallet']}", overdraft_limit=limit, etag=call.form.get("etag", ""), **call.options
    )
    return ""


ACTIONS = (
    Action(
        path="/wallets/{wallet}/freeze",
        title="Freeze this wallet",
        warning="Debits, holds and captures are refused from now on; credits are still accepted. "
        "A payout that falls due while the wallet is frozen fails.",
        button="Freeze",
        about=_about,
        call=_freeze,
        danger=True,
    ),
    Action(
        path="/wallets/{wallet}/unfreeze",
        title="Unfreeze this wallet",
        warning="Debits and holds are accepted again.",
        button="Unfreeze",
        about=_about,
        call=_unfreeze,
    ),
    Action(
        path="/wallets/{wallet}/limit",
        title="Change the overdraft limit",
        warning="The wallet may spend money that was never paid in, up to this limit.",
        button="Change the limit",
        about=_about_limit,
        call=_limit,
        danger=True,
    ),
)

ROUTES: list[BaseRoute] = [
    Route("/wallets", wallets, methods=["GET"]),
    *(route for action in ACTIONS for route in action.routes()),
    Route("/wallets/{wallet}/statement", statement, methods=["GET"]),
    Route("/wallets/{wallet}/statement.csv", export, methods=["GET"]),
    Route("/wallets/{wallet}", wallet, methods=["GET"]),
]
