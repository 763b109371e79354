"""Why a local PostgreSQL cannot start; each error says what to do."""

from pathlib import Path


class CannotStart(RuntimeError):
    """A local PostgreSQL cannot start; the message is for a person."""


class NoPostgres(CannotStart):
    """No usable PostgreSQL binaries were found."""


class NoUnprivilegedUser(CannotStart):
    """PostgreSQL refuses to run as this user, and no other user is available."""


class AlreadyRunning(CannotStart):
    """Another process, or another object of this one, owns the directory; *pid* is None when it is not known."""

    def __init__(self, directory: Path, pid: int | None) -> None:
        self.directory, self.pid = directory, pid
        owner = "another process" if pid is None else f"process {pid}"
        super().__init__(f"{directory} is in use by {owner}: stop that one first, or choose another directory")


class StartFailed(CannotStart):
    """A program of PostgreSQL ended or hung before it was ready; the message ends with the tail of its log."""
