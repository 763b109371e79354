"""The calls of EventService."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterable
from functools import cached_property

from wallet.v1 import event_service_pb2 as pb
from wallet.v1 import event_service_pb2_grpc as grpc_pb

from wallet_client.aio.calls import Calls
from wallet_client.channels import AIO_CUT, aio_given_up, aio_pause
from wallet_client.errors import CallError, passes

# The first delay before a watch is resumed, which doubles each time, and the longest.
_PAUSE_S = 0.1
_PAUSE_MAX_S = 5.0
_DOUBLED_MAX = 10


class EventCalls(Calls):
    """Events."""

    @cached_property
    def _events(self) -> grpc_pb.EventServiceAsyncStub:
        return grpc_pb.EventServiceStub(self._channel)

    async def watch_events(
        self,
        *,
        wallet: str = "",
        types: Iterable[pb.Event.Type.ValueType] = (),
        resume_token: str = "",
        from_start: bool = False,
    ) -> AsyncIterator[pb.Event]:
        """Iterate over events as they happen, until the iterator or the client is closed.

        A stream that ends for a transient reason, e.g. because its server restarts, is resumed where it ended: no event
        is missed, none is returned twice. To resume after a crash of your own process, store the ``resume_token`` of
        the last event that you have processed.

        Args:
            wallet: events that concern this wallet, ``wallets/{wallet}``; empty: of all wallets.
            types: events of these types; empty: of all types.
            resume_token: begin after the event with this token.
            from_start: begin with the first event of the journal. By default the watch begins now.

        Raises:
            CallError: the stream ended for a reason that is not transient, e.g. ``WATCH_CURSOR_EXPIRED``.

        Example:
            >>> async for event in client.watch_events(wallet="wallets/alice"): print(event.type)
        """
        request = pb.WatchEventsRequest(
            wallet=wallet, types=list(types), resume_token=resume_token, from_start=from_start
        )
        failures = 0
        while not self._closing.is_set():
            received = 0
            try:
                async for response in self._stream(self._events.WatchEvents, request):
                    for event in response.events:
                        request.resume_token, request.from_start = event.resume_token, False
                        yield event
                    request.resume_token, request.from_start = response.resume_token, False
                    received += 1
            except CallError as error:
                if not (passes(error) or (received and self._renews(error)) or self._closing.is_set()):
                    raise
            except AIO_CUT:
                if not self._closing.is_set() or aio_given_up():
                    raise
            # Every server sends a first response at once, even one that is about to stop: it proves nothing.
            failures = 0 if received > 1 else min(failures + 1, _DOUBLED_MAX)
            longest_s = min(_PAUSE_S * 2 ** max(0, failures - 1), _PAUSE_MAX_S)
            await aio_pause(longest_s * random.uniform(0.5, 1), self._closing)  # noqa: S311  # no secret

    def _renews(self, error: CallError) -> bool:
        """Return whether the stream ended because its token expired, and a new token can be requested."""
        return error.reason == "CREDENTIALS_INVALID" and callable(self._token)
