"""Health: SERVING while the database answers that it can serve us, per service and as a whole.

The protocol is grpc.health.v1; the servicer is ours. The library's sends to watchers under a lock that gRPC's own
thread wants when a watcher leaves, and then nothing moves any more. Here nothing is sent under a lock and leaving takes
none: each watcher has a thread, which waits for changes, so one that takes nothing holds up itself alone.
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

# So many intervals without an answer mean that there will be none.
_MISSED_MAX = 4
_LONG_AGO_S = 1e9
_CHECKING_THREADS = 2
_QUEUE_MAX = 256

_SERVING, _NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING

Status = Literal[0, 1, 2, 3]

_log = structlog.get_logger("wallet.health")


class Health:
    """Asks the database every *interval_s* and tells whoever asks or watches; *watchers_max* may watch at once."""

    def __init__(  # noqa: PLR0913  # the last three by name
        self,
        services: Sequence[str],
        ask: Callable[[], None],
        calls: Calls,
        *,
        ailing: Callable[[], Collection[str]] = frozenset,
        interval_s: float,
        watchers_max: int,
    ) -> None:
        self._ask_database = ask
        self._interval_s = interval_s
        self._servicer = HealthServicer(services, calls, watchers_max)
        self._services = services
        self._ailing = ailing
        self._serving: frozenset[str] | None = None
        self._leaving = False
        self._answered_at = -_LONG_AGO_S
        self._why = "the database was not asked yet"
        # Two, because a database that hangs holds the one that asks it.
        self._loops = [
            Loop(name, work, interval_s, backoff_max_s=interval_s * _MISSED_MAX)
            for name, work in (("health-ask", self._ask), ("health-tell", self._tell))
        ]

    def start(self, server: grpc.Server) -> None:
        """Answer on *server*, from the first moment with the truth."""
        self._ask()
        self._tell()
        servicer = cast("health_pb2_grpc.HealthServicer", self._servicer)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        for loop in self._loops:
            loop.start()

    def leave(self) -> None:
        """Say NOT_SERVING from now on, whatever the database does."""
        self._leaving = True
        for loop in self._loops:
            loop.stop(self._interval_s)
        self._servicer.tell(frozenset())

    def close(self) -> None:
        """Stop answering."""
        self._servicer.close()

    def _ask(self) -> None:
        try:
            self._ask_database()
        except DatabaseUnavailable as error:
            self._answered_at, self._why = -_LONG_AGO_S, cause_of(error)
        except ServiceError:
            return  # we are busy, which says nothing of the database
        else:
            self._answered_at, self._why = monotonic(), "the database does not answer"

    def _tell(self) -> None:
        """Say SERVING while the last answer is recent: a database that hangs gives none at all."""
        is_answered = monotonic() - self._answered_at < self._interval_s * _MISSED_MAX
        serving = frozenset({"", *self._services}) - frozenset(self._ailing()) if is_answered else frozenset()
        if self._leaving or serving == self._serving:
            return
        why = {} if is_answered else {"why": self._why}
        _log.info("health", serving=is_answered, ailing=sorted(self._ailing()), **why)
        self._serving = serving
        self._servicer.tell(serving)


class HealthServicer:
    """Answers what it was told last, for the services that there are; watches only those and a bounded number of them.

    A watch too many is answered with UNIMPLEMENTED: by that clients know to go on without watching.
    """

    def __init__(self, services: Sequence[str], calls: Calls, watchers_max: int) -> None:
        self._services = frozenset({"", *services})
        self._serving: frozenset[str] = frozenset()
        # Changed by single steps that need no lock. One that has just come is told the status, or the change, or both.
        self._watchers: dict[int, SimpleQueue[None]] = {}
        self._watchers_max = watchers_max
        self._closing = False
        # A watch that is turned away needs a thread too, for a moment.
        checking = calls.pool("health", _CHECKING_THREADS, _QUEUE_MAX)
        watching = calls.pool("health-watch", watchers_max + 1, _QUEUE_MAX)
        self.Check = _on(checking, self._check)
        self.List = _on(checking, self._list)
        self.Watch = _on(watching, self._watch)

    def tell(self, serving: frozenset[str]) -> None:
        """Say from now on which services are served, to watchers too; the empty name is all of them."""
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
            context.abort(grpc.StatusCode.NOT_FOUND, "there is no such service")
        return HealthCheckResponse(status=self._status_of(request.service))

    def _list(self, request: HealthListRequest, context: grpc.ServicerContext) -> HealthListResponse:
        del request, context
        found = {name: HealthCheckResponse(status=self._status_of(name)) for name in sorted(self._services)}
        return HealthListResponse(statuses=found)

    def _watch(self, request: HealthCheckRequest, context: grpc.ServicerContext) -> Iterator[HealthCheckResponse]:
        if len(self._watchers) >= self._watchers_max:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "too many watch already; ask with Check instead")
        changes: SimpleQueue[None] = SimpleQueue()
        # gRPC's own thread calls this when the watcher leaves: it takes no lock of ours.
        if not context.add_callback(lambda: changes.put(None)):
            return
        self._watchers[id(changes)] = changes
        try:
            told: Status | None = None
            while context.is_active() and not self._closing:
                status = self._status_of(request.service)
                if status is not told:
                    told = status
                    yield HealthCheckResponse(status=status)
                _last_of(changes)
        finally:
            self._watchers.pop(id(changes), None)

    def _status_of(self, service: str) -> Status:
        if service not in self._services:
            return HealthCheckResponse.SERVICE_UNKNOWN
        return _SERVING if service in self._serving else _NOT_SERVING


def _last_of(changes: SimpleQueue[None]) -> None:
    """Wait for a change; of several that have come meanwhile only the last counts."""
    changes.get()
    try:
        while True:
            changes.get_nowait()
    except Empty:
        return


def _on(pool: CallPool, behaviour: Behaviour) -> Behaviour:
    """Return it, marked to run on *pool*: grpcio looks for the mark."""

    def run(request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401  # a message, or several
        return behaviour(request, context)

    run.experimental_thread_pool = pool  # type: ignore[attr-defined]  # see above
    return run
