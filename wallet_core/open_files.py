"""The limit of open files, of which each connection is one: a login's soft limit of 1,024 is too low for a server."""

import resource
from contextlib import suppress

# Asked for where there is no hard limit, or more than the system grants.
_ENOUGH = 65_536


def open_files_limit() -> int:
    """Return how many files this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else _ENOUGH


def raise_open_files_limit() -> None:
    """Raise the soft limit to the hard one; whatever is started from here has it too."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # then the old limit stays
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else _ENOUGH, hard))
