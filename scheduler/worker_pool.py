"""Workers: a pool that claims work and does it on threads of its own, and a worker that goes step by step.

The pool claims no more than it has free slots for: a slow or stuck piece of work holds one slot and delays no other.
"""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, field
from time import monotonic
from typing import Generic, TypeVar

import structlog

from wallet_core.domain.model.errors import ServiceError

Work = TypeVar("Work")

_log = structlog.get_logger("wallet.scheduler")


@dataclass(frozen=True, slots=True)
class Counts:
    """What a round did: how much was claimed, and its outcomes."""

    claimed: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        outcomes = ", ".join(f"{count} {outcome.lower()}" for outcome, count in sorted(self.outcomes.items()))
        return f"{self.claimed} claimed" + (f": {outcomes}" if outcomes else "")


class WorkerPool(Generic[Work]):
    """Work of one kind, up to *slots* pieces at once.

    *claim* claims up to a number of pieces and returns them; *work* does one and returns a word for its outcome. An
    outcome in *pausing* means that the other side cannot be reached: nothing is claimed for ``pause(times)`` seconds,
    longer each time, and then one piece at a time until one gets through. Work is *chained* where the end of one piece
    may make another one due; ``on_done`` is called then.
    """

    def __init__(  # noqa: PLR0913  # its parts, by name
        self,
        name: str,
        *,
        slots: int,
        claim: Callable[[int], list[Work]],
        work: Callable[[Work], str],
        pausing: frozenset[str] = frozenset(),
        pause: Callable[[int], float] = lambda _: 0.0,
        chained: bool = False,
    ) -> None:
        self.on_done: Callable[[], None] = lambda: None
        self._chained = chained
        self._name = name
        self._claim = claim
        self._work = work
        self._pausing = pausing
        self._pause = pause
        self._pauses = 0
        self._paused_until = 0.0
        self._pacing = threading.Lock()
        self._free = threading.Semaphore(slots)
        self._pool = ThreadPoolExecutor(slots, thread_name_prefix=name)
        self._starting = threading.Lock()  # nothing is claimed that can no longer be started
        self._stopping = False

    def drain(self) -> bool:
        """Start all work that is due, waiting for slots but not for the last piece to end; return whether any was."""
        begun = False
        while self._fill(None):
            begun = True
        return begun

    def once(self, limit: int) -> Counts:
        """Do all work that is due, up to *limit* pieces, to the end, and close; return the outcomes."""
        started: list[Future[str]] = []
        try:
            while len(started) < limit and (begun := self._fill(limit - len(started)) or self._next(started, limit)):
                started += begun
            wait_for(started)
        finally:
            self.close()
        return Counts(len(started), Counter(future.result() for future in started))

    def _next(self, started: list[Future[str]], limit: int) -> list[Future[str]]:
        """Start what the end of a piece in progress makes due, where work is chained."""
        begun: list[Future[str]] = []
        is_last = not self._chained
        while not begun and not is_last:
            running = [one for one in started if not one.done()]
            is_last = not running  # what is claimed after the end of all pieces is not missed
            wait_for(running, return_when=FIRST_COMPLETED)
            begun = self._fill(limit - len(started))
        return begun

    def stop(self) -> None:
        """Start nothing more. Safe to call from a signal handler."""
        self._stopping = True

    def close(self) -> None:
        """Start nothing more, and wait for work in progress."""
        with self._starting:
            self.stop()
        self._pool.shutdown(wait=True)

    def _fill(self, limit: int | None) -> list[Future[str]]:
        """Wait for a free slot, then start what is due, up to the number of free slots; nothing during a pause."""
        if self._stopping or monotonic() < self._paused_until:
            return []
        if not self._pauses:
            return self._begin(self._take_slots(limit))
        tried = self._begin(self._take_slots(1))
        wait_for(tried)
        return tried

    def _take_slots(self, limit: int | None) -> int:
        """Wait for one free slot, take all others that are free, and return their number."""
        self._free.acquire()
        slots = 1
        while (limit is None or slots < limit) and self._free.acquire(blocking=False):
            slots += 1
        return slots

    def _begin(self, slots: int) -> list[Future[str]]:
        """Claim up to *slots* pieces and start them; release the slots that stay empty."""
        begun: list[Future[str]] = []
        try:
            with self._starting:
                if not self._stopping:
                    begun = [self._pool.submit(self._do, piece) for piece in self._claim(slots)]
        finally:
            for _ in range(slots - len(begun)):
                self._free.release()
        return begun

    def _do(self, piece: Work) -> str:
        try:
            outcome = self._work(piece)
        except ServiceError as error:
            outcome = type(error).__name__
        except Exception:  # noqa: BLE001  # the lease runs out by itself; the pool continues with other work
            _log.error("work failed", worker=self._name, exc_info=True)  # structlog's own form
            outcome = "DEFECT"
        try:
            self._pace(is_reached=outcome not in self._pausing)
        finally:
            self._free.release()
        if self._chained:
            self.on_done()
        _log.info("done", worker=self._name, outcome=outcome)
        return outcome

    def _pace(self, *, is_reached: bool) -> None:
        """Pause, or go on. Work that was in progress when the pause began does not lengthen it."""
        with self._pacing:
            if is_reached:
                self._pauses, self._paused_until = 0, 0.0
            elif monotonic() >= self._paused_until:
                self._paused_until = monotonic() + self._pause(self._pauses)
                self._pauses += 1


class SequentialWorker:
    """Work that is done one step at a time. *step* does one; it returns its outcomes, and whether there is more."""

    def __init__(self, step: Callable[[], tuple[Counter[str], bool]]) -> None:
        self._step = step
        self._stopping = threading.Event()
        self._running = threading.Lock()

    def drain(self) -> bool:
        """Do steps until there is no more to do; return whether anything was done."""
        return self.once(None).claimed > 0

    def once(self, limit: int | None) -> Counts:
        """Do up to *limit* steps; return their outcomes."""
        counts: Counter[str] = Counter()
        with self._running:
            steps = 0
            while not self._stopping.is_set() and (limit is None or steps < limit):
                done, more = self._step()
                counts += done
                steps += 1
                if not more:
                    break
        return Counts(counts.total(), counts)

    def stop(self) -> None:
        """Start no further step."""
        self._stopping.set()

    def close(self) -> None:
        """Start no further step, and wait for the one in progress."""
        self.stop()
        with self._running:
            pass
