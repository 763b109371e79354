"""Turns on the interpreter: what computes for long gives way sooner while it does.

A thread that computes keeps the interpreter for five milliseconds once another one wants it, and a call wants it some
twenty times.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_SHORT_TURN_S = 0.0002

_changing = threading.Lock()
_computing = 0
_usual_turn_s = sys.getswitchinterval()


@contextmanager
def giving_way() -> Iterator[None]:
    """Let all threads of this process take shorter turns until it is left."""
    _count(1)
    try:
        yield
    finally:
        _count(-1)


def _count(more: int) -> None:
    global _computing  # noqa: PLW0603  # as the interval is the process's
    with _changing:
        _computing += more
        sys.setswitchinterval(_SHORT_TURN_S if _computing else _usual_turn_s)
