"""Creates a data directory that is either complete or absent."""

import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from walletctl.local.binaries import Binaries
from walletctl.local.child import spawn
from walletctl.local.errors import StartFailed
from walletctl.local.identity import Identity

OWNER = "wallet"

_LOG_TAIL_CHARACTERS = 2000
_UNFINISHED = "unfinished-"


def create_cluster(binaries: Binaries, home: Path, identity: Identity, *, sync: bool, timeout_s: float) -> None:
    """Create ``home/data`` and ``home/password``, the superuser's, unless they exist.

    All is created in a directory beside them and moved into place when complete, the data last. Only the holder of the
    home's lock may call this: unfinished leftovers are removed. *sync* waits for the disk.
    """
    for left in home.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(left, ignore_errors=True)
    if (home / "data" / "PG_VERSION").exists():
        return
    with tempfile.TemporaryDirectory(prefix=_UNFINISHED, dir=home, ignore_cleanup_errors=True) as name:
        workshop = Path(name)
        password = workshop / "password"
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(18), "ascii")
        for path in (workshop, password):
            identity.give(path)
        _initdb(binaries, workshop, sync=sync, timeout_s=timeout_s)
        password.replace(home / "password")
        (workshop / "data").replace(home / "data")


def _initdb(binaries: Binaries, workshop: Path, *, sync: bool, timeout_s: float) -> None:
    log = workshop / "initdb.log"
    options = ["--username", OWNER, "--encoding=UTF8", "--no-locale", "--no-instructions"]
    options += ["--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={workshop / 'password'}"]
    options += [] if sync else ["--no-sync"]
    argv = [str(binaries.bindir / "initdb"), "-D", str(workshop / "data"), *options]
    with spawn(argv, death_signal=signal.SIGKILL, log=log, cwd=workshop, unprivileged=True) as process:
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            raise StartFailed(f"initdb did not finish in {timeout_s:.0f} s:\n{log_tail(log)}") from None
        except BaseException:
            process.kill()
            raise
    if code != 0:
        raise StartFailed(f"initdb ended with code {code}:\n{log_tail(log)}")


def log_tail(log: Path) -> str:
    """Return the end of a program's log, for an error message."""
    return log.read_text("utf-8", errors="replace")[-_LOG_TAIL_CHARACTERS:].strip()
