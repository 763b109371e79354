"""A PostgreSQL of our own: real servers, really killed."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from walletctl.local.leftovers import servers_by_command_line, servers_by_working_directory
from walletctl.local.postgres import AlreadyRunning, CannotStart, LocalPostgres, NoPostgres, StartFailed, find_binaries
from walletctl.local.sockets import make_private
from walletctl.local.waiting import wait_until

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a server with its owner")

# Enough for processes that die; only a machine that dies needs the disk.
QUICK: Mapping[str, str] = {"fsync": "off"}

OWNER = """
from pathlib import Path
from walletctl.local.postgres import LocalPostgres
server = LocalPostgres(Path({root!r}), settings={{"fsync": "off"}})
print(server.start(), flush=True)
input()
"""


def query(url: str, statement: str) -> list[tuple[object, ...]]:
    """Run one statement on a connection of its own, and keep what it did."""
    with psycopg.connect(url) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def servers_on(data: Path) -> list[int]:
    """Every live process that works in *data*."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
            if (process / "cwd").readlink() == data and state not in "ZX":
                found.append(int(process.name))
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make one data directory, which the tests copy: making one takes longer than most of them."""
    root = tmp_path_factory.mktemp("made")
    with LocalPostgres(root, settings=QUICK) as server:
        assert query(server.start(), "select 1") == [(1,)]
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Iterator[Path]:
    """Copy a root for this test alone, with a database already made; pytest would keep its 40 MB for three runs."""
    yield shutil.copytree(made, tmp_path / "root")
    shutil.rmtree(tmp_path / "root")


@pytest.fixture
def server(root: Path) -> Iterator[LocalPostgres]:
    """Offer a server that is not started yet, and stop it."""
    server = LocalPostgres(root, settings=QUICK)
    yield server
    server.stop()


def test_stopped_and_started_again_keeps_rows(root: Path, server: LocalPostgres) -> None:
    """What one run stored, the next finds, at the same URL."""

    url = server.start()
    query(url, "create table kept as select 7 as value")
    server.stop()

    with LocalPostgres(root, settings=QUICK) as again:
        assert again.start() == url
        assert query(url, "select value from kept") == [(7,)]


def test_stop_leaves_nothing_and_may_be_repeated(server: LocalPostgres) -> None:
    """After stop the directory is as if no server had ever run."""

    server.start()
    server.stop()
    server.stop()
    assert servers_on(server.data) == []
    assert not (server.data / "postmaster.pid").exists()
    assert list(server.data.parent.glob("sockets")) == []
    with pytest.raises(RuntimeError, match="not started"):
        _ = server.pid


def test_second_owner_is_refused_and_the_first_is_named(root: Path, server: LocalPostgres) -> None:
    """Two owners would end each other's servers; neither may attach, for the first may stop at any time."""

    server.start()
    with pytest.raises(AlreadyRunning, match=f"process {os.getpid()}") as refused:
        LocalPostgres(root, settings=QUICK).start()
    assert refused.value.pid == os.getpid()
    assert server.start() == server.start()


def test_callers_settings_win_over_ours(root: Path) -> None:
    """Defaults are only that; but the socket's place is not the caller's choice."""

    settings = {**QUICK, "max_connections": "17", "unix_socket_directories": "/nowhere"}
    with LocalPostgres(root, settings=settings) as server:
        assert query(server.start(), "show max_connections") == [("17",)]
        assert query(server.start(), "show jit") == [("off",)]


def test_tcp_wants_the_password(root: Path) -> None:
    """Any user of the machine can reach a port of it."""

    with LocalPostgres(root, settings=QUICK, tcp=True) as server:
        url = server.start()
        password = url.partition("wallet:")[2].partition("@")[0]
        assert query(url, "select 1") == [(1,)]
        with pytest.raises(psycopg.OperationalError, match="password"):
            query(url.replace(password, "guess"), "select 1")


@pytest.mark.parametrize("name", ["a space, a 'quote' and a %41", "long" * 40], ids=["odd", "long"])
def test_odd_path_works(root: Path, name: str) -> None:
    """Paths are the user's to choose, also those longer than a socket's name may be."""

    odd = root / name / name
    odd.mkdir(parents=True)
    for home in root.glob("pg*"):
        home.replace(odd / home.name)
    with LocalPostgres(odd, settings=QUICK) as server:
        assert query(server.start(), "select 1") == [(1,)]


def test_squatted_socket_directory_is_refused(tmp_path: Path) -> None:
    """In the temporary directory another user may have taken the name, to be let into our database."""

    squatted = tmp_path / "squatted"
    squatted.mkdir(mode=0o755)
    with pytest.raises(CannotStart, match="squatted"):
        make_private(squatted)


