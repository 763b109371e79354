"""Tools that a user may lack: found, or fetched where all are required, or the test is skipped with the reason."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import NoReturn, TypeVar

import pytest

Case = TypeVar("Case")

_TOOLS = Path(__file__).parents[2] / ".wallet" / "tools"
_GRPCURL = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3"


def required() -> bool:
    """Return whether a missing tool fails the run: ``WALLET_REQUIRE_ALL=1``."""
    return os.environ.get("WALLET_REQUIRE_ALL") == "1"  # noqa: TID251  # the test run's own switch


def often(times: int) -> int:
    """Return how often something is tried: so often where everything is required, a third of it at a user's."""
    return times if required() else max(1, times // 3)


def some(cases: Iterable[Case]) -> list[Case]:
    """Return all cases where everything is required, every third of them at a user's."""
    return list(cases) if required() else list(cases)[::3]


def require(command: Sequence[str], at_least: Sequence[int], remedy: str) -> None:
    """See to it that a program is there and new enough, by the *command* that prints its version."""
    lacking = f"{command[0]} {'.'.join(map(str, at_least))} or newer is not installed ({remedy})"
    if shutil.which(command[0]) is None:
        _miss(lacking)
    output = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout
    version = re.search(r"\d+(\.\d+)+", output) or re.search(r"\d+", output)
    if version is None or [int(part) for part in version[0].split(".")] < list(at_least):
        _miss(lacking)


def installed(name: str) -> str:
    """Return the path of a program that was installed with this Python."""
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    assert found is not None, f"{name} is not installed: run `make`"
    return found


def pgbouncer() -> str:
    """Return the path of PgBouncer, which Debian keeps where users have no path to."""
    found = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if found is None:
        _miss("PgBouncer is not installed (apt-get install pgbouncer)")
    return found


def chromium() -> str:
    """Return the path of Chromium, or of Chrome."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        _miss("Chromium is not installed (apt-get install chromium)")
    return found


def older_postgres() -> Path:
    """Return where the programs of a PostgreSQL are that does not know ``transaction_timeout``: 14 to 16."""
    installed = (Path(f"/usr/lib/postgresql/{major}/bin") for major in (16, 15, 14))
    found = next((folder for folder in installed if (folder / "initdb").exists()), None)
    if found is None:
        _miss("no PostgreSQL from 14 to 16 is installed (apt-get install postgresql-15)")
    return found


@cache
def grpcurl() -> str:
    """Return the path of grpcurl; where all tools are required and it is missing, Go builds it."""
    found = shutil.which("grpcurl") or shutil.which("grpcurl", path=str(_TOOLS))
    if found is not None:
        return found
    go = shutil.which("go")
    if not required() or go is None:
        _miss(f"grpcurl is not installed (go install {_GRPCURL})")
    _TOOLS.mkdir(parents=True, exist_ok=True)
    built = subprocess.run(
        [go, "install", _GRPCURL],
        env={**os.environ, "GOBIN": str(_TOOLS)},  # noqa: TID251  # Go's own variables
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return str(_TOOLS / "grpcurl")


def _miss(reason: str) -> NoReturn:
    if required():
        pytest.fail(reason)
    pytest.skip(reason)
