"""The interpreter's switch interval: a long computation yields sooner to other threads.

A computing thread keeps the interpreter for five milliseconds after another thread requests it, and a call requests it
about twenty times.
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
    """Shorten the switch interval of this process within the block."""
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
