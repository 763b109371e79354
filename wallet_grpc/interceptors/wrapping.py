"""The base of all interceptors that wrap handlers, unary and streaming alike.

``intercept_service`` runs on the event-loop thread: work belongs in the wrapped handler.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from functools import wraps
from typing import TYPE_CHECKING, Any

import grpc

from wallet_grpc.runtime.receiving import Behaviour

if TYPE_CHECKING:
    Handler = grpc.RpcMethodHandler[Any, Any]  # generic in its stubs only
else:
    Handler = grpc.RpcMethodHandler

# A context manager around a call: entered before it, left after its last response.
Around = Callable[[str, grpc.ServicerContext], AbstractContextManager[None]]

_OURS = "/wallet.v1."


class Wrapping(grpc.ServerInterceptor):
    """Runs *around* around every call of our services; health and reflection are passed through."""

    def __init__(
        self,
        around: Around = lambda *_: nullcontext(),
        before_each: Callable[[grpc.ServicerContext], None] = lambda _: None,
    ) -> None:
        self._around = around
        self._before_each = before_each
        """Called before every message of a stream."""
        # The handler of a method never changes, so it is wrapped once.
        self._wrapped: dict[str, Handler] = {}

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Handler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Wrap the handler of one of our methods."""
        method = handler_call_details.method
        if not method.startswith(_OURS):
            return continuation(handler_call_details)
        if method not in self._wrapped:
            handler = continuation(handler_call_details)
            if handler is None:
                return None
            self._wrapped[method] = self.wrap(handler, method)
        return self._wrapped[method]

    def wrap(self, handler: Handler, method: str) -> Handler:
        """Return the wrapped handler."""

        def run_once(inner: Behaviour, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401  # any message
            with self._around(method, context):
                return inner(request, context)

        def run_stream(inner: Behaviour, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:  # noqa: ANN401  # any message
            with self._around(method, context), closing(inner(request, context)) as messages:
                for message in messages:
                    self._before_each(context)
                    yield message

        return rewrapped(handler, method, run_once, run_stream, handler.request_deserializer)


def rewrapped(
    handler: Handler,
    method: str,
    run_once: Callable[[Behaviour, Any, grpc.ServicerContext], Any],
    run_stream: Callable[[Behaviour, Any, grpc.ServicerContext], Iterator[Any]],
    request_deserializer: Callable[[bytes], Any] | None,
) -> Handler:
    """Return a handler that runs around the inner one; without a deserializer it gets the request's bytes."""
    if handler.unary_unary is not None:
        return grpc.unary_unary_rpc_method_handler(
            _bound(run_once, handler.unary_unary),
            request_deserializer=request_deserializer,
            response_serializer=handler.response_serializer,
        )
    if handler.unary_stream is not None:
        return grpc.unary_stream_rpc_method_handler(
            _bound(run_stream, handler.unary_stream),
            request_deserializer=request_deserializer,
            response_serializer=handler.response_serializer,
        )
    raise TypeError(f"{method} is a client stream, which the interceptors do not support")


def _bound(run: Callable[[Behaviour, Any, grpc.ServicerContext], Any], inner: Behaviour) -> Behaviour:
    # grpcio looks for attributes of the function that it runs: wraps() copies them.
    @wraps(inner)
    def bound(request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401  # any message
        return run(inner, request, context)

    return bound
