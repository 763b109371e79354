"""Turns calls away while the server has as much to do as it takes on: in milliseconds, on threads of its own.

Stands before everything else, where no thread has been spent on a call yet: behind the others a call would hear that
the server has too much to do only once that is over.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NoReturn

import grpc

from wallet_core.domain.errors import ServerOverloaded
from wallet_grpc.access import SCOPES
from wallet_grpc.interceptors.errors import errors_interceptor
from wallet_grpc.interceptors.request_log import request_log_interceptor
from wallet_grpc.interceptors.wrapping import Handler
from wallet_grpc.metrics import WAITING

_REFUSERS = 2


class Workers(ThreadPoolExecutor):
    """The threads that calls are worked on, and how many calls wait for one."""

    def __init__(self, threads: int) -> None:
        super().__init__(threads, thread_name_prefix="grpc")
        self._counting = threading.Lock()
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """How many calls have come in that no thread has begun with."""
        return self._waiting

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401  # as its base
        """Put a call in line."""
        self._count(1)

        def begin() -> Any:  # noqa: ANN401  # whatever the call returns
            self._count(-1)
            return fn(*args, **kwargs)

        try:
            return super().submit(begin)
        except RuntimeError:  # it shuts down
            self._count(-1)
            raise

    def _count(self, more: int) -> None:
        with self._counting:
            self._waiting += more
        WAITING.inc(more)


class Overload(grpc.ServerInterceptor):
    """Lets no more than *waiting_max* calls wait."""

    def __init__(self, workers: Workers, waiting_max: int) -> None:
        self._workers = workers
        self._waiting_max = waiting_max
        self._refusers = ThreadPoolExecutor(_REFUSERS, thread_name_prefix="refusals")
        self._refusals: dict[str, Handler] = {}

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Handler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Pass a call of ours on, or have it refused."""
        method = handler_call_details.method
        if method not in SCOPES or self._workers.waiting < self._waiting_max:
            return continuation(handler_call_details)
        if method not in self._refusals:
            handler: Handler = grpc.unary_unary_rpc_method_handler(self._refusal())
            self._refusals[method] = errors_interceptor().wrap(request_log_interceptor().wrap(handler, method), method)
        return self._refusals[method]

    def close(self) -> None:
        """Refuse no more."""
        self._refusers.shutdown(wait=False)

    def _refusal(self) -> Callable[[Any, grpc.ServicerContext], NoReturn]:
        def refuse(request: Any, context: grpc.ServicerContext) -> NoReturn:  # noqa: ANN401  # bytes, unread
            del request, context
            raise ServerOverloaded

        # grpcio looks for this mark.
        refuse.experimental_thread_pool = self._refusers  # type: ignore[attr-defined]
        return refuse
