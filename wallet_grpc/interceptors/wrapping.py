"""The one way that a handler is wrapped, whether it answers once or in a stream.

``intercept_service`` runs on the single serving thread: the work belongs in the wrapped handler.
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

# What stands about a call: entered before it, left after its answer, or the last of them, was given.
Around = Callable[[str, grpc.ServicerContext], AbstractContextManager[None]]

_OURS = "/wallet.v1."


class Wrapping(grpc.ServerInterceptor):
    """Puts *around* about every call of ours; health and reflection pass by."""

    def __init__(
        self,
        around: Around = lambda *_: nullcontext(),
        before_each: Callable[[grpc.ServicerContext], None] = lambda _: None,
    ) -> None:
        self._around = around
        self._before_each = before_each
        """Done before every message of a stream."""
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
    """Return a handler that runs around the inner one; without a deserializer it is given the request's bytes."""
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
    raise TypeError(f"{method} takes a stream of requests, which nothing here checks")


def _bound(run: Callable[[Behaviour, Any, grpc.ServicerContext], Any], inner: Behaviour) -> Behaviour:
    # grpcio looks for marks on the function that it runs: wraps() carries them over.
    @wraps(inner)
    def bound(request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401  # any message
        return run(inner, request, context)

    return bound
