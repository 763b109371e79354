"""``walletctl`` for what has a life: wallets, holds, commission rules, withdrawals, scheduled deposits."""

import signal
from pathlib import Path

import pytest

from tests.e2e.cli import Walletctl
from tests.support.processes import process
from walletctl.local.waiting import wait_until


def test_wallet_is_created_changed_and_closed(walletctl: Walletctl) -> None:
    """Labels, overdraft, name; frozen, unfrozen, closed."""

    created = walletctl.json(
        *("wallet", "create", "shop", "--label", "tier=gold", "--label", "city=bonn", "--overdraft", "50")
    )
    changed = walletctl.json(
        *("wallet", "update", "shop", "--label", "tier=iron", "--overdraft", "0", "--display-name", "Shop")
    )
    bare = walletctl.json("wallet", "update", "shop", "--no-labels")
    states = [walletctl.json("wallet", verb, "shop")["state"] for verb in ("freeze", "unfreeze", "close")]

    assert (created["labels"], created["available"]["minor_units"]) == ({"tier": "gold", "city": "bonn"}, "5000")
    assert (changed["labels"], changed["display_name"]) == ({"tier": "iron"}, "Shop")
    assert (changed["overdraft_limit"]["minor_units"], bare["labels"], bare["display_name"]) == ("0", {}, "Shop")
    assert states == ["STATE_FROZEN", "STATE_ACTIVE", "STATE_CLOSED"]


def test_wallet_is_changed_only_as_it_was_read(walletctl: Walletctl) -> None:
    """The etag that was read goes with the change."""

    etag = walletctl.json("wallet", "create", "shop")["etag"]
    assert walletctl("wallet", "update", "shop", "--display-name", "A", "--etag", etag).exit_code == 0

    refused = walletctl("wallet", "close", "shop", "--etag", etag)
    assert (refused.exit_code, "ETAG_MISMATCH" in refused.stderr) == (1, True)


def test_wallet_as_it_was_has_no_held_and_no_available(funded: Walletctl) -> None:
    """Neither in JSON nor in the table."""

    then = ("wallet", "get", "alice", "--as-of", "2020-01-01")

    assert funded.json(*then)["balance"]["minor_units"] == "0"
    assert "available" not in funded.json(*then)
    assert "available" not in funded(*then).stdout


def test_wallets_are_listed_by_filter(funded: Walletctl) -> None:
    """By label and by state."""

    funded("wallet", "update", "bob", "--label", "tier=gold")
    funded("wallet", "freeze", "alice")

    by_label = funded.json("wallet", "list", "--filter", 'labels.tier = "gold"')
    by_state = funded.json("wallet", "list", "--filter", "state = FROZEN")

    assert [row["name"] for row in by_label + by_state] == ["wallets/bob", "wallets/alice"]
    assert "tier=gold" in funded("wallet", "list").stdout


def test_hold_is_placed_captured_in_parts_and_voided(funded: Walletctl) -> None:
    """What is held is not available; a final capture and a void release the rest."""

    first = funded.json("hold", "place", "alice", "60.00", "--expires-in", "1h30m")["name"]
    placed = funded("hold", "place", "alice", "30.00", "--expire-time", "2099-01-01", "--description", "hotel")
    second = funded.json("hold", "list", "--wallet", "alice")[0]["name"]
    part = funded.json("hold", "capture", first, "--to", "bob", "--amount", "10.00")
    last = funded.json("hold", "capture", first, "--to", "bob", "--amount", "5.00", "--final", "--label", "a=b")
    voided = funded.json("hold", "void", second)

    assert "available: 10.00 USD" in placed.stdout
    assert (part["hold"]["state"], part["hold"]["remaining_amount"]["minor_units"]) == ("STATE_ACTIVE", "5000")
    assert (last["hold"]["state"], last["transaction"]["hold"]) == ("STATE_CAPTURED", first)
    assert (voided["state"], voided["description"]) == ("STATE_VOIDED", "hotel")
    assert (funded.balance("alice"), funded.balance("bob")) == (8500, 1500)


def test_hold_is_shown_and_listed(funded: Walletctl) -> None:
    """To a person and to a program."""

    name = funded.json("hold", "place", "alice", "20", "--expires-in", "7d")["name"]
    captured = funded("hold", "capture", name, "--to", "bob")

    assert ("HOLD_CAPTURE" in captured.stdout, "CAPTURED" in captured.stdout) == (True, True)
    assert "20.00 USD" in funded("hold", "get", name).stdout
    assert funded.json("hold", "get", name)["captured_amount"]["minor_units"] == "2000"
    assert funded.json("hold", "list", "--filter", "state = ACTIVE") == []
    assert "none" in funded("hold", "list", "--filter", "state = ACTIVE").stdout


def test_commission_rule_is_created_exactly_as_typed(walletctl: Walletctl) -> None:
    """Percents to the millionth, amounts to the minor unit, dates as midnights in UTC."""

    typed = "--rate 1.2345% --fixed 0.30 --min 1 --max 50 --above 10.00 --payer destination --label tier=gold"
    times = "--starts 2098-01-01 --ends 2099-01-01T00:00:00+01:00"
    rule = walletctl.json("commission", "create", *typed.split(), *times.split())

    assert (rule["rate_millionths"], rule["fixed_minor_units"], rule["threshold_minor_units"]) == (12_345, "30", "1000")
    assert (rule["minimum_minor_units"], rule["maximum_minor_units"]) == ("100", "5000")
    assert (rule["payer"], rule["label"]) == ("COMMISSION_PAYER_DESTINATION", {"key": "tier", "value": "gold"})
    assert (rule["start_time"], rule["end_time"]) == ("2098-01-01T00:00:00Z", "2098-12-31T23:00:00Z")
    shown = walletctl("commission", "get", rule["name"]).stdout
    for text in ("1.2345% + 0.30 USD", "at least", "at most 50.00", "destination", "tier=gold"):
        assert text in shown


