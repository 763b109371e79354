"""How long the caller of the work at hand will wait: what reads for it must not outlast."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic

_until: ContextVar[float | None] = ContextVar("until", default=None)


@contextmanager
def patience(until: float) -> Iterator[None]:
    """Run a block for somebody who leaves *until* then, on the monotonic clock."""
    token = _until.set(until)
    try:
        yield
    finally:
        _until.reset(token)


def patience_left() -> float | None:
    """Return the seconds that are left, zero where there are none; None where nobody has said."""
    until = _until.get()
    return None if until is None else max(0.0, until - monotonic())
