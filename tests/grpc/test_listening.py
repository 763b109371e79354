"""What a server listens on: IPv4 and IPv6, by name or address; where it cannot, it reports why."""

import errno
import socket
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_grpc.runtime.listening import CannotListen, bound
from wallet_grpc.runtime.metrics import metrics_page
from wallet_grpc.server.admin import admin_port
from wallet_grpc.server.serving import serving

V4, V6 = "127.0.0.1", "[::1]"

REACHED = {
    "127.0.0.1": [V4],
    "0.0.0.0": [V4],  # noqa: S104  # what a server listens on
    "localhost": [V4],
    "::1": [V6],
    "[::1]": [V6],
    "::": [V4, V6],
    "[::]": [V4, V6],
}
"""Hosts to listen on, and where what listens there is reached."""

REFUSED = {
    "192.0.2.1": "cannot listen on 192.0.2.1:0: this machine has no such address",
    "2001:db8::1": "cannot listen on [2001:db8::1]:0: this machine has no such address",
    "not an address": "it is neither an address nor a known host name",
    "127.0.0.1:80": "it is neither an address",
    "[::1": "it is neither an address",
    "": "it is neither an address",
    "x" * 64: "it is neither an address",
}
"""Hosts that cannot be listened on, and the message for each."""


def answers(target: str) -> bool:
    """Return whether a server is there."""
    with grpc.insecure_channel(target) as channel:
        request = health_pb2.HealthCheckRequest()
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answer = stub.Check(request, timeout=10, wait_for_ready=True)
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


@pytest.mark.parametrize("host", REACHED)
def test_a_server_listens_on_either_kind_of_address(app: App, settings: Settings, host: str) -> None:
    """Alone, and as one of several on a port that their supervisor holds."""

    alone = settings.replaced(grpc_host=host)
    with serving(app, alone) as port:
        assert all(answers(f"{reached}:{port}") for reached in REACHED[host])
    with bound(alone.grpc.host, 0, shared=True) as held:
        one_of_several = alone.replaced(grpc_port=held, grpc_workers=2)
        with serving(app, one_of_several) as port:
            assert port == held
            assert all(answers(f"{reached}:{port}") for reached in REACHED[host])


@pytest.mark.parametrize("host", REFUSED)
def test_an_address_that_cannot_be_listened_on_is_reported_with_the_cause(
    app: App, settings: Settings, host: str
) -> None:
    """With any listener there: a server, its supervisor, the pages for operators."""

    wrong = settings.replaced(grpc_host=host, admin_host=host)
    for listening in (
        serving(app, wrong),
        bound(wrong.grpc.host, 0, shared=True),
        metrics_page(wrong.admin.admin_host, 0),
        admin_port(wrong.admin.admin_host, 0),
    ):
        with pytest.raises(CannotListen) as refused, listening:
            pass
        assert REFUSED[host] in str(refused.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::"])
def test_a_port_that_another_process_listens_on_is_reported(app: App, settings: Settings, host: str) -> None:
    """The one cause that an operator can end."""

    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as taken:
        taken.bind((host, 0))
        taken.listen()
        port = taken.getsockname()[1]
        wrong = settings.replaced(grpc_host=host, grpc_port=port)
        for listening in (serving(app, wrong), bound(host, port, shared=True)):
            with pytest.raises(CannotListen, match=f"cannot listen on .*{port}: another process"), listening:
                pass


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "ports below 1024 need a privilege"),
        (OSError(errno.EAFNOSUPPORT, "Address family not supported"), "IPv6"),
        (OSError(errno.ENOBUFS, "No buffer space available"), "No buffer space available"),
        (None, "gRPC failed without a cause"),
    ],
)
def test_other_causes_are_reported_too(error: OSError | None, text: str) -> None:
    """What this machine permits, speaks and has left differs from machine to machine."""

    assert text in str(CannotListen("::", 80, error))
