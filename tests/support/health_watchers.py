"""Watchers of health, as balancers and clients have them; and some that come and go without end."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

SERVING = health_pb2.HealthCheckResponse.SERVING


@contextmanager
def health(target: str) -> Iterator[Any]:
    """Yield a stub on a channel of its own."""
    with grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        yield health_pb2_grpc.HealthStub(channel)


def watched(stub: Any, service: str = "") -> Any:  # noqa: ANN401  # the library's call
    """Return a watch that has just begun."""
    return stub.Watch(health_pb2.HealthCheckRequest(service=service), timeout=120)


@dataclass(slots=True)
class Churn:
    """Watchers that come and go, for as long as it is entered."""

    target: str
    watchers: int
    began: int = 0
    wrong: list[object] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._threads = [threading.Thread(target=self._come_and_go, daemon=True) for _ in range(self.watchers)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(30)

    def _come_and_go(self) -> None:
        with health(self.target) as stub:
            while not self._stopping.is_set():
                watch = watched(stub)
                try:
                    if next(watch).status != SERVING:
                        self.wrong.append("not serving")
                except grpc.RpcError as error:
                    if not self._stopping.is_set():
                        self.wrong.append(error.code())
                watch.cancel()
                self.began += 1
