"""The calls of EventService."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from functools import cached_property

from wallet.v1 import event_service_pb2 as pb
from wallet.v1 import event_service_pb2_grpc as grpc_pb

from wallet_client.channels import CUT, given_up, pause
from wallet_client.errors import CallError, passes
from wallet_client.sync.calls import Calls

# Before a watch is taken up again: the first wait, which doubles each time, and the longest.
_PAUSE_S = 0.1
_PAUSE_MAX_S = 5.0
_DOUBLED_MAX = 10


class EventCalls(Calls):
    """What happens."""

    @cached_property
    def _events(self) -> grpc_pb.EventServiceStub:
        return grpc_pb.EventServiceStub(self._channel)

    def watch_events(
        self,
        *,
        wallet: str = "",
        types: Iterable[pb.Event.Type.ValueType] = (),
        resume_token: str = "",
        from_start: bool = False,
    ) -> Iterator[pb.Event]:
        """Return events as they happen, for as long as you go on reading; of one wallet, or of some types, or all.

        Begins after a ``resume_token``, or with the first event of all, or with what happens from now on. A stream that
        ends for a reason that passes, e.g. because its server is restarted, is taken up where it ended: no event is
        left out, none is told twice. To go on after a crash of your own, keep the ``resume_token`` of the last event
        that you have dealt with. Ends when the client is closed; raises ``CallError`` for what does not pass.
        """
        request = pb.WatchEventsRequest(
            wallet=wallet, types=list(types), resume_token=resume_token, from_start=from_start
        )
        failures = 0
        while not self._closing.is_set():
            heard = 0
            try:
                for told in self._stream(self._events.WatchEvents, request):
                    for event in told.events:
                        request.resume_token, request.from_start = event.resume_token, False
                        yield event
                    request.resume_token, request.from_start = told.resume_token, False
                    heard += 1
            except CallError as error:
                if not (passes(error) or (heard and self._renews(error)) or self._closing.is_set()):
                    raise
            except CUT:
                if not self._closing.is_set() or given_up():
                    raise
            # Its first word a server says at once, also one that is about to stop.
            failures = 0 if heard > 1 else min(failures + 1, _DOUBLED_MAX)
            longest_s = min(_PAUSE_S * 2 ** max(0, failures - 1), _PAUSE_MAX_S)
            pause(longest_s * random.uniform(0.5, 1), self._closing)  # noqa: S311  # no secret

    def _renews(self, error: CallError) -> bool:
        """Tell whether a stream ended with the token that it was begun with, and another one can be had."""
        return error.reason == "CREDENTIALS_INVALID" and callable(self._token)
