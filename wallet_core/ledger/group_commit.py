"""Group commit: while one batch is being committed, the next one gathers. Knows nothing of money.

A thread of its own commits, so that every caller can leave at its deadline. A single item is committed at once: it does
not wait for others.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum, auto
from time import monotonic
from typing import Generic, TypeVar

from wallet_core.domain.model.errors import (
    DeadlineTooShort,
    OutcomeUnknown,
    ServerDraining,
    ServerOverloaded,
    ServiceError,
)

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class Stage(Enum):
    """The stage of a ticket."""

    QUEUED = auto()
    """In the queue; its caller may still withdraw it."""
    WITHDRAWN = auto()
    """Its caller left in time: nothing was done."""
    TAKEN = auto()
    """In a batch; from here its outcome is the batch's."""
    ANSWERED = auto()
    """Its outcome is known."""


class Ticket(Generic[Item, Outcome]):
    """One item in the queue, on which its caller waits for the outcome."""

    __slots__ = ("_answered", "_error", "_guard", "_outcome", "deadline", "item", "stage", "weight")

    def __init__(self, item: Item, deadline: float | None) -> None:
        self.item = item
        self.deadline = deadline
        """On the monotonic clock; None waits for as long as it takes."""
        self.stage = Stage.QUEUED
        self.weight = 1
        self._outcome: Outcome | None = None
        self._error: BaseException | None = None
        self._guard = threading.Lock()
        self._answered = threading.Lock()  # locked until answered: the cheapest event there is
        self._answered.acquire()

    @property
    def expired(self) -> bool:
        """Whether the caller has left by now."""
        return self.deadline is not None and monotonic() >= self.deadline

    def take(self) -> bool:
        """Take the ticket into a batch, unless its caller has withdrawn it."""
        return self._step(Stage.QUEUED, Stage.TAKEN)

    def put_back(self) -> None:
        """Make a ticket withdrawable again, before it enters another queue; nothing was done for it."""
        self._step(Stage.TAKEN, Stage.QUEUED)

    def answer(self, outcome: Outcome) -> None:
        """Give the caller the outcome."""
        self._outcome = outcome
        self._open()

    def fail(self, error: BaseException) -> None:
        """Give the caller an error to raise."""
        self._error = error
        self._open()

    def wait(self) -> Outcome:
        """Return the outcome; withdraw at the deadline, if the ticket is still in the queue.

        Raises ``DeadlineTooShort`` where nothing was done and ``OutcomeUnknown`` where the batch was in progress.
        """
        timeout = -1.0 if self.deadline is None else max(0.0, self.deadline - monotonic())
        if not self._answered.acquire(timeout=timeout):
            if self._step(Stage.QUEUED, Stage.WITHDRAWN):
                raise DeadlineTooShort
            if self.stage is not Stage.ANSWERED:
                raise OutcomeUnknown
        if self._error is not None:
            raise self._error
        return self._outcome  # type: ignore[return-value]  # answered without an error, so there is an outcome

    def _step(self, before: Stage, after: Stage) -> bool:
        with self._guard:
            if self.stage is not before:
                return False
            self.stage = after
            return True

    def _open(self) -> None:
        self.stage = Stage.ANSWERED
        self._answered.release()


class GroupCommit(Generic[Item, Outcome]):
    """A queue of tickets and the thread that commits them, in batches of up to *commit_batch_max*, counted by *weigh*.

    *commit* must answer or fail every ticket of its batch, or pass it to another queue; an exception from it fails the
    tickets that it has not answered.
    """

    def __init__(
        self,
        name: str,
        commit: Callable[[Sequence[Ticket[Item, Outcome]]], None],
        *,
        commit_batch_max: int,
        commit_queue_max: int,
        weigh: Callable[[Item], int] = lambda _: 1,
    ) -> None:
        self._commit = commit
        self._batch_max = commit_batch_max
        self._weigh = weigh
        self._queue_max = commit_queue_max
        self._queue: deque[Ticket[Item, Outcome]] = deque()
        self._changed = threading.Condition(threading.Lock())
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, item: Item, deadline: float | None = None) -> Outcome:
        """Commit *item*, alone or with its neighbours, and return its outcome.

        Raises ``ServerOverloaded`` when the queue is full, ``ServerDraining`` once it is closed, and what
        ``Ticket.wait`` raises.
        """
        ticket: Ticket[Item, Outcome] = Ticket(item, deadline)
        self.enter(ticket)
        return ticket.wait()

    def submit_all(self, items: Sequence[Item], deadline: float | None = None) -> list[Outcome | ServiceError]:
        """Queue all *items* at once; return for each its outcome, or what ``submit`` would have raised.

        No batch begins in between: items that fit into one batch are committed in the same batch.
        """
        tickets: list[Ticket[Item, Outcome]] = [Ticket(item, deadline) for item in items]
        for ticket in tickets:
            ticket.weight = self._weigh(ticket.item)
        with self._changed:
            for ticket in tickets:
                try:
                    self._append(ticket)
                except ServiceError as full:
                    ticket.take()
                    ticket.fail(full)
        outcomes: list[Outcome | ServiceError] = []
        for ticket in tickets:
            try:
                outcomes.append(ticket.wait())
            except ServiceError as error:
                outcomes.append(error)
        return outcomes

    def enter(self, ticket: Ticket[Item, Outcome]) -> None:
        """Queue a ticket, a new one or one from another queue."""
        ticket.weight = self._weigh(ticket.item)  # may raise, so not on the thread that commits, which must not end
        with self._changed:
            self._append(ticket)

    def _append(self, ticket: Ticket[Item, Outcome]) -> None:
        if self._closing:
            raise ServerDraining
        if len(self._queue) >= self._queue_max:
            self._queue = deque(waiting for waiting in self._queue if waiting.stage is Stage.QUEUED)
        if len(self._queue) >= self._queue_max:
            raise ServerOverloaded
        self._queue.append(ticket)
        if len(self._queue) == 1:
            self._changed.notify()

    def close(self, timeout_s: float | None = None) -> None:
        """Refuse new tickets and finish the queue; give up on a commit that hangs for *timeout_s*."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while batch := self._next_batch():
            try:
                self._commit(batch)
            except BaseException as error:  # noqa: BLE001  # callers must not wait for ever, after any error
                for ticket in batch:
                    if ticket.stage is Stage.TAKEN:
                        ticket.fail(error)

    def _next_batch(self) -> list[Ticket[Item, Outcome]]:
        """Return the next tickets that are not withdrawn; an empty list once closed and done."""
        with self._changed:
            while True:
                batch: list[Ticket[Item, Outcome]] = []
                weight = 0
                while self._queue and weight < self._batch_max:
                    ticket = self._queue.popleft()
                    if ticket.take():
                        batch.append(ticket)
                        weight += ticket.weight
                if batch or self._closing:
                    return batch
                self._changed.wait()
