"""The load: callers on threads of their own, each with its steps by the seed.

The seed decides what every caller requests, in which order. How far each comes, and what meets what, is the machine's.
"""

import random
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from tests.storm.caller import Caller
from tests.storm.calls import call_of
from tests.storm.journal import Call, Journal
from tests.storm.plan import steps

_CALLERS = 8
_REPEATS = 250


class Load:
    """All callers of a storm."""

    def __init__(self, seed: int, target: str) -> None:
        self._seed = seed
        self._over = threading.Event()
        self._callers = [Caller(target) for _ in range(_CALLERS)]
        self._pool = ThreadPoolExecutor(_CALLERS, thread_name_prefix="caller")
        self._running = [self._pool.submit(self._call_on, number) for number in range(_CALLERS)]

    @property
    def journals(self) -> list[Journal]:
        """Each caller's requests and answers."""
        return [caller.journal for caller in self._callers]

    def stop(self) -> None:
        """Begin nothing more and wait for the calls under way."""
        self._over.set()
        for caller in self._running:
            caller.result()

    def settle(self) -> None:
        """Repeat every call without a definite outcome, until it has one; the storm must be over."""
        list(self._pool.map(Caller.settle, self._callers))

    def repeat(self) -> int:
        """Repeat some of all calls once more: each must get its first answer. Return how many that were."""
        chance = random.Random(f"{self._seed}/repeats")  # noqa: S311  # load, not secrets
        made = [(caller, call) for caller in self._callers for call in caller.journal.calls if call.outcome is not None]
        chosen = chance.sample(made, k=min(_REPEATS, len(made)))

        def again(caller: Caller) -> None:
            for whose, call in chosen:
                if whose is caller:
                    caller.repeat(call)

        list(self._pool.map(again, self._callers))
        return len(chosen)

    def close(self) -> None:
        """End the threads and close the clients."""
        self._over.set()
        self._pool.shutdown()
        for caller in self._callers:
            caller.close()

    def _call_on(self, number: int) -> None:
        """Make one call after the other until it is over."""
        caller = self._callers[number]
        for step in steps(self._seed, number):
            if self._over.is_set():
                return
            about = "" if step.about is None else caller.journal.name_made_by(step.about)
            if about is None:
                caller.journal.passed_over += 1
                continue
            caller.make(call_of(number, step, about), self._over)
            self._over.wait(step.pause_s)


def before_the_storm(target: str, calls: Iterable[Call]) -> Journal:
    """Make calls that must all be done; return their journal."""
    caller = Caller(target)
    try:
        for call in calls:
            caller.make(call, threading.Event())
            if call.done is None:
                caller.journal.wrong.append(f"{call} was not done before the storm")
    finally:
        caller.close()
    return caller.journal
