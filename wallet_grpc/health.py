"""Health: SERVING while the database answers, per service and as a whole.

On a thread pool of its own, so that it answers at once when all workers are busy; watchers hold no thread at all.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health, health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckResponse

from wallet_core.domain.errors import DatabaseUnavailable, NotServed

# So many intervals without an answer mean that there will be none.
_MISSED_MAX = 4
_LONG_AGO_S = 1e9

_log = structlog.get_logger("wallet.health")


class Health:
    """Asks the database every *interval_s* and tells whoever asks or watches."""

    def __init__(self, services: Sequence[str], ping: Callable[[], None], *, interval_s: float) -> None:
        self._services = ["", *services]
        self._ping = ping
        self._interval_s = interval_s
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="health")
        self._servicer = _servicer(self._pool)
        self._stopping = threading.Event()
        self._was_serving: bool | None = None
        self._answered_at = 0.0
        # Two, because a database that hangs holds the one that asks it.
        self._threads = [
            threading.Thread(target=self._run, args=(work,), name="health", daemon=True)
            for work in (self._ask, self._tell)
        ]

    def start(self, server: grpc.Server) -> None:
        """Answer on *server*, from the first moment with the truth."""
        self._ask()
        self._tell()
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)
        for thread in self._threads:
            thread.start()

    def leave(self) -> None:
        """Say NOT_SERVING from now on, whatever the database does."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(self._interval_s)
        self._servicer.enter_graceful_shutdown()

    def close(self) -> None:
        """Stop answering."""
        self._pool.shutdown(wait=False)

    def _run(self, work: Callable[[], None]) -> None:
        while not self._stopping.wait(self._interval_s):
            work()

    def _ask(self) -> None:
        try:
            self._ping()
        except DatabaseUnavailable:
            self._answered_at = -_LONG_AGO_S
        except NotServed:
            return  # we are busy, which says nothing of the database
        else:
            self._answered_at = monotonic()

    def _tell(self) -> None:
        """Say SERVING while the last answer is recent: a database that hangs gives none at all."""
        serving = monotonic() - self._answered_at < self._interval_s * _MISSED_MAX
        if self._stopping.is_set():
            return
        if serving is not self._was_serving:
            _log.info("health", serving=serving)
            self._was_serving = serving
        status = HealthCheckResponse.SERVING if serving else HealthCheckResponse.NOT_SERVING
        for service in self._services:
            self._servicer.set(service, status)


def _servicer(pool: ThreadPoolExecutor) -> health.HealthServicer:
    """Return a servicer all of whose calls run on *pool*; the library lends it to watchers only, and to all servers."""

    class Servicer(health.HealthServicer):  # a class for each pool, because the library marks the class
        def Check(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401, N802  # the library's
            return super().Check(request, context)

        def Watch(self, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401, N802  # the library's
            return super().Watch(*arguments, **named)

    Servicer.Check.experimental_thread_pool = pool  # type: ignore[attr-defined]  # grpcio looks for this mark
    return Servicer(experimental_non_blocking=True, experimental_thread_pool=pool)
