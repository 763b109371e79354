"""Group commit.

While one batch is being committed the next one gathers, and every caller gets its own item's outcome.
"""

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic
from typing import Any

import pytest

from tests.support.commands import a_batch, a_transfer, an_item
from tests.support.together import together
from wallet_core.domain.model.errors import DeadlineTooShort, OutcomeUnknown, ServerDraining, ServerOverloaded
from wallet_core.domain.model.money import Money
from wallet_core.ledger.group_commit import GroupCommit, Stage, Ticket
from walletctl.local.waiting import wait_until

Tickets = Sequence[Ticket[int, str]]


class Gate:
    """A commit that notes its batches, and stops in each one while shut."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.reached = threading.Semaphore(0)
        self.open = threading.Event()
        self.open.set()

    def commit(self, tickets: Tickets) -> None:
        """Answer each item with its own text, once the gate is open."""
        self.batches.append([ticket.item for ticket in tickets])
        self.reached.release()
        assert self.open.wait(10)
        for ticket in tickets:
            ticket.answer(f"done {ticket.item}")


class GatedQueue:
    """A queue whose gate is shut on item 0, so that what comes next gathers."""

    def __init__(
        self, *, commit_batch_max: int = 100, commit_queue_max: int = 100, weigh: Callable[[int], int] = lambda _: 1
    ) -> None:
        self.gate = Gate()
        self.group = GroupCommit(
            "test", self.gate.commit, commit_batch_max=commit_batch_max, commit_queue_max=commit_queue_max, weigh=weigh
        )
        self.pool = ThreadPoolExecutor(70)

    def shut(self) -> Future[str]:
        """Shut the gate and put item 0 before it; return once the commit of it has begun."""
        self.gate.open.clear()
        first = self.submit(0)
        assert self.gate.reached.acquire(timeout=10)
        return first

    def submit(self, item: int, deadline: float | None = None) -> Future[str]:
        """Submit from a thread of its own."""
        return self.pool.submit(self.group.submit, item, deadline)

    def enter(self, item: int, deadline: float | None = None) -> Ticket[int, str]:
        """Put an item into the queue; its order is the order of these calls."""
        ticket: Ticket[int, str] = Ticket(item, deadline)
        self.group.enter(ticket)
        return ticket


@pytest.fixture
def queues() -> Iterator[Callable[..., GatedQueue]]:
    """Make queues that are closed at the end."""
    made: list[GatedQueue] = []

    def make(**limits: Any) -> GatedQueue:  # noqa: ANN401  # a queue's
        made.append(GatedQueue(**limits))
        return made[-1]

    yield make
    for queue in made:
        queue.gate.open.set()
        queue.group.close()
        queue.pool.shutdown()


def test_a_lone_item_is_committed_alone_and_at_once(queues: Callable[..., GatedQueue]) -> None:
    """Nothing waits when the queue is empty."""

    queue = queues()

    assert [queue.group.submit(item) for item in (1, 2, 3)] == ["done 1", "done 2", "done 3"]
    assert queue.gate.batches == [[1], [2], [3]]


def test_items_that_arrive_during_a_commit_are_the_next_batch(queues: Callable[..., GatedQueue]) -> None:
    """In the order in which they came."""

    queue = queues()
    first = queue.shut()
    tickets = [queue.enter(item) for item in (1, 2, 3, 4)]
    queue.gate.open.set()

    assert [first.result(30), *(ticket.wait() for ticket in tickets)] == [f"done {item}" for item in range(5)]
    assert queue.gate.batches == [[0], [1, 2, 3, 4]]


def test_items_that_are_submitted_together_are_one_batch(queues: Callable[..., GatedQueue]) -> None:
    """However soon the committing thread wakes up: no batch begins before all of them are in the queue."""

    queue = queues()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(50):
            queue.group.submit_all(range(1, 101))
    finally:
        sys.setswitchinterval(interval)

    assert queue.gate.batches == [[*range(1, 101)]] * 50


def test_a_batch_has_at_most_batch_max_items(queues: Callable[..., GatedQueue]) -> None:
    """The rest is the batch after it."""

    queue = queues(commit_batch_max=3)
    queue.shut()
    tickets = [queue.enter(item) for item in range(1, 8)]
    queue.gate.open.set()
    for ticket in tickets:
        ticket.wait()

    assert queue.gate.batches == [[0], [1, 2, 3], [4, 5, 6], [7]]


def test_an_item_takes_as_many_places_in_the_batch_as_it_weighs(queues: Callable[..., GatedQueue]) -> None:
    """A batch is full once its items weigh ``commit_batch_max``; the last of them may weigh more than what was left."""

    queue = queues(commit_batch_max=4, weigh=lambda item: item)
    queue.shut()
    tickets = [queue.enter(item) for item in (1, 2, 5, 4, 9, 1, 3, 1)]
    queue.gate.open.set()
    for ticket in tickets:
        ticket.wait()

    assert queue.gate.batches == [[0], [1, 2, 5], [4], [9], [1, 3], [1]]


def test_an_atomic_batch_takes_as_many_places_as_it_has_items() -> None:
    """A batch of calls holds no more work for it; every other call takes one place."""

    one = a_transfer("alice", "bob", Money("USD", 1))
    batch = a_batch(*(an_item("alice", "bob", one.amount) for _ in range(3)))

    assert (batch.weight, one.weight) == (3, 1)


def test_a_withdrawn_item_does_not_take_a_place_in_the_batch(queues: Callable[..., GatedQueue]) -> None:
    """It is passed over, and the batch is filled behind it."""

    queue = queues(commit_batch_max=2)
    queue.shut()
    gone = queue.enter(1, deadline=monotonic())
    tickets = [queue.enter(2), queue.enter(3)]
    with pytest.raises(DeadlineTooShort):
        gone.wait()
    queue.gate.open.set()

    assert [ticket.wait() for ticket in tickets] == ["done 2", "done 3"]
    assert queue.gate.batches == [[0], [2, 3]]


def test_a_deadline_that_passes_in_queue_withdraws_the_item(queues: Callable[..., GatedQueue]) -> None:
    """It was never begun, and never is."""

    queue = queues()
    first = queue.shut()
    late = queue.submit(1, deadline=monotonic() + 0.01)
    with pytest.raises(DeadlineTooShort):
        late.result(30)
    queue.gate.open.set()

    assert first.result(30) == "done 0"
    assert queue.group.submit(2) == "done 2"
    assert queue.gate.batches == [[0], [2]]


def test_a_queue_of_withdrawn_items_only_still_serves_the_next_one(queues: Callable[..., GatedQueue]) -> None:
    """The committing thread goes back to waiting, and is woken again."""

    queue = queues()
    queue.shut()
    for item in (1, 2, 3):
        with pytest.raises(DeadlineTooShort):
            queue.group.submit(item, monotonic())
    queue.gate.open.set()

    assert queue.group.submit(4) == "done 4"
    assert queue.gate.batches == [[0], [4]]


def test_a_deadline_that_passes_during_the_commit_leaves_the_outcome_open(queues: Callable[..., GatedQueue]) -> None:
    """The caller goes; the commit does not stop for it."""

    queue = queues()
    queue.gate.open.clear()
    ticket = queue.enter(1, deadline=monotonic() + 0.05)
    assert queue.gate.reached.acquire(timeout=10)
    with pytest.raises(OutcomeUnknown):
        ticket.wait()
    queue.gate.open.set()

    assert wait_until(lambda: ticket.stage is Stage.ANSWERED, timeout_s=30)
    assert queue.gate.batches == [[1]]


def test_a_ready_answer_is_returned_even_after_the_deadline(queues: Callable[..., GatedQueue]) -> None:
    """Known is better than unknown."""

    queue = queues()
    ticket = queue.enter(1, deadline=monotonic() + 0.05)
    assert wait_until(lambda: ticket.stage is Stage.ANSWERED and ticket.expired, timeout_s=30)

    assert ticket.wait() == "done 1"


def test_a_full_queue_refuses_newcomers_and_serves_the_others(queues: Callable[..., GatedQueue]) -> None:
    """As soon as there is room again, newcomers are welcome."""

    queue = queues(commit_queue_max=2)
    queue.shut()
    tickets = [queue.enter(1), queue.enter(2)]
    with pytest.raises(ServerOverloaded):
        queue.group.submit(3)
    queue.gate.open.set()

    assert [ticket.wait() for ticket in tickets] == ["done 1", "done 2"]
    assert queue.group.submit(4) == "done 4"
    assert queue.gate.batches == [[0], [1, 2], [4]]


def test_callers_that_left_do_not_keep_the_queue_full(queues: Callable[..., GatedQueue]) -> None:
    """During a long commit callers come, give up, and come again."""

    queue = queues(commit_queue_max=2)
    queue.shut()
    for item in (1, 2):
        with pytest.raises(DeadlineTooShort):
            queue.group.submit(item, monotonic())
    ticket = queue.enter(3)
    queue.gate.open.set()

    assert ticket.wait() == "done 3"


def test_a_commit_that_raises_fails_those_it_left_unanswered() -> None:
    """And only those; the queue continues."""

    def commit(tickets: Tickets) -> None:
        tickets[0].answer("answered")
        if len(tickets) > 1 or tickets[0].item == 9:
            raise ValueError("the commit broke")

    hold = threading.Event()

    def held(tickets: Tickets) -> None:
        assert hold.wait(10)
        commit(tickets)

    group: GroupCommit[int, str] = GroupCommit("test", held, commit_batch_max=10, commit_queue_max=10)
    tickets: list[Ticket[int, str]] = [Ticket(item, None) for item in (1, 2, 3, 4)]
    try:
        for ticket in tickets:
            group.enter(ticket)
            assert ticket.item != 1 or wait_until(lambda: tickets[0].stage is Stage.TAKEN, timeout_s=10)
        hold.set()

        assert [tickets[0].wait(), tickets[1].wait()] == ["answered", "answered"]
        for ticket in tickets[2:]:
            with pytest.raises(ValueError, match="the commit broke"):
                ticket.wait()
        assert group.submit(5) == "answered"
    finally:
        hold.set()
        group.close()


def test_closing_finishes_the_queue_and_refuses_newcomers(queues: Callable[..., GatedQueue]) -> None:
    """Every admitted item is served."""

    queue = queues(commit_batch_max=2)
    queue.shut()
    tickets = [queue.enter(item) for item in (1, 2, 3)]
    closing = queue.pool.submit(queue.group.close)

    def refused() -> bool:
        try:
            tickets.append(queue.enter(len(tickets) + 1))
        except ServerDraining:
            return True
        return False

    assert wait_until(refused, timeout_s=30)
    assert not closing.done()
    queue.gate.open.set()
    closing.result(30)

    assert [ticket.wait() for ticket in tickets] == [f"done {item}" for item in range(1, len(tickets) + 1)]
    with pytest.raises(ServerDraining):
        queue.group.submit(99)


def test_an_idle_queue_closes_at_once_and_twice() -> None:
    """Nothing is waited for."""

    group: GroupCommit[int, str] = GroupCommit("test", Gate().commit, commit_batch_max=1, commit_queue_max=1)
    group.close()
    group.close()

    with pytest.raises(ServerDraining):
        group.submit(1)


def test_many_threads_each_get_all_their_own_items_once(queues: Callable[..., GatedQueue]) -> None:
    """64 callers, 100 items each, none lost, doubled or mixed up."""

    queue = queues(commit_batch_max=50, commit_queue_max=1000)
    received = together(
        [
            lambda caller=caller: [queue.group.submit(caller * 100 + nth) for nth in range(100)]  # type: ignore[misc]
            for caller in range(64)
        ]
    )

    assert received == [[f"done {caller * 100 + nth}" for nth in range(100)] for caller in range(64)]
    committed = [item for batch in queue.gate.batches for item in batch]
    assert sorted(committed) == list(range(6400))
    assert max(len(batch) for batch in queue.gate.batches) <= 50


def test_callers_with_deadlines_get_the_true_outcome_of_every_item(queues: Callable[..., GatedQueue]) -> None:
    """Answered means committed, too short means never committed, with any timing."""

    queue = queues(commit_batch_max=8, commit_queue_max=1000)

    def call(caller: int) -> list[tuple[int, str]]:
        event = []
        for nth in range(50):
            item = caller * 50 + nth
            try:
                event.append((item, queue.group.submit(item, monotonic() + (item % 7) * 0.0002)))
            except (DeadlineTooShort, OutcomeUnknown) as error:
                event.append((item, type(error).__name__))
        return event

    received = together([lambda caller=caller: call(caller) for caller in range(16)])  # type: ignore[misc]
    queue.group.close()
    committed = {item for batch in queue.gate.batches for item in batch}

    for event in received:
        assert isinstance(event, list)
        for item, word in event:
            assert (item in committed) or word == "DeadlineTooShort"
            assert (item not in committed) or word != "DeadlineTooShort"
