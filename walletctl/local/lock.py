"""One owner per directory, until it releases the lock or dies."""

import fcntl
import os
from pathlib import Path
from typing import Self, TextIO

from walletctl.local.errors import AlreadyRunning


class OwnerLock:
    """The kernel's lock on a file that contains its holder's process id; released when the holder ends in any way."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    @classmethod
    def take(cls, path: Path) -> Self:
        """Lock *path* and write our process id into it. Raises ``AlreadyRunning``, and never waits."""
        file = path.open("a+", encoding="ascii")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with file:
                file.seek(0)
                written = file.read().strip()
            raise AlreadyRunning(path.parent, int(written) if written.isdecimal() else None) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        return cls(file)

    def release(self) -> None:
        """Release the lock. The file stays: removing it would let two owners lock two files of one name."""
        self._file.truncate(0)
        self._file.close()
