"""Background loops: periodic work on its own thread, which continues whatever exception a run raises.

A thread that ends by an exception ends silently, and its work is missing until the next restart. So each loop is a
``Loop``: a failed run is logged and counted, and the next ones are delayed with a growing backoff.
"""

import threading
from collections.abc import Callable
from typing import ClassVar

import structlog

_log = structlog.get_logger("wallet.loops")

_BACKOFF_MAX_S = 30.0
_DOUBLED_MAX = 20
# Consecutive failed runs after which a loop counts as failing.
_KEEPS_FAILING = 3


class Loop:
    """Calls *work* every *every_s* seconds until it is stopped; immediately at first, and after it returns True."""

    on_change: ClassVar[Callable[[str, int], None]] = staticmethod(lambda *_: None)
    """Called with the name of a loop and its number of consecutive failed runs, whenever that changes."""

    def __init__(
        self, name: str, work: Callable[[], bool | None], every_s: float, *, backoff_max_s: float = _BACKOFF_MAX_S
    ) -> None:
        self.every_s = every_s
        self._backoff_max_s = backoff_max_s
        self._name = name
        self._work = work
        self._failed = 0
        self._stopped = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def keeps_failing(self) -> bool:
        """Whether several consecutive runs have failed."""
        return self._failed >= _KEEPS_FAILING

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Run now, or once more after the current run; the backoff of a failing loop stays."""
        self._wake.set()

    def stop(self, wait_s: float = 0.0) -> None:
        """Start no further run; wait up to *wait_s* for the current one."""
        self._stopped.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(wait_s)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                more = self._work()
            except Exception:  # noqa: BLE001  # the thread must survive any exception
                self._count(self._failed + 1)
                _log.error("loop failed", loop=self._name, consecutive=self._failed, exc_info=True)  # not exception()
                self._stopped.wait(self._backoff_s())
                continue
            if self._failed:
                self._count(0)
            if not more:
                self._wake.wait(self.every_s)
                self._wake.clear()

    def _backoff_s(self) -> float:
        return min(self._backoff_max_s, self.every_s * 2.0 ** min(self._failed, _DOUBLED_MAX))

    def _count(self, failed: int) -> None:
        self._failed = failed
        Loop.on_change(self._name, failed)
