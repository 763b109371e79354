"""What every servicer is handed."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import grpc

from wallet_core.domain.errors import ServerDraining, ServerOverloaded
from wallet_core.usecases.app import App
from wallet_grpc.convert.values import deadline_of
from wallet_grpc.paging import PageTokens


class Exports:
    """Counts exports under way: each holds a thread for as long as its caller reads, so there are only so many."""

    def __init__(self, most: int, longest_s: float) -> None:
        self._free = threading.Semaphore(most)
        self._longest_s = longest_s
        self._stopping = False

    def stop(self) -> None:
        """End those under way at their next part: the server drains."""
        self._stopping = True

    def check(self) -> None:
        """Raise ``ServerDraining`` where an export is to end."""
        if self._stopping:
            raise ServerDraining

    @contextmanager
    def one(self, context: grpc.ServicerContext) -> Iterator[None]:
        """Count one more, or raise ``ServerOverloaded``; cut off a caller that neither reads on nor leaves."""
        if not self._free.acquire(blocking=False):
            raise ServerOverloaded
        cut_off = threading.Timer(self._longest_s, context.cancel)
        cut_off.daemon = True
        cut_off.start()
        try:
            yield
        finally:
            cut_off.cancel()
            self._free.release()


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """The core, and the edge's own limits and secrets."""

    app: App
    page_tokens: PageTokens
    exports: Exports
    deadline_max_s: float
    page_max_bytes: int

    def deadline(self, context: grpc.ServicerContext) -> float:
        """Return when the caller of a call will be gone, on the monotonic clock."""
        return deadline_of(context, self.deadline_max_s)
