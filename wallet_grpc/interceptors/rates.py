"""Rate limits per caller and per owner: a runaway caller must not use up the capacity of all others.

Calls count by their cost. The unit is one small read; a receipt takes a tenth of a second to draw, an export reads a
whole history, a batch of a thousand is a thousand transfers.
"""

from collections.abc import Iterator
from typing import Any

import grpc
from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from wallet_grpc.errors.kinds import RateLimited
from wallet_grpc.interceptors.wrapping import Handler, Wrapping, rewrapped
from wallet_grpc.runtime.receiving import Behaviour
from wallet_grpc.security.access import Principal, principal_of

_COSTS = {
    "/wallet.v1.TransactionService/GetReceipt": 50,
    "/wallet.v1.TransactionService/ExportStatement": 50,
    "/wallet.v1.TransactionService/GetStatement": 5,
}
# Each of these many bytes of a request costs one more; a transfer of a batch has about an eighth of them.
_BYTES_PER_UNIT = 1024


def cost_of(method: str, request: bytes) -> int:
    """Return the cost of a call."""
    return _COSTS.get(method, 1) + len(request) // _BYTES_PER_UNIT


class Rates(Wrapping):
    """Counts the cost of the calls of each caller, and of each owner, in the last second."""

    def __init__(self, caller_per_s: int | None, owner_per_s: int | None) -> None:
        super().__init__()
        self._caller = RateLimitItemPerSecond(caller_per_s, namespace="caller") if caller_per_s else None
        self._owner = RateLimitItemPerSecond(owner_per_s, namespace="owner") if owner_per_s else None
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def wrap(self, handler: Handler, method: str) -> Handler:
        """Count each call of a method before it runs."""

        def run_once(inner: Behaviour, request: bytes, context: grpc.ServicerContext) -> Any:  # noqa: ANN401  # any message
            self._count(principal_of(context), cost_of(method, request))
            return inner(request, context)

        def run_stream(inner: Behaviour, request: bytes, context: grpc.ServicerContext) -> Iterator[Any]:
            self._count(principal_of(context), cost_of(method, request))
            yield from inner(request, context)

        return rewrapped(handler, method, run_once, run_stream, handler.request_deserializer)

    def _count(self, principal: Principal, cost: int) -> None:
        """Count a call, or raise ``RateLimited``."""
        limits = [(self._owner, principal.owner), (self._caller, principal.caller)]
        for limit, name in limits:
            # A call that costs more than the limit of a second counts as that limit, or it could never be made.
            if (
                limit is not None
                and name is not None
                and not self._limiter.hit(limit, name, cost=min(cost, limit.amount))
            ):
                raise RateLimited
