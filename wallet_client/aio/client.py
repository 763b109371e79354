"""The client: the calls of all services over one channel."""

from __future__ import annotations

from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from wallet_client.aio.commissions import CommissionCalls
from wallet_client.aio.events import EventCalls
from wallet_client.aio.holds import HoldCalls
from wallet_client.aio.operations import OperationsCalls
from wallet_client.aio.schedules import ScheduleCalls
from wallet_client.aio.transactions import TransactionCalls
from wallet_client.aio.wallets import WalletCalls


class AsyncWalletClient(
    WalletCalls, TransactionCalls, ScheduleCalls, HoldCalls, CommissionCalls, OperationsCalls, EventCalls
):
    """Calls one wallet service over one channel, with one method per call.

    Every method raises ``CallFailed`` where it was refused and nothing was done. A method that changes something takes
    a ``request_id``; without one it makes one up and keeps it across the channel's own retries. Where it is not known
    whether it was done, the error is an ``OutcomeUnknown``: ask again with its ``request_id``. That is so too where the
    last attempt surely did nothing, but one before it, of this client's or of its channel's, may have done it.

    A call that its caller cancels or interrupts raises that, with an ``OutcomeUnknown`` among its causes
    (``unknown_outcome``). ``before_change`` is called with the request id of each change before it is sent, e.g. to log
    it; where it raises, nothing is sent.

    A request that is larger than ``request_max_bytes`` is not sent (``RequestTooLarge``, a ``CallFailed``).

    Where no server can be called, nothing is sent, and the error is a ``NotConnected``, a ``CallFailed``: after
    *connect_timeout_s* where none ever could, else when the call's time is over.

    Where the service wants to know who calls, give a ``token``, or what returns the one that is valid now, or with
    ``tls`` a certificate. Whoever sees a token can use it: send none over a network without ``tls``.

    Times must carry a zone. With ``accept_language``, e.g. ``fa``, errors are also told in words for people, in
    ``CallError.localized``.
    """

    async def is_serving(self, timeout_s: float = 1.0) -> bool:
        """Ask whether the service is there and reaches its database."""
        self._home.check()
        health: Any = health_pb2_grpc.HealthStub(self._channel)
        try:
            answer = await health.Check(health_pb2.HealthCheckRequest(), timeout=timeout_s)
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
