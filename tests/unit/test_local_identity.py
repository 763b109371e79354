"""Root where user namespaces are refused, as in most containers: PostgreSQL runs as an account of the system."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from walletctl.local.leftovers import servers_by_working_directory
from walletctl.local.postgres import find_binaries
from walletctl.local.waiting import wait_until

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root can become another account"
)

# A namespace with every user of this machine in it, in which no further one is allowed: a container, in short.
CONTAINER = """
import ctypes, os, sys
from pathlib import Path
inside, mapped = os.pipe(), os.pipe()
outsider = os.fork()
if outsider == 0:
    os.read(inside[0], 1)
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{os.getppid()}/{name}").write_text("0 0 65536")
    os._exit(0)
if ctypes.CDLL(None).unshare(0x10000000) != 0:
    sys.exit("no user namespaces here")
os.write(inside[1], b"1")
if os.waitpid(outsider, 0)[1] != 0:
    sys.exit("not allowed to map users here")
Path("/proc/sys/user/max_user_namespaces").write_text("0")
"""

OWNER = """
from walletctl.local.identity import unprivileged
from walletctl.local.postgres import LocalPostgres
server = LocalPostgres(Path({root!r}), settings={{"fsync": "off"}})
server.start()
print(unprivileged().argument, flush=True)
input()
"""


@pytest.fixture
def reachable() -> Iterator[Path]:
    """Make a directory that every account can enter, unlike pytest's own."""
    root = Path(tempfile.mkdtemp(prefix="wallet-test-"))
    root.chmod(0o755)
    yield root
    shutil.rmtree(root)


def contained_owner(root: Path) -> subprocess.Popen[bytes]:
    """Start a process that owns a server on *root*, inside what looks like a container."""
    code = f"{CONTAINER}\nsys.path[:0] = {sys.path!r}\n{OWNER.format(root=str(root))}"
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe)


def test_refused_namespaces_run_it_as_an_account_that_still_dies_with_its_owner(reachable: Path) -> None:
    """Changing the user clears the parent's death signal in the kernel, so the order matters."""

    _skip_where_nobody_can_run_it()
    data = reachable / f"pg{find_binaries().major}" / "data"
    with contained_owner(reachable) as owner:
        assert owner.stdout is not None
        assert owner.stderr is not None
        answer = owner.stdout.readline() or owner.stderr.read()
        _skip_where_not_allowed(answer)
        assert answer.startswith(b"account:"), answer.decode()
        assert list(servers_by_working_directory(data))
        assert data.stat().st_uid != 0
        owner.kill()
    assert wait_until(lambda: not list(servers_by_working_directory(data)), timeout_s=30)


def test_data_the_account_cannot_reach_names_both_ways_out(tmp_path: Path) -> None:
    """What root may enter, its stand-in may not; the message must name the cause."""

    _skip_where_nobody_can_run_it()
    with contained_owner(tmp_path) as owner:
        _, errors = owner.communicate()
    _skip_where_not_allowed(errors)
    assert b"Permission denied" in errors
    assert b"where that one can reach them, or start this as an ordinary user" in errors
    assert not list(tmp_path.glob("pg*/data"))


def _skip_where_nobody_can_run_it() -> None:
    bindir = find_binaries().bindir
    if any(not directory.stat().st_mode & 0o001 for directory in (bindir, *bindir.parents)):
        pytest.skip(f"other accounts cannot reach {bindir}")


def _skip_where_not_allowed(answer: bytes) -> None:
    if b" here\n" in answer:
        pytest.skip(answer.decode().strip())
