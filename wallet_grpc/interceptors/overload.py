"""Turns calls away while the server has as much to do as it takes on: in milliseconds, and for next to nothing.

Stands before everything else, where no thread has been spent on a call yet: behind the others a call would hear that
the server has too much to do only once that is over. What turning one away costs is taken from those that are worked
on, so it happens on gRPC's own thread, without waiting for the request, with an answer that is ready.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from time import monotonic
from typing import Any, NoReturn

import grpc
import structlog

from wallet_core.domain.errors import ServerOverloaded
from wallet_grpc.access import SCOPES
from wallet_grpc.convert.values import accept_language_of
from wallet_grpc.descriptors import READS
from wallet_grpc.errors import CATALOGUE, status_of
from wallet_grpc.interceptors.errors import Ending, end_with, packed
from wallet_grpc.interceptors.wrapping import Handler
from wallet_grpc.metrics import WAITING, count

_log = structlog.get_logger("wallet.overload")

# A line for each call would cost more than the call.
_LOG_EVERY_S = 1.0


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


class AtOnce(ThreadPoolExecutor):
    """Runs what it is given where it is given it, for work that neither waits nor takes long."""

    def __init__(self) -> None:
        super().__init__(1)  # a thread that is never started

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401  # as its base
        """Do it; the future is done."""
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


class Overload(grpc.ServerInterceptor):
    """Lets no more than *waiting_max* calls wait."""

    def __init__(self, workers: Workers, waiting_max: int) -> None:
        self._workers = workers
        self._waiting_max = waiting_max
        self._at_once = AtOnce()
        self._refusals: dict[str, Handler] = {}
        self._refused = 0
        self._logged_at = 0.0

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
            # As of a stream of requests, none of which is read: gRPC would wait for the one request otherwise.
            self._refusals[method] = grpc.stream_unary_rpc_method_handler(self._refusal(method))
        return self._refusals[method]

    def _refusal(self, method: str) -> Callable[[Any, grpc.ServicerContext], NoReturn]:
        def refuse(requests: Any, context: grpc.ServicerContext) -> NoReturn:  # noqa: ANN401  # not looked at
            del requests
            self._count(method)
            end_with(context, _ending(method in READS, accept_language_of(context)))

        # grpcio looks for this mark.
        refuse.experimental_thread_pool = self._at_once  # type: ignore[attr-defined]
        return refuse

    def _count(self, method: str) -> None:
        """Count a refusal. Only gRPC's one thread for events comes here."""
        count(method, _FACE.code.name, _FACE.reason_name, 0.0)
        self._refused += 1
        if monotonic() - self._logged_at > _LOG_EVERY_S:
            _log.warning("overloaded", refused=self._refused)
            self._refused, self._logged_at = 0, monotonic()


_FACE = CATALOGUE[ServerOverloaded]


@lru_cache(maxsize=64)
def _ending(read: bool, accept_language: str | None) -> Ending:  # noqa: FBT001  # a key
    error = ServerOverloaded()
    return packed(error, status_of(error, read=read, accept_language=accept_language))
