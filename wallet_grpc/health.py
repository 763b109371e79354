"""Health: SERVING while the database answers, per service and as a whole.

On a thread pool of its own, so that it answers at once when all workers are busy; watchers hold no thread at all.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc
import structlog
from grpc_health.v1 import health, health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckResponse

from wallet_core.domain.errors import NotServed

_log = structlog.get_logger("wallet.health")


class Health:
    """Asks the database every *interval_s* and tells whoever asks or watches."""

    def __init__(self, services: Sequence[str], ping: Callable[[], None], *, interval_s: float) -> None:
        self._services = ["", *services]
        self._ping = ping
        self._interval_s = interval_s
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="health")
        self._servicer = health.HealthServicer(experimental_non_blocking=True, experimental_thread_pool=self._pool)
        self._stopping = threading.Event()
        self._was_serving: bool | None = None
        self._thread = threading.Thread(target=self._run, name="health-ping", daemon=True)

    def start(self, server: grpc.Server) -> None:
        """Answer on *server*, from the first moment with the truth."""
        self._look()
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)
        self._thread.start()

    def leave(self) -> None:
        """Say NOT_SERVING from now on, whatever the database does."""
        self._stopping.set()
        self._thread.join()
        self._servicer.enter_graceful_shutdown()

    def close(self) -> None:
        """Stop answering."""
        self._pool.shutdown(wait=False)

    def _run(self) -> None:
        while not self._stopping.wait(self._interval_s):
            self._look()

    def _look(self) -> None:
        try:
            self._ping()
            serving = True
        except NotServed:
            serving = False
        if serving is not self._was_serving:
            _log.info("health", serving=serving)
            self._was_serving = serving
        status = HealthCheckResponse.SERVING if serving else HealthCheckResponse.NOT_SERVING
        for service in self._services:
            self._servicer.set(service, status)
