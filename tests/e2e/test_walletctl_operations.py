"""``walletctl`` for what the service cannot settle by itself."""

import psycopg
import pytest

from bank_stub.server import BankServer
from scheduler.jobs import follow_bank_ledger, pay_due_withdrawals
from tests.e2e.cli import Walletctl
from tests.support.payouts import Bank
from wallet_core.usecases.app import App


@pytest.fixture
def stub(bank: BankServer) -> Bank:
    """Return the bank, to be ordered about."""
    return Bank(bank.url)


def test_doubt_is_shown_and_settled(stub: Bank, funded: Walletctl, app: App, owner: psycopg.Connection) -> None:
    """Listed with why, settled with a reason, and gone from the list."""

    stub.order("reset", times=1)
    name = funded.json("withdraw", "alice", "30.00")["name"]
    pay_due_withdrawals.run_once(app)
    early = funded("withdrawal", "resolve", name, "not-executed", "--reason", "x")
    owner.execute("UPDATE bank_attempts SET start_time = start_time - interval '1 hour'")
    owner.execute("UPDATE withdrawals SET update_time = update_time - interval '1 hour'")

    listed = funded("attention")
    settled = funded.json("withdrawal", "resolve", name, "not-executed", "--reason", "asked by phone")

    assert (early.exit_code, "may still be on its way" in early.stderr) == (1, True)
    assert all(word in listed.stdout for word in ("IN_DOUBT", "30.00 USD", "alice"))
    assert (settled["state"], settled["resolutions"][0]["reason"]) == ("STATE_FAILED", "asked by phone")
    assert (funded.json("attention"), funded.balance("alice")) == ([], 10_000)


def test_discrepancy_is_shown_and_closed(stub: Bank, funded: Walletctl, app: App) -> None:
    """By the number of the bank's line."""

    stub.execute(key="stranger", amount=5)
    follow_bank_ledger.run_once(app)

    assert "DISCREPANCY" in funded("attention").stdout
    closed = funded("discrepancy", "resolve", "1", "--reason", "a test of theirs")
    assert "a test of theirs" in closed.stdout
    assert funded.json("attention") == []


def test_unknown_resolution_is_said_with_those_there_are(funded: Walletctl) -> None:
    """Before anybody is asked."""

    refused = funded("withdrawal", "resolve", "x", "perhaps", "--reason", "x")

    assert (refused.exit_code, "not-executed" in refused.stderr) == (2, True)
