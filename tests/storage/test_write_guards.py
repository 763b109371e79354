"""Guards against slips: of the owner, of a wrong clock, of an amount that would fill the external wallet."""

from collections.abc import Iterator
from datetime import timedelta
from typing import LiteralString

import psycopg
import pytest

from tests.support.books import balance_of, deposit, open_wallet, request, transfer
from tests.support.commands import a_deposit, a_scheduled_deposit
from tests.support.payouts import attention
from tests.support.rows import without_triggers
from wallet_core.bootstrap import open_app
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decide import decide
from wallet_core.domain.model.attention import AttentionKind
from wallet_core.domain.model.errors import ClockBehind, LimitExceeded
from wallet_core.domain.model.money import INT64_MAX, Money
from wallet_core.domain.model.wallet import WalletId
from wallet_core.settings import Settings
from wallet_core.storage.connections.engine import transaction
from wallet_core.storage.errors import BatchRefused
from wallet_core.storage.posting import load_and_store as posting
from wallet_core.usecases.app import App

HISTORY = (
    "entries",
    "entry_totals",
    "transactions",
    "requests",
    "journal",
    "resolutions",
    "currencies",
    "unique_references",
    "transaction_labels",
)


@pytest.fixture
def filled(app: App, owner: psycopg.Connection) -> psycopg.Connection:
    """Return the owner's connection to books with some history."""
    alice, bob = open_wallet(app, "alice", 100), open_wallet(app, "bob")
    transfer(app, alice, bob, 5)
    app.journal.write(100)
    return owner


@pytest.mark.parametrize("table", HISTORY)
@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_history_is_guarded_from_its_owner(filled: psycopg.Connection, table: str, statement: LiteralString) -> None:
    """A WHERE that was forgotten changes nothing, for any role."""

    others = {"resolutions": "reason", "requests": "method", "journal": "subject", "entry_totals": "count"}
    column = {**others, "currencies": "exponent", "unique_references": "payment"}.get(table, "time")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="history is never changed"):
        filled.execute(statement.format(table, column, column).encode())


# With these in the way the check would find nothing wrong: no wallet has a currency, and every entry has a later one.
SHADOWS = """
CREATE TEMP TABLE wallets (key bigint, currency text, sequence bigint, balance bigint, last_time timestamptz);
CREATE TEMP TABLE entries AS
SELECT wallet, sequence + step AS sequence, balance_after, time
FROM public.entries CROSS JOIN generate_series(0, 2) AS step
WHERE wallet = (SELECT key FROM public.wallets WHERE id = 'alice');
"""
INVENTED = """
INSERT INTO public.entries (wallet, sequence, transaction, amount, balance_after, time, type)
SELECT key, sequence + 1, gen_random_uuid(), 777, balance + 777, last_time, 'DEPOSIT'
FROM public.wallets WHERE id = 'alice'
"""


def test_temporary_tables_do_not_shadow_what_entries_are_checked_by(
    filled: psycopg.Connection, settings: Settings
) -> None:
    """The service's own session cannot make the check look at tables of its own."""

    del filled
    as_service = "-c role=wallet_service"
    with psycopg.connect(settings.required_database_url(), autocommit=True, options=as_service) as service:
        service.execute(SHADOWS)
        with pytest.raises(psycopg.errors.CheckViolation, match="do not sum to zero"):
            service.execute(INVENTED)


def test_commits_are_acknowledged_when_they_are_on_disk(app: App) -> None:
    """With any default of the server or the login."""

    with transaction(app.bank_statement_lines.engine) as tx:
        assert tx.execute("SHOW synchronous_commit").fetchone() == ("on",)


@pytest.fixture
def ahead(app: App, owner: psycopg.Connection) -> Iterator[WalletId]:
    """Return a wallet whose last time is years ahead, as one wrong reading of the clock leaves it."""
    alice = open_wallet(app, "alice", 100)
    with without_triggers(owner), owner.transaction():
        for statement in (
            "UPDATE wallets SET last_time = last_time + interval '4 years' WHERE sequence > 0",
            "UPDATE entries SET time = time + interval '4 years'",
            "UPDATE transactions SET time = time + interval '4 years'",
        ):
            owner.execute(statement)
    yield alice
    with without_triggers(owner), owner.transaction():
        for statement in (
            "UPDATE wallets SET last_time = last_time - interval '4 years' WHERE sequence > 0",
            "UPDATE entries SET time = time - interval '4 years'",
            "UPDATE transactions SET time = time - interval '4 years'",
        ):
            owner.execute(statement)


def test_a_clock_far_behind_the_last_entry_dates_nothing_into_the_future(app: App, ahead: WalletId) -> None:
    """It is refused for now and recorded as nothing; once the clock is right the same request is done."""

    again = request()
    command = a_deposit(ahead, Money("USD", 5), request=again)
    for _ in range(2):
        with pytest.raises(ClockBehind):
            app.ledger.post(command)
    assert balance_of(app, ahead) == 100
    assert {(item.kind, item.name) for item in attention(app)} == {
        (AttentionKind.CLOCK_BEHIND, "wallets/system:external:USD")
    }
    assert app.vitals().clock_behind > timedelta(days=365)


def test_one_deposit_cannot_put_a_currency_out_of_service(app: App, settings: Settings) -> None:
    """More than one transaction may be is refused and logged; what comes after it is done."""

    alice = open_wallet(app, "alice")
    with open_app(settings.replaced(amount_max=10**15), name="limited") as limited:
        for command in (
            a_deposit(alice, Money("USD", INT64_MAX)),
            a_scheduled_deposit(alice, Money("USD", 10**15 + 1)),
        ):
            with pytest.raises(LimitExceeded) as refused:
                limited.ledger.post(command)
            assert (refused.value.resource, refused.value.limit) == ("wallets/alice", 10**15)
        deposit(limited, alice, 10**15)


def test_a_full_system_wallet_refuses_no_request_finally(app: App) -> None:
    """The external wallet cannot be counted further: the request is not recorded, and is done once there is room."""

    alice, bob = open_wallet(app, "alice"), open_wallet(app, "bob")
    deposit(app, alice, INT64_MAX)
    command = a_deposit(bob, Money("USD", 5))
    with pytest.raises(LimitExceeded) as refused:
        app.ledger.post(command)
    assert (refused.value.resource, refused.value.recorded) == ("wallets/system:external:USD", False)


def test_what_was_written_past_the_lock_is_not_written_over(app: App) -> None:
    """Between load and store a wallet changes, as only a writer without the lock could do: nothing is stored."""

    alice = open_wallet(app, "alice", 100)
    command = a_deposit(alice, Money("USD", 5))
    with pytest.raises(BatchRefused):
        store_after_a_write_past_the_lock(app, command)
    assert balance_of(app, alice) == 100


def store_after_a_write_past_the_lock(app: App, command: Command) -> None:
    """Load and decide, let the wallet move on, then store and commit."""
    with transaction(app.bank_statement_lines.engine) as tx:
        books = posting.load(tx, [command]).ledger
        decide(books, [command])
        tx.execute("UPDATE wallets SET sequence = sequence + 1 WHERE id = 'alice'")
        posting.store(tx, books)
