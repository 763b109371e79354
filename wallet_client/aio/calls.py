"""How calls are made: one channel, one deadline, one language, typed errors."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import Any, Self, TypeAlias

import grpc
from google.protobuf.message import Message

from wallet_client.aio.connection import Connection
from wallet_client.channels import AioCall, OneLoop, Response
from wallet_client.errors import (
    NotConnected,
    OutcomeUnknown,
    RequestTooLarge,
    call_failed,
    given_up,
    outcome_of,
    settle_items,
    unsent,
)
from wallet_client.security import AioToken, Tls

PAGE = 200

REQUEST_MAX_BYTES = 1 << 20
"""The default of the service's WALLET_GRPC_MESSAGE_MAX_BYTES."""

Metadata: TypeAlias = tuple[tuple[str, str], ...]

# Request ids of unknown outcome that a client remembers; beyond it the oldest are forgotten.
_UNSETTLED_MAX = 10_000


class Calls:
    """The channel that all services share, and the kinds of calls over it."""

    def __init__(
        self,
        target: str,
        *,
        timeout_s: float = 10.0,
        connect_timeout_s: float = 1.5,
        accept_language: str | None = None,
        token: AioToken | None = None,
        tls: Tls | None = None,
        before_change: Callable[[str], None] | None = None,
        request_max_bytes: int = REQUEST_MAX_BYTES,
    ) -> None:
        self._home = OneLoop()
        self._timeout_s = timeout_s
        self._before_change = before_change
        self._request_max_bytes = request_max_bytes
        self._language = (("accept-language", accept_language),) if accept_language is not None else ()
        self._token = token
        self._unsettled: dict[str, None] = {}
        self._remembering = threading.Lock()
        self._closing = threading.Event()
        self._connection = Connection(target, tls, connect_timeout_s=connect_timeout_s)
        self._channel = self._connection.channel

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the channel. Pending calls fail; watches end.

        Example:
            >>> await client.close()
        """
        self._home.check()
        self._closing.set()
        await self._channel.close()

    async def _metadata(self) -> Metadata:
        """Return the metadata of a call. The time of a token function is not part of the deadline."""
        self._home.check()
        if self._token is None:
            return self._language
        token = await self._token() if callable(self._token) else self._token
        return (*self._language, ("authorization", f"Bearer {token}"))

    async def _change(self, call: AioCall[Response], request: Any) -> Response:  # noqa: ANN401  # any request with an id
        """Make a call that changes something, and remember its request id while the outcome is unknown."""
        request_id = request.request_id or None
        ids = [request_id] if request_id else [item.request_id for item in request.items]
        attempted = any(id_ in self._unsettled for id_ in ids)
        metadata = await self._metadata()
        try:
            left_s = await self._ready(request.ByteSize())
        except (RequestTooLarge, NotConnected) as not_sent:
            raise unsent(not_sent, request_id, attempted=attempted) from None
        if request_id is not None and self._before_change is not None:
            self._before_change(request_id)
        try:
            response = await call(request, timeout=left_s, wait_for_ready=True, metadata=metadata)
        except grpc.RpcError as error:
            failed = outcome_of(error, request_id, attempted=attempted)
            if isinstance(failed, OutcomeUnknown):
                self._remember(ids)
            raise failed from None
        except BaseException as ended:  # cancelled or interrupted: it may have been done all the same
            self._remember(ids)
            ended.__cause__ = given_up(request_id)
            raise
        with self._remembering:
            unknown = [] if request_id else settle_items(response.results, ids, self._unsettled)  # type: ignore[attr-defined]  # of a batch
            for id_ in ids:
                self._unsettled.pop(id_, None)
        self._remember(unknown)
        return response

    async def _ready(self, size: int) -> float:
        """Wait until a change of *size* bytes can be sent; return the seconds left."""
        if size > self._request_max_bytes:
            raise RequestTooLarge(size, self._request_max_bytes)
        return await self._connection.ready(self._timeout_s)

    def _remember(self, ids: Iterable[str]) -> None:
        with self._remembering:
            self._unsettled.update(dict.fromkeys(ids))
            while len(self._unsettled) > _UNSETTLED_MAX:
                del self._unsettled[next(iter(self._unsettled))]

    async def _read(self, call: AioCall[Response], request: Message) -> Response:
        metadata = await self._metadata()
        left_s = await self._connection.ready(self._timeout_s)
        try:
            return await call(request, timeout=left_s, wait_for_ready=True, metadata=metadata)
        except grpc.RpcError as error:
            raise call_failed(error, None) from None

    async def _pages(self, call: AioCall[Response], request: Any) -> AsyncIterator[Response]:  # noqa: ANN401  # any list request
        """Yield pages until there is no next one: a short or empty page need not be the last."""
        while True:
            page: Any = await self._read(call, request)
            yield page
            request.page_token = page.next_page_token
            if not request.page_token:
                return

    async def _stream(self, call: Callable[..., Any], request: Message) -> AsyncIterator[Any]:
        """Yield the messages of a stream; its timeout is in the service config."""
        metadata = await self._metadata()
        await self._connection.ready(self._timeout_s)
        # Without wait_for_ready, which would wait for the whole timeout.
        messages = call(request, metadata=metadata)
        try:
            async for one in messages:
                yield one
        except grpc.RpcError as error:
            raise call_failed(error, None) from None
        finally:
            messages.cancel()
