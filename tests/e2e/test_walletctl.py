"""``walletctl`` against a running server: what a person sees, and what a program reads."""

import json
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from tests.support.database import Database
from walletctl.__main__ import cli

Walletctl = Callable[..., Result]


@pytest.fixture
def walletctl(server: str, database: Database) -> Walletctl:
    """Return a function that runs a command against ``server``."""

    def run(*arguments: str) -> Result:
        # A command whose value starts with a dash is typed after `--`, as in any shell.
        return CliRunner().invoke(
            cli,
            ["--target", server, *arguments],
            env={"WALLET_DATABASE_URL": database.url, "WALLET_LOG_LEVEL": "ERROR"},
        )

    return run


@pytest.fixture
def funded(walletctl: Walletctl) -> Walletctl:
    """Return the same, with alice (100.00 USD) and bob (nothing) there."""
    for arguments in (["wallet", "create", "alice"], ["wallet", "create", "bob"], ["deposit", "alice", "100.00"]):
        assert walletctl(*arguments).exit_code == 0
    return walletctl


def balance(walletctl: Walletctl, wallet: str) -> int:
    """Return a wallet's balance by ``--json``."""
    return int(json.loads(walletctl("wallet", "get", wallet, "--json").stdout)["balance"]["minor_units"])


def test_transfer_moves_what_was_typed(funded: Walletctl) -> None:
    """W4: decimals in, exact minor units moved, the table in decimals."""

    done = funded("transfer", "alice", "bob", "12.34")

    assert done.exit_code == 0
    assert "12.34 USD" in done.stdout
    assert "available: 87.66 USD" in done.stdout
    assert (balance(funded, "alice"), balance(funded, "bob")) == (8766, 1234)


@pytest.mark.parametrize(
    "typed",
    ["abc", "NaN", "Infinity", "1e3", "10.001", "0.005", "0", "0.00", "92233720368547758.08", "", "1,000", " 1"],
)
def test_what_is_no_amount_is_refused_before_anything_is_sent(funded: Walletctl, typed: str) -> None:
    """D3 and T9: a clear refusal, exit code 2, nothing moved."""

    for arguments in (["deposit", "alice", typed], ["transfer", "alice", "bob", typed], ["withdraw", "alice", typed]):
        refused = funded(*arguments)
        assert (refused.exit_code, "error" in refused.stderr) == (2, True), refused.stderr
    assert balance(funded, "alice") == 10_000


def test_negative_amount_is_refused(funded: Walletctl) -> None:
    """D3: -1 is no option either."""

    assert funded("deposit", "alice", "--", "-1").exit_code == 2
    assert balance(funded, "alice") == 10_000


def test_refusal_is_told_with_its_reason_and_request_id(funded: Walletctl) -> None:
    """Exit code 1; the id is there to ask again with."""

    refused = funded("transfer", "alice", "bob", "100.01")

    assert refused.exit_code == 1
    assert "INSUFFICIENT_FUNDS" in refused.stderr
    assert "request id:" in refused.stderr


def test_repeat_with_the_same_request_id_moves_nothing(funded: Walletctl) -> None:
    """And says so."""

    id_ = str(uuid4())
    first = funded("transfer", "alice", "bob", "10.00", "--request-id", id_)
    again = funded("transfer", "alice", "bob", "10.00", "--request-id", id_)

    assert (first.exit_code, again.exit_code) == (0, 0)
    assert "had been done before" in again.stdout
    assert balance(funded, "bob") == 1000


def test_validate_only_changes_nothing(funded: Walletctl) -> None:
    """It answers as the real call would."""

    done = funded("transfer", "alice", "bob", "10.00", "--validate-only")

    assert (done.exit_code, "(validated only)" in done.stdout) == (0, True)
    assert balance(funded, "bob") == 0


def test_withdrawal_is_scheduled_listed_and_cancelled(funded: Walletctl) -> None:
    """The life of a payout that is called off, read as JSON."""

    scheduled = json.loads(funded("withdraw", "alice", "25.00", "--in", "3600", "--json").stdout)
    listed = json.loads(funded("withdrawal", "list", "--wallet", "alice", "--json").stdout)
    cancelled = json.loads(funded("withdrawal", "cancel", scheduled["name"], "--json").stdout)

    assert [scheduled["name"]] == [row["name"] for row in listed]
    assert (scheduled["state"], cancelled["state"]) == ("STATE_SCHEDULED", "STATE_CANCELLED")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--in", "5", "--at", "2099-01-01T00:00:00Z"], "not both"),
        (["--at", "tomorrow"], "is not a time"),
        (["--at", "2001-01-01T00:00:00Z"], "must not be in the past"),
    ],
)
def test_withdrawal_at_no_time_is_refused(funded: Walletctl, options: list[str], said: str) -> None:
    """S3 on the command line."""

    refused = funded("withdraw", "alice", "1.00", *options)

    assert (refused.exit_code, said in refused.stderr) == (1, True), refused.stderr


def test_seed_twice_makes_the_wallets_once(walletctl: Walletctl) -> None:
    """alice, bob and the commission wallet."""

    first, again = (json.loads(walletctl("seed", "--json").stdout) for _ in range(2))

    assert first == again
    assert [row["name"] for row in first] == ["wallets/alice", "wallets/bob", "wallets/system:commission:USD"]


def test_verify_proves_the_books(funded: Walletctl) -> None:
    """Nine rules, none broken."""

    checks = json.loads(funded("verify", "--json").stdout)

    assert [check["broken"] for check in checks] == [0] * 9
    assert "the books are right" in funded("verify").stdout


def test_unknown_wallet_is_told_as_such(walletctl: Walletctl) -> None:
    """W2 on the command line."""

    for arguments in (["wallet", "get", "nobody"], ["wallet", "transactions", "nobody"], ["deposit", "nobody", "1"]):
        refused = walletctl(*arguments)
        assert (refused.exit_code, "RESOURCE_NOT_FOUND" in refused.stderr) == (1, True)


def test_command_without_a_service_says_how_to_start_one(tmp_path: Path) -> None:
    """Nothing runs in an empty state directory."""

    refused = CliRunner().invoke(cli, ["--state", str(tmp_path), "wallet", "list"])

    assert (refused.exit_code, "make up" in refused.stderr) == (1, True)
