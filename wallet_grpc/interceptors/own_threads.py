"""Runs long or expensive calls on their own threads, so that they do not take the threads of all other calls."""

from collections.abc import Mapping

from wallet_grpc.interceptors.wrapping import Handler, Wrapping
from wallet_grpc.runtime.receiving import CallPool


class OwnThreads(Wrapping):
    """Marks the handlers of some methods with their pools. Later wrappers keep the mark."""

    def __init__(self, pools: Mapping[str, CallPool]) -> None:
        super().__init__()
        self._pools = pools

    def wrap(self, handler: Handler, method: str) -> Handler:
        """Mark the handler of a method that has its own pool."""
        if method not in self._pools:
            return handler
        wrapped = super().wrap(handler, method)
        # grpcio looks for this attribute.
        (wrapped.unary_unary or wrapped.unary_stream).experimental_thread_pool = self._pools[method]  # type: ignore[union-attr]
        return wrapped
