"""The user that PostgreSQL runs as: it refuses root, and a user id without a name."""

import functools
import os
import pwd
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from walletctl.local import shim
from walletctl.local.errors import NoUnprivilegedUser


@dataclass(frozen=True, slots=True)
class Identity:
    """The user of a child: *argument* for the shim, *account* the owner that its files need, if another one."""

    argument: str
    account: tuple[int, int] | None = None

    def give(self, path: Path) -> None:
        """Make *path* belong to this identity."""
        if self.account is not None:
            os.chown(path, *self.account)


@functools.cache
def unprivileged() -> Identity:
    """Return the first of: this user, this user under another name, the account ``postgres`` or ``nobody``.

    The second is a user namespace: it needs no account and reaches every file this user reaches. The third is for
    root alone, and reaches only what that account may reach. Raises ``NoUnprivilegedUser``.
    """
    uid = os.geteuid()
    if uid != 0 and _has_name(uid):
        return Identity(shim.SAME)
    for candidate in _namespaces() + (_accounts() if uid == 0 else []):
        if _works(candidate):
            return candidate
    raise NoUnprivilegedUser(
        f"PostgreSQL refuses to run as user id {uid}, and there is no other user to run it as: either start this as "
        "an ordinary user that has an entry in /etc/passwd, or allow user namespaces (in a container: its seccomp "
        "profile; on the machine: sysctl user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns)"
    )


def _has_name(uid: int) -> bool:
    with suppress(KeyError):
        return bool(pwd.getpwuid(uid))
    return False


def _namespaces() -> list[Identity]:
    """Return a namespace whose user has a name that PostgreSQL can look up; any name will do."""
    named = {entry.pw_name: entry.pw_uid for entry in pwd.getpwall() if entry.pw_uid != 0}
    if sys.platform != "linux" or not named:
        return []
    return [Identity(f"namespace:{named.get('nobody', min(named.values()))}")]


def _accounts() -> list[Identity]:
    named = {entry.pw_name: (entry.pw_uid, entry.pw_gid) for entry in pwd.getpwall()}
    ours = [named[name] for name in ("postgres", "nobody") if name in named]
    return [Identity(f"account:{uid}:{gid}", (uid, gid)) for uid, gid in ours]


def _works(identity: Identity) -> bool:
    tried = shim.command(os.getpid(), 0, identity.argument, ())
    return subprocess.run(tried, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0
