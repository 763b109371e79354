"""Limits how much a caller may ask of a process each second: one that runs wild must not take the others' room.

What a call costs is counted and not only that it was made. The unit is one small read; a receipt takes a tenth of a
second to draw, an export reads a whole history, a batch of a thousand is as many transfers.
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
# So much of a request costs one more; the transfers of a batch are about an eighth of it each.
_BYTES_PER_UNIT = 1024


def cost_of(method: str, request: bytes) -> int:
    """Return what a call counts for."""
    return _COSTS.get(method, 1) + len(request) // _BYTES_PER_UNIT


class Rates(Wrapping):
    """Counts what each caller, and each owner, has asked of this process in the last second."""

    def __init__(self, caller_per_s: int | None, owner_per_s: int | None) -> None:
        super().__init__()
        self._caller = RateLimitItemPerSecond(caller_per_s, namespace="caller") if caller_per_s else None
        self._owner = RateLimitItemPerSecond(owner_per_s, namespace="owner") if owner_per_s else None
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    @property
    def has_limits(self) -> bool:
        """Whether any limit is set."""
        return self._caller is not None or self._owner is not None

    def wrap(self, handler: Handler, method: str) -> Handler:
        """Count each call of a method before it is worked on."""

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
            # A call that costs more than a second's worth takes the whole second, or it could never be made.
            if (
                limit is not None
                and name is not None
                and not self._limiter.hit(limit, name, cost=min(cost, limit.amount))
            ):
                raise RateLimited
