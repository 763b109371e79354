"""A standby takes over: what is connected to the old primary, or to a standby, does not serve from it."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from tests.conftest import FAST
from tests.support.callers import balance, open_funded, served, usd
from wallet_core.bootstrap import migrate, open_app, verify
from wallet_core.domain.model.errors import DatabaseNotServing, cause_of
from wallet_core.settings import read_settings
from walletctl.local.child import spawn
from walletctl.local.identity import unprivileged
from walletctl.local.postgres import LocalPostgres
from walletctl.local.sockets import make_private, socket_directory
from walletctl.local.waiting import wait_until


@contextmanager
def standby_of(primary: LocalPostgres, folder: Path) -> Iterator[tuple[Path, str]]:
    """Run a hot standby of a server; yield the folder of its socket and its URL."""
    data, sockets = folder / "data", socket_directory(folder)
    folder.mkdir()
    make_private(sockets)
    programs = primary.binaries.bindir
    copy = ["--dbname", primary.start(), "--pgdata", str(data), "--checkpoint", "fast", "--no-sync", "-R"]
    subprocess.run([programs / "pg_basebackup", *copy], capture_output=True, check=True)
    for path in (folder, sockets, data, *data.rglob("*")):
        unprivileged().give(path)
    # No less than the primary has, or it does not start.
    settings = {"listen_addresses": "", "unix_socket_directories": sockets, "fsync": "off", "max_connections": "200"}
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    url = f"postgresql://wallet@/postgres?host={quote(str(sockets))}&port=5432"
    command = [str(programs / "postgres"), "-D", str(data), *options]
    child = spawn(command, death_signal=signal.SIGINT, log=folder / "log", cwd=folder, unprivileged=True)
    try:
        assert wait_until(lambda: child.poll() is not None or takes_connections(url), timeout_s=30)
        assert child.poll() is None, (folder / "log").read_text()
        yield sockets, url
    finally:
        child.send_signal(signal.SIGQUIT)
        child.wait(30)
        sockets.rmdir()


def takes_connections(url: str) -> bool:
    """Return whether a server is there."""
    try:
        with psycopg.connect(url):
            return True
    except psycopg.OperationalError:
        return False


def test_a_standby_is_not_served_from_until_it_is_promoted(tmp_path: Path) -> None:
    """A server that knows both goes over to the one that takes writes, by itself, and loses nothing."""

    with LocalPostgres(tmp_path / "primary", settings={"fsync": "off"}) as primary:
        first = primary.start()
        migrate(read_settings(database_url=first))
        with standby_of(primary, tmp_path / "standby") as (sockets, second):
            alone = read_settings(**{**FAST, "database_url": second, "database_wait_s": 0.5})
            with pytest.raises(DatabaseNotServing) as refused, open_app(alone, name="tests"):
                pass
            assert "the database is read-only" in cause_of(refused.value)

            both = first.replace("host=", f"host={quote(str(sockets))},").replace("port=5432", "port=5432,5432")
            mine = read_settings(**{**FAST, "database_url": f"{both}&target_session_attrs=read-write"})
            with served(mine) as client, psycopg.connect(second, autocommit=True) as promoting:
                open_funded(client, alice=1000)
                assert wait_until(lambda: has_caught_up(first, promoting), timeout_s=30)
                primary.stop()
                assert wait_until(lambda: not client.is_serving(), timeout_s=30)
                promoting.execute("SELECT pg_promote()")
                assert wait_until(client.is_serving, timeout_s=30)
                client.deposit("wallets/alice", usd(5))
                assert balance(client, "alice") == 1005
            assert [check.name for check in verify(alone) if check.broken] == []


def has_caught_up(primary: str, standby: psycopg.Connection) -> bool:
    """Return whether the standby shows all that the primary has committed."""
    with psycopg.connect(primary) as connection:
        ((written,),) = connection.execute("SELECT pg_current_wal_lsn()::text").fetchall()
    ((reached,),) = standby.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [written]).fetchall()
    return bool(reached)
