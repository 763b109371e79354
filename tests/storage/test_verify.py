"""Verify: every kind of damage to the books is found by the rule that it breaks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import Connection, Engine, create_engine, make_url

from bank_stub.server import running_bank
from tests.conftest import FAST, PATIENT
from tests.support.books import deposit, open_wallet, request, transfer
from tests.support.database import Cluster
from tests.support.payouts import Bank, schedule
from tests.support.rows import NOON, insert, insert_entries, insert_wallet, without_triggers
from wallet_core.bootstrap import open_app, verify
from wallet_core.domain.commands.commission.change_rules import CreateCommissionRule
from wallet_core.domain.commands.holds.capture_hold import CaptureHold
from wallet_core.domain.commands.holds.place_hold import PlaceHold
from wallet_core.domain.commands.payments.resolve_order import ResolveWithdrawal
from wallet_core.domain.commands.payments.schedule_deposit import ScheduleDeposit
from wallet_core.domain.commands.transfers.reverse_transaction import ReverseTransaction
from wallet_core.domain.commands.wallets.change_wallet import CloseWallet
from wallet_core.domain.model.commission_rule import Payer
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.payment_order import ResolutionKind
from wallet_core.domain.model.wallet import WalletId
from wallet_core.settings import Settings, read_settings
from wallet_core.storage.verify.checks import checks
from wallet_core.usecases.app import App, new_id
from wallet_core.usecases.change_wallet import change_wallet
from wallet_core.usecases.credit_deposit import credit_deposit
from wallet_core.usecases.pay_out import pay_out
from wallet_core.usecases.reconcile_statement import reconcile_statement

Damage = Callable[[psycopg.Connection], object]

RULES = {
    *["balances", "zero_sum", "nothing_invented", "histories", "clock", "transactions", "reversals", "holds", "closed"],
    *["totals", "floors", "in_transit", "withdrawals", "scheduled_deposits", "causes", "requests"],
    *[
        "attempts",
        "batches",
        "placements",
        "bank_statement_lines",
        "bank_statements",
        "events",
        "journal",
        "currencies",
    ],
}
LEASE = timedelta(seconds=30)


def pay_all(app: App) -> None:
    """Pay out whatever is due."""
    for claim in app.claims.to_pay(limit=10, lease=LEASE, clock_offset=timedelta()):
        pay_out(app, claim)


def charge_and_reverse(app: App, alice: WalletId, bob: WalletId) -> None:
    """Transfer with a commission of a tenth, and give a part of it back."""
    app.ledger.post(
        CreateCommissionRule(
            request=request(),
            id=new_id(),
            currency="USD",
            listed=None,
            threshold=0,
            rate_millionths=100_000,
            fixed=0,
            minimum=0,
            maximum=None,
            payer=Payer.SOURCE,
            wallet=None,
            label=None,
            start_time=None,
            end_time=None,
        )
    )
    charged = transfer(app, alice, bob, 20).transaction
    app.ledger.post(
        ReverseTransaction(
            request=request(),
            id=new_id(),
            transaction=charged.id,
            amount=Money("USD", 10),
            keep_commission=False,
        )
    )


def hold_and_capture(app: App, alice: WalletId, bob: WalletId) -> None:
    """Hold twelve and capture five of them."""
    hold = new_id()
    app.ledger.post(
        PlaceHold(
            request=request(),
            id=hold,
            wallet=alice,
            amount=Money("USD", 12),
            expire_time=datetime(2100, 1, 1, tzinfo=UTC),
            description="",
        )
    )
    app.ledger.post(
        CaptureHold(
            request=request(),
            id=new_id(),
            hold=hold,
            destination=bob,
            amount=Money("USD", 5),
            final=False,
        )
    )


def schedule_deposits(app: App, now: WalletId, later: WalletId) -> None:
    """Credit six to a wallet, and promise six to another."""
    for wallet, execute_time in ((now, None), (later, datetime(2100, 1, 1, tzinfo=UTC))):
        app.ledger.post(
            ScheduleDeposit(
                request=request(),
                wallet=wallet,
                amount=Money("USD", 6),
                execute_time=execute_time,
                collect=False,
                bank_account="",
                description="",
                external_reference="",
            )
        )
    for claim in app.claims.to_credit(limit=10, lease=LEASE, clock_offset=timedelta()):
        credit_deposit(app, claim)


def return_and_place(app: App, bank: Bank, closed: WalletId, heir: WalletId) -> None:
    """Let the bank give back what it paid for a wallet that is closed, and give it to another."""
    returned = schedule(app, closed, 9)
    pay_all(app)
    change_wallet(app, CloseWallet(request=request(), wallet=closed, etag=""))
    bank.give_back(returned)
    reconcile_statement(app)
    reconcile_statement(app)
    app.ledger.post(
        ResolveWithdrawal(
            request=request(),
            id=new_id(),
            order=returned,
            resolution=ResolutionKind.APPLIED_TO_WALLET,
            reason="the heir",
            bank_evidence="",
            destination=heir,
        )
    )


def write_books(app: App, bank_url: str) -> None:
    """Fill empty books with a bit of everything."""
    alice, bob = open_wallet(app, "alice", 100), open_wallet(app, "bob")
    open_wallet(app, "carol", 50, currency="EUR")
    transfer(app, alice, bob, 10)
    deposit(app, bob, 7)
    schedule(app, alice, 5)
    pay_all(app)
    return_and_place(app, Bank(bank_url), open_wallet(app, "late", 9), bob)
    schedule(app, bob, 1000)
    pay_all(app)
    schedule(app, alice, 3)
    app.journal.write(1000)
    charge_and_reverse(app, alice, bob)
    hold_and_capture(app, alice, bob)
    schedule_deposits(app, bob, open_wallet(app, "dave"))


@dataclass(frozen=True, slots=True)
class Tampered:
    """Books within a transaction of their owner's that is rolled back: whatever is done to them is undone."""

    tx: Connection

    @property
    def owner(self) -> psycopg.Connection:
        """The driver's connection, as the owner."""
        return cast("psycopg.Connection", self.tx.connection.driver_connection)

    def broken(self) -> set[str]:
        """Return the names of the broken rules."""
        return {check.name for check in checks(self.tx) if check.broken}


