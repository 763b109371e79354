"""Migrations: nothing where nothing is missing, and safe to start everywhere at once."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunning
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

import psycopg
import pytest
from alembic import command as alembic
from alembic.config import Config
from psycopg import sql
from sqlalchemy import create_engine, make_url

from scheduler.jobs import write_journal
from tests.support.books import deposit, open_wallet, request
from tests.support.database import Cluster, Database
from tests.support.keeps_no_ledger import KeepsNoLedger
from tests.support.payouts import bank_key
from tests.support.together import together
from wallet_core.bootstrap import migrate, open_app
from wallet_core.domain.commands.payments.cancel_order import CancelWithdrawal
from wallet_core.domain.commands.payments.schedule_withdrawal import ScheduleWithdrawal
from wallet_core.domain.commands.transfers.deposit import Deposit
from wallet_core.domain.commands.transfers.transfer import Transfer
from wallet_core.domain.commands.wallets.create_wallet import CreateWallet
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decision import Done
from wallet_core.domain.model.bank import Answer, AnswerKind, Payment, Status, StatusKind
from wallet_core.domain.model.errors import InsufficientFunds, LedgerBroken, Refusal, StateTransitionForbidden, cause_of
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.payment_order import OrderState
from wallet_core.domain.model.transaction import TransactionDetails
from wallet_core.domain.model.wallet import WalletId
from wallet_core.settings import Settings, read_settings
from wallet_core.storage import migrate as migrations
from wallet_core.usecases.app import new_id
from wallet_core.usecases.pay_out import pay_out
from wallet_core.usecases.reconcile_order import reconcile
from walletctl.local.waiting import wait_until

# The advisory lock that lets one migration run at a time; other versions of the code hold the same one.
MIGRATION_LOCK = 7_236_114_901

LEASE = timedelta(seconds=30)


@pytest.fixture
def empty(cluster: Cluster) -> Iterator[str]:
    """Return the URL of a database with nothing in it."""
    name = f"empty_{uuid4().hex[:8]}"
    with psycopg.connect(cluster.url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield urlunsplit(urlsplit(cluster.url)._replace(path=f"/{name}"))
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def grown(empty: str) -> Iterator[Settings]:
    """Return the settings of a database that was migrated with books of version 0001; they are right at the end."""
    migrate_to(empty, "0001")
    with psycopg.connect(empty) as connection:
        connection.execute(Path(__file__).with_name("books_at_0001.sql").read_bytes())
    migration(empty)()
    assert Database(empty).broken_rules() == []
    yield read_settings(database_url=empty, log_level="ERROR")
    assert Database(empty).broken_rules() == []


def migrate_to(url: str, version: str) -> None:
    """Migrate the database at *url* to a version that is not the newest."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).with_name("migrations")))
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.upgrade(config, version)
    engine.dispose()


def shape(url: str) -> list[tuple[object, ...]]:
    """Return everything that the migrations made, as the catalogue sees it."""
    with psycopg.connect(url) as connection:
        return connection.execute(
            """
            SELECT 'column', table_name, column_name, data_type, is_nullable FROM information_schema.columns
            WHERE table_schema = 'public'
            UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), ''
            FROM pg_constraint WHERE connamespace = 'public'::regnamespace
            UNION ALL SELECT 'index', tablename, indexname, indexdef, '' FROM pg_indexes WHERE schemaname = 'public'
            UNION ALL SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid), '' FROM pg_trigger
            WHERE NOT tgisinternal
            UNION ALL SELECT 'version', version_num, '', '', '' FROM alembic_version
            ORDER BY 1, 2, 3
            """
        ).fetchall()


def migration(url: str, **limits: object) -> Callable[[], None]:
    """Return a call that migrates the database at *url*."""
    return lambda: migrate(read_settings(database_url=url, **limits))


def test_migrating_again_changes_nothing(app: object, database: Database) -> None:
    """Every start of a process may do it."""

    del app
    before = shape(database.url)
    migration(database.url)()

    assert before == shape(database.url)


def test_two_migrations_at_once_end_well(empty: str, database: Database) -> None:
    """Two hosts are deployed at the same moment: one migrates, the other waits and finds it done."""

    assert together([migration(empty)] * 2) == [None, None]
    assert shape(empty) == shape(database.url)


def test_a_migrated_database_is_ready_for_use(empty: str) -> None:
    """A wallet, a deposit, nothing else needed."""

    migration(empty)()
    with open_app(read_settings(database_url=empty, log_level="ERROR"), name="tests") as app:
        assert deposit(app, open_wallet(app, "alice"), 5).available == Money("USD", 5)


def test_every_database_has_a_secret_of_its_own(empty: str) -> None:
    """Page tokens of one service are nothing to another."""

    migration(empty)()
    with psycopg.connect(empty) as connection:
        secrets = connection.execute("SELECT secret FROM page_token_keys").fetchall()

    assert [len(secret) for (secret,) in secrets] == [72]


