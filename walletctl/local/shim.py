"""Becomes another program that ends with the process that started it.

Between fork and exec only a few system calls are safe in a process that has threads, so no code of ours runs there.
Instead the child starts as this file, by path in an interpreter without ``site`` (about 20 ms), prepares itself, and
becomes the intended program, under the same process id:

    python -I -S shim.py PARENT_PID DEATH_SIGNAL STOP_SIGNALS IDENTITY DIRECTORY [PROGRAM ARGUMENT…]

STOP_SIGNALS is ``blocked`` (SIGTERM and SIGINT stay pending until the program takes them) or ``open``; IDENTITY is
``same``, ``namespace:UID`` (a user namespace in which we are UID) or ``account:UID:GID``; an empty
DIRECTORY is the current one; without a program it only tries the identity. Extra variables are read from standard
input as NAME=VALUE, each ended by a zero byte, because arguments are visible to all users. Standard library only.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

SAME = "same"
BLOCKED, OPEN = "blocked", "open"
STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})

_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER = 0x10000000
_EXIT_CANNOT_RUN = 127


def command(  # noqa: PLR0913  # the last two by name
    parent: int,
    death_signal: int,
    identity: str,
    argv: Sequence[str],
    *,
    directory: Path | None = None,
    stop_signals: str = OPEN,
) -> list[str]:
    """Return the command line that starts this file so that it becomes *argv*."""
    shim = [sys.executable, "-I", "-S", str(Path(__file__).resolve())]
    return [*shim, str(parent), str(int(death_signal)), stop_signals, identity, str(directory or ""), *argv]


def main(parent: str, death_signal: str, stop_signals: str, identity: str, directory: str, *argv: str) -> int:
    """Become *argv*; return an exit code only when that failed or there was nothing to become."""
    try:
        _restore_signals(STOP_SIGNALS if stop_signals == BLOCKED else frozenset())
        _take_variables()
        _become(identity)
        # After the change of identity, which would clear it.
        _die_with(int(parent), int(death_signal))
        if directory:
            os.chdir(directory)
        if argv:
            os.execv(argv[0], argv)  # noqa: S606 — becoming another program is the whole point
    except OSError as error:
        sys.stderr.write(f"cannot start {argv[0] if argv else identity}: {error}{_advice(identity)}\n")
        return _EXIT_CANNOT_RUN
    return 0


def _advice(identity: str) -> str:
    if identity == SAME:
        return ""
    return (
        f"\nIt was tried as {identity}, because PostgreSQL refuses to run as the user who started it. Either keep its "
        "programs and its data where that one can reach them, or start this as an ordinary user."
    )


def _restore_signals(blocked: frozenset[signal.Signals]) -> None:
    """Undo what the interpreter and the parent did to signals: both survive the exec."""
    for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _take_variables() -> None:
    for item in sys.stdin.buffer.read().split(b"\0")[:-1]:
        name, _, value = item.partition(b"=")
        os.putenv(name, value)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _become(identity: str) -> None:
    kind, *numbers = identity.split(":")
    if kind == "namespace":
        _enter_namespace(int(numbers[0]))
    elif kind == "account":
        uid, gid = map(int, numbers)
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)


def _enter_namespace(uid: int) -> None:
    """Appear as *uid* from here on; outside, files and permissions stay those of the real user."""
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWUSER) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"no user namespace: {os.strerror(number)}")
    Path("/proc/self/setgroups").write_text("deny", "ascii")
    Path("/proc/self/uid_map").write_text(f"{uid} {outer_uid} 1", "ascii")
    Path("/proc/self/gid_map").write_text(f"{uid} {outer_gid} 1", "ascii")


def _die_with(parent: int, death_signal: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, death_signal)
    # A parent that died before the line above sent no signal; this process has another parent since.
    if os.getppid() != parent:
        sys.exit(1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