@pytest.fixture(scope="module")
def written(cluster: Cluster) -> Iterator[Engine]:
    """Return the owner's engine of a database of books with a bit of everything."""
    with cluster.clone(f"books_{uuid4().hex[:8]}") as database:
        with running_bank(state=":memory:", port=0, fail_rate=0.0, seed=1) as bank:
            settings = read_settings(**{**FAST, **PATIENT, "database_url": database.url, "bank_url": bank.url})
            with open_app(settings, name="tests") as app:
                write_books(app, bank.url)
        url = make_url(database.url).set(drivername="postgresql+psycopg")
        engine = create_engine(url, connect_args={"options": "-c jit=off -c enable_nestloop=off"})
        yield engine
        engine.dispose()


@pytest.fixture
def books(written: Engine) -> Iterator[Tampered]:
    """Return the books, to be tampered with."""
    with written.connect() as tx:
        yield Tampered(tx)
        tx.rollback()


def run(statement: str) -> Damage:
    """Return the damage that a statement does."""
    alice = "(SELECT key FROM wallets WHERE id = 'alice')"
    return lambda owner: owner.execute(statement.replace(":alice", alice).encode())


def wallet_key(owner: psycopg.Connection, wallet: str) -> int:
    """Return a wallet's key."""
    row = owner.execute("SELECT key FROM wallets WHERE id = %s", [wallet]).fetchone()
    assert row is not None
    return int(row[0])


def an_orphan_entry(owner: psycopg.Connection) -> None:
    """Write two entries of wallets and a transaction that do not exist."""
    insert_entries(owner, [(404, 1, 5, 5), (405, 1, -5, -5)])


def a_wallet_with_a_number_but_no_history(owner: psycopg.Connection) -> None:
    """Open a wallet that says it has entries."""
    insert_wallet(owner, 404, sequence=1)


