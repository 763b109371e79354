"""The calls of EventService."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from functools import cached_property

from wallet.v1 import event_service_pb2 as pb
from wallet.v1 import event_service_pb2_grpc as grpc_pb

from wallet_grpc.client.channels import pause
from wallet_grpc.client.errors import CallFailed, passes
from wallet_grpc.client.sync.calls import Calls

# Before a watch is taken up again: the first wait, which doubles each time, and the longest.
_PAUSE_S = 0.1
_PAUSE_MAX_S = 5.0


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
        that you have dealt with. Ends when the client is closed; raises ``CallFailed`` for what does not pass.
        """
        request = pb.WatchEventsRequest(
            wallet=wallet, types=list(types), resume_token=resume_token, from_start=from_start
        )
        failures = 0
        while not self._closing.is_set():
            try:
                for told in self._stream(self._events.WatchEvents, request):
                    failures = 0
                    for event in told.events:
                        request.resume_token = event.resume_token
                        request.from_start = False
                        yield event
                    request.resume_token = told.resume_token
                    request.from_start = False
            except CallFailed as error:
                if not passes(error):
                    raise
                if self._closing.is_set():
                    return
            pause(min(_PAUSE_S * 2**failures, _PAUSE_MAX_S) * random.uniform(0.5, 1))  # noqa: S311  # no secret
            failures = min(failures + 1, 10)
