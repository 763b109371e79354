"""Runs calls that last, or cost much, on threads of their own: not on those that everybody else's calls need."""

from collections.abc import Mapping

from wallet_grpc.interceptors.wrapping import Handler, Wrapping
from wallet_grpc.runtime.receiving import CallPool


class OwnThreads(Wrapping):
    """Marks the handlers of some methods for their pools. The mark is carried on by whatever wraps them."""

    def __init__(self, pools: Mapping[str, CallPool]) -> None:
        super().__init__()
        self._pools = pools

    def wrap(self, handler: Handler, method: str) -> Handler:
        """Mark it, where it is one of them."""
        if method not in self._pools:
            return handler
        wrapped = super().wrap(handler, method)
        # grpcio looks for this mark.
        (wrapped.unary_unary or wrapped.unary_stream).experimental_thread_pool = self._pools[method]  # type: ignore[union-attr]
        return wrapped
