"""Counts the calls under way; turns new ones away once the server drains, and those that come too late."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from wallet_core.domain.model.errors import DeadlineTooShort, ServerDraining
from wallet_grpc.interceptors.wrapping import Wrapping
from wallet_grpc.runtime.metrics import UNDER_WAY


class Admission:
    """How many calls are under way, and whether more are let in."""

    def __init__(self, deadline_min_s: float) -> None:
        self._deadline_min_s = deadline_min_s
        self._changed = threading.Condition()
        self._under_way = 0
        self._draining = False

    @contextmanager
    def admitted(self, method: str, context: grpc.ServicerContext) -> Iterator[None]:
        """Let a call in, or raise ``ServerDraining``, or ``DeadlineTooShort`` where its caller leaves too soon."""
        del method
        if context.time_remaining() < self._deadline_min_s:
            raise DeadlineTooShort
        self._enter()
        try:
            yield
        finally:
            self._leave()

    def _enter(self) -> None:
        with self._changed:
            if self._draining:
                raise ServerDraining
            self._under_way += 1
        UNDER_WAY.inc()

    def _leave(self) -> None:
        with self._changed:
            self._under_way -= 1
            self._changed.notify_all()
        UNDER_WAY.dec()

    def drain(self, grace_s: float) -> bool:
        """Let nobody in any more and wait for those under way; return whether all have finished in time."""
        with self._changed:
            self._draining = True
            return self._changed.wait_for(lambda: self._under_way == 0, timeout=grace_s)

    def interceptor(self) -> Wrapping:
        """Return the interceptor."""
        return Wrapping(self.admitted)