def test_a_migration_waits_for_another_one_however_long_it_takes(empty: str) -> None:
    """The limits of a running service are not for migrations, which may take minutes."""

    with psycopg.connect(empty, autocommit=True) as other, ThreadPoolExecutor(1) as pool:
        other.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
        waiting: Future[None] = pool.submit(migration(empty, lock_timeout_s=0.05, statement_timeout_s=0.2))
        try:
            assert wait_until(lambda: waiting.done() or _is_waiting(other), timeout_s=30)
            with pytest.raises(StillRunning):
                waiting.exception(timeout=0.5)
        finally:
            other.execute("SELECT pg_advisory_unlock(%s)", [MIGRATION_LOCK])
        waiting.result(30)


def test_migrating_a_database_that_is_not_there_says_so(cluster: Cluster) -> None:
    """After waiting for as long as the settings say."""

    nowhere = urlunsplit(urlsplit(cluster.url)._replace(path="/nowhere"))
    with pytest.raises(Exception, match="database"):
        migration(nowhere, database_wait_s=0.01)()


def _is_waiting(connection: psycopg.Connection) -> bool:
    row = connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").fetchone()
    return row is not None and row[0] > 0


def test_books_that_grew_up_have_the_shape_of_new_ones(grown: Settings, database: Database) -> None:
    """Whatever was there before; what is counted by the thousand is counted for them, too."""

    url = grown.required_database_url()
    with psycopg.connect(url) as connection:
        totals = connection.execute(
            """
            SELECT wallets.id, entry_totals.sequence, type, count, credited, debited
            FROM entry_totals
            JOIN wallets ON wallets.key = entry_totals.wallet
            WHERE role = 'ORDINARY'
            ORDER BY 1, 2, 3
            """
        ).fetchall()

    assert shape(url) == shape(database.url)
    assert totals == [
        ("bob", 1000, "TRANSFER", 999, 1123, 20),
        ("bob", 1000, "WITHDRAWAL", 1, 0, 17),
        ("busy", 1000, "DEPOSIT", 500, 1000, 0),
        ("busy", 1000, "TRANSFER", 500, 0, 500),
        ("busy", 2000, "DEPOSIT", 1000, 2000, 0),
        ("busy", 2000, "TRANSFER", 1000, 0, 1000),
    ]


_WALLET = """
INSERT INTO wallets (key, id, role, currency, owner, display_name, state, balance, held, overdraft_limit, sequence,
    last_time, create_time, labels, revision)
VALUES (nextval('wallet_keys'), lower(%(code)s), 'ORDINARY', %(code)s, '', '', 'ACTIVE', 0, 0, 0, 0, now(), now(), '{}',
    1)
"""


def test_the_currencies_of_wallets_that_are_there_are_written_down(empty: str) -> None:
    """With the decimals of now; those that were withdrawn meanwhile with those that they had."""

    migrate_to(empty, "0011")
    with psycopg.connect(empty) as connection:
        for code in ("USD", "JPY", "KWD", "BGN", "HRK", "BYR"):
            connection.execute(_WALLET, {"code": code})
    migration(empty)()

    with psycopg.connect(empty) as connection:
        written: dict[str, int] = dict(connection.execute("SELECT code, exponent FROM currencies").fetchall())
    assert written == {"USD": 2, "JPY": 0, "KWD": 3, "BGN": 2, "HRK": 2, "BYR": 0}
    assert Database(empty).broken_rules() == []


def test_a_currency_whose_decimals_nobody_knows_stops_the_migration(empty: str) -> None:
    """A guess would scale its amounts wrongly, for ever. Nothing is migrated, and the error says what to do."""

    migrate_to(empty, "0011")
    with psycopg.connect(empty) as connection:
        connection.execute(_WALLET, {"code": "QQQ"})
    before = shape(empty)

    with pytest.raises(LedgerBroken) as stopped:
        migration(empty)()

    assert "wallets in QQQ, whose decimals this release does not know; nothing was migrated" in cause_of(stopped.value)
    assert shape(empty) == before


