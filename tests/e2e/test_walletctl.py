"""``walletctl`` as a whole: what a person types, what is refused, in which words and with which exit code."""

from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from tests.e2e.cli import Walletctl
from walletctl.cli import cli

FA = "موجودی"


def test_transfer_moves_what_was_typed(funded: Walletctl) -> None:
    """W4: decimals in, exact minor units moved, the table in decimals."""

    done = funded("transfer", "alice", "bob", "12.34")

    assert done.exit_code == 0
    assert "12.34 USD" in done.stdout
    assert "available: 87.66 USD" in done.stdout
    assert (funded.balance("alice"), funded.balance("bob")) == (8766, 1234)


@pytest.mark.parametrize(
    "typed",
    ["abc", "NaN", "Infinity", "1e3", "10.001", "0.005", "0", "0.00", "92233720368547758.08", "", "1,000", " 1"],
)
def test_what_is_no_amount_is_refused_before_anything_is_sent(funded: Walletctl, typed: str) -> None:
    """D3 and T9: a clear refusal, exit code 2, nothing moved."""

    for arguments in (["deposit", "alice", typed], ["transfer", "alice", "bob", typed], ["withdraw", "alice", typed]):
        refused = funded(*arguments)
        assert (refused.exit_code, "error amount:" in refused.stderr) == (2, True), refused.stderr
    assert funded.balance("alice") == 10_000


def test_negative_amount_is_refused(funded: Walletctl) -> None:
    """D3: -1 is no option either."""

    assert funded("deposit", "alice", "--", "-1").exit_code == 2
    assert funded.balance("alice") == 10_000


ID = "01a1fcc4-a7e4-75e1-bf54-b75e0271a7b7"


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("deposit alice 1 XXX", "currency: 'XXX' is unknown to the service"),
        ("wallet create carol --label gold", "'gold' is not a label; write it like tier=gold"),
        ("wallet create carol --label a=1 --label a=2", "'a' is given twice"),
        ("wallet create carol --overdraft 5.001", "--overdraft: 5.001 has more decimals than USD has"),
        ("wallet create carol --overdraft 0 --currency XXX", "currency: 'XXX' is unknown to the service"),
        (
            "wallet get alice --as-of yesterday",
            "--as-of: 'yesterday' is not a time; write it like 2026-12-01T09:00:00Z",
        ),
        ("wallet update alice", "name a change"),
        ("wallet update alice --label a=1 --no-labels", "not both"),
        ("transfer alice bob 1 --max-commission much", "--max-commission: 'much' is not an amount"),
        ("withdraw alice 1 --in 5 --at 2099-01-01", "use --in or --at, not both"),
        ("withdraw alice 1 --in soon", "--in: 'soon' is not a duration; write it like 90s, 15m, 1h30m or 7d"),
        ("withdraw alice 1 --in 99999999d", "ends after the year 9999"),
        ("withdraw alice 1 --at tomorrow", "--at: 'tomorrow' is not a time"),
        ("withdraw alice 1 --at 0001-01-01T00:00:00+14:00", "is not a time"),
        ("hold place alice 1", "an expiry is required"),
        ("hold place alice 1 --expires-in 1h --expire-time 2099-01-01", "use --expires-in or --expire-time, not both"),
        ("commission create --payer source --rate 10", "--rate: '10' is not a percent; write it like 10% or 1.5%"),
        ("commission create --payer source --rate 0.00001%", "has more than 4 decimals"),
        ("commission create --payer source --rate 100.5%", "is more than 100%"),
        ("commission create --payer source --wallet alice --label a=1", "use --wallet or --label, not both"),
        ("commission create --payer nobody", "'nobody' is not one of 'source'"),
        (f"reverse {ID} --amount 0", "--amount: must be above zero"),
        ("statement alice --csv --json", "not both"),
        ("statement alice --output x.csv", "--output requires --csv"),
        ("statement alice --from 2026-02-01 --to 2026-02-01", "--from must be before --to"),
        ("statement alice --csv --output /no/such/folder/x.csv", "No such file or directory"),
        ("--language de wallet list", "'de' is not one of 'en'"),
        ("batch /no/such/file.csv", "No such file or directory"),
    ],
)
def test_what_cannot_be_read_is_reported_with_how_to_write_it(funded: Walletctl, command: str, text: str) -> None:
    """Exit code 2, and nothing is sent."""

    refused = funded(*command.split())

    # Typer puts its own errors into a box that breaks lines.
    output = " ".join(refused.stderr.replace("│", " ").split())
    assert (refused.exit_code, text in output) == (2, True), refused.output


