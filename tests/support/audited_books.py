"""Books with a bit of everything, to be tampered with as their owner could."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import uuid4

import psycopg
from sqlalchemy import Connection, Engine, create_engine, make_url

from bank_stub.server import running_bank
from tests.conftest import FAST, PATIENT
from tests.support.books import deposit, open_wallet, request, transfer
from tests.support.database import AUDIT_OPTIONS, Cluster
from tests.support.payouts import Bank, schedule, show_another_ledger
from tests.support.rows import without_triggers
from wallet_core.bootstrap import open_app
from wallet_core.domain.commands.commission.change_rules import CreateCommissionRule, EndCommissionRule
from wallet_core.domain.commands.holds.capture_hold import CaptureHold
from wallet_core.domain.commands.holds.end_hold import VoidHold
from wallet_core.domain.commands.holds.place_hold import PlaceHold
from wallet_core.domain.commands.payments.match_statement import AcceptBankStatement, ResolveDiscrepancy
from wallet_core.domain.commands.payments.resolve_order import ResolveWithdrawal
from wallet_core.domain.commands.payments.schedule_deposit import ScheduleDeposit
from wallet_core.domain.commands.transfers.batch_transfer import BatchTransfer
from wallet_core.domain.commands.transfers.deposit import Deposit
from wallet_core.domain.commands.transfers.reverse_transaction import ReverseTransaction
from wallet_core.domain.commands.transfers.transfer import TransferTerms
from wallet_core.domain.commands.wallets.change_wallet import CloseWallet, FreezeWallet, UpdateWallet
from wallet_core.domain.model.bank import LineState
from wallet_core.domain.model.commission_rule import Payer
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.payment_order import ResolutionKind
from wallet_core.domain.model.transaction import TransactionDetails
from wallet_core.domain.model.wallet import WalletId
from wallet_core.gateways.checkpoint_keys import is_signed
from wallet_core.settings import read_settings
from wallet_core.storage.verify.audit import Audit
from wallet_core.storage.verify.checks import Check, result, verify_in
from wallet_core.usecases.app import App, new_id
from wallet_core.usecases.change_wallet import change_wallet
from wallet_core.usecases.credit_deposit import credit_deposit
from wallet_core.usecases.pay_out import pay_out
from wallet_core.usecases.reconcile_statement import reconcile_statement

Damage = Callable[[psycopg.Connection], object]

LEASE = timedelta(seconds=30)


def pay_all(app: App) -> None:
    """Pay out whatever is due."""
    for claim in app.claims.to_pay(limit=10, lease=LEASE, clock_offset=timedelta()):
        pay_out(app, claim)


def charge_and_reverse(app: App, alice: WalletId, bob: WalletId) -> None:
    """Transfer with a commission of a tenth, give a part of it back, and end the rule."""
    rule = new_id()
    app.ledger.post(
        CreateCommissionRule(
            request=request(),
            id=rule,
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
    app.ledger.post(EndCommissionRule(request=request(), rule=rule, end_time=None))


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
    voided = new_id()
    app.ledger.post(
        PlaceHold(
            request=request(),
            id=voided,
            wallet=alice,
            amount=Money("USD", 1),
            expire_time=datetime(2100, 1, 1, tzinfo=UTC),
            description="voided",
        )
    )
    app.ledger.post(VoidHold(request=request(), hold=voided))


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


def transfer_batch(app: App, alice: WalletId, bob: WalletId) -> None:
    """Make two transfers that are one, with everything that a caller may write on them."""
    details = TransactionDetails(description="half", external_reference="order-7", labels={"shop": "b\u00fccher"})
    items = tuple(
        TransferTerms(id=new_id(), source=alice, destination=bob, amount=Money("USD", 1), details=details)
        for _ in range(2)
    )
    app.ledger.post(BatchTransfer(request=request(), id=new_id(), items=items))
    app.ledger.post(
        Deposit(
            request=request(),
            id=new_id(),
            wallet=alice,
            amount=Money("USD", 1),
            details=TransactionDetails(description="card", external_reference="card-7"),
            unique_reference=True,
        )
    )


def change_wallets(app: App, erin: WalletId) -> None:
    """Rename, label and freeze a wallet."""
    labels = {"tier": "gold"}
    change_wallet(
        app,
        UpdateWallet(
            request=request(),
            wallet=erin,
            etag="",
            display_name="Erin",
            labels=labels,
            overdraft_limit=None,
            clear_overdraft_limit=False,
        ),
    )
    change_wallet(app, FreezeWallet(request=request(), wallet=erin, etag=""))


def resolve_bank_statement(app: App, bank: Bank) -> None:
    """Resolve a payment that nobody ordered, and accept another bank statement."""
    bank.execute(key=None, amount=3)
    reconcile_statement(app)
    reconcile_statement(app)
    lines = (app.reads.bank_statement_line(number) for number in range(1, 10))
    number = next(line.number for line in lines if line.state is LineState.DISCREPANCY)
    app.ledger.post(ResolveDiscrepancy(request=request(), line=number, reason="a fee"))
    show_another_ledger(app)
    app.ledger.post(AcceptBankStatement(request=request(), statement=1, reason="migrated"))


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
    transfer_batch(app, alice, bob)
    change_wallets(app, open_wallet(app, "erin"))
    resolve_bank_statement(app, Bank(bank_url))


@dataclass(frozen=True, slots=True)
class Tampered:
    """Books within a transaction of their owner's that is rolled back: whatever is done to them is undone."""

    tx: Connection

    @property
    def owner(self) -> psycopg.Connection:
        """The driver's connection, as the owner."""
        return cast("psycopg.Connection", self.tx.connection.driver_connection)

    def checks(self) -> list[Check]:
        """Return every rule, with how it is broken."""
        return result(verify_in(self.tx, Audit(is_signed=is_signed)))

    def broken(self) -> set[str]:
        """Return the names of the broken rules."""
        return {check.name for check in self.checks() if check.broken}

    def broken_by(self, damage: Damage) -> set[str]:
        """Do damage as an owner that has disabled the triggers; return the names of the broken rules."""
        with without_triggers(self.owner):
            damage(self.owner)
        return self.broken()


@contextmanager
def audited_books(cluster: Cluster, *, journaled: bool = False) -> Iterator[Engine]:
    """Yield the owner's engine of a database of books with a bit of everything.

    A part of the events is in the journal and a part in the outbox, unless they are all *journaled*.
    """
    with cluster.clone(f"books_{uuid4().hex[:8]}") as database:
        with running_bank(state=":memory:", port=0, fail_rate=0.0, seed=1) as bank:
            settings = read_settings(**{**FAST, **PATIENT, "database_url": database.url, "bank_url": bank.url})
            with open_app(settings, name="tests") as app:
                write_books(app, bank.url)
                if journaled:
                    app.journal.write(1000)
        url = make_url(database.url).set(drivername="postgresql+psycopg")
        engine = create_engine(url, connect_args={"options": AUDIT_OPTIONS})
        yield engine
        engine.dispose()


def run(statement: str) -> Damage:
    """Return the damage that a statement does."""
    alice = "(SELECT key FROM wallets WHERE id = 'alice')"
    return lambda owner: owner.execute(statement.replace(":alice", alice).encode())


def wallet_key(owner: psycopg.Connection, wallet: str) -> int:
    """Return a wallet's key."""
    row = owner.execute("SELECT key FROM wallets WHERE id = %s", [wallet]).fetchone()
    assert row is not None
    return int(row[0])
