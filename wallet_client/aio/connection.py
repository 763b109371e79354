"""A channel that gets no call while no server can be called: a call that it never got was certainly not sent.

gRPC itself does not report this. Its error of a failed call describes the last attempt only, and a call that waited in
vain for a server ends like one whose response is late.
"""

from __future__ import annotations

from time import monotonic
from typing import Any

import grpc

from wallet_client import health
from wallet_client.causes import Failures
from wallet_client.channels import aio_is_ready, open_aio_channel
from wallet_client.errors import NotConnected
from wallet_client.security import Tls

# How long to wait for a server before the cause is queried again. A client that has reached no server yet queries more
# often: of several addresses gRPC reports only the one that failed last.
_PAUSE_S = 0.5
_FIRST_PAUSE_S = 0.005
# How long a client that has reached no server yet keeps trying once all addresses have failed.
_FAILING_S = 0.5


class Connection:
    """A channel to one or more servers."""

    def __init__(self, target: str, tls: Tls | None, *, connect_timeout_s: float) -> None:
        self.channel = open_aio_channel(target, tls)
        self._target, self._speaks_tls = target, tls is not None
        self._connect_timeout_s = connect_timeout_s
        self._check: Any = self.channel.unary_unary(health.CHECK)
        self._was_reached = False

    async def ready(self, timeout_s: float) -> float:
        """Wait until a server can be called; return the seconds left. Raise ``NotConnected`` after the timeout.

        The timeout is shorter where no server was ever reached, or waiting does not help: ``connect_timeout_s`` without
        any response, half a second where all addresses fail.
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
            await self._probe(failures, left_s, wait_for_ready=False)
            pause_s = _PAUSE_S if self._was_reached else _FIRST_PAUSE_S
            await self._probe(failures, min(left_s, pause_s), wait_for_ready=True)
        self._was_reached = True
        return timeout_s - (monotonic() - began)

    async def _probe(self, failures: Failures, timeout_s: float, *, wait_for_ready: bool) -> None:
        """Send a health check, which is harmless, and record why it could not be sent."""
        try:
            await self._check(health.REQUEST, timeout=timeout_s, wait_for_ready=wait_for_ready)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                failures.record(error.details() or "")
