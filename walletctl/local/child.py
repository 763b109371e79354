"""Starts a child process that never outlives this one, even if this one is killed."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from walletctl.local import shim
from walletctl.local.identity import unprivileged as unprivileged_identity


def spawn(  # noqa: PLR0913 — what a process is started with; all but the first by name
    argv: Sequence[str],
    *,
    death_signal: int,
    env: Mapping[str, str] | None = None,
    extra_env: Mapping[str, str] | None = None,
    log: Path | None = None,
    cwd: Path | None = None,
    unprivileged: bool = False,
    takes_stop_signals: bool = False,
) -> subprocess.Popen[bytes]:
    """Start *argv* in a session of its own; on Linux it is sent *death_signal* when we die, even by SIGKILL.

    Strictly, the kernel sends it when the *thread* that called this ends: call it from the main thread, or from one
    that lives as long as the child. The child's own children are not covered.

    *env* replaces our environment and *extra_env* adds to it; neither shows in the process list. Output is appended to
    *log*, or goes where ours goes; input is empty. *unprivileged* runs it as a user PostgreSQL agrees to be; files made
    for it may have to be given to that user (see ``identity``). A program that *takes_stop_signals* gets SIGTERM and
    SIGINT blocked: one that comes while it is starting waits until it takes it, as ``wallet_core.stop_signals`` does.

    Raises FileNotFoundError when there is no such program, NoUnprivilegedUser when there is no such user. A program
    that is there but cannot be run shows as exit code 127 with the reason on its error output.
    """
    identity = unprivileged_identity().argument if unprivileged else shim.SAME
    stop_signals = shim.BLOCKED if takes_stop_signals else shim.OPEN
    program = [_program(argv[0], env), *argv[1:]]
    command = shim.command(os.getpid(), death_signal, identity, program, directory=cwd, stop_signals=stop_signals)
    with ExitStack() as opened:
        output = None if log is None else opened.enter_context(log.open("ab"))
        variables = opened.enter_context(_variables(extra_env or {}))
        # The child begins with what this thread blocks.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, shim.STOP_SIGNALS if takes_stop_signals else ())
        try:
            return subprocess.Popen(
                command, env=env, stdin=variables, stdout=output, stderr=output, start_new_session=True
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _program(name: str, env: Mapping[str, str] | None) -> str:
    """Look *name* up here, where an error can still be raised: on the child's PATH, or on ours if it has none."""
    found = shutil.which(name, path=None if env is None else env.get("PATH"))
    if found is None:
        raise FileNotFoundError(f"no such program, or not executable: {name}")
    # Absolute, for the child may start in another directory; not resolved, for a virtualenv's python is a link.
    return str(Path(found).absolute())


@contextmanager
def _variables(extra_env: Mapping[str, str]) -> Iterator[IO[bytes]]:
    """Provide the shim's standard input: an unnamed file, so that no process has to keep writing."""
    with tempfile.TemporaryFile() as file:
        file.write(b"".join(os.fsencode(f"{name}={value}") + b"\0" for name, value in extra_env.items()))
        file.seek(0)
        yield file
