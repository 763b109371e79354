"""Loops: after any error of an attempt the thread continues, with growing pauses, and the failure is reported."""

import ast
import threading
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from wallet_core.background import Loop
from wallet_grpc.server.supervisor import Supervisor
from walletctl.local.waiting import wait_until

ROOT = Path(__file__).parents[2]
PRODUCT = ("wallet_core", "wallet_grpc", "scheduler", "bank_stub")
# Threads that are no loops: each waits for one event and ends, or handles its own errors.
ALLOWED = {
    "wallet_core/background.py": 1,  # the loops'
    "wallet_core/ledger/group_commit.py": 1,  # what a commit raises goes to its callers
    "wallet_core/stop_signals.py": 1,  # waits for a signal
    "wallet_grpc/server/supervisor.py": 1,  # waits for the supervisor to be gone
    "wallet_grpc/interceptors/overload.py": 2,  # writes one line; its first value is begun never
    "scheduler/process.py": 2,  # waits for the stop; a first turn of a job
    "wallet_grpc/server/reflection.py": 1,  # cancels one stream
    "bank_stub/server.py": 2,  # serves until it is closed; opens its door once
}


@pytest.fixture
def changes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Return what is reported of failing loops."""
    received: list[tuple[str, int]] = []
    monkeypatch.setattr(Loop, "on_change", staticmethod(lambda name, failed: received.append((name, failed))))
    return received


def test_loop_continues_after_any_error_and_reports_that_it_fails(changes: list[tuple[str, int]]) -> None:
    """Logged each time, counted in a row, and forgotten once it works again."""

    attempts: list[int] = []
    broken = threading.Event()
    broken.set()

    def work() -> None:
        attempts.append(1)
        if broken.is_set():
            raise ValueError("whatever")

    loop = Loop("trial", work, 0.001)
    with capture_logs() as logged:
        loop.start()
        assert wait_until(lambda: len(attempts) >= 4, timeout_s=30)
        assert loop.keeps_failing
        broken.clear()
        assert wait_until(lambda: not loop.keeps_failing, timeout_s=30)
        loop.stop(20)

    failed = [line for line in logged if line["event"] == "loop failed"]
    assert [line["consecutive"] for line in failed] == list(range(1, len(failed) + 1))
    assert [count for _, count in changes] == [*range(1, len(failed) + 1), 0]


def test_loop_that_fails_waits_longer_and_longer_and_no_wake_makes_it_fail_faster() -> None:
    """Doubling up to its limit."""

    attempts: list[int] = []

    def work() -> None:
        attempts.append(1)
        raise ValueError("whatever")

    loop = Loop("trial", work, 3600.0, backoff_max_s=3600.0)
    loop.start()
    assert wait_until(lambda: len(attempts) == 1, timeout_s=30)
    for _ in range(5):
        loop.wake()
    assert not wait_until(lambda: len(attempts) > 1, timeout_s=0.2)
    loop.stop(20)

    assert len(attempts) == 1


def test_loop_that_is_woken_or_has_more_to_do_does_not_wait() -> None:
    """And it is stopped at once, however long it would wait."""

    more = iter([True, True, False, False])
    attempts: list[int] = []

    def work() -> bool:
        attempts.append(1)
        return next(more)

    loop = Loop("trial", work, 3600.0)
    loop.start()
    assert wait_until(lambda: len(attempts) == 3, timeout_s=30)
    loop.wake()
    assert wait_until(lambda: len(attempts) == 4, timeout_s=30)
    loop.stop(20)


def test_supervisor_continues_where_it_cannot_start_a_process() -> None:
    """E.g. for want of memory: those that serve are left alone."""

    tried: list[int] = []
    stopping = threading.Event()

    class Poor(Supervisor):
        def _replace_dead(self) -> None:
            tried.append(1)
            if len(tried) == 3:
                stopping.set()
            raise OSError("no memory")

    with capture_logs() as logged:
        Poor(lambda *_: None, 1, 0, stopping, lambda _: None).run(1.0)

    assert [line["event"] for line in logged if line["log_level"] == "error"] == ["cannot replace a worker"] * 3


def test_every_thread_of_ours_that_lasts_is_a_loop() -> None:
    """A new thread is listed here with why nothing can end it silently."""

    found = {
        str(path.relative_to(ROOT)): count
        for folder in PRODUCT
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "client" not in path.parts and (count := threads_in(path))
    }

    assert found == ALLOWED


def threads_in(path: Path) -> int:
    """Return how many threads a file makes."""
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    return sum(getattr(call, "attr", getattr(call, "id", "")) in {"Thread", "Timer"} for call in calls)
