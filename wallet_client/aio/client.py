"""The client: the calls of all services over one channel."""

from __future__ import annotations

from typing import Any

import grpc

from wallet_client import health
from wallet_client.aio.audit import AuditCalls
from wallet_client.aio.events import EventCalls
from wallet_client.aio.info import InfoCalls
from wallet_client.aio.pages import PageCalls


class AsyncWalletClient(PageCalls, EventCalls, InfoCalls, AuditCalls):
    """A client of the wallet service: one channel, one method per call.

    A method raises ``CallFailed`` where nothing was done. A method that changes something sends a ``request_id``; the
    client generates one where none is given, and keeps it across the channel's own retries. Where the outcome is not
    known, the method raises ``OutcomeUnknown``: retry with its ``request_id``. This includes a last attempt that did
    nothing after an earlier one, of this client or its channel, that may have done the work.

    Args of the constructor:
        target: ``HOST:PORT``, or several addresses like ``ipv4:10.0.0.1:50051,10.0.0.2:50051``.
        timeout_s: the deadline of a call, in seconds.
        connect_timeout_s: how long to try, in seconds, while no server was ever reached. Where no server can be called,
            nothing is sent, and the error is ``NotConnected``, a ``CallFailed``.
        accept_language: a language for ``CallError.localized``, e.g. ``fa``.
        token: a bearer token, or a function that returns a valid one. Send none over a network without ``tls``.
        tls: use TLS. The default is plain text.
        before_change: called with the request id of each change before it is sent, e.g. to log it; if it raises,
            nothing is sent.
        request_max_bytes: the largest request that the service accepts; a larger one raises ``RequestTooLarge``, a
            ``CallFailed``.

    A call that its caller cancels or interrupts raises the cancellation, with an ``OutcomeUnknown`` among its causes
    (``unknown_outcome``). Times must have a time zone.
    """

    async def is_serving(self, timeout_s: float = 1.0) -> bool:
        """Return whether a server answers within *timeout_s* seconds that it serves and reaches its database.

        Example:
            >>> await client.is_serving()
        """
        self._home.check()
        check: Any = self._channel.unary_unary(health.CHECK)
        try:
            response = await check(health.REQUEST, timeout=timeout_s)
        except grpc.RpcError:
            return False
        return bool(response == health.SERVING)