def a_thousand_entries_without_totals(owner: psycopg.Connection) -> None:
    """Write a long history of a wallet, and nothing of what it amounts to."""
    insert_wallet(owner, 404, balance=1000, sequence=1000)
    insert_entries(owner, [(404, number, 1, number) for number in range(1, 1001)])


def a_request_answered_with(subject: str, id_: str = str(UUID(int=1))) -> Damage:
    """Record a request whose subject does not exist."""
    return lambda owner: insert(
        owner,
        "requests",
        caller="c",
        request_id=uuid4(),
        method="M",
        fingerprint=bytes(16),
        subject=f"{subject}/{id_}",
        time=NOON,
    )


TELL_AGAIN = "INSERT INTO outbox (type, subject, wallets, time) SELECT type, subject, wallets, time FROM"

DAMAGE: list[tuple[str, Damage]] = [
    ("balances", run("UPDATE wallets SET balance = balance + 1 WHERE id = 'alice'")),
    ("balances", run("UPDATE wallets SET balance = balance + 1 WHERE id = 'system:commission:USD'")),
    ("balances", run("UPDATE entries SET amount = amount + 1 WHERE sequence = 1 AND wallet = :alice")),
    ("currencies", run("DELETE FROM currencies WHERE code = 'EUR'")),
    ("currencies", run("UPDATE wallets SET currency = 'QQQ' WHERE id = 'alice'")),
    ("zero_sum", run("UPDATE entries SET amount = amount + 1 WHERE sequence = 1 AND wallet = :alice")),
    ("zero_sum", run("DELETE FROM entries WHERE sequence = 2 AND wallet = :alice")),
    ("nothing_invented", run("UPDATE wallets SET balance = balance + 1 WHERE id = 'alice'")),
    ("nothing_invented", run("UPDATE wallets SET currency = 'EUR' WHERE id = 'alice'")),
    ("histories", run("DELETE FROM entries WHERE sequence = 2 AND wallet = :alice")),
    ("histories", run("DELETE FROM entries WHERE sequence = 1 AND wallet = :alice")),
    ("histories", run("DELETE FROM entries WHERE wallet = :alice")),
    ("histories", run("UPDATE entries SET balance_after = balance_after + 1 WHERE sequence = 1 AND wallet = :alice")),
    ("histories", run("UPDATE entries SET sequence = 9 WHERE sequence = 3 AND wallet = :alice")),
    (
        "histories",
        run("UPDATE entries SET time = time + interval '1 day' WHERE sequence = 1 AND wallet = :alice"),
    ),
    ("histories", run("UPDATE wallets SET sequence = sequence + 1 WHERE id = 'alice'")),
    ("histories", run("UPDATE wallets SET last_time = last_time + interval '1 day' WHERE id = 'alice'")),
    ("histories", run("DELETE FROM wallets WHERE id = 'alice'")),
    ("clock", run("UPDATE wallets SET last_time = last_time + interval '1 day' WHERE id = 'alice'")),
    ("histories", an_orphan_entry),
    ("histories", a_wallet_with_a_number_but_no_history),
    ("transactions", an_orphan_entry),
    ("transactions", run("DELETE FROM transactions WHERE type = 'TRANSFER'")),
    ("transactions", run("DELETE FROM entries WHERE sequence = 2 AND wallet = :alice")),
    ("transactions", run("UPDATE transactions SET amount = amount + 1 WHERE type = 'TRANSFER'")),
    ("transactions", run("UPDATE transactions SET amount = amount - 1 WHERE type = 'TRANSFER'")),
    ("transactions", run("UPDATE transactions SET destination = source WHERE type = 'TRANSFER'")),
    ("transactions", run("UPDATE transactions SET source = destination, destination = source WHERE type = 'TRANSFER'")),
    ("transactions", run("UPDATE transactions SET commission = commission + 1 WHERE commission > 0")),
    ("transactions", run("UPDATE transactions SET commission_payer = 'DESTINATION' WHERE commission > 0")),
    ("transactions", run("UPDATE entries SET type = 'DEPOSIT' WHERE type = 'TRANSFER' AND wallet = :alice")),
    ("transactions", run("UPDATE transactions SET time = time + interval '1 day' WHERE type = 'TRANSFER'")),
    ("reversals", run("UPDATE transactions SET amount = 21 WHERE type = 'REVERSAL'")),
    ("reversals", run("UPDATE transactions SET commission = -3 WHERE type = 'REVERSAL'")),
    ("reversals", run("UPDATE transactions SET source = destination, destination = source WHERE type = 'REVERSAL'")),
    (
        "reversals",
        run(
            "UPDATE transactions SET cause = (SELECT id FROM transactions WHERE type = 'HOLD_CAPTURE')"
            " WHERE type = 'REVERSAL'"
        ),
    ),
    ("reversals", run("DELETE FROM transactions WHERE commission > 0")),
    ("holds", run("UPDATE wallets SET held = held + 1 WHERE id = 'alice'")),
    ("holds", run("UPDATE holds SET state = 'VOIDED'")),
    ("holds", run("UPDATE holds SET captured = captured + 1")),
    ("holds", run("UPDATE withdrawals SET reserve = true WHERE state = 'SCHEDULED'")),
    ("holds", run("UPDATE transactions SET amount = amount + 1 WHERE type = 'HOLD_CAPTURE'")),
    ("holds", run("DELETE FROM transactions WHERE type = 'HOLD_CAPTURE'")),
    ("holds", run("DELETE FROM holds")),
    ("closed", run("UPDATE wallets SET state = 'CLOSED' WHERE id = 'dave'")),
    ("closed", run("UPDATE wallets SET state = 'CLOSED', balance = 0, held = 0 WHERE id = 'alice'")),
    (
        "closed",
        run(
            "UPDATE holds SET wallet = wallets.key FROM wallets WHERE wallets.id = 'carol';"
            " UPDATE wallets SET state = 'CLOSED', balance = 0 WHERE id = 'carol'"
        ),
    ),
    ("totals", a_thousand_entries_without_totals),
    ("totals", run("INSERT INTO entry_totals VALUES (:alice, 1000, 'TRANSFER', 1, 0, 10)")),
    ("in_transit", run("UPDATE withdrawals SET state = 'PROCESSING' WHERE state = 'SCHEDULED'")),
    ("in_transit", run("UPDATE wallets SET balance = balance + 1 WHERE id = 'system:in_transit:USD'")),
    ("withdrawals", run("UPDATE withdrawals SET state = 'PROCESSING' WHERE state = 'SCHEDULED'")),
    (
        "withdrawals",
        run("UPDATE withdrawals SET wallet = (SELECT key FROM wallets WHERE id = 'system:commission:USD')"),
    ),
    ("holds", run("UPDATE holds SET wallet = (SELECT key FROM wallets WHERE id = 'system:commission:USD')")),
    ("causes", run("UPDATE transactions SET commission_rule = gen_random_uuid() WHERE commission > 0")),
    (
        "attempts",
        run(
            "UPDATE bank_attempts SET key = 'wd-00000000-0000-0000-0000-000000000000'"
            " WHERE ctid = (SELECT min(ctid) FROM bank_attempts)"
        ),
    ),
    ("attempts", run("UPDATE bank_attempts SET number = number + 1")),
    ("batches", run("UPDATE transactions SET batch = gen_random_uuid(), batch_item = 1 WHERE commission > 0")),
    ("withdrawals", run("UPDATE withdrawals SET amount = amount + 1 WHERE state = 'SUCCEEDED'")),
    ("withdrawals", run("UPDATE transactions SET amount = 4 WHERE type = 'WITHDRAWAL_SETTLEMENT'")),
    ("withdrawals", run("DELETE FROM transactions WHERE type = 'WITHDRAWAL_SETTLEMENT'")),
    ("withdrawals", run("UPDATE transactions SET type = 'WITHDRAWAL_RELEASE' WHERE type = 'WITHDRAWAL_SETTLEMENT'")),
    (
        "withdrawals",
        run(
            "UPDATE withdrawals SET state = 'CANCELLED', bank_reference = '', next_attempt_time = NULL"
            " WHERE state = 'SUCCEEDED'"
        ),
    ),
    (
        "withdrawals",
        run(
            "UPDATE withdrawals SET state = 'FAILED', bank_reference = '', failure_reason = 'BANK_DECLINED'"
            " WHERE state = 'SUCCEEDED'"
        ),
    ),
    (
        "withdrawals",
        run(
            "UPDATE transactions SET type = 'WITHDRAWAL', cause = (SELECT id FROM withdrawals"
            " WHERE state = 'SCHEDULED') WHERE type = 'TRANSFER' AND commission = 0"
        ),
    ),
    ("withdrawals", run("DELETE FROM withdrawals WHERE state = 'SUCCEEDED'")),
    ("scheduled_deposits", run("UPDATE scheduled_deposits SET amount = amount + 1 WHERE state = 'SUCCEEDED'")),
    ("scheduled_deposits", run("UPDATE scheduled_deposits SET credit = gen_random_uuid() WHERE state = 'SUCCEEDED'")),
    (
        "scheduled_deposits",
        run("UPDATE scheduled_deposits SET state = 'CANCELLED', credit = NULL WHERE state = 'SUCCEEDED'"),
    ),
    (
        "scheduled_deposits",
        run(
            "UPDATE scheduled_deposits SET state = 'SUCCEEDED', credit = id, next_attempt_time = NULL"
            " WHERE state = 'SCHEDULED'"
        ),
    ),
    (
        "scheduled_deposits",
        run("UPDATE transactions SET type = 'COLLECTION' WHERE type = 'DEPOSIT' AND cause IS NOT NULL"),
    ),
    (
        "scheduled_deposits",
        run(
            "DROP INDEX transactions_once_per_order;"
            "UPDATE transactions SET cause = (SELECT id FROM scheduled_deposits WHERE state = 'SUCCEEDED')"
            " WHERE type = 'DEPOSIT'"
        ),
    ),
    ("scheduled_deposits", run("DELETE FROM transactions WHERE type = 'DEPOSIT' AND cause IS NOT NULL")),
    ("causes", run("DELETE FROM holds")),
    ("causes", run("DELETE FROM withdrawals WHERE state = 'SUCCEEDED'")),
    ("causes", run("DELETE FROM scheduled_deposits WHERE state = 'SUCCEEDED'")),
    ("causes", run("UPDATE transactions SET cause = gen_random_uuid() WHERE type = 'DEPOSIT'")),
    ("causes", run("UPDATE transactions SET cause = gen_random_uuid() WHERE type = 'REVERSAL'")),
    *[
        ("requests", a_request_answered_with(collection))
        for collection in (
            *("transactions", "withdrawals", "scheduledDeposits", "holds", "commissionRules", "batches", "wallets"),
        )
    ],
    ("requests", run("DELETE FROM commission_rules")),
    ("requests", run("DELETE FROM scheduled_deposits WHERE state = 'SCHEDULED'")),
    ("requests", run("DELETE FROM withdrawals WHERE state = 'SCHEDULED'")),
    ("requests", run("DELETE FROM transactions WHERE type = 'TRANSFER'")),
    ("requests", a_request_answered_with("bankStatementLines", "77")),
    ("withdrawals", run("UPDATE withdrawals SET state = 'SUCCEEDED' WHERE state = 'RETURNED'")),
    ("withdrawals", run("DELETE FROM transactions WHERE type = 'WITHDRAWAL_RETURN'")),
    ("in_transit", run("DELETE FROM transactions WHERE type = 'RETURN_APPLICATION'")),
    ("placements", run("UPDATE transactions SET amount = amount + 1 WHERE type = 'RETURN_APPLICATION'")),
    ("placements", run("UPDATE transactions SET type = 'COLLECTION_APPLICATION' WHERE type = 'RETURN_APPLICATION'")),
    ("placements", run("UPDATE transactions SET destination = source WHERE type = 'WITHDRAWAL_RETURN'")),
    ("bank_statement_lines", run("UPDATE bank_statement_lines SET amount = amount + 1 WHERE kind = 'RETURN'")),
    ("bank_statement_lines", run("UPDATE bank_statement_lines SET kind = 'RETURN' WHERE kind = 'EXECUTION'")),
    ("bank_statement_lines", run("UPDATE bank_statement_lines SET currency = 'EUR'")),
    ("bank_statement_lines", run("DELETE FROM withdrawals WHERE state = 'RETURNED'")),
    ("bank_statements", run("UPDATE bank_statement_cursor SET statement = 2")),
    ("bank_statements", run("UPDATE bank_statement_cursor SET line_offset = 1")),
    ("bank_statements", run("UPDATE bank_statement_lines SET statement = 2 WHERE number = 1")),
    ("requests", a_request_answered_with("bankStatements", "77")),
    ("events", run("DELETE FROM outbox WHERE type = 'transaction.posted'")),
    ("events", run("DELETE FROM journal WHERE number = (SELECT max(number) FROM journal WHERE type LIKE 'tr%')")),
    ("events", run("UPDATE journal SET type = 'wallet.updated' WHERE number = 2")),
    ("events", run("UPDATE outbox SET subject = 'transactions/other' WHERE type = 'transaction.posted'")),
    ("events", run(f"{TELL_AGAIN} outbox")),
    ("events", run(f"{TELL_AGAIN} journal")),
    ("events", run("DELETE FROM transactions WHERE type = 'REVERSAL'")),
    ("journal", run("UPDATE journal SET subject = 'wallets/mallory' WHERE number = 3")),
    ("journal", run("UPDATE journal SET wallets = '{mallory}' WHERE number = 2")),
    ("journal", run("UPDATE journal SET time = time + interval '1 microsecond' WHERE number = 1")),
    ("journal", run("UPDATE journal SET type = 'wallet.closed' WHERE number = 1")),
    ("journal", run("DELETE FROM journal WHERE number = 2")),
    ("journal", run("DELETE FROM journal WHERE number = 1")),
    ("journal", run("UPDATE journal SET number = 1000 WHERE number = (SELECT max(number) FROM journal)")),
    ("journal", run("UPDATE journal SET hash = sha256(hash) WHERE number = (SELECT max(number) FROM journal)")),
]