@ON_LINUX
def test_everything_killed_under_load_comes_back_with_every_acknowledged_row(root: Path, server: LocalPostgres) -> None:
    """The children of a killed postmaster write on until they next look; starting beside them would spoil the data."""

    acknowledged: list[tuple[object, ...]] = []
    with _owner(root) as owner:
        assert owner.stdout is not None
        url = owner.stdout.readline().decode().strip()
        query(url, "create table counted (client int, number int)")
        clients = [threading.Thread(target=_insert_until_cut_off, args=(url, n, acknowledged)) for n in range(8)]
        for client in clients:
            client.start()
        assert wait_until(lambda: len(acknowledged) > 30, timeout_s=30)
        os.kill(int((server.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        owner.kill()
    left = servers_on(server.data)
    server.start()
    for client in clients:
        client.join()

    stored = query(url, "select client, number from counted")
    assert left, "nobody was busy when the postmaster died: the test shows nothing"
    assert set(acknowledged) <= set(stored)
    assert len(stored) <= len(acknowledged) + len(clients)


def _insert_until_cut_off(url: str, client: int, acknowledged: list[tuple[object, ...]]) -> None:
    # Each statement works for a while, so that a child is hardly ever found waiting.
    work = "insert into counted select %s, %s from generate_series(1, 300000) having count(*) > 0"
    with suppress(psycopg.OperationalError), psycopg.connect(url, autocommit=True) as connection:
        for number in range(1_000_000):
            connection.execute(work, (client, number))
            acknowledged.append((client, number))


@ON_LINUX
def test_new_owner_ends_what_a_killed_one_left_running(root: Path, server: LocalPostgres) -> None:
    """The next server must not meet the old one, its children, or its lock files."""

    with _owner(root) as owner:
        assert owner.stdout is not None
        url = owner.stdout.readline().decode().strip()
        query(url, "create table kept as select 7 as value")
        owner.kill()
        owner.wait()
        assert query(server.start(), "select value from kept") == [(7,)]


@ON_LINUX
def test_owner_killed_leaves_no_server(root: Path, server: LocalPostgres) -> None:
    """SIGKILL gives the owner no chance to stop its server, so the kernel has to."""

    with _owner(root) as owner:
        assert owner.stdout is not None
        owner.stdout.readline()
        assert servers_on(server.data)
        owner.kill()
    assert wait_until(lambda: not servers_on(server.data), timeout_s=30)
    assert query(server.start(), "select 1") == [(1,)]


def _owner(root: Path) -> subprocess.Popen[bytes]:
    code = f"import sys; sys.path[:0] = {sys.path!r}\n{OWNER.format(root=str(root))}"
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


@ON_LINUX
def test_shell_in_the_data_directory_survives_a_take_over(server: LocalPostgres) -> None:
    """Only servers are left-overs; a shell in that directory is not."""

    with subprocess.Popen(["sleep", "60"], cwd=server.data) as visitor:
        server.start()
        os.kill(server.pid, signal.SIGKILL)
        server.stop()
        server.start()
        assert visitor.poll() is None
        visitor.kill()


def test_left_over_is_found_by_command_line_too(server: LocalPostgres) -> None:
    """The way of systems without /proc, tested here where both can be compared."""

    server.start()
    assert server.pid in servers_by_working_directory(server.data)
    assert list(servers_by_command_line(server.data)) == [server.pid]
    assert list(servers_by_command_line(server.data / "elsewhere")) == []


def test_server_that_ends_at_start_reports_why(root: Path) -> None:
    """The reason is in a log that is easily overlooked."""

    wrong = LocalPostgres(root, settings={"shared_buffers": "many"})
    with pytest.raises(StartFailed, match="shared_buffers"):
        wrong.start()
    with LocalPostgres(root, settings=QUICK) as right:
        assert query(right.start(), "select 1") == [(1,)]


def test_interrupted_making_leaves_nothing_half(tmp_path: Path) -> None:
    """A data directory is whole or not there, and the next start makes it."""

    server = LocalPostgres(tmp_path, settings=QUICK)
    (tmp_path / f"pg{server.binaries.major}" / "unfinished-before" / "data").mkdir(parents=True)
    with pytest.raises(StartFailed, match="initdb did not finish"):
        server.start(timeout_s=0.1)
    assert not server.data.exists()
    with server:
        assert query(server.start(), "select 1") == [(1,)]
    assert list(server.data.parent.glob("unfinished-*")) == []


def test_named_directory_without_programs_is_refused(tmp_path: Path) -> None:
    """A named directory is used, and not another one that is found."""

    with pytest.raises(NoPostgres, match=str(tmp_path)):
        LocalPostgres(tmp_path, bindir=tmp_path / "nowhere")


def test_installed_postgres_15_works_too(tmp_path: Path) -> None:
    """The oldest version the project is tried on."""

    bindir = Path("/usr/lib/postgresql/15/bin")
    if not bindir.exists():
        pytest.skip("no PostgreSQL 15 is installed here")
    assert find_binaries(bindir).major == 15
    with LocalPostgres(tmp_path, settings=QUICK, bindir=bindir) as server:
        assert query(server.start(), "select current_setting('server_version_num')::int / 10000") == [(15,)]
