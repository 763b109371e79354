"""Counts calls in progress; refuses new calls while the server drains, and calls whose deadline is too short."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from wallet_core.domain.model.errors import DeadlineTooShort, ServerDraining
from wallet_grpc.interceptors.wrapping import Wrapping
from wallet_grpc.runtime.metrics import IN_PROGRESS


class Admission:
    """The calls in progress, and whether more are accepted."""

    def __init__(self, deadline_min_s: float) -> None:
        self._deadline_min_s = deadline_min_s
        self._changed = threading.Condition()
        self._under_way = 0
        self._draining = False

    @contextmanager
    def admitted(self, method: str, context: grpc.ServicerContext) -> Iterator[None]:
        """Accept a call, or raise ``ServerDraining``, or ``DeadlineTooShort``."""
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
        IN_PROGRESS.inc()

    def _leave(self) -> None:
        with self._changed:
            self._under_way -= 1
            self._changed.notify_all()
        IN_PROGRESS.dec()

    def drain(self, grace_s: float) -> bool:
        """Accept no more calls and wait for those in progress; return whether all finished within *grace_s*."""
        with self._changed:
            self._draining = True
            return self._changed.wait_for(lambda: self._under_way == 0, timeout=grace_s)

    def interceptor(self) -> Wrapping:
        """Return the interceptor."""
        return Wrapping(self.admitted)
