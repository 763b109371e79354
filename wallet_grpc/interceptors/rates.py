"""Lets a calling system make only so many calls a second: one that runs wild must not take the room of the others."""

from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from wallet_grpc.access import principal_of
from wallet_grpc.errors import RateLimited
from wallet_grpc.interceptors.wrapping import Wrapping


class Rates:
    """Counts the calls of each caller that came to this process in the last second."""

    def __init__(self, calls_per_s: int) -> None:
        self._most = RateLimitItemPerSecond(calls_per_s)
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    @contextmanager
    def counted(self, method: str, context: grpc.ServicerContext) -> Iterator[None]:
        """Count a call, or raise ``RateLimited``; what was refused is not counted."""
        del method
        if not self._limiter.hit(self._most, principal_of(context).caller):
            raise RateLimited
        yield

    def interceptor(self) -> Wrapping:
        """Return the interceptor."""
        return Wrapping(self.counted)
