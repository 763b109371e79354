"""Calls from their headers to the last byte of their response, and the threads that process them.

A call takes a thread once its request has arrived, until its response is written, whether or not it is sent. So a
caller that sends no request, or reads no response, occupies only memory, which is bounded: a call whose request does
not arrive in time is ended, a response that is not read in time is dropped, and beyond a limit the oldest are ended
first. A call that was ended before its request arrived is never run.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic
from typing import Any

import grpc
import structlog

from wallet_core.background import Loop
from wallet_grpc.runtime.grpcio_private import GrpcioCall, check_grpcio, grpcio_call, instead_of
from wallet_grpc.runtime.metrics import DROPPED, QUEUED, RECEIVING, UNSENT_BYTES

Behaviour = Callable[[Any, grpc.ServicerContext], Any]

_log = structlog.get_logger("wallet.calls")

_LOOK_EVERY_S = 0.5
# The status of an ended call is small: a client that does not read it in this time reads nothing.
_LAST_WORD_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLimits:
    """Limits of receiving requests and sending responses; ``settings.grpc`` explains them."""

    receive_timeout_s: float
    receiving_max: int
    send_timeout_s: float
    unsent_max_bytes: int


class _Call:
    """The state of a call."""

    __slots__ = ("done", "grpcio", "is_over", "unsent", "until")

    def __init__(self, grpcio: GrpcioCall, until: float) -> None:
        self.grpcio = grpcio
        self.done: Future[None] = Future()
        """The future that grpcio gets: done once no thread processes the call, or will."""
        self.until = until
        self.unsent = 0
        self.is_over = False


class Calls:
    """All calls of one server. Its dictionaries are ordered by age, the oldest first."""

    def __init__(self, limits: CallLimits) -> None:
        check_grpcio()
        self._limits = limits
        self._receiving: dict[_Call, None] = {}
        self._sending: dict[_Call, None] = {}
        self._unsent = 0
        self._counting = threading.Lock()
        """Guards the calls that are being sent, and their bytes."""
        self._pools: list[CallPool] = []
        self._loop = Loop("calls", self._look_after, _LOOK_EVERY_S)

    def pool(self, name: str, threads: int, queue_max: int) -> "CallPool":
        """Return a pool of threads for calls, with a queue of at most *queue_max* calls."""
        self._pools.append(CallPool(self, name, threads, queue_max))
        return self._pools[-1]

    def start(self) -> None:
        """Start to end calls that take too long."""
        self._loop.start()

    def close(self) -> None:
        """Accept no more calls, and end none."""
        self._loop.stop()
        for pool in self._pools:
            pool.shutdown(wait=False)

    def begin(self, grpcio: GrpcioCall, take: Callable[[_Call, bytes], None]) -> Future[None]:
        """Receive the request of a call, then pass it to *take*. On the event-loop thread."""
        call = _Call(grpcio, monotonic() + self._limits.receive_timeout_s)
        self._receiving[call] = None

        def arrived(request: bytes | None) -> None:
            if not _took_out(self._receiving, call):  # it was ended before its request arrived
                call.done.set_result(None)
            elif request is None:
                grpcio.end(grpc.StatusCode.UNIMPLEMENTED, "the call needs exactly one request")
                call.done.set_result(None)
            else:
                self._guarded(call, lambda: take(call, request))

        grpcio.when_over(lambda: self._over(call))
        self._guarded(call, lambda: grpcio.receive_request(arrived))
        if len(self._receiving) > self._limits.receiving_max:
            self._loop.wake()
        return call.done

    def run(self, call: _Call, request: bytes, instead: Behaviour | None = None) -> None:
        """Run a call on this thread; track its response until it is sent."""
        try:
            call.unsent = call.grpcio.run(request, instead)
        finally:
            self._sent_within(call, self._limits.send_timeout_s)
            call.done.set_result(None)

    def _guarded(self, call: _Call, step: Callable[[], None]) -> None:
        """Run a step on the event-loop thread, which no exception may end."""
        try:
            step()
        except Exception:  # noqa: BLE001  # see above
            _log.error("call lost", method=call.grpcio.method, exc_info=True)  # structlog's own form
            self._receiving.pop(call, None)
            call.grpcio.cancel()
            if not call.done.done():
                call.done.set_result(None)

    def _sent_within(self, call: _Call, seconds: float) -> None:
        call.until = monotonic() + seconds
        with self._counting:
            if call.is_over:
                return
            self._sending[call] = None
            self._unsent += call.unsent
            if self._unsent > self._limits.unsent_max_bytes:
                self._loop.wake()

    def _over(self, call: _Call) -> None:
        with self._counting:
            call.is_over = True
            if _took_out(self._sending, call):
                self._unsent -= call.unsent

    def _look_after(self) -> None:
        self._end_unreceived()
        self._drop_unsent()

    def _end_unreceived(self) -> None:
        receiving = list(self._receiving)
        RECEIVING.set(len(receiving))
        now, too_many = monotonic(), len(receiving) - self._limits.receiving_max
        for place, call in enumerate(receiving):
            if call.until > now and place >= too_many:
                return
            if not _took_out(self._receiving, call):  # its request has arrived in the meantime
                continue
            DROPPED.labels("request").inc()
            code, text = _NOT_IN_TIME if call.until <= now else _TOO_MANY
            call.grpcio.end(code, text)
            self._sent_within(call, _LAST_WORD_S)

    def _drop_unsent(self) -> None:
        with self._counting:
            sending, unsent = list(self._sending), self._unsent
        UNSENT_BYTES.set(unsent)
        now = monotonic()
        for call in sending:
            if call.until <= now or (unsent > self._limits.unsent_max_bytes and call.unsent):
                unsent -= call.unsent
                DROPPED.labels("response").inc()
                call.until = now + _LAST_WORD_S  # cancelled once; it is removed when it is over
                call.grpcio.cancel()


def _took_out(calls: dict[_Call, None], call: _Call) -> bool:
    """Remove a call; return whether this thread removed it: only one thread decides what happens to it."""
    return calls.pop(call, _NOT_THERE) is not _NOT_THERE


_NOT_THERE: Any = object()
_NOT_IN_TIME = (
    grpc.StatusCode.DEADLINE_EXCEEDED,
    "this attempt did nothing: its request did not arrive in time; retry",
)
_TOO_MANY = (
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    "this attempt did nothing: too many requests are being received; retry later",
)
_FULL = "this attempt did nothing: the queue of its kind is full; retry later"


class CallPool(ThreadPoolExecutor):
    """Threads that process calls, with a bounded queue.

    Calls beyond the queue are refused on the event-loop thread. It is a ``ThreadPoolExecutor`` because grpcio accepts
    nothing else as the pool of a method.
    """

    def __init__(self, calls: Calls, name: str, threads: int, queue_max: int) -> None:
        super().__init__(threads, thread_name_prefix=name)
        self.refusal: Callable[[str], Behaviour] = lambda _: _refuse
        """Returns the handler that refuses a call of a method when the queue is full; it must not block."""
        self._calls = calls
        self._queue_max = queue_max
        self._counting = threading.Lock()
        self._waiting = 0

    @property
    def is_full(self) -> bool:
        """Whether the queue is full."""
        return self._waiting >= self._queue_max

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401  # as its base
        """Accept a call from grpcio: it is queued once its request has arrived, a client stream at once."""
        grpcio = grpcio_call(fn, args)
        if grpcio is not None:
            return self._calls.begin(grpcio, self._take)
        if self.is_full:
            fn(*instead_of(args, _refuse))
            done: Future[None] = Future()
            done.set_result(None)
            return done
        return self._queued(lambda: fn(*args, **kwargs))

    def _take(self, call: _Call, request: bytes) -> None:
        if self.is_full:
            self._calls.run(call, request, self.refusal(call.grpcio.method))
        else:
            self._queued(lambda: self._calls.run(call, request))

    def _queued(self, work: Callable[[], Any]) -> Future[Any]:
        self._count(1)

        def begin() -> Any:  # noqa: ANN401  # whatever the call returns
            self._count(-1)
            return work()

        try:
            return super().submit(begin)
        except RuntimeError:  # the pool is shut down
            self._count(-1)
            raise

    def _count(self, more: int) -> None:
        with self._counting:
            self._waiting += more
        QUEUED.inc(more)


def _refuse(request: object, context: grpc.ServicerContext) -> None:
    del request
    context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, _FULL)
