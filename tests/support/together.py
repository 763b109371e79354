"""Many callers at once, released by a barrier so that they really meet."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
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


@contextmanager
def over_and_over(step: Callable[[], object], *, every_s: float = 0.0, slower: float = 1.0) -> Iterator[None]:
    """Repeat a step beside the block, to the block's end however it ends; raise what the step raised.

    Each pause is *slower* times the one before.
    """
    stopping = threading.Event()

    def go_on() -> None:
        pause_s = every_s
        while not stopping.wait(pause_s):
            step()
            pause_s *= slower

    with ThreadPoolExecutor(1) as pool:
        going = pool.submit(go_on)
        try:
            yield
        finally:
            stopping.set()
        going.result()
