"""A commit whose answer is lost: the database has it, and no caller got an answer.

A server that waits for a standby which does not exist commits, and then does not answer. Its backend, ended while it
waits, breaks the connection right there: after the commit, before the answer.
"""

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from tests.support.books import balance_of, open_wallet
from tests.support.ledger_pages import a_deposit
from tests.support.missing_standby import require_standby, waiting_commits
from tests.support.payouts import schedule
from tests.support.unreadable_statement import UnreadableStatement
from wallet_core.bootstrap import migrate, open_app, verify
from wallet_core.domain.model.bank import Answer, AnswerKind, Payment, Status, StatusKind
from wallet_core.domain.model.payment_order import OrderState
from wallet_core.domain.model.wallet import WalletId
from wallet_core.settings import Settings, read_settings
from wallet_core.usecases.app import App
from wallet_core.usecases.pay_out import pay_out
from wallet_core.usecases.reconcile_order import reconcile
from walletctl.local.postgres import LocalPostgres
from walletctl.local.waiting import wait_until

ALICE = WalletId("alice")
LEASE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Forgetful:
    """A server that can be set to commit and then not to answer."""

    settings: Settings
    owner: psycopg.Connection

    def speechless(self, *, on: bool) -> None:
        """Let commits wait for a standby that does not exist, or no longer."""
        require_standby(self.owner, required=on)

    def lose_the_answer(self) -> None:
        """Wait for a commit that waits for its standby, and end its connection; later ones commit as usual."""
        assert wait_until(lambda: bool(waiting_commits(self.owner)), timeout_s=30)
        for pid in waiting_commits(self.owner):
            self.owner.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        self.speechless(on=False)


@pytest.fixture(scope="module")
def forgetful() -> Iterator[Forgetful]:
    """Start a server, migrated; it commits as usual until it is to wait for a standby."""
    with tempfile.TemporaryDirectory(prefix="wallet-tests-", ignore_cleanup_errors=True) as root:
        postgres = LocalPostgres(Path(root), settings={"fsync": "off"})
        settings = read_settings(database_url=postgres.start(), log_level="ERROR")
        try:
            migrate(settings)
            with psycopg.connect(settings.required_database_url(), autocommit=True) as owner:
                yield Forgetful(settings, owner)
        finally:
            postgres.stop()


class CountingBank(UnreadableStatement):
    """A bank that pays, and whose status is not found."""

    def __init__(self) -> None:
        self.paid = 0

    def pay(self, payment: Payment) -> Answer:
        """Pay."""
        del payment
        self.paid += 1
        return Answer(kind=AnswerKind.ACCEPTED, reference="r")

    def status(self, payment: Payment) -> Status:
        """Know nothing."""
        del payment
        return Status(kind=StatusKind.NOT_FOUND)


def lost_in_commit(forgetful: Forgetful, call: Callable[[], object], app: App) -> object:
    """Run *call* on a fresh connection whose first commit is done and never answered."""
    app.bank_statement_lines.engine.dispose()  # the ledger's
    forgetful.speechless(on=True)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(call)
        forgetful.lose_the_answer()
        return running.result(30)


def test_a_commit_whose_answer_was_lost_is_replayed_and_not_done_again(forgetful: Forgetful) -> None:
    """The batch runs once more, finds its own records, and returns their outcomes."""

    with open_app(forgetful.settings, name="tests") as app:
        open_wallet(app, "alice", 100)
        command = a_deposit(5)
        done = lost_in_commit(forgetful, lambda: app.ledger.post(command), app)

        assert done == replace(app.ledger.post(command), replayed=True)
        assert getattr(done, "subject", "") == f"transactions/{command.id}"
        assert balance_of(app, ALICE) == 105
    assert [check for check in verify(forgetful.settings) if check.broken] == []


def test_a_payout_whose_start_was_committed_without_an_answer_is_queried_and_not_sent(forgetful: Forgetful) -> None:
    """The attempt row records that the bank may have been called; only after grace it is sent, once."""

    bank = CountingBank()
    with open_app(forgetful.settings, name="tests") as opened:
        app = replace(opened, bank=bank)
        bob = open_wallet(app, "bob", 100)
        withdrawal = schedule(app, bob, 5)
        (claimed,) = app.claims.to_pay(limit=1, lease=LEASE, clock_offset=timedelta())
        started = lost_in_commit(forgetful, lambda: pay_out(app, claimed), app)

        assert (started, bank.paid) == (None, 0)
        assert app.reads.withdrawal(withdrawal).state is OrderState.PROCESSING
        assert balance_of(app, bob) == 95

        for later in (timedelta(seconds=40), timedelta(minutes=5)):
            for taken in app.claims.to_reconcile(limit=1, lease=LEASE, clock_offset=later):
                reconcile(app, taken, clock_offset=later)
        assert app.reads.withdrawal(withdrawal).state is OrderState.SUCCEEDED
        assert bank.paid == 1
    assert [check for check in verify(forgetful.settings) if check.broken] == []
