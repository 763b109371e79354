"""How calls are made: one channel, one deadline, one language, errors typed."""

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from importlib import resources
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
from google.protobuf.message import Message

from wallet_grpc.client.errors import OutcomeUnknown, call_failed, outcome_of
from wallet_grpc.client.security import Tls, Token

Response = TypeVar("Response", bound=Message)

PAGE = 200

# Ids whose outcome is not known, at the most; the oldest is forgotten first.
_UNSETTLED_MAX = 10_000


class Calls:
    """The channel that all services share, and the ways to call over it."""

    def __init__(
        self,
        target: str,
        *,
        timeout_s: float = 10.0,
        accept_language: str | None = None,
        token: Token | None = None,
        tls: Tls | None = None,
    ) -> None:
        self._timeout_s = timeout_s
        self._language = (("accept-language", accept_language),) if accept_language is not None else ()
        self._token = token
        self._unsettled: dict[str, None] = {}
        self._remembering = threading.Lock()
        options = [
            ("grpc.service_config", _service_config()),
            # A connection of its own: clients that are to spread over servers do not share one.
            ("grpc.use_local_subchannel_pool", 1),
            # A server that was away for a while is met again soon after it is back.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 2000),
        ]
        if tls is None:
            self._channel = grpc.insecure_channel(target, options=options)
        else:
            self._channel = grpc.secure_channel(target, tls.credentials(), options=options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        if self._token is None:
            return self._language
        token = self._token() if callable(self._token) else self._token
        return (*self._language, ("authorization", f"Bearer {token}"))

    def _change(self, call: Callable[..., Response], request: Any) -> Response:  # noqa: ANN401  # any request with an id
        """Make a call that changes something. An id whose outcome stayed unknown is remembered: it may come again."""
        request_id = request.request_id or None
        ids = [request_id] if request_id else [item.request_id for item in request.items]
        try:
            answer = self._call(call, request)
        except grpc.RpcError as error:
            failed = outcome_of(error, request_id, attempted=any(id_ in self._unsettled for id_ in ids))
            if isinstance(failed, OutcomeUnknown):
                self._remember(ids)
            raise failed from None
        for id_ in ids:
            self._unsettled.pop(id_, None)
        return answer

    def _remember(self, ids: Iterable[str]) -> None:
        with self._remembering:
            self._unsettled.update(dict.fromkeys(ids))
            while len(self._unsettled) > _UNSETTLED_MAX:
                del self._unsettled[next(iter(self._unsettled))]

    def _read(self, call: Callable[..., Response], request: Message) -> Response:
        try:
            return self._call(call, request)
        except grpc.RpcError as error:
            raise call_failed(error, None) from None

    def _pages(self, call: Callable[..., Response], request: Any) -> Iterator[Response]:  # noqa: ANN401  # any list request
        """Go on until there is no next page: one that is short or empty need not be the last."""
        while True:
            page = self._read(call, request)
            yield page
            request.page_token = page.next_page_token  # type: ignore[attr-defined]  # every list response has one
            if not request.page_token:
                return

    def _stream(self, call: Callable[..., Any], request: Message) -> Iterator[Any]:
        """Return what comes, however long it takes: the time that a stream has stands in the service config."""
        # Not told to wait for a server: it would wait as long.
        answer = call(request, metadata=self._metadata())
        try:
            yield from answer
        except grpc.RpcError as error:
            raise call_failed(error, None) from None
        finally:
            answer.cancel()

    def _call(self, call: Callable[..., Response], request: Message) -> Response:
        return call(request, timeout=self._timeout_s, wait_for_ready=True, metadata=self._metadata())


def _service_config() -> str:
    """Return the retry policy that ships beside the protos."""
    text = resources.files("wallet.v1").joinpath("wallet_grpc_service_config.json").read_text()
    return json.dumps(json.loads(text))
