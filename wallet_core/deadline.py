"""Deadlines: the time remaining of the current call, and coroutines that end with their deadline."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic
from typing import Any, TypeVar

Answer = TypeVar("Answer")

_until: ContextVar[float | None] = ContextVar("until", default=None)


@contextmanager
def deadline_scope(until: float) -> Iterator[None]:
    """Run a block with the deadline *until*, on the monotonic clock."""
    token = _until.set(until)
    try:
        yield
    finally:
        _until.reset(token)


def time_remaining() -> float | None:
    """Return the remaining seconds, at least zero; None where there is no deadline."""
    until = _until.get()
    return None if until is None else max(0.0, until - monotonic())


def run_alone(call: Coroutine[Any, Any, Answer]) -> Answer:
    """Run a coroutine in a new event loop. ``asyncio.run`` would wait for a name lookup that hangs."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(call)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