ALICE, BOB = WalletId("alice"), WalletId("bob")
CANCELLED = UUID("00000000-0000-0003-0000-000000000010")
ASKED_BEFORE: list[tuple[int, Command, str | Refusal]] = [
    (
        1,
        CreateWallet(id=ALICE, asked_id=ALICE, currency="USD", listed=None, owner="alice ltd", display_name="Alice"),
        "wallets/alice",
    ),
    (
        5,
        Deposit(
            id=new_id(),
            wallet=ALICE,
            amount=Money("USD", 1000),
            details=TransactionDetails(description="cash", external_reference="ref 5"),
        ),
        "transactions/00000000-0000-0001-0000-000000000005",
    ),
    (
        7,
        Transfer(
            id=new_id(),
            source=ALICE,
            destination=BOB,
            amount=Money("USD", 120),
            details=TransactionDetails(description="rent"),
        ),
        "transactions/00000000-0000-0002-0000-000000000007",
    ),
    (
        9,
        Transfer(
            id=new_id(),
            source=BOB,
            destination=ALICE,
            amount=Money("USD", 5000),
            details=TransactionDetails(description="rent"),
        ),
        InsufficientFunds("wallets/bob", "USD", 100, 5000),
    ),
    (
        11,
        ScheduleWithdrawal(
            wallet=ALICE,
            amount=Money("USD", 11),
            execute_time=None,
            bank_account="DE02",
            description="out",
        ),
        "withdrawals/00000000-0000-0003-0000-00000000000b",
    ),
    (17, CancelWithdrawal(order=CANCELLED), f"withdrawals/{CANCELLED}"),
    (18, CancelWithdrawal(order=CANCELLED), StateTransitionForbidden(f"withdrawals/{CANCELLED}", "CANCELLED")),
]


def test_what_happened_before_a_migration_is_told_after_it(grown: Settings) -> None:
    """Of every wallet that it concerned, in its order."""

    with psycopg.connect(grown.required_database_url()) as connection:
        concerned: dict[str, set[str]] = {}
        for subject, wallet in connection.execute(_CONCERNED).fetchall():
            concerned.setdefault(subject, set()).add(wallet)
    with open_app(grown, name="tests") as app:
        write_journal.run_once(app)
        told = app.reads.journal_after(0, 10_000)

    assert len(told) == len(concerned) > 2200
    assert {line.event.subject: set(line.event.wallets) for line in told} == concerned


_CONCERNED = """
SELECT 'transactions/' || transaction, id FROM entries JOIN wallets ON key = wallet
UNION ALL SELECT 'withdrawals/' || withdrawals.id, wallets.id FROM withdrawals JOIN wallets ON key = wallet
UNION ALL SELECT 'wallets/' || id, id FROM wallets WHERE role = 'ORDINARY'
"""


@pytest.mark.parametrize(("number", "command", "told"), ASKED_BEFORE)
def test_what_was_asked_before_a_migration_is_told_again_after_it(
    grown: Settings, number: int, command: Command, told: str | Refusal
) -> None:
    """A request id is for ever: a caller that repeats it across our deployment hears what it heard."""

    with open_app(grown, name="tests") as app:
        again = replace(command, request=request(UUID(int=number), caller="ops"))
        if isinstance(told, Refusal):
            with pytest.raises(type(told)) as refused:
                app.ledger.post(again)
            assert refused.value == told
        else:
            done = app.ledger.post(again)
            assert isinstance(done, Done)
            assert (done.subject, done.replayed) == (told, True)


class TruthfulBank(KeepsNoLedger):
    """A bank that has paid all that it was asked for, and knows it."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def pay(self, payment: Payment) -> Answer:
        """Pay."""
        self.asked.append(payment.key)
        return Answer(kind=AnswerKind.ACCEPTED, reference="late")

    def status(self, payment: Payment) -> Status:
        """Say so."""
        self.asked.append(payment.key)
        return Status(kind=StatusKind.EXECUTED, amount=payment.amount, reference="late")


def test_withdrawals_go_on_where_they_were_before_a_migration(grown: Settings) -> None:
    """Those under way are ended, under the keys that the bank knows them by; those that had ended stay as they were."""

    bank = TruthfulBank()
    with open_app(grown, name="tests") as opened:
        app = replace(opened, bank=bank)
        for claim in app.claims.to_reconcile(limit=10, lease=LEASE, clock_offset=timedelta()):
            reconcile(app, claim)
        for claim in app.claims.to_pay(limit=10, lease=LEASE, clock_offset=timedelta()):
            pay_out(app, claim)
        found = app.reads.list_withdrawals(wallet=None, size=20, before=None, conditions=()).items

    succeeded, failed = OrderState.SUCCEEDED, OrderState.FAILED
    told = {one.amount.minor: (one.state, [attempt.answer for attempt in one.attempts]) for one in found}
    assert told == {
        11: (succeeded, ["ACCEPTED"]),
        12: (failed, ["DECLINED"]),
        13: (succeeded, ["UNKNOWN"]),
        14: (failed, ["DECLINED_RETRYABLE"] * 3),
        15: (OrderState.CANCELLED, []),
        16: (succeeded, [None]),
        17: (succeeded, ["UNKNOWN"] * 2),
        18: (succeeded, ["NOT_SENT", "DECLINED_RETRYABLE", "ACCEPTED"]),
        19: (OrderState.SCHEDULED, []),
        20: (succeeded, ["ACCEPTED"]),
        5000: (failed, []),
    }
    ended = [one.id for one in found if one.amount.minor in {13, 16, 17, 18, 20}]
    assert sorted(bank.asked) == sorted(map(bank_key, ended))
