"""The private names of grpcio that ``receiving`` needs, and the only ones that are used.

grpcio gives a call to a thread as soon as its headers have arrived, and the thread then waits for the request. grpcio
has no public way to receive the request first. ``check_grpcio`` checks the private names at the start of a server; a
test compares the text of the functions, so that a new grpcio is reviewed before it is used.
"""
# ruff: noqa: SLF001

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import grpc
from grpc import _server
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # missing in its stubs

_UNARY = _server._unary_response_in_pool
_RUNS_IN_POOL = (_UNARY, _server._stream_response_in_pool)
_PARAMETERS = ("rpc_event", "state", "behavior", "argument_thunk", "request_deserializer", "response_serializer")
# Qualified name of the function with which grpcio waits for the request of a unary call.
_WAITS_FOR_REQUEST = f"{_server._unary_request.__qualname__}.<locals>.unary_request"
_STATE = ("condition", "due", "client", "callbacks", "statused")

READ_FUNCTIONS = (
    *_RUNS_IN_POOL,
    _server._unary_request,
    _server._receive_message,
    _server._receive_close_on_server,
    _server._possibly_finish_call,
    _server._is_rpc_state_active,
    _server._abort,
    _server._status,
    _server._handle_unary_unary,
    _server._handle_unary_stream,
    _server._handle_with_method_handler,
    _server._process_event_and_continue,
)
"""The functions whose text this module depends on."""


class GrpcioChanged(Exception):
    """The internals of the installed grpcio differ from those that this module was written for."""


def check_grpcio() -> None:
    """Raise ``GrpcioChanged`` unless the internals of grpcio are the expected ones."""
    state = _server._RPCState()  # type: ignore[no-untyped-call]  # as above
    is_known = (
        all(tuple(inspect.signature(run).parameters) == _PARAMETERS for run in _RUNS_IN_POOL)
        and all(hasattr(state, name) for name in _STATE)
        and callable(cygrpc.ReceiveMessageOperation)
    )
    if not is_known:
        raise GrpcioChanged(
            f"grpcio {grpc.__version__} is not supported: its internals differ from the tested version; "
            "install the version that requirements.txt names"
        )


class GrpcioCall:
    """One call with one request, as grpcio submits it to a thread pool."""

    __slots__ = ("_behavior", "_event", "_in_pool", "_read", "_run", "_state", "_write")

    def __init__(self, run: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self._run = run
        self._in_pool, self._event, self._state, self._behavior, _, self._read, self._write = args

    @property
    def method(self) -> str:
        """The full path."""
        return str(self._event.call_details.method, "ascii", "replace")

    def receive_request(self, arrived: Callable[[bytes | None], None]) -> None:
        """Call *arrived* on the event-loop thread with the request; with None where there will be none."""
        state = self._state

        def received(event: Any) -> Any:  # noqa: ANN401  # grpcio's own
            request = event.batch_operations[0].message()
            with state.condition:
                if request is None and state.client is _server._OPEN:
                    state.client = _server._CLOSED
                finished = _server._possibly_finish_call(state, _server._RECEIVE_MESSAGE_TOKEN)
            arrived(request)
            return finished

        self._event.call.start_server_batch((cygrpc.ReceiveMessageOperation(0),), received)
        state.due.add(_server._RECEIVE_MESSAGE_TOKEN)

    def run(
        self,
        request: bytes,
        instead: Callable[[Any, grpc.ServicerContext], Any] | None = None,
    ) -> int:
        """Run the handler, or another one *instead*, and send the response; return its bytes, which may be unsent.

        Nothing is run where the call was cancelled or ended.
        """
        write, size = self._write, 0

        def write_and_count(response: Any) -> bytes:  # noqa: ANN401  # any message
            nonlocal size
            data: bytes = write(response)
            size = len(data)
            return data

        read = partial(self._request, request)
        behavior = self._behavior if instead is None else instead
        self._run(self._in_pool, self._event, self._state, behavior, read, self._read, write_and_count)
        # Each message of a stream was sent once the next one is requested.
        return size if self._in_pool is _UNARY else 0

    def end(self, code: grpc.StatusCode, details: str) -> None:
        """End the call with an error, unless it has ended."""
        with self._state.condition:
            if _server._is_rpc_state_active(self._state):
                _server._abort(self._state, self._event.call, _server._application_code(code), details.encode())

    def cancel(self) -> None:
        """End the call at once and drop what was not sent."""
        self._event.call.cancel()

    def when_over(self, callback: Callable[[], None]) -> None:
        """Call back on the event-loop thread once nothing is left to send or receive."""
        self._state.callbacks.append(callback)

    def _request(self, request: bytes) -> Any:  # noqa: ANN401  # any message, or its bytes
        with self._state.condition:
            if not _server._is_rpc_state_active(self._state):
                return None
        if self._read is None:
            return request
        try:
            return self._read(request)
        except Exception:  # noqa: BLE001  # invalid bytes of a caller need no traceback
            self.end(grpc.StatusCode.INTERNAL, "the request is not a message of this method")
            return None


def grpcio_call(run: Callable[..., Any], args: tuple[Any, ...]) -> GrpcioCall | None:
    """Return the call that grpcio submits to a pool; None where its requests are a stream."""
    is_call = len(args) == len(_PARAMETERS) + 1 and args[0] in _RUNS_IN_POOL
    if is_call and getattr(args[4], "__qualname__", "") == _WAITS_FOR_REQUEST:
        return GrpcioCall(run, args)
    return None


def instead_of(args: tuple[Any, ...], behavior: Callable[[Any, grpc.ServicerContext], Any]) -> tuple[Any, ...]:
    """Return the arguments that grpcio submits to a pool, with another handler."""
    return (*args[:3], behavior, *args[4:])
