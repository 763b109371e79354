"""Workers: for how long an unreachable bank is not called."""

import threading

from scheduler.worker_pool import WorkerPool


def worker_of(pauses: list[int], pieces: list[str], gate: threading.Event) -> WorkerPool[str]:
    """Return a worker of these pieces, each of which ends as it is called once the gate is open."""

    def claim(limit: int) -> list[str]:
        taken, pieces[:] = pieces[:limit], pieces[limit:]
        return taken

    def work(piece: str) -> str:
        assert gate.wait(10)
        return piece

    def pause(times: int) -> float:
        pauses.append(times)
        return 3600.0

    return WorkerPool("test", slots=10, claim=claim, work=work, pausing=frozenset({"NOT_SENT"}), pause=pause)


def test_ten_calls_in_flight_when_the_connection_is_lost_make_one_pause() -> None:
    """Not ten, each longer than the one before."""

    pauses: list[int] = []
    gate = threading.Event()
    gate.set()
    counts = worker_of(pauses, ["NOT_SENT"] * 10, gate).once(10)

    assert (counts.outcomes["NOT_SENT"], pauses) == (10, [0])


def test_one_that_goes_through_ends_the_pause() -> None:
    """Also one that was under way when it began."""

    pauses: list[int] = []
    gate = threading.Event()
    gate.set()
    worker = worker_of(pauses, ["NOT_SENT", "SUCCEEDED", "NOT_SENT", "SUCCEEDED"], gate)
    for _ in range(4):
        worker._fill(1)  # noqa: SLF001  # one look
    worker.close()

    assert set(pauses) == {0}
