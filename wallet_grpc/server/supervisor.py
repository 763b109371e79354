"""Several server processes on one port, because one interpreter uses one processor. A dead one is replaced.

They are spawned, never forked: neither gRPC nor the database's driver supports forking. The kernel distributes
connections over the listeners (SO_REUSEPORT); the supervisor keeps the port bound while a worker is replaced.
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

# The function of a worker process: its number, the port, and a pipe on which it reports that it serves. It returns when
# the worker is stopped.
Work = Callable[[int, int, Connection], None]

_LOOK_EVERY_S = 0.2
_RESTART_FIRST_S, _RESTART_MAX_S = 0.2, 10.0


class WorkerFailed(Exception):
    """A worker ended before it served; it has reported the cause itself."""


@dataclass
class Worker:
    """A numbered worker, and its current process."""

    number: int
    process: BaseProcess
    serving: Connection
    started_at: float
    restarts: int = 0
    again_at: float | None = None


@dataclass
class Supervisor:
    """Keeps *count* processes running on a port."""

    work: Work
    port: int
    count: int
    stopping: threading.Event
    lost: Callable[[str], None]
    """Called with the name of a process that has died."""
    _workers: list[Worker] = field(default_factory=list)

    def run(self, longest_s: float) -> None:
        """Start all workers, replace dead ones, and end all within *longest_s* once *stopping* is set.

        Raises ``WorkerFailed`` where one cannot serve at the start.
        """
        try:
            self._workers = [self._start(number) for number in range(self.count)]
            for worker in self._workers:
                self._until_serving(worker)
            _log.info("serving", port=self.port, workers=self.count)
            while not self.stopping.is_set():
                try:
                    self._replace_dead()
                except Exception:  # noqa: BLE001  # e.g. no memory for another process: the others go on
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
        block_stop_signals()  # again: starting the first process unblocks them
        theirs.close()
        _log.info("worker started", worker=number, pid=process.pid)
        return Worker(number, process, ours, monotonic())

    def _until_serving(self, worker: Worker) -> None:
        while not self.stopping.is_set():
            if worker.process.sentinel in wait([worker.serving, worker.process.sentinel], _LOOK_EVERY_S):
                worker.process.join()
                if worker.process.exitcode != 0:
                    raise WorkerFailed
                return  # it was stopped; it is replaced unless the supervisor is stopped, too
            if worker.serving.poll():
                return

    def _replace_dead(self) -> None:
        """Restart dead workers, with a growing delay for one that keeps dying."""
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
        """Let all workers drain, and kill those that have not ended in time."""
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
    """Stop this worker when its supervisor has ended, for whatever reason."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        stopping.set()

    threading.Thread(target=watch, name="watches-supervisor", daemon=True).start()
