"""Where a local service runs, as ``running.json`` in its state directory says."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The addresses and process ids of a running service."""

    target: str
    bank_url: str
    console_url: str
    database_url: str
    database_owner_url: str
    pids: dict[str, int]


def find_running(state: Path) -> Running | None:
    """Return where the service of a state directory runs, None if it does not."""
    try:
        running = Running(**json.loads((state / "running.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return running if all(_lives(pid) for pid in running.pids.values()) else None


@contextmanager
def announced(state: Path, running: Running) -> Iterator[None]:
    """Write ``running.json`` for the duration of a block; readers see a whole file or none."""
    path = state / "running.json"
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(running), indent=2))
    fresh.chmod(0o600)
    fresh.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # checks that the process exists, and sends nothing
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it runs as another user, as our PostgreSQL does under root
    return True