@pytest.mark.parametrize(("rule", "damage"), DAMAGE)
def test_damage_is_found_by_the_rule_that_it_breaks(books: Tampered, rule: str, damage: Damage) -> None:
    """Every rule is there for a reason; whatever else the damage breaks is welcome."""

    with without_triggers(books.owner):
        damage(books.owner)

    assert rule in books.broken()


def test_a_wallet_below_its_floor_is_found(books: Tampered) -> None:
    """Should the constraint ever have been missing."""

    books.owner.execute("ALTER TABLE wallets DROP CONSTRAINT wallets_floor")
    books.owner.execute("UPDATE holds SET amount = amount + 1000")
    books.owner.execute("UPDATE wallets SET held = held + 1000 WHERE id = 'alice'")

    assert books.broken() == {"floors"}


def test_right_books_break_no_rule(books: Tampered) -> None:
    """With deposits, transfers, payouts paid, refused, returned and to come; a hold, commission, a reversal."""

    assert books.broken() == set()


def test_every_rule_is_tried_above(settings: Settings) -> None:
    """A new check needs a damage that it finds."""

    assert {check.name for check in verify(settings)} == RULES == {rule for rule, _ in DAMAGE} | {"floors"}


def test_empty_books_are_right(settings: Settings) -> None:
    """Nothing is nowhere."""

    assert [check for check in verify(settings) if check.broken] == []


def test_damage_that_no_number_can_hold_is_reported_and_not_raised(books: Tampered) -> None:
    """An audit that breaks on what it looks for tells nobody anything."""

    with without_triggers(books.owner):
        books.owner.execute(
            "UPDATE entries SET balance_after = 9223372036854775807 WHERE sequence = 1 AND wallet = %s",
            [wallet_key(books.owner, "bob")],
        )

    assert "histories" in books.broken()
