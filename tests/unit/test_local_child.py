"""Children started through ``walletctl.local.child``: real processes, really killed."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from walletctl.local import shim
from walletctl.local.child import spawn
from walletctl.local.waiting import wait_until

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals a child when its parent dies")

PARENT = """
import signal, sys
from pathlib import Path
from walletctl.local.child import spawn
child = spawn([sys.executable, "-c", "import time; time.sleep(60)"], death_signal=signal.SIGTERM)
print(child.pid, flush=True)
child.wait()
"""


def python(code: str) -> list[str]:
    """Return the command line of a program given as text."""
    return [sys.executable, "-I", "-c", code]


def is_alive(pid: int) -> bool:
    """Return whether *pid* runs; a dead process that is not yet reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def name_of(pid: int) -> str:
    """Return the name of the program that *pid* has become."""
    return Path(f"/proc/{pid}/comm").read_text().strip()


@ON_LINUX
def test_parent_killed_takes_the_child_along() -> None:
    """SIGKILL gives the parent no chance to clean up, so the kernel has to."""

    with subprocess.Popen(
        python(f"import sys; sys.path[:0] = {sys.path!r}\n{PARENT}"), stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_alive(child)
        parent.kill()
    assert wait_until(lambda: not is_alive(child), timeout_s=30)


@ON_LINUX
def test_starting_thread_ends_takes_the_child_along() -> None:
    """The documented trap: for the kernel the parent is the thread that called."""

    started: queue.Queue[subprocess.Popen[bytes]] = queue.Queue()
    enough = threading.Event()

    def start_and_linger() -> None:
        started.put(spawn(["sleep", "60"], death_signal=signal.SIGTERM))
        enough.wait()

    starter = threading.Thread(target=start_and_linger)
    starter.start()
    child = started.get()
    assert wait_until(lambda: name_of(child.pid) == "sleep", timeout_s=30)
    enough.set()
    assert child.wait(30) == -signal.SIGTERM
    starter.join()


def test_parent_gone_before_the_shim_looks_starts_nothing(tmp_path: Path) -> None:
    """A parent that died between fork and the request for a death signal sent none."""

    output = tmp_path / "started"
    code = f"open({str(output)!r}, 'w')"
    stranger = os.getppid()
    late = subprocess.run(
        shim.command(stranger, signal.SIGTERM, shim.SAME, python(code)), stdin=subprocess.DEVNULL, check=False
    )
    assert (late.returncode, output.exists()) == (1, False)


def test_extra_variables_join_the_inherited_ones_unseen(tmp_path: Path) -> None:
    """A password handed to a child must not be readable in the process list."""

    log = tmp_path / "log"
    code = "import os; print(os.environ['SECRET'], 'PATH' in os.environ, open('/dev/stdin').read() == '')"
    child = spawn(python(code), extra_env={"SECRET": "a=b c\n€"}, log=log, death_signal=signal.SIGTERM)
    assert not any("a=b" in str(argument) for argument in child.args)  # type: ignore[union-attr]
    assert child.wait(30) == 0
    assert log.read_text("utf-8") == "a=b c\n€ True True\n"


def test_own_environment_replaces_the_inherited_one(tmp_path: Path) -> None:
    """*env* is all the child sees, and *extra_env* still adds to it."""

    log = tmp_path / "log"
    child = spawn(["env"], env={"ONE": "1"}, extra_env={"TWO": "2"}, log=log, cwd=tmp_path, death_signal=signal.SIGTERM)
    assert child.wait(30) == 0
    seen = {line.partition("=")[0] for line in log.read_text().splitlines()}
    assert {"ONE", "TWO"} <= seen <= {"ONE", "TWO", "LC_CTYPE"}


def test_child_runs_in_its_directory_session_and_log(tmp_path: Path) -> None:
    """What is typed at our terminal must reach us, not our children; and a log is appended to."""

    log = tmp_path / "log"
    log.write_text("before\n")
    code = "import os; print(os.getcwd(), os.getsid(0) == os.getpid())"
    child = spawn(python(code), log=log, cwd=tmp_path, death_signal=signal.SIGTERM)
    assert child.wait(30) == 0
    assert log.read_text() == f"before\n{tmp_path} True\n"


def test_child_starts_with_ordinary_signals(tmp_path: Path) -> None:
    """Python ignores SIGPIPE and we may block SIGTERM; a child that inherited either could not be ended."""

    log = tmp_path / "log"
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        child = spawn(["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"], log=log, death_signal=signal.SIGTERM)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    child.wait(30)
    masks = dict(line.split() for line in log.read_text().splitlines())
    assert int(masks["SigBlk:"], 16) == 0
    assert int(masks["SigIgn:"], 16) & 1 << (signal.SIGPIPE - 1) == 0


def test_missing_program_is_refused_at_once() -> None:
    """A mistyped name is the caller's mistake, and is raised where the caller is."""

    with pytest.raises(FileNotFoundError, match="no-such-program"):
        spawn(["no-such-program"], death_signal=signal.SIGTERM)


def test_unusable_directory_ends_with_the_reason_in_the_log(tmp_path: Path) -> None:
    """What fails between fork and exec must not fail silently."""

    log = tmp_path / "log"
    child = spawn(["true"], log=log, cwd=tmp_path / "nowhere", death_signal=signal.SIGTERM)
    assert child.wait(30) == 127
    assert "nowhere" in log.read_text()


def test_unprivileged_child_is_not_root(tmp_path: Path) -> None:
    """PostgreSQL looks at its user id, and looks that up by name."""

    log = tmp_path / "log"
    code = "import os, pwd; print(os.geteuid() != 0, bool(pwd.getpwuid(os.geteuid())))"
    child = spawn(python(code), log=log, unprivileged=True, death_signal=signal.SIGTERM)
    assert (child.wait(30), log.read_text()) == (0, "True True\n")


@pytest.mark.alone
def test_shim_costs_a_child_little() -> None:
    """Every process of the service starts through it; it must not be what one waits for."""

    began = time.monotonic()
    for _ in range(5):
        assert spawn(["true"], death_signal=signal.SIGTERM).wait(10) == 0
    assert (time.monotonic() - began) / 5 < 0.5
