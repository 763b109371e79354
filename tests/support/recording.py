"""Servers in place of ours, for tests of what reaches them: they record the calls, and report a health status."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import trustme
from grpc_health.v1 import health, health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckResponse

_LONGEST_S = 20.0


@dataclass
class Recording(grpc.GenericRpcHandler):
    """Takes any call of ours, and never answers or only with OK; records the calls."""

    came: list[str] = field(default_factory=list)
    answers: bool = False
    state: health.HealthServicer = field(default_factory=health.HealthServicer)
    closing: threading.Event = field(default_factory=threading.Event)

    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any] | None":
        """Take it."""
        if not details.method.startswith("/wallet."):
            return None
        self.came.append(details.method)
        return grpc.unary_unary_rpc_method_handler(self._answer)

    def serves(self, *, is_serving: bool) -> None:
        """Report SERVING, or not."""
        self.state.set("", HealthCheckResponse.SERVING if is_serving else HealthCheckResponse.NOT_SERVING)

    def _answer(self, *_: object) -> bytes:
        if not self.answers:
            self.closing.wait(_LONGEST_S)
        return b""


@contextmanager
def recording(
    credentials: grpc.ServerCredentials | None = None, *, is_serving: bool = True, answers: bool = False, port: int = 0
) -> Iterator[tuple[int, Recording]]:
    """Run a server that reports SERVING, or not; yield its port and its records."""
    server, calls = grpc.server(ThreadPoolExecutor(8)), Recording(answers=answers)
    calls.serves(is_serving=is_serving)
    health_pb2_grpc.add_HealthServicer_to_server(calls.state, server)
    server.add_generic_rpc_handlers([calls])
    address = f"127.0.0.1:{port}"
    found = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    server.start()
    try:
        yield found, calls
    finally:
        server.stop(0).wait()
        calls.closing.set()


def certificate(authority: trustme.CA, name: str, *, of_callers: bool = False) -> grpc.ServerCredentials:
    """Return what a server of that name shows; it may want certificates of its callers."""
    issued = authority.issue_cert(name)
    pair = (issued.private_key_pem.bytes(), issued.cert_chain_pems[0].bytes())
    return grpc.ssl_server_credentials([pair], authority.cert_pem.bytes() if of_callers else None, of_callers)
