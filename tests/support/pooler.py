"""A PgBouncer of the test's own, before a PostgreSQL that it reaches by its socket."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg

from tests.support.database import Database
from tests.support.ports import free_ports
from tests.support.toolchain import pgbouncer
from walletctl.local.child import spawn
from walletctl.local.identity import unprivileged
from walletctl.local.waiting import wait_until

SETTINGS = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = {mode}
ignore_startup_parameters = options
default_pool_size = 50
server_idle_timeout = 1
server_login_retry = 1
query_wait_timeout = 5
"""


@contextmanager
def pooled(database: Database, folder: Path, mode: str) -> Iterator[str]:
    """Run PgBouncer in a mode, dropping the options that a connection starts with; yield the database's URL by it."""
    program = pgbouncer()
    behind = urlsplit(database.url)
    socket = parse_qs(behind.query)
    (port,) = free_ports(1)
    folder.mkdir()
    unprivileged().give(folder)
    users, settings, log = folder / "users.txt", folder / "pgbouncer.ini", folder / "log"
    users.write_text(f'"{behind.username}" ""\n')
    settings.write_text(
        SETTINGS.format(host=socket["host"][0], port=socket["port"][0], listen=port, users=users, mode=mode)
    )
    for file in (users, settings):
        unprivileged().give(file)
    url = f"postgresql://{behind.username}@127.0.0.1:{port}{behind.path}"
    child = spawn([program, str(settings)], death_signal=signal.SIGKILL, log=log, cwd=folder, unprivileged=True)
    try:
        assert wait_until(lambda: child.poll() is not None or answers(url), timeout_s=30)
        assert child.poll() is None, log.read_text()
        yield url
    finally:
        child.kill()
        child.wait()


def answers(url: str) -> bool:
    """Return whether connections can be made."""
    try:
        with psycopg.connect(url, connect_timeout=2, autocommit=True) as connection:
            connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True
