"""``walletctl`` for what the service cannot settle by itself."""

import json

import psycopg
import pytest

from bank_stub.server import BankServer
from scheduler.jobs import pay_due_withdrawals, reconcile_bank_statement, write_journal
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
    owner.execute("UPDATE bank_attempts SET in_flight_until = start_time")
    owner.execute("UPDATE withdrawals SET update_time = update_time - interval '1 hour'")

    listed = funded("attention")
    settled = funded.json("withdrawal", "resolve", name, "not-executed", "--reason", "asked by phone")

    assert (early.exit_code, "may still be in flight" in early.stderr) == (1, True)
    assert all(word in listed.stdout for word in ("IN_DOUBT", "30.00 USD", "alice"))
    assert (settled["state"], settled["resolutions"][0]["reason"]) == ("STATE_FAILED", "asked by phone")
    assert (funded.json("attention"), funded.balance("alice")) == ([], 10_000)


def test_discrepancy_is_shown_and_closed(stub: Bank, funded: Walletctl, app: App) -> None:
    """By the number of the bank's line."""

    stub.execute(key="stranger", amount=5)
    reconcile_bank_statement.run_once(app)

    assert "DISCREPANCY" in funded("attention").stdout
    closed = funded("discrepancy", "resolve", "1", "--reason", "a test of theirs")
    assert "a test of theirs" in closed.stdout
    assert funded.json("attention") == []


def test_info_shows_version_modes_and_limits(funded: Walletctl) -> None:
    """For people in words, for programs as the response has it."""

    info = funded.json("info")
    shown = funded("info").stdout

    assert (info["mode"], info["limits"]["batch_transfers_max"]) == ("MODE_DEVELOPMENT", 1000)
    assert all(
        word in shown for word in (info["version"], info["schema_version"], "development", "batch transfers max")
    )


def test_unknown_resolution_is_reported_with_the_known_ones(funded: Walletctl) -> None:
    """Before any call is made."""

    refused = funded("withdrawal", "resolve", "x", "perhaps", "--reason", "x")

    assert (refused.exit_code, "not-executed" in refused.stderr) == (2, True)


def test_events_are_printed_one_per_line_and_continued_by_token(funded: Walletctl, app: App) -> None:
    """What was done, in order; with --json an object a line, whose token shows what came after it."""

    funded("transfer", "alice", "bob", "1.00")
    write_journal.run_once(app)

    shown = funded("events", "--from-start", "--count", "4")
    output = [
        json.loads(line) for line in funded("events", "--from-start", "--count", "4", "--json").stdout.splitlines()
    ]
    (last,) = (json.loads(funded("events", "--after", output[2]["resume_token"], "--count", "1", "--json").stdout),)
    of_bob = funded("events", "--wallet", "bob", "--from-start", "--count", "2").stdout
    refused = funded("events", "--wallet", "nobody")

    assert shown.exit_code == 0
    assert [line.split()[:1] + line.split()[3:4] for line in shown.stdout.splitlines()] == [
        ["1", "WALLET_CREATED"],
        ["2", "WALLET_CREATED"],
        ["3", "TRANSACTION_POSTED"],
        ["4", "TRANSACTION_POSTED"],
    ]
    assert [event["number"] for event in output] == ["1", "2", "3", "4"]
    assert last == output[3]
    assert [line.split()[0] for line in of_bob.splitlines()] == ["2", "4"]
    assert (refused.exit_code, "RESOURCE_NOT_FOUND" in refused.output) == (1, True)
