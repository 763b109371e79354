"""Load shedding: rejects calls in milliseconds, and at little cost, while the server is at its limit.

This interceptor comes before all others, where a call has not taken a thread yet: behind the others it would reject
calls only after the overload has passed. A rejection costs time that accepted calls could use. So a call is rejected on
the event-loop thread, before its request is received, with a prebuilt response.
"""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache, partial
from time import monotonic
from typing import Any, NoReturn, cast

import grpc
import structlog

from wallet_core.domain.model.errors import ServerOverloaded
from wallet_grpc.convert.values import accept_language_of
from wallet_grpc.descriptors import READS
from wallet_grpc.errors.catalogue import CATALOGUE
from wallet_grpc.errors.status import status_of
from wallet_grpc.interceptors.errors import NO_RETRY_MS, GrpcError, abort, grpc_error
from wallet_grpc.interceptors.wrapping import Handler
from wallet_grpc.messages.language import preferred
from wallet_grpc.runtime.metrics import count
from wallet_grpc.runtime.receiving import Behaviour, CallPool
from wallet_grpc.security.access import SCOPES

_log = structlog.get_logger("wallet.overload")

# The interval of the log record and of the backoff's adjustment: a log record for each call would cost more than the
# call itself.
_INTERVAL_S = 1.0

# The server can reject this many calls per second and ask for the shortest delay. Above that rate it asks for longer
# delays, or rejecting the retries would take all its time. Delays vary, so that retries do not arrive together.
_CHEAP_PER_S = 250
_DELAY_MAX_MS = 5000
_DELAY_FACTORS = (0.5, 0.75, 1.0, 1.25, 1.5)

# A longer accept-language is ignored here: its values are cache keys, and callers could send endless different ones.
_LANGUAGES_MAX = 64

_SPEC = CATALOGUE[ServerOverloaded]
_DELAY_MIN_MS = _SPEC.retry_after_ms or 0


class InlineExecutor(ThreadPoolExecutor):
    """Runs a function on the thread that submits it; for functions that do not block."""

    def __init__(self) -> None:
        super().__init__(1)  # a thread that is never started

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401  # as its base
        """Run *fn* and return a completed future."""
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


class RefusalBackoff:
    """Computes the retry delay of a rejected call from the rate of recent rejections. For one thread."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._began_at = now()
        self._rejected = 0
        self._factor = 1.0
        self._log_thread = threading.Thread()

    def delay_ms(self) -> int:
        """Count one rejection and return its delay."""
        self._rejected += 1
        now = self._now()
        if (elapsed_s := now - self._began_at) > _INTERVAL_S:
            self._log_rejections(self._rejected)
            self._factor *= self._rejected / elapsed_s / _CHEAP_PER_S
            self._factor = min(max(1.0, self._factor), _DELAY_MAX_MS / _DELAY_MIN_MS)
            self._began_at, self._rejected = now, 0
        spread = _DELAY_FACTORS[self._rejected % len(_DELAY_FACTORS)]
        return round(_DELAY_MIN_MS * self._factor * spread)

    def _log_rejections(self, rejected: int) -> None:
        """Log on another thread: writing blocks where the log's reader is slow, and would block every call."""
        if not self._log_thread.is_alive():
            self._log_thread = threading.Thread(
                target=partial(_log.warning, "overloaded", rejected=rejected), name="overload-log", daemon=True
            )
            self._log_thread.start()


class LoadShedding(grpc.ServerInterceptor):
    """Rejects calls while the queue of their pool is full: before the request is received, and again after that.

    A method may have a pool of its *own*; its calls are rejected while the queue of the shared pool is full, too.
    """

    def __init__(self, pool: CallPool, own: Mapping[str, CallPool], backoff: RefusalBackoff | None = None) -> None:
        self._pool = pool
        self._own = own
        self._inline = InlineExecutor()
        self._handlers: dict[str, Handler] = {}
        self._backoff = backoff or RefusalBackoff()
        for one in (pool, *own.values()):
            one.refusal = lambda method: cast("Behaviour", self._rejecting_handler(method).stream_unary)

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Handler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Return the next handler, or one that rejects the call."""
        method = handler_call_details.method
        own = self._own.get(method)
        if method not in SCOPES or not (self._pool.is_full or (own is not None and own.is_full)):
            return continuation(handler_call_details)
        return self._rejecting_handler(method)

    def _rejecting_handler(self, method: str) -> Handler:
        """Return the handler that rejects a method's calls. Cached: the event-loop thread calls this."""
        if method not in self._handlers:
            # Registered as client-streaming and never reading: gRPC would wait for the request of a unary call.
            self._handlers[method] = grpc.stream_unary_rpc_method_handler(self._rejecting(method))
        return self._handlers[method]

    def _rejecting(self, method: str) -> Callable[[Any, grpc.ServicerContext], NoReturn]:
        def reject(requests: Any, context: grpc.ServicerContext) -> NoReturn:  # noqa: ANN401  # never read
            del requests
            count(method, _SPEC.code.name, _SPEC.reason_name, None)
            delay_ms = self._backoff.delay_ms()
            # A channel waits for the delay even if the deadline passes before it ends; then an error now is better.
            in_time = delay_ms < context.time_remaining() * 1000
            abort(context, _error(method in READS, _language(accept_language_of(context)), delay_ms, in_time))

        # grpcio looks for this attribute.
        reject.experimental_thread_pool = self._inline  # type: ignore[attr-defined]
        return reject


@lru_cache(maxsize=1024)
def _error(read: bool, language: str | None, delay_ms: int, in_time: bool) -> GrpcError:  # noqa: FBT001  # a cache key
    error = ServerOverloaded()
    status = status_of(error, read=read, accept_language=language, retry_after_ms=delay_ms)
    return grpc_error(error, status, delay_ms if in_time else NO_RETRY_MS)


def _language(accept_language: str | None) -> str | None:
    """Return the supported language that the caller prefers; None where the header is missing or too long."""
    if accept_language is None or len(accept_language) > _LANGUAGES_MAX:
        return None
    return _preferred(accept_language)


_preferred = lru_cache(maxsize=1024)(preferred)
