"""Waiting for a condition that cannot be subscribed to, e.g. another process's file or its end."""

import threading
import time
from collections.abc import Callable


def wait_until(condition: Callable[[], bool], *, timeout_s: float, poll_s: float = 0.01) -> bool:
    """Check *condition* every *poll_s* seconds; return whether it held within *timeout_s*."""
    pause = threading.Event()
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        pause.wait(poll_s)
    return True
