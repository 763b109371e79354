"""Where the time goes: processor seconds by kind of process, from Linux's own books; what PostgreSQL waits for."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")

# What those of our backends do that are in the middle of something.
_WAITS = """
SELECT CASE
    WHEN wait_event IS NULL THEN 'works'
    WHEN wait_event = 'ClientRead' THEN 'waits for its scheduler'
    ELSE wait_event_type || ': ' || wait_event
END
FROM pg_stat_activity
WHERE application_name = 'wallet-scheduler' AND state <> 'idle'
"""


@dataclass(frozen=True, slots=True)
class Spent:
    """Processor seconds up to now, or of a while."""

    by: dict[str, float]
    """By kind of process; ``others`` is all else that ran on this machine."""

    def since(self, earlier: "Spent") -> "Spent":
        """Return what was spent between *earlier* and this."""
        return Spent({kind: seconds - earlier.by[kind] for kind, seconds in self.by.items()})


def spent(kinds: Mapping[str, Sequence[int]]) -> Spent:
    """Return what has been spent by processes of some kinds, with their children, and by all others together."""
    by = {kind: sum(_family(pid) for pid in pids) for kind, pids in kinds.items()}
    user, nice, system, _idle, _waiting, irq, softirq, *_ = map(int, (_PROC / "stat").read_text().split()[1:9])
    by["others"] = (user + nice + system + irq + softirq) * _TICK_S - sum(by.values())
    return Spent(by)


def postmaster_of(url: str) -> int:
    """Return the process that all backends of a PostgreSQL of ours are children of."""
    with psycopg.connect(url) as connection:
        return int(_stat(connection.info.backend_pid)[1])


def waits_of_schedulers(connection: psycopg.Connection) -> Counter[str]:
    """Count what the schedulers' connections are doing at this moment."""
    return Counter(what for (what,) in connection.execute(_WAITS))


def _family(pid: int) -> float:
    """Return what a process has spent, its children that live, and those that have ended."""
    utime, stime, ended_utime, ended_stime = map(int, _stat(pid)[11:15])
    children = (_PROC / f"{pid}/task/{pid}/children").read_text().split()
    return (utime + stime + ended_utime + ended_stime) * _TICK_S + sum(_family(int(child)) for child in children)


def _stat(pid: int) -> list[str]:
    """Return what stands behind the name, which may hold anything, in a process's line."""
    return (_PROC / f"{pid}/stat").read_text().rpartition(")")[2].split()
