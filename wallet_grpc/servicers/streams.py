"""Long streams, exports and watches: their number in total and per caller, and the end of those that stall."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any

import grpc

from wallet_core.background import Loop
from wallet_core.domain.model.errors import ServerOverloaded
from wallet_grpc.errors.kinds import RateLimited
from wallet_grpc.security.access import LOCAL, principal_of

# Checks per shortest timeout of a stream.
_LOOKS_IN_SHORTEST = 4
_LOOK_AT_LEAST_EVERY_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLimits:
    """Limits of the streams of one kind."""

    most: int
    share: float
    """The share of them that one caller, or one owner, may have at once."""
    stall_s: float
    """A stream whose client reads nothing for this time is cancelled."""
    stopping_s: float
    """The same while the server drains."""
    longest_s: float = float("inf")

    @property
    def each(self) -> int:
        """How many of them one caller, or one owner, may have at once."""
        return max(1, int(self.most * self.share))


class Stream:
    """One stream in progress."""

    def __init__(self, context: grpc.ServicerContext) -> None:
        self._context = context
        self._began_at = monotonic()
        self._sending_since: float | None = None

    @property
    def is_left(self) -> bool:
        """Whether its client has cancelled it."""
        return not self._context.is_active()

    def sent(self, message: Any) -> Iterator[Any]:  # noqa: ANN401  # any message
        """Send a message; return once the client has read it."""
        self._sending_since = monotonic()
        yield message
        self._sending_since = None

    def cancel_if_stuck(self, stall_s: float, longest_s: float) -> None:
        """Cancel it where a message was not read within *stall_s*, or it has lasted longer than *longest_s*.

        It ends without an error of the catalogue, which the client would not read either.
        """
        since, now = self._sending_since, monotonic()
        if (since is not None and now - since > stall_s) or now - self._began_at > longest_s:
            self._context.cancel()


class Streams:
    """The streams of one kind that are in progress."""

    def __init__(self, name: str, limits: StreamLimits) -> None:
        self._limits = limits
        self._under_way: set[Stream] = set()
        self._of: Counter[tuple[str, str]] = Counter()
        """The number of streams of each caller, and of each owner."""
        self._changing = threading.Lock()
        self._stall_s = limits.stall_s
        every_s = min(_LOOK_AT_LEAST_EVERY_S, min(limits.stall_s, limits.longest_s) / _LOOKS_IN_SHORTEST)
        self._loop = Loop(name, self._cancel_stuck, every_s)
        self.is_stopping = False
        """Whether the server drains."""

    def start(self) -> None:
        """Start to cancel stalled streams."""
        self._loop.start()

    @contextmanager
    def one(self, context: grpc.ServicerContext) -> Iterator[Stream]:
        """Begin one.

        Raises ``ServerOverloaded`` where there are too many, ``RateLimited`` where its caller has too many.
        """
        stream, whose = Stream(context), _whose(context)
        with self._changing:
            if len(self._under_way) >= self._limits.most:
                raise ServerOverloaded
            if any(self._of[who] >= self._limits.each for who in whose):
                raise RateLimited
            self._under_way.add(stream)
            self._of.update(whose)
        try:
            yield stream
        finally:
            with self._changing:
                self._under_way.discard(stream)
                self._of.subtract(whose)
                for who in whose:
                    if not self._of[who]:
                        del self._of[who]

    def stop(self) -> None:
        """Shorten the timeout of stalled streams: the server drains."""
        self.is_stopping = True
        self._stall_s = self._limits.stopping_s
        self._loop.every_s = self._limits.stopping_s / 2
        self._loop.wake()

    def close(self) -> None:
        """Cancel no more streams."""
        self._loop.stop()

    def _cancel_stuck(self) -> None:
        with self._changing:
            under_way = tuple(self._under_way)
        for stream in under_way:
            stream.cancel_if_stuck(self._stall_s, self._limits.longest_s)


def _whose(context: grpc.ServicerContext) -> tuple[tuple[str, str], ...]:
    """Return the caller and the owner that a stream counts for; none where authentication is off."""
    principal = principal_of(context)
    if principal is LOCAL:
        return ()
    owner = (("owner", principal.owner),) if principal.owner is not None else ()
    return (("caller", principal.caller), *owner)
