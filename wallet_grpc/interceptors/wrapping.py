"""The one way that a handler is wrapped.

``intercept_service`` runs on the single serving thread: the work belongs in the wrapped handler.
"""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Protocol

import grpc

if TYPE_CHECKING:
    Handler = grpc.RpcMethodHandler[Any, Any]  # generic in its stubs only
else:
    Handler = grpc.RpcMethodHandler
Behaviour = Callable[[Any, grpc.ServicerContext], Any]

_OURS = "/wallet.v1."


class Around(Protocol):
    """Runs a call's inner behaviour with something before or after it."""

    def __call__(self, inner: Behaviour, method: str, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401  # any message
        """Return the response of *inner*, or raise."""


class Wrapping(grpc.ServerInterceptor):
    """Puts *around* about every unary call of ours; health and reflection pass by."""

    def __init__(self, around: Around) -> None:
        self._around = around
        # A method's handler is always the same one, so it is wrapped once and not at every call.
        self._wrapped: dict[str, Handler] = {}

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Handler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Wrap the handler, where the method is one of ours."""
        method = handler_call_details.method
        if not method.startswith(_OURS):
            return continuation(handler_call_details)
        if method not in self._wrapped:
            handler = continuation(handler_call_details)
            if handler is None or handler.unary_unary is None:
                return handler
            self._wrapped[method] = self.wrap(handler, handler.unary_unary, method)
        return self._wrapped[method]

    def wrap(self, handler: Handler, inner: Behaviour, method: str) -> Handler:
        """Return the wrapped handler."""
        return wrapped(handler, inner, method, self._around, handler.request_deserializer)


def wrapped(
    handler: Handler,
    inner: Behaviour,
    method: str,
    around: Around,
    request_deserializer: Callable[[bytes], Any] | None,
) -> Handler:
    """Return a handler that runs *around* its *inner*; without a deserializer it is given the request's bytes."""

    # grpcio looks for marks on the function that it runs: wraps() carries them over.
    @wraps(inner)
    def run(request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401  # any message
        return around(inner, method, request, context)

    return grpc.unary_unary_rpc_method_handler(
        run, request_deserializer=request_deserializer, response_serializer=handler.response_serializer
    )
