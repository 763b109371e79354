"""The directory of a server's socket: short enough for the kernel, and private."""

import os
import stat
import tempfile
from hashlib import sha256
from pathlib import Path

from walletctl.local.errors import CannotStart

# A socket's whole path may have 103 bytes on macOS and 107 on Linux; "/.s.PGSQL.65535" takes 15 of them.
_BYTES_MAX = 88


def socket_directory(home: Path) -> Path:
    """Return ``home/sockets`` or, if that is too long for a socket, a short stand-in, the same one every time."""
    usual = home / "sockets"
    if len(os.fsencode(usual)) <= _BYTES_MAX:
        return usual
    digest = sha256(os.fsencode(usual)).hexdigest()[:16]
    return Path(tempfile.gettempdir()).resolve() / f"wallet-pg-{os.geteuid()}-{digest}"


def make_private(directory: Path) -> None:
    """Make *directory* private, because a user who can enter it is the database's superuser without a password.

    Raises ``CannotStart`` if another user made it first, which is possible in the temporary directory.
    """
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    ours = found.st_uid == os.geteuid() or os.geteuid() == 0
    closed = found.st_mode & (stat.S_IRWXG | stat.S_IRWXO) == 0
    if not (stat.S_ISDIR(found.st_mode) and ours and closed):
        raise CannotStart(f"{directory} must be a directory that only we can enter: remove it and start again")
