"""Several server processes on one port, for one interpreter uses one processor. One that dies is replaced.

They are spawned, never forked: neither gRPC nor the database's driver survives that. The kernel spreads connections
over those that listen (SO_REUSEPORT); the supervisor holds the port, which so stays ours while one of them is away.
"""

import multiprocessing
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from time import monotonic

import structlog

from wallet_core.stop_signals import block_stop_signals

_log = structlog.get_logger("wallet.supervisor")

# What a worker process runs: told its place and the port, it serves until it is told to stop, and says on the pipe when
# it has begun.
Work = Callable[[int, int, Connection], None]

_LOOK_EVERY_S = 0.2
_RESTART_FIRST_S, _RESTART_MAX_S = 0.2, 10.0


class WorkerFailed(Exception):
    """A worker ended before it served; it has said why itself."""


@dataclass
class Worker:
    """One place for a process, whichever is in it now."""

    number: int
    process: BaseProcess
    serving: Connection
    started_at: float
    restarts: int = 0
    again_at: float | None = None


@dataclass
class Supervisor:
    """Keeps *count* processes at work on a port."""

    work: Work
    port: int
    count: int
    stopping: threading.Event
    lost: Callable[[str], None]
    """Told the name of a process that has died."""
    _workers: list[Worker] = field(default_factory=list)

    def run(self, longest_s: float) -> None:
        """Start all, replace those that die, and end all once it is told to stop, within *longest_s*.

        Raises ``WorkerFailed`` where one cannot serve to begin with.
        """
        try:
            self._workers = [self._start(number) for number in range(self.count)]
            for worker in self._workers:
                self._until_serving(worker)
            _log.info("serving", port=self.port, workers=self.count)
            while not self.stopping.is_set():
                try:
                    self._replace_dead()
                except Exception:  # noqa: BLE001  # e.g. no memory for another process: those that serve go on
                    _log.error("cannot replace a worker", exc_info=True)  # structlog's own form
                    self.stopping.wait(_RESTART_FIRST_S)
                wait([worker.process.sentinel for worker in self._workers if worker.again_at is None], _LOOK_EVERY_S)
        finally:
            self._end(longest_s)

    def _start(self, number: int) -> Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=self.work, args=(number, self.port, theirs), name=f"wallet-grpc-{number}")
        process.start()
        block_stop_signals()  # again: the first start of a process unblocks them
        theirs.close()
        _log.info("worker started", worker=number, pid=process.pid)
        return Worker(number, process, ours, monotonic())

    def _until_serving(self, worker: Worker) -> None:
        while not self.stopping.is_set():
            if worker.process.sentinel in wait([worker.serving, worker.process.sentinel], _LOOK_EVERY_S):
                worker.process.join()
                if worker.process.exitcode != 0:
                    raise WorkerFailed
                return  # it was stopped, perhaps before we hear of it, and is replaced if we are not
            if worker.serving.poll():
                return

    def _replace_dead(self) -> None:
        """Start dead ones again: at once the first time, later and later one that keeps dying."""
        for place, worker in enumerate(self._workers):
            if worker.again_at is None and not worker.process.is_alive():
                steady = monotonic() - worker.started_at > _RESTART_MAX_S
                worker.restarts = 0 if steady else worker.restarts
                worker.again_at = monotonic() + min(_RESTART_FIRST_S * 2**worker.restarts, _RESTART_MAX_S)
                _log.error("worker died", worker=worker.number, pid=worker.process.pid, code=worker.process.exitcode)
                self.lost(worker.process.name)
            if worker.again_at is not None and monotonic() >= worker.again_at:
                worker.serving.close()
                self._workers[place] = self._start(worker.number)
                self._workers[place].restarts = worker.restarts + 1

    def _end(self, longest_s: float) -> None:
        """Have all drain, and kill what has not ended in time."""
        for worker in self._workers:
            if worker.process.is_alive():
                worker.process.terminate()
        ends_at = monotonic() + longest_s
        for worker in self._workers:
            worker.process.join(max(0.0, ends_at - monotonic()))
            if worker.process.is_alive():
                _log.error("worker killed", worker=worker.number, pid=worker.process.pid)
                worker.process.kill()
                worker.process.join()


def stop_with_parent(stopping: threading.Event) -> None:
    """End this worker where its supervisor is gone, however it went."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        stopping.set()

    threading.Thread(target=watch, name="watches-supervisor", daemon=True).start()
