"""Runs calls that last on threads of their own: not on those that everybody else's calls need."""

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from wallet_grpc.interceptors.wrapping import Handler, Wrapping


class OwnThreads(Wrapping):
    """Marks streams of some methods for a pool. The mark is carried on by whatever wraps them."""

    def __init__(self, threads: ThreadPoolExecutor, methods: Collection[str]) -> None:
        super().__init__()
        self._threads = threads
        self._methods = methods

    def wrap(self, handler: Handler, method: str) -> Handler:
        """Mark it, where it is one of them."""
        if method not in self._methods:
            return handler
        wrapped = super().wrap(handler, method)
        # grpcio looks for this mark.
        wrapped.unary_stream.experimental_thread_pool = self._threads  # type: ignore[union-attr]
        return wrapped
