"""The limit of open files, of which each connection is one: the usual soft limit of 1,024 is too low for a server."""

import resource
from contextlib import suppress

# The limit to set where there is no hard limit.
_ENOUGH = 65_536


def open_files_limit() -> int:
    """Return how many files this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else _ENOUGH


def raise_open_files_limit() -> None:
    """Raise the soft limit to the hard one, also for child processes."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # the old limit stays
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else _ENOUGH, hard))
