"""A channel, to which nothing is handed while no server can be called: what was not handed over was surely not sent.

gRPC itself does not tell. Of a call that failed it says what became of its last attempt alone, and a call that waited
in vain for a server ends like one whose answer is late.
"""

from __future__ import annotations

from time import monotonic
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from wallet_client.causes import Failures
from wallet_client.channels import aio_is_ready, open_aio_channel
from wallet_client.errors import NotConnected
from wallet_client.security import Tls

# How long to wait for a server before it is asked again why there is none. A client that reached none yet asks more
# often: of several addresses gRPC tells the one that failed last.
_PAUSE_S = 0.5
_FIRST_PAUSE_S = 0.005
# How long a client that reached none yet tries on once all have failed.
_FAILING_S = 0.5


class Connection:
    """A channel to one or more servers."""

    def __init__(self, target: str, tls: Tls | None, *, connect_timeout_s: float) -> None:
        self.channel = open_aio_channel(target, tls)
        self._target, self._speaks_tls = target, tls is not None
        self._connect_timeout_s = connect_timeout_s
        self._health: Any = health_pb2_grpc.HealthStub(self.channel)
        self._was_reached = False

    async def ready(self, timeout_s: float) -> float:
        """Wait until a server can be called; return what is left of the time. Raise ``NotConnected`` where it is over.

        It is over sooner where no server was ever reached, or waiting does not help: after ``connect_timeout_s`` in
        silence, or after half a second where all fail.
        """
        began = monotonic()
        failures = Failures(self._target, speaks_tls=self._speaks_tls)
        while not aio_is_ready(self.channel):
            is_patient = self._was_reached and not failures.are_lasting
            tries_s = min(self._connect_timeout_s, _FAILING_S) if failures else self._connect_timeout_s
            failures.limit_s = timeout_s if is_patient else min(timeout_s, tries_s)
            left_s = failures.limit_s - (monotonic() - began)
            if left_s <= 0:
                raise NotConnected(failures, passes=is_patient)
            await self._ask(failures, left_s, wait_for_ready=False)
            pause_s = _PAUSE_S if self._was_reached else _FIRST_PAUSE_S
            await self._ask(failures, min(left_s, pause_s), wait_for_ready=True)
        self._was_reached = True
        return timeout_s - (monotonic() - began)

    async def _ask(self, failures: Failures, timeout_s: float, *, wait_for_ready: bool) -> None:
        """Ask a server for its health; note why that cannot be sent. It comes to nothing whether it was sent or not."""
        request = health_pb2.HealthCheckRequest()
        try:
            await self._health.Check(request, timeout=timeout_s, wait_for_ready=wait_for_ready)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                failures.note(error.details() or "")
