"""Ends processes that a killed PostgreSQL left running, so that its data can be opened again.

A killed postmaster leaves busy children, which still write, and, if its parent does not reap it, an entry in the
process table whose number makes PostgreSQL believe its lock file. Only the holder of the owner's lock may call this.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from walletctl.local.errors import StartFailed
from walletctl.local.waiting import wait_until

# Servers end immediately on SIGQUIT; one that still runs after a second or so is stuck.
_PATIENCE = ((signal.SIGQUIT, 5.0), (signal.SIGKILL, 10.0))


def end_left_overs(data: Path, sockets: Path) -> None:
    """End every server process on *data*, wait for their end, and only then remove the files that prevent a start."""
    for number, timeout_s in _PATIENCE:
        if wait_until(partial(_none_left_to_signal, data, number), timeout_s=timeout_s):
            break
    else:
        raise StartFailed(f"old server processes on {data} do not end: {sorted(_live_servers(data))}")
    if sys.platform == "linux":
        # Elsewhere a process may have been missed, and PostgreSQL's own check of its lock file is better.
        for file in (data / "postmaster.pid", *sockets.glob(".s.PGSQL.*")):
            file.unlink(missing_ok=True)


def _none_left_to_signal(data: Path, number: int) -> bool:
    """Signal every live server on *data*; return whether there was none. Zombies do not count."""
    found = list(_live_servers(data))
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    return not found


def _live_servers(data: Path) -> Iterator[int]:
    return servers_by_working_directory(data) if sys.platform == "linux" else servers_by_command_line(data)


def servers_by_working_directory(data: Path) -> Iterator[int]:
    """Yield the server processes that work in the data directory, but not other programs, e.g. a shell."""
    for process in Path("/proc").glob("[0-9]*"):
        # Ended meanwhile, or another user's.
        with suppress(OSError):
            if (process / "cwd").readlink() == data:
                name, _, rest = (process / "stat").read_text().partition("(")[2].rpartition(")")
                if name == "postgres" and rest.split()[0] not in "ZX":
                    yield int(process.name)


def servers_by_command_line(data: Path) -> Iterator[int]:
    """Only the postmaster keeps the command line it was started with; a child has it until it has named itself."""
    listing = subprocess.run(
        ["ps", "-axww", "-o", "pid=,ppid=,stat=,command="], capture_output=True, text=True, check=True
    )
    parents = {}
    for line in listing.stdout.splitlines():
        pid, parent, state, command = line.split(maxsplit=3)
        if f"/postgres -D {data} " in command and not state.startswith("Z"):
            parents[int(pid)] = int(parent)
    yield from (pid for pid, parent in parents.items() if parent not in parents)
