"""Calls that arrive in part: no thread waits for the rest, and what was ended is never run."""

import hashlib
import inspect
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import grpc
import pytest
from wallet.v1 import transaction_service_pb2 as pb

from tests.support.api import Api
from tests.support.callers import balance, open_funded
from tests.support.requests import money
from wallet_client import WalletClient
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_grpc.runtime import grpcio_private
from wallet_grpc.runtime.receiving import CallLimits, Calls
from wallet_grpc.server import reflection
from wallet_grpc.server.serving import serving
from walletctl.local.waiting import wait_until

DEPOSIT = "/wallet.v1.TransactionService/Deposit"
# Of the functions that `grpcio_private` was written after reading, of grpcio 1.85.1.
AS_READ = "e7dbc780a4451ecd7fec0da64d774bfb0e2d27410c1beff03a792c58652f269a"


@contextmanager
def served(app: App, settings: Settings, **changes: object) -> Iterator[str]:
    """Serve with other limits."""
    with serving(app, settings.replaced(**changes)) as port:
        yield f"127.0.0.1:{port}"


class HalfSent:
    """A call whose request is sent on demand, or never."""

    def __init__(self, channel: grpc.Channel, method: str = DEPOSIT) -> None:
        self._send = threading.Event()
        self._request: bytes | None = None
        begin: Any = channel.stream_unary(method)
        self.call = begin.future(self._requests(), timeout=60)

    def _requests(self) -> Iterator[bytes]:
        self._send.wait()
        if self._request is not None:
            yield self._request

    def send(self, request: bytes | None) -> None:
        """Send it; None ends the call's requests without one."""
        self._request = request
        self._send.set()

    @property
    def code(self) -> str:
        """How it ended."""
        return str(self.call.code().name)


def deposit(minor_units: int) -> bytes:
    """Return the bytes of a request for one."""
    request = pb.DepositRequest(wallet="wallets/alice", amount=money(minor_units), request_id=str(uuid4()))
    return request.SerializeToString()


def test_request_that_comes_too_late_is_never_run(app: App, settings: Settings) -> None:
    """DEADLINE_EXCEEDED once its time is over; one that comes in time is done, though its headers came before."""

    with (
        served(app, settings, grpc_receive_timeout_s=2.0) as target,
        grpc.insecure_channel(target) as channel,
        WalletClient(target) as client,
    ):
        open_funded(client, alice=0)
        late, in_time, without = HalfSent(channel), HalfSent(channel), HalfSent(channel)
        in_time.send(deposit(5))
        without.send(None)
        assert in_time.call.result(30)
        assert wait_until(late.call.done, timeout_s=30)
        late.send(deposit(7))
        assert wait_until(without.call.done, timeout_s=30)
        assert balance(client, "alice") == 5

    assert (late.code, without.code) == ("DEADLINE_EXCEEDED", "UNIMPLEMENTED")
    assert "this attempt did nothing" in late.call.details()


def test_of_too_many_calls_without_request_the_oldest_are_ended(app: App, settings: Settings) -> None:
    """However long they may take; the newest is done when its request comes, and the others' places are free."""

    with (
        served(app, settings, grpc_receive_timeout_s=600.0, grpc_receiving_max=3, grpc_threads=2) as target,
        grpc.insecure_channel(target) as channel,
        WalletClient(target) as client,
    ):
        open_funded(client, alice=0)
        calls: list[HalfSent] = []

        def all_but_three_have_ended() -> bool:
            return len([one for one in calls if one.call.done()]) >= len(calls) - 3

        for _ in range(12):
            calls.append(HalfSent(channel))
            # One after the other, so that it is known which is the oldest.
            assert wait_until(all_but_three_have_ended, timeout_s=30)
        newest = calls.pop()
        assert wait_until(lambda: sum(one.call.done() for one in calls) == 9, timeout_s=30)
        assert not newest.call.done()
        newest.send(deposit(3))
        assert newest.call.result(30)
        assert balance(client, "alice") == 3
        assert {one.code for one in calls if one.call.done()} == {"RESOURCE_EXHAUSTED"}
        for one in calls:
            one.call.cancel()
            one.send(None)


def test_reflection_has_few_threads_and_each_stream_an_end(
    app: App, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streams without a request: those beyond the limit are refused, the others end by themselves."""

    monkeypatch.setattr(reflection, "_LASTS_MAX_S", 1.0)
    with served(app, settings, grpc_reflection=True) as target, grpc.insecure_channel(target) as channel:
        method = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
        streams = [HalfSent(channel, method) for _ in range(40)]
        with Api(target) as api:
            assert api.call("WalletService/ListWallets", b"").code == "OK"
        assert wait_until(lambda: all(stream.call.done() for stream in streams), timeout_s=30)
        for stream in streams:
            stream.send(None)

    assert {stream.code for stream in streams} == {"CANCELLED", "RESOURCE_EXHAUSTED"}


def test_server_does_not_start_with_a_grpcio_that_hands_calls_over_in_another_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would wait for requests on threads again, or fail at the first call."""

    monkeypatch.setattr(grpcio_private, "_PARAMETERS", ("rpc_event", "state", "handler"))
    limits = CallLimits(receive_timeout_s=1.0, receiving_max=1, send_timeout_s=1.0, unsent_max_bytes=1)
    with pytest.raises(grpcio_private.GrpcioChanged, match=f"grpcio {grpc.__version__} is not supported"):
        Calls(limits)


def test_grpcio_is_inside_what_was_read() -> None:
    """Where this fails, grpcio is a new one: read the functions again, then write their sum here."""

    text = "".join([inspect.getsource(function) for function in grpcio_private.READ_FUNCTIONS])
    assert hashlib.sha256(text.encode()).hexdigest() == AS_READ, grpc.__version__