def test_refusal_is_printed_with_its_reason_and_request_id(funded: Walletctl) -> None:
    """Exit code 1; the id is there to retry with."""

    refused = funded("transfer", "alice", "bob", "100.01")

    assert refused.exit_code == 1
    assert "INSUFFICIENT_FUNDS" in refused.stderr
    assert "request id " in refused.stderr


def test_refusal_is_printed_in_the_requested_language(funded: Walletctl) -> None:
    """And in English without a requested language."""

    request = funded("--language", "fa", "transfer", "alice", "bob", "100.01")
    silent = funded("transfer", "alice", "bob", "100.01")

    assert FA in request.stderr
    assert "available balance is too low" in request.stderr  # for developers, all the same
    assert FA not in silent.stderr


def test_repeat_with_the_same_request_id_moves_nothing(funded: Walletctl) -> None:
    """And prints that it is missing."""

    id_ = str(uuid4())
    first = funded("transfer", "alice", "bob", "10.00", "--request-id", id_)
    again = funded("transfer", "alice", "bob", "10.00", "--request-id", id_)

    assert (first.exit_code, again.exit_code) == (0, 0)
    assert "done before" in again.stdout
    assert funded.balance("bob") == 1000


def test_validate_only_changes_nothing(funded: Walletctl) -> None:
    """It answers as the real call would."""

    done = funded("transfer", "alice", "bob", "10.00", "--validate-only")

    assert (done.exit_code, "(validated only)" in done.stdout) == (0, True)
    assert funded.balance("bob") == 0


def test_filter_that_cannot_be_understood_is_refused(funded: Walletctl) -> None:
    """Whichever list it is for."""

    for command in ("wallet list", "withdrawal list", "scheduled-deposit list", "hold list", "commission list"):
        refused = funded(*command.split(), "--filter", "colour = 1")
        assert (refused.exit_code, "FILTER_INVALID" in refused.stderr) == (1, True), command
    assert funded("transactions", "alice", "--filter", "colour = 1").exit_code == 1


def test_seed_twice_makes_everything_once(walletctl: Walletctl) -> None:
    """alice, bob and the commission wallet; one rule, by which 1,000.00 is free and a cent more is not."""

    first, again = (walletctl.json("seed") for _ in range(2))
    (rule,) = walletctl.json("commission", "list")
    free, charged = (walletctl.json("commission", "quote", "alice", "bob", much) for much in ("1000.00", "1000.01"))

    assert first == again
    assert [row["name"] for row in first] == ["wallets/alice", "wallets/bob", "wallets/system:commission:USD"]
    assert "commission" not in free
    assert (charged["commission"]["rule"], charged["source_debit"]["minor_units"]) == (rule["name"], "110001")
    assert "1,000.00 USD" in walletctl("seed").stdout


def test_verify_checks_the_ledger(funded: Walletctl) -> None:
    """All rules, none broken."""

    report = funded.json("verify")

    assert report["consistent"] is True
    assert len(report["rules"]) >= 9
    assert {rule["broken"] for rule in report["rules"]} == {0}
    assert "the ledger is consistent" in funded("verify").stdout


def test_unknown_wallet_is_reported_as_not_found(walletctl: Walletctl) -> None:
    """W2 on the command line."""

    for command in ("wallet get nobody", "transactions nobody", "wallet transactions nobody", "deposit nobody 1"):
        refused = walletctl(*command.split())
        assert (refused.exit_code, "RESOURCE_NOT_FOUND" in refused.stderr) == (1, True)


def test_command_without_a_service_prints_how_to_start_one(tmp_path: Path) -> None:
    """Nothing runs in an empty state directory."""

    refused = CliRunner().invoke(cli, ["--state", str(tmp_path), "wallet", "list"])

    assert (refused.exit_code, "make up" in refused.stderr) == (1, True)
