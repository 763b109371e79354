"""What callers do in many tests: open funded wallets, get refusals, and compare the ledger before and after."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TypeVar

import psycopg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from psycopg import sql

from wallet_client import Amount, CallError, WalletClient
from wallet_core.bootstrap import open_app
from wallet_core.settings import Settings
from wallet_grpc.server.serving import serving

Result = TypeVar("Result")

BIGGEST = 2**63 - 1


def usd(minor_units: int) -> Amount:
    """Return an amount of US dollars."""
    return Amount("USD", minor_units)


def open_funded(client: WalletClient, **balances: int) -> None:
    """Open a wallet in USD for each name and deposit its balance."""
    for name, balance in balances.items():
        client.create_wallet(name, "USD")
        if balance:
            client.deposit(f"wallets/{name}", usd(balance))


def balance(client: WalletClient, wallet: str) -> int:
    """Return a wallet's balance in minor units."""
    return client.get_wallet(f"wallets/{wallet}").balance.minor_units


def refusal(call: Callable[[], object]) -> CallError:
    """Make a call that must be refused; return how."""
    with pytest.raises(CallError) as caught:
        call()
    return caught.value


def succeeded(results: Sequence[Result | Exception]) -> list[Result]:
    """Return the results of the calls that were answered with one."""
    return [result for result in results if not isinstance(result, Exception)]


def reasons(results: Sequence[object]) -> list[str]:
    """Return the reasons of the calls that were refused; other errors by their class."""
    failed = (result for result in results if isinstance(result, Exception))
    return [str(getattr(error, "reason", type(error).__name__)) for error in failed]


def aware(timestamp: Timestamp) -> datetime:
    """Return a time as Python has it."""
    return timestamp.ToDatetime(tzinfo=UTC)


def count(owner: psycopg.Connection, table: str) -> int:
    """Return how many rows a table has."""
    row = owner.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
    assert row is not None
    return int(row[0])


def events_of(owner: psycopg.Connection, subject: str) -> list[str]:
    """Return the types of the events of a resource that are in the outbox, in order."""
    rows = owner.execute("SELECT type FROM outbox WHERE subject = %s ORDER BY position", [subject]).fetchall()
    return [kind for (kind,) in rows]


def everything(owner: psycopg.Connection) -> dict[str, str]:
    """Return a fingerprint of every table: two are equal exactly if nothing at all was changed in between."""
    tables = owner.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename").fetchall()
    query = "SELECT {}, count(*) || md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {} AS t"
    prints = (sql.SQL(query).format(sql.Literal(name), sql.Identifier(name)) for (name,) in tables)
    return dict(owner.execute(sql.SQL(" UNION ALL ").join(prints)).fetchall())


@contextmanager
def served(settings: Settings) -> Iterator[WalletClient]:
    """Run a server of its own on the settings' database; yield a client of it."""
    with (
        open_app(settings, name="tests-served") as app,
        serving(app, settings) as port,
        WalletClient(f"127.0.0.1:{port}") as client,
    ):
        yield client
