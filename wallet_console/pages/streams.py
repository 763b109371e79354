"""The stream by which an open page learns that it must read itself again."""

from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from wallet_console.live import QUIET, TooManyPages
from wallet_console.web import Visit, visit_of

_COLLECTIONS = frozenset(
    {
        *("", "wallets", "transactions", "holds", "withdrawals", "scheduledDeposits", "commissionRules"),
        *("bankStatementLines", "bankStatements"),
    }
)


async def live(request: Request) -> Response:
    """Send a line whenever the page's subject has changed."""
    visit, subject = visit_of(request), request.query_params.get("of", "")
    await _may_read(visit, subject)
    updates = visit.console.hub.updates(subject)
    try:
        first = await anext(updates)
    except TooManyPages:
        return PlainTextResponse("as many pages as may update by themselves do", 503)

    async def lines() -> AsyncIterator[str]:
        yield f"event: {first}\ndata:\n\n"
        async for what in updates:
            if visit.session is not None and visit.console.sessions.find(visit.session_id, used=False) is None:
                return
            yield f"event: {what}\ndata:\n\n" if what != QUIET else ":\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream", headers={"x-accel-buffering": "no"})


async def _may_read(visit: Visit, subject: str) -> None:
    """Read a resource, so that nobody learns of the activity of one that they may not read; raise ``CallError``."""
    if subject in _COLLECTIONS:
        return
    collection = subject.partition("/")[0]
    client = visit.client
    reads: dict[str, Callable[[str], Awaitable[object]]] = {
        "wallets": client.get_wallet,
        "transactions": client.get_transaction,
        "withdrawals": client.get_withdrawal,
        "scheduledDeposits": client.get_scheduled_deposit,
        "holds": client.get_hold,
    }
    if collection in reads:
        await reads[collection](subject)


ROUTES: list[BaseRoute] = [Route("/live", live, methods=["GET"])]
