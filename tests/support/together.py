"""Many callers at once, released by a barrier so that they really meet."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


def together(calls: Sequence[Callable[[], Result]]) -> list[Result | Exception]:
    """Run all *calls* at the same moment, a thread each; return each one's result, or what it raised."""
    barrier = threading.Barrier(len(calls))

    def meet(call: Callable[[], Result]) -> Result | Exception:
        barrier.wait(timeout=30)
        try:
            return call()
        except Exception as error:  # noqa: BLE001  # what a call raises is its result here
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(meet, calls))
