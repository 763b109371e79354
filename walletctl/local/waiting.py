"""Waiting for something that announces itself to nobody, such as another process's file or its end."""

import threading
import time
from collections.abc import Callable


def wait_until(condition: Callable[[], bool], *, timeout_s: float, poll_s: float = 0.01) -> bool:
    """Ask *condition* every *poll_s* seconds until it holds; say whether it did within *timeout_s*."""
    pause = threading.Event()
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        pause.wait(poll_s)
    return True