def test_commission_rule_is_quoted_taken_and_ended(funded: Walletctl) -> None:
    """For one wallet, in a currency without decimals; then no more."""

    for command in ("wallet create ken --currency JPY", "wallet create yui --currency JPY", "deposit ken 1000 JPY"):
        assert funded(*command.split()).exit_code == 0
    create = "commission create --currency JPY --rate 10% --payer source --wallet ken"
    rule = funded.json(*create.split())["name"]
    quote = ("commission", "quote", "ken", "yui", "105", "JPY")

    quoted, shown = funded.json(*quote), funded(*quote).stdout
    moved = funded.json("transfer", "ken", "yui", "105", "JPY")
    ended = funded.json("commission", "end", rule)

    assert (quoted["commission"]["rule"], quoted["source_debit"]["minor_units"]) == (rule, "116")
    assert ("11 JPY" in shown, "source" in shown) == (True, True)
    assert moved["commission"] == quoted["commission"]
    assert "end_time" in ended
    assert "none" in funded(*quote).stdout
    assert [one["name"] for one in funded.json("commission", "list", "--filter", 'wallet = "wallets/ken"')] == [rule]
    assert funded("commission", "end", rule, "--at", "2099-01-01").exit_code == 1


def test_withdrawal_is_scheduled_listed_and_cancelled(funded: Walletctl) -> None:
    """The life of a payout that is called off, read as JSON; what it reserved is held until then."""

    scheduled = funded.json("withdraw", "alice", "25.00", "--in", "1h", "--reserve")
    held = funded.json("wallet", "get", "alice")["held"]["minor_units"]
    listed = funded.json("withdrawal", "list", "--wallet", "alice", "--filter", "state = SCHEDULED")
    cancelled = funded.json("withdrawal", "cancel", scheduled["name"])

    assert [scheduled["name"]] == [row["name"] for row in listed]
    assert (scheduled["state"], cancelled["state"]) == ("STATE_SCHEDULED", "STATE_CANCELLED")
    assert (scheduled["reserve"], held) == (True, "2500")
    assert funded.json("withdrawal", "list", "--filter", "state = SCHEDULED") == []
    assert "CANCELLED" in funded("withdrawal", "get", scheduled["name"]).stdout


def test_withdrawal_in_the_past_is_refused_by_the_service(funded: Walletctl) -> None:
    """S3 on the command line: it knows the time."""

    refused = funded("withdraw", "alice", "1.00", "--at", "2001-01-01T00:00:00Z")

    assert (refused.exit_code, "must not be in the past" in refused.stderr) == (1, True), refused.stderr


def test_deposit_is_scheduled_listed_and_cancelled(funded: Walletctl) -> None:
    """One from outside, one that the bank collects."""

    plain = funded.json("scheduled-deposit", "schedule", "alice", "5", "--at", "2099-01-01", "--description", "rent")
    collect = "--in 90 --collect --account checking-1 --external-reference so-1"
    collected = funded.json("scheduled-deposit", "schedule", "bob", "7.50", *collect.split())
    listed = funded.json("scheduled-deposit", "list", "--filter", "amount >= 700")
    cancelled = funded.json("scheduled-deposit", "cancel", plain["name"])

    assert (plain["execute_time"], plain["collect"]) == ("2099-01-01T00:00:00Z", False)
    assert (collected["collect"], collected["bank_account"]) == (True, "checking-1")
    assert [row["name"] for row in listed] == [collected["name"]]
    assert cancelled["state"] == "STATE_CANCELLED"
    assert funded.json("scheduled-deposit", "get", plain["name"]) == cancelled
    assert "CANCELLED" in funded("scheduled-deposit", "list", "--wallet", "alice").stdout


@pytest.mark.parametrize(
    ("group", "schedule"),
    [("withdrawal", ["withdraw", "alice"]), ("scheduled-deposit", ["scheduled-deposit", "schedule", "alice"])],
)
def test_watch_prints_changes_until_it_is_interrupted(
    funded: Walletctl, tmp_path: Path, group: str, schedule: list[str]
) -> None:
    """Each of what is watched was scheduled at one look and cancelled at the next."""

    log = tmp_path / "watch.out"
    waiting: list[str] = []

    def is_printed() -> bool:
        for name in waiting:
            assert funded(group, "cancel", name).exit_code == 0
        waiting[:] = [funded.json(*schedule, "1", "--in", "1h")["name"]]
        return "SCHEDULED → CANCELLED" in log.read_text()

    arguments = ["-m", "walletctl", "--target", funded.target, group, "watch", "--wallet", "alice"]
    with process(arguments, env={}, log=log) as watch:
        assert wait_until(is_printed, timeout_s=30, poll_s=0.6)
        watch.send_signal(signal.SIGINT)
        assert watch.wait(10) == 0, log.read_text()
