"""Health (grpc.health.v1): SERVING while the database is ready, per service and as a whole.

The servicer is our own. The library's sends to watchers under a lock that the event-loop thread needs when a watcher
cancels, which can deadlock. Here nothing is sent under a lock, and cancelling takes none: each watcher has a thread
that waits for changes, so a watcher that reads nothing blocks only itself.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Literal, cast

import grpc
import structlog
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health_pb2 import (  # type: ignore[attr-defined]  # its stubs are of an older version
    HealthCheckRequest,
    HealthCheckResponse,
    HealthListRequest,
    HealthListResponse,
)

from wallet_core.background import Loop
from wallet_core.domain.model.errors import DatabaseUnavailable, ServiceError, cause_of
from wallet_grpc.runtime.receiving import Behaviour, CallPool, Calls

# Intervals without a response after which the database counts as unavailable.
_MISSED_MAX = 4
_LONG_AGO_S = 1e9
_CHECKING_THREADS = 2
_QUEUE_MAX = 256

_SERVING, _NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING

Status = Literal[0, 1, 2, 3]

_log = structlog.get_logger("wallet.health")


class Health:
    """Checks the database every *interval_s* and serves the result; *watchers_max* clients may watch at once."""

    def __init__(  # noqa: PLR0913  # the last three by name
        self,
        services: Sequence[str],
        ask: Callable[[], None],
        calls: Calls,
        *,
        failing: Callable[[], Collection[str]] = frozenset,
        interval_s: float,
        watchers_max: int,
    ) -> None:
        self._ask_database = ask
        self._interval_s = interval_s
        self._servicer = HealthServicer(services, calls, watchers_max)
        self._services = services
        self._failing = failing
        self._serving: frozenset[str] | None = None
        self._leaving = False
        self._answered_at = -_LONG_AGO_S
        self._cause = "the database was not checked yet"
        # Two loops, because a database that hangs blocks the one that checks it.
        self._loops = [
            Loop(name, work, interval_s, backoff_max_s=interval_s * _MISSED_MAX)
            for name, work in (("health-check", self._check), ("health-publish", self._publish))
        ]

    def start(self, server: grpc.Server) -> None:
        """Serve health on *server*, with a first result from the start."""
        self._check()
        self._publish()
        servicer = cast("health_pb2_grpc.HealthServicer", self._servicer)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        for loop in self._loops:
            loop.start()

    def leave(self) -> None:
        """Report NOT_SERVING from now on, whatever the database's state."""
        self._leaving = True
        for loop in self._loops:
            loop.stop(self._interval_s)
        self._servicer.publish(frozenset())

    def close(self) -> None:
        """End all watches."""
        self._servicer.close()

    def _check(self) -> None:
        try:
            self._ask_database()
        except DatabaseUnavailable as error:
            self._answered_at, self._cause = -_LONG_AGO_S, cause_of(error)
        except ServiceError:
            return  # this process is busy, which says nothing about the database
        else:
            self._answered_at, self._cause = monotonic(), "the database does not answer"

    def _publish(self) -> None:
        """Report SERVING while the last response is recent: a database that hangs gives none."""
        is_answered = monotonic() - self._answered_at < self._interval_s * _MISSED_MAX
        serving = frozenset({"", *self._services}) - frozenset(self._failing()) if is_answered else frozenset()
        if self._leaving or serving == self._serving:
            return
        cause = {} if is_answered else {"cause": self._cause}
        _log.info("health", serving=is_answered, failing=sorted(self._failing()), **cause)
        self._serving = serving
        self._servicer.publish(serving)


class HealthServicer:
    """Serves the last reported status, to a bounded number of watchers.

    A watch beyond the limit gets UNIMPLEMENTED: then clients continue without watching.
    """

    def __init__(self, services: Sequence[str], calls: Calls, watchers_max: int) -> None:
        self._services = frozenset({"", *services})
        self._serving: frozenset[str] = frozenset()
        # Changed by atomic operations, without a lock. A new watcher gets the status, or the change, or both.
        self._watchers: dict[int, SimpleQueue[None]] = {}
        self._watchers_max = watchers_max
        self._closing = False
        # A refused watch needs a thread for a moment, too.
        checking = calls.pool("health", _CHECKING_THREADS, _QUEUE_MAX)
        watching = calls.pool("health-watch", watchers_max + 1, _QUEUE_MAX)
        self.Check = _on(checking, self._check)
        self.List = _on(checking, self._list)
        self.Watch = _on(watching, self._watch)

    def publish(self, serving: frozenset[str]) -> None:
        """Set the services that are serving, and wake all watchers; the empty name is the server as a whole."""
        self._serving = serving
        self._wake_all()

    def close(self) -> None:
        """End all watches."""
        self._closing = True
        self._wake_all()

    def _wake_all(self) -> None:
        for changes in list(self._watchers.values()):
            changes.put(None)

    def _check(self, request: HealthCheckRequest, context: grpc.ServicerContext) -> HealthCheckResponse:
        if request.service not in self._services:
            context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return HealthCheckResponse(status=self._status_of(request.service))

    def _list(self, request: HealthListRequest, context: grpc.ServicerContext) -> HealthListResponse:
        del request, context
        found = {name: HealthCheckResponse(status=self._status_of(name)) for name in sorted(self._services)}
        return HealthListResponse(statuses=found)

    def _watch(self, request: HealthCheckRequest, context: grpc.ServicerContext) -> Iterator[HealthCheckResponse]:
        if len(self._watchers) >= self._watchers_max:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "too many watches; use Check instead")
        changes: SimpleQueue[None] = SimpleQueue()
        # The event-loop thread calls this when the watcher cancels: it must take no lock.
        if not context.add_callback(lambda: changes.put(None)):
            return
        self._watchers[id(changes)] = changes
        try:
            sent: Status | None = None
            while context.is_active() and not self._closing:
                status = self._status_of(request.service)
                if status is not sent:
                    sent = status
                    yield HealthCheckResponse(status=status)
                _last_of(changes)
        finally:
            self._watchers.pop(id(changes), None)

    def _status_of(self, service: str) -> Status:
        if service not in self._services:
            return HealthCheckResponse.SERVICE_UNKNOWN
        return _SERVING if service in self._serving else _NOT_SERVING


def _last_of(changes: SimpleQueue[None]) -> None:
    """Wait for a change; several changes count as one."""
    changes.get()
    try:
        while True:
            changes.get_nowait()
    except Empty:
        return


def _on(pool: CallPool, behaviour: Behaviour) -> Behaviour:
    """Return a handler that runs on *pool*: grpcio looks for the attribute."""

    def run(request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401  # a message, or several
        return behaviour(request, context)

    run.experimental_thread_pool = pool  # type: ignore[attr-defined]  # see above
    return run
