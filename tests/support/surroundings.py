"""Where the money suite runs: on our own PostgreSQL, or, by ``python -m tests.surroundings``, in odder places."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from tests.support.database import Cluster, Database
from tests.support.toolchain import older_postgres

VARIABLE = "TEST_SURROUNDINGS"
_LOGIN = "wallet_odd"
# What a login may have set for itself: the service must depend on none of it.
_ODD = {
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "sql_standard",
    "TimeZone": "Asia/Kathmandu",
    "client_encoding": "LATIN1",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "lc_monetary": "C",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "standard_conforming_strings": "on",
    "statement_timeout": "77ms",
    "lock_timeout": "77ms",
    "synchronous_commit": "off",
    "enable_indexscan": "off",
    "plan_cache_mode": "force_custom_plan",
    "search_path": "pg_catalog, public",
}


class Surroundings(StrEnum):
    """Where tests may run."""

    OURS = ""
    OLDER_POSTGRES = "older-postgresql"
    POOLER = "pgbouncer"
    ODD_LOGIN = "odd-login"


def surroundings() -> Surroundings:
    """Return where this run is."""
    return Surroundings(os.environ.get(VARIABLE, ""))  # noqa: TID251  # the test run's own switch


def programs() -> Path | None:
    """Return where the programs of the run's PostgreSQL are; None: ours."""
    return older_postgres() if surroundings() is Surroundings.OLDER_POSTGRES else None


def prepare(cluster: Cluster) -> None:
    """Make in a cluster what the surroundings need."""
    if surroundings() is Surroundings.ODD_LOGIN:
        login = sql.Identifier(_LOGIN)
        with psycopg.connect(cluster.url, autocommit=True) as admin:
            admin.execute(sql.SQL("CREATE ROLE {} LOGIN IN ROLE wallet_service").format(login))
            for name, value in _ODD.items():
                # ``search_path`` is a list, all others are one value.
                shown = sql.SQL(value) if name == "search_path" else sql.Literal(value)
                admin.execute(sql.SQL("ALTER ROLE {} SET {} TO {}").format(login, sql.Identifier(name), shown))
        with psycopg.connect(_as_odd(cluster.url)) as odd:
            assert odd.execute("SHOW DateStyle").fetchone() == (_ODD["DateStyle"],)


@contextmanager
def service_url(database: Database) -> Iterator[str]:
    """Yield the URL by which the service reaches a database."""
    match surroundings():
        case Surroundings.POOLER:
            from tests.support.pooler import pooled  # noqa: PLC0415  # it looks for PgBouncer

            folder = Path(tempfile.mkdtemp(prefix="wallet-pooler-"))
            try:
                with pooled(database, folder / "pooler", "session") as url:
                    yield url
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        case Surroundings.ODD_LOGIN:
            yield _as_odd(database.url)
        case _:
            yield database.url


def _as_odd(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.replace(f"{parts.username}@", f"{_LOGIN}@")).geturl()
