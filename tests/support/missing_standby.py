"""A server whose commits wait for a standby that does not exist."""

from concurrent.futures import ThreadPoolExecutor

import psycopg

from walletctl.local.waiting import wait_until


def require_standby(owner: psycopg.Connection, *, required: bool) -> None:
    """Let commits wait for a standby that does not exist, or no longer; return once they do.

    The checkpointer applies the setting, at a time of its own, so a commit is tried until one waits.
    """
    owner.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{'missing' if required else ''}'".encode())
    owner.execute("SELECT pg_reload_conf()")
    if required:
        assert wait_until(lambda: _a_commit_waits(owner), timeout_s=30)


def waiting_commits(owner: psycopg.Connection) -> list[int]:
    """Return the processes whose commit waits for the standby."""
    rows = owner.execute("SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'").fetchall()
    return [pid for (pid,) in rows]


def _a_commit_waits(owner: psycopg.Connection) -> bool:
    with psycopg.connect(owner.info.dsn, autocommit=True) as other, ThreadPoolExecutor(1) as pool:
        pid = other.info.backend_pid
        trial = pool.submit(other.execute, "SELECT pg_logical_emit_message(true, 'trial', '')")
        assert wait_until(lambda: trial.done() or pid in waiting_commits(owner), timeout_s=30)
        waits = not trial.done()
        owner.execute("SELECT pg_cancel_backend(%s)", [pid])  # ends the wait; the commit is kept
        trial.result(30)
        return waits
