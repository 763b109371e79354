"""Refuses calls while the server has as much to do as it takes on: in milliseconds, and for next to nothing.

Stands before everything else, where no thread has been spent on a call yet: behind the others a call would be refused
only once the overload is over. What a refusal costs is taken from calls that are worked on, so it happens on gRPC's own
thread, without waiting for the request, with an answer that is ready.
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
from wallet_grpc.errors import CATALOGUE, status_of
from wallet_grpc.interceptors.errors import NOT_AGAIN, Ending, end_with, packed
from wallet_grpc.interceptors.wrapping import Handler
from wallet_grpc.messages.language import preferred
from wallet_grpc.runtime.metrics import count
from wallet_grpc.runtime.receiving import Behaviour, CallPool
from wallet_grpc.security.access import SCOPES

_log = structlog.get_logger("wallet.overload")

# How often a line is written, and the pace looked at: a line for each call would cost more than the call.
_LOOK_EVERY_S = 1.0

# So many may be turned away each second and be told the shortest wait; of more, each is told to wait longer, or turning
# away those who ask again would take all the time. The waits differ, so that not all come back at once.
_CHEAP_PER_S = 250
_WAIT_MAX_MS = 5000
_WAITS_SPREAD = (0.5, 0.75, 1.0, 1.25, 1.5)

# A longer list of languages is not looked at here: there is no end of those that a caller could make up.
_LANGUAGES_MAX = 64


class InlineExecutor(ThreadPoolExecutor):
    """Runs what it is given where it is given it, for work that neither waits nor takes long."""

    def __init__(self) -> None:
        super().__init__(1)  # a thread that is never started

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401  # as its base
        """Do it; the future is done."""
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


class RefusalBackoff:
    """How many were turned away lately, and so how long the next one is told to wait. For one thread."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._began_at = now()
        self._refused = 0
        self._times = 1.0
        self._telling = threading.Thread()

    def wait_ms(self) -> int:
        """Count one more; return its wait."""
        self._refused += 1
        now = self._now()
        if (took_s := now - self._began_at) > _LOOK_EVERY_S:
            self._tell(self._refused)
            self._times *= self._refused / took_s / _CHEAP_PER_S
            self._times = min(max(1.0, self._times), _WAIT_MAX_MS / _SHORTEST_MS)
            self._began_at, self._refused = now, 0
        spread = _WAITS_SPREAD[self._refused % len(_WAITS_SPREAD)]
        return round(_SHORTEST_MS * self._times * spread)

    def _tell(self, refused: int) -> None:
        """Log it on another thread: where nobody reads the log, writing waits, and with it would every call."""
        if not self._telling.is_alive():
            self._telling = threading.Thread(
                target=partial(_log.warning, "overloaded", refused=refused), name="tells-overload", daemon=True
            )
            self._telling.start()


class LoadShedding(grpc.ServerInterceptor):
    """Refuses calls while the queue of their pool is full: before their request is read, and again when it is there.

    Some methods have a pool of their *own*; they are refused while the queue of all others is full, too.
    """

    def __init__(self, pool: CallPool, own: Mapping[str, CallPool], pace: RefusalBackoff | None = None) -> None:
        self._pool = pool
        self._own = own
        self._at_once = InlineExecutor()
        self._refusals: dict[str, Handler] = {}
        self._pace = pace or RefusalBackoff()
        for one in (pool, *own.values()):
            one.refusal = lambda method: cast("Behaviour", self._refusal(method).stream_unary)

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Handler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Pass a call of ours on, or have it refused."""
        method = handler_call_details.method
        own = self._own.get(method)
        if method not in SCOPES or not (self._pool.is_full or (own is not None and own.is_full)):
            return continuation(handler_call_details)
        return self._refusal(method)

    def _refusal(self, method: str) -> Handler:
        """Return what refuses a call of a method; made once, for gRPC's own thread asks for it."""
        if method not in self._refusals:
            # As of a stream of requests, none of which is read: gRPC would wait for the one request otherwise.
            self._refusals[method] = grpc.stream_unary_rpc_method_handler(self._refusing(method))
        return self._refusals[method]

    def _refusing(self, method: str) -> Callable[[Any, grpc.ServicerContext], NoReturn]:
        def refuse(requests: Any, context: grpc.ServicerContext) -> NoReturn:  # noqa: ANN401  # not looked at
            del requests
            count(method, _FACE.code.name, _FACE.reason_name, None)
            wait_ms = self._pace.wait_ms()
            # Who would be gone by then hears it now: a channel waits as told, whatever time its call has left.
            in_time = wait_ms < context.time_remaining() * 1000
            end_with(context, _ending(method in READS, _language(accept_language_of(context)), wait_ms, in_time))

        # grpcio looks for this mark.
        refuse.experimental_thread_pool = self._at_once  # type: ignore[attr-defined]
        return refuse


_FACE = CATALOGUE[ServerOverloaded]
_SHORTEST_MS = _FACE.retry_after_ms or 0


@lru_cache(maxsize=1024)
def _ending(read: bool, language: str | None, wait_ms: int, in_time: bool) -> Ending:  # noqa: FBT001  # a key
    error = ServerOverloaded()
    shown = status_of(error, read=read, accept_language=language, retry_after_ms=wait_ms)
    return packed(error, shown, wait_ms if in_time else NOT_AGAIN)


def _language(accept_language: str | None) -> str | None:
    """Return which of our languages a caller reads; who says so at length is not listened to here."""
    if accept_language is None or len(accept_language) > _LANGUAGES_MAX:
        return None
    return _preferred(accept_language)


_preferred = lru_cache(maxsize=1024)(preferred)
