"""Commission: what a transfer is charged, who pays it, and that all of it is in the commission wallet."""

from functools import partial
from typing import Any

import psycopg
import pytest
from wallet.v1 import commission_service_pb2 as rule_pb
from wallet.v1 import hold_service_pb2 as hold_pb
from wallet.v1 import schedule_service_pb2 as order_pb
from wallet.v1 import transaction_service_pb2 as pb
from wallet.v1 import wallet_service_pb2 as wallet_pb

from scheduler.jobs import collect_due_deposits, credit_due_deposits, pay_due_withdrawals
from tests.support.api import Api
from tests.support.callers import BIGGEST, everything
from tests.support.commission import COMMISSION_WALLET, amounts_by_wallet, batch_of, fee, with_sorted_entries
from tests.support.requests import (
    DESTINATION,
    LATE,
    SOURCE,
    a_deposit,
    a_quote,
    a_rule,
    a_transfer,
    an_update,
    changed,
    later,
    money,
    new_id,
)
from wallet_core.usecases.app import App

CLASSIC = {"threshold_minor_units": 100_000, "rate_millionths": 100_000}
"""10 % on top, paid by the source, where the amount is more than 1,000.00."""


def total(owner: psycopg.Connection) -> int:
    """Return what all wallets have together, the service's own among them."""
    row = owner.execute("SELECT sum(balance) FROM wallets").fetchone()
    assert row is not None
    return int(row[0])


def read(api: Api, moved: pb.Transaction) -> pb.Transaction:
    """Return a transaction as it is read, its entries by wallet."""
    found = api.ok(pb.GetTransactionRequest(name=moved.name)).transaction
    return with_sorted_entries(found)


def test_more_than_a_thousand_costs_the_source_ten_percent_on_top(api: Api, owner: psycopg.Connection) -> None:
    """T3: A has 5000, transfers 2000: A 2800, B 2000, commission 200. The transaction keeps that."""

    api.open("a", 500_000)
    api.open("b")
    rule = api.charge(**CLASSIC)

    made = api.ok(a_transfer("a", "b", 200_000))

    moved = made.transaction
    assert api.balances("a", "b", COMMISSION_WALLET) == [280_000, 200_000, 20_000]
    assert (fee(moved), moved.commission.amount.currency_code) == ((rule.name, 20_000, SOURCE), "USD")
    assert (moved.amount.minor_units, made.source_available.minor_units) == (200_000, 280_000)
    assert amounts_by_wallet(moved) == {"a": -220_000, "b": 200_000, COMMISSION_WALLET: 20_000}
    assert {entry.wallet: entry.balance_after.minor_units for entry in moved.entries} == {
        "wallets/a": 280_000,
        "wallets/b": 200_000,
        f"wallets/{COMMISSION_WALLET}": 20_000,
    }
    assert read(api, moved) == with_sorted_entries(moved)
    assert total(owner) == 0


def test_a_thousand_is_free_and_a_cent_more_is_not(api: Api) -> None:
    """T4: 1000.00 costs nothing; 1000.01 costs 10 %, rounded half up once."""

    api.open("a", 5_000_000)
    api.open("b")
    rule = api.charge(**CLASSIC)

    free = api.transfer("a", "b", 100_000)

    assert not free.HasField("commission")
    assert amounts_by_wallet(free) == {"a": -100_000, "b": 100_000}
    assert api.balances(COMMISSION_WALLET) == [0]
    for amount, taken in ((100_001, 10_000), (100_004, 10_000), (100_005, 10_001), (100_006, 10_001)):
        moved = api.transfer("a", "b", amount)
        assert (fee(moved), amounts_by_wallet(moved)["a"]) == ((rule.name, taken, SOURCE), -amount - taken)


def test_a_source_that_cannot_pay_the_commission_too_transfers_nothing(api: Api, owner: psycopg.Connection) -> None:
    """T5: A has 2100; 2000 needs 2200. Refused finally, and nothing has changed."""

    api.open("a", 210_000)
    api.open("b")
    api.charge(**CLASSIC)
    request = a_transfer("a", "b", 200_000)
    before = everything(owner)

    tried = api.refused(changed(request, validate_only=True))
    assert everything(owner) == before
    refused = api.refused(request)

    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "INSUFFICIENT_FUNDS")
    assert refused.metadata == {
        "wallet": "wallets/a",
        "currencyCode": "USD",
        "available": "210000",
        "required": "220000",
    }
    assert tried == refused
    assert {name for name, rows in everything(owner).items() if rows != before[name]} == {"requests"}
    api.deposit("a", 10_000)
    assert api.refused(request) == refused
    assert api.transfer("a", "b", 200_000).commission.amount.minor_units == 20_000
    assert api.balances("a", "b", COMMISSION_WALLET) == [0, 200_000, 20_000]


def test_the_total_is_constant_under_any_commission(api: Api, owner: psycopg.Connection) -> None:
    """T6: over all wallets, the system wallets among them, to the last unit; with either payer, for any amount."""

    api.open("a", 10_000_000)
    api.open("b")
    for payer in (SOURCE, DESTINATION):
        rule = api.charge(**CLASSIC, fixed_minor_units=3, payer=payer)
        for amount in (100_005, 100_001, 123_457, 333_333):
            before = api.balances("a", "b", COMMISSION_WALLET)
            moved = api.transfer("a", "b", amount)
            after = api.balances("a", "b", COMMISSION_WALLET)
            assert sum(after) == sum(before)
            assert sum(amounts_by_wallet(moved).values()) == 0
            assert amounts_by_wallet(moved) == {
                name: now - then for name, now, then in zip(("a", "b", COMMISSION_WALLET), after, before, strict=True)
            }
            assert total(owner) == 0
        api.end(rule.name)


def test_a_rule_changed_at_run_time_is_what_the_next_transfer_pays(api: Api) -> None:
    """L4: the next transfer has the new rate; what was charged before stays as it was."""

    api.open("a", 1_000_000)
    api.open("b")
    first = api.charge(rate_millionths=10_000)
    old = api.transfer("a", "b", 10_000)
    second = api.charge(rate_millionths=20_000)
    new = api.transfer("a", "b", 10_000)
    api.end(second.name)
    old_again = api.transfer("a", "b", 10_000)
    api.end(first.name)
    free = api.transfer("a", "b", 10_000)

    assert (fee(old), fee(new)) == ((first.name, 100, SOURCE), (second.name, 200, SOURCE))
    assert fee(old_again) == fee(old)
    assert not free.HasField("commission")
    assert [read(api, moved) for moved in (old, new, old_again)] == list(
        map(with_sorted_entries, (old, new, old_again))
    )
    assert api.balances("a", "b", COMMISSION_WALLET) == [1_000_000 - 40_400, 40_000, 400]


def test_a_destination_that_pays_gets_so_much_less(api: Api, owner: psycopg.Connection) -> None:
    """All but what it is charged; nothing where that is all; and LIMIT_EXCEEDED where it is more."""

    api.open("a", 1000)
    api.open("b")
    rule = api.charge(fixed_minor_units=60, payer=DESTINATION)

    less, nothing = api.transfer("a", "b", 100), api.transfer("a", "b", 60)
    before = everything(owner)
    request = a_transfer("a", "b", 59)
    refused = api.refused(changed(request, validate_only=True))

    assert (amounts_by_wallet(less), fee(less)) == (
        {"a": -100, "b": 40, COMMISSION_WALLET: 60},
        (rule.name, 60, DESTINATION),
    )
    assert (amounts_by_wallet(nothing), fee(nothing)) == (
        {"a": -60, COMMISSION_WALLET: 60},
        (rule.name, 60, DESTINATION),
    )
    assert (nothing.source, nothing.destination, nothing.amount.minor_units) == ("wallets/a", "wallets/b", 60)
    assert read(api, nothing) == with_sorted_entries(nothing)
    for wallet in ("a", COMMISSION_WALLET):
        listed = api.ok(pb.ListTransactionsRequest(wallet=f"wallets/{wallet}"))
        assert list(map(with_sorted_entries, listed.transactions[:2])) == [
            with_sorted_entries(nothing),
            with_sorted_entries(less),
        ]
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "LIMIT_EXCEEDED")
    assert refused.metadata == {"resourceName": rule.name, "limit": "59"}
    assert everything(owner) == before
    assert api.refused(request) == refused
    assert api.balances("a", "b", COMMISSION_WALLET) == [840, 40, 120]


def test_a_rule_that_charges_nothing_is_returned_with_nothing(api: Api) -> None:
    """Zero, not unset: a rule applied. The same from the call, from a repeat and from a read."""

    api.open("a", 10_000)
    api.open("b")
    api.charge(rate_millionths=500_000)
    rule = api.charge(payer=DESTINATION, fixed_minor_units=5, maximum_minor_units=0)
    request = a_transfer("a", "b", 7)

    first, again = (api.ok(request) for _ in range(2))

    assert fee(first.transaction) == (rule.name, 0, DESTINATION)
    assert (again.transaction, again.replayed) == (first.transaction, True)
    assert amounts_by_wallet(first.transaction) == {"a": -7, "b": 7}
    assert api.quote("a", "b", 7).commission == first.transaction.commission


@pytest.mark.parametrize("payer", [SOURCE, DESTINATION])
def test_a_transfer_charges_no_more_than_its_max_commission(api: Api, payer: Any) -> None:  # noqa: ANN401  # an enum
    """max_commission: what is due passes, a unit less is refused; with either payer."""

    api.open("a", 1000)
    api.open("b")
    guarded = partial(a_transfer, "a", "b", 100)
    assert not api.transfer("a", "b", 1, max_commission=money(0)).HasField("commission")
    rule = api.charge(rate_millionths=105_000, payer=payer)  # 10.5, so 11

    for most in (0, 10):
        refused = api.refused(guarded(max_commission=money(most)))
        assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "LIMIT_EXCEEDED")
        assert refused.metadata == {"resourceName": rule.name, "limit": str(most)}
    for most in (11, 12, BIGGEST):
        assert fee(api.transfer("a", "b", 100, max_commission=money(most))) == (rule.name, 11, payer)
    for wrong in (money(-1), money(11, "EUR"), money(11, "")):
        assert api.refused(guarded(max_commission=wrong)).reason == "INVALID_FIELDS", wrong


def test_of_two_faults_in_a_charged_transfer_the_first_documented_is_reported(api: Api) -> None:
    """States of both ends, then the commission's limits, then the money, then the largest balance."""

    api.open("a", 1000)
    api.open("b")
    api.open("rich", overdraft_limit=money(BIGGEST - 10))
    api.open("full", BIGGEST - 2000)
    api.open("gone")
    api.ok(wallet_pb.CloseWalletRequest(name="wallets/gone", request_id=new_id()))
    api.charge(fixed_minor_units=100, label=rule_pb.Label(key="pays", value="yes"))
    api.charge(fixed_minor_units=100, label=rule_pb.Label(key="gets", value="less"), payer=DESTINATION)
    api.update("a", labels={"pays": "yes"})
    cases = [
        (a_transfer("a", "gone", 5, max_commission=money(1)), "WALLET_NOT_ACTIVE"),
        (a_transfer("a", "b", 5000, max_commission=money(99)), "LIMIT_EXCEEDED"),
        (a_transfer("a", "b", 901, max_commission=money(100)), "INSUFFICIENT_FUNDS"),
        (a_transfer("rich", "full", BIGGEST), "INSUFFICIENT_FUNDS"),
        (a_transfer("rich", "full", BIGGEST - 10), "LIMIT_EXCEEDED"),
    ]

    for request, reason in cases:
        assert api.refused(request).reason == reason, request
    api.update("b", labels={"gets": "less"})
    api.update("a", "labels")
    assert api.refused(a_transfer("a", "b", 50, max_commission=money(BIGGEST))).reason == "LIMIT_EXCEEDED"
    assert api.transfer("a", "b", 900).commission.amount.minor_units == 100


def test_amounts_and_commissions_near_64_bits_are_refused_and_never_a_defect(api: Api) -> None:
    """LIMIT_EXCEEDED: of the rule where the sum cannot be counted, of the commission wallet where that is full."""

    for name in ("a", "c"):
        api.open(name, overdraft_limit=money(BIGGEST))
    api.open("b")
    huge = api.charge(fixed_minor_units=2**62)
    assert fee(api.transfer("a", "b", 1)) == (huge.name, 2**62, SOURCE)

    full = api.refused(a_transfer("c", "b", 1))
    api.charge(fixed_minor_units=BIGGEST, minimum_minor_units=BIGGEST, rate_millionths=1_000_000)
    beyond = [api.refused(request) for request in (a_transfer("c", "b", BIGGEST), a_quote("c", "b", BIGGEST))]

    assert (full.reason, full.metadata["resourceName"]) == ("LIMIT_EXCEEDED", f"wallets/{COMMISSION_WALLET}")
    assert [refused.reason for refused in beyond] == ["LIMIT_EXCEEDED"] * 2
    cut = api.charge(rate_millionths=1_000_000, fixed_minor_units=BIGGEST, maximum_minor_units=7)
    assert api.cost("c", "b", BIGGEST - 7) == (cut.name, 7)
    assert api.refused(a_quote("c", "b", BIGGEST - 6)).reason == "LIMIT_EXCEEDED"


@pytest.mark.usefixtures("bank")
def test_nothing_but_transfers_is_charged(api: Api, app: App) -> None:
    """Neither deposits, nor holds and captures, nor withdrawals, nor scheduled deposits, nor what is given back."""

    api.open("a", 10_000)
    api.open("b")
    first = api.transfer("a", "b", 1000)
    for payer in (SOURCE, DESTINATION):
        api.charge(fixed_minor_units=7, payer=payer)
    hold = api.ok(
        hold_pb.PlaceHoldRequest(wallet="wallets/a", amount=money(500), expire_time=LATE, request_id=new_id())
    ).hold
    captured = api.ok(
        hold_pb.CaptureHoldRequest(name=hold.name, destination="wallets/b", request_id=new_id())
    ).transaction
    reversal = api.ok(pb.ReverseTransactionRequest(name=first.name, request_id=new_id())).transaction
    for reserve in (False, True):
        api.ok(
            order_pb.ScheduleWithdrawalRequest(
                wallet="wallets/a", amount=money(100), reserve=reserve, request_id=new_id()
            )
        )
    for collect in (False, True):
        api.ok(
            order_pb.ScheduleDepositRequest(wallet="wallets/b", amount=money(200), collect=collect, request_id=new_id())
        )
    for job in (pay_due_withdrawals, collect_due_deposits, credit_due_deposits):
        job.run_once(app)
    api.deposit("b", 50)

    assert api.balances("a", "b", COMMISSION_WALLET) == [9300, 950, 0]
    listed = [
        moved
        for wallet in ("a", "b")
        for moved in api.ok(pb.ListTransactionsRequest(wallet=f"wallets/{wallet}")).transactions
    ]
    types = pb.Transaction
    assert {moved.type for moved in listed} == {
        *(types.TYPE_DEPOSIT, types.TYPE_TRANSFER, types.TYPE_HOLD_CAPTURE, types.TYPE_REVERSAL),
        *(types.TYPE_WITHDRAWAL, types.TYPE_COLLECTION),
    }
    assert not any(moved.HasField("commission") for moved in [*listed, captured, reversal])


def test_the_commission_wallet_can_be_read_and_adds_up(api: Api) -> None:
    """Its balance, its transactions and its statement are what was charged; it is in no list of wallets."""

    api.open("a", 100_000)
    api.open("b", 100_000)
    start = api.wallet("a").create_time
    api.charge(rate_millionths=30_000)
    charged = [api.transfer(*ends, amount) for ends, amount in ((("a", "b"), 1050), (("b", "a"), 990))]

    listed = api.ok(pb.ListTransactionsRequest(wallet=f"wallets/{COMMISSION_WALLET}"))
    statement = api.ok(
        pb.GetStatementRequest(
            wallet=f"wallets/{COMMISSION_WALLET}", start_time=start, end_time=later(charged[1].execute_time, 1)
        )
    )
    earned = sum(moved.commission.amount.minor_units for moved in charged)

    assert earned == 32 + 30
    assert list(map(with_sorted_entries, listed.transactions)) == list(map(with_sorted_entries, charged[::-1]))
    assert api.wallet(COMMISSION_WALLET).balance.minor_units == earned
    assert api.wallet(COMMISSION_WALLET).available.minor_units == earned
    assert [(sum_.type, sum_.count, sum_.credited.minor_units) for sum_ in statement.totals] == [
        (pb.Transaction.TYPE_TRANSFER, 2, earned)
    ]
    assert (statement.opening_balance.minor_units, statement.closing_balance.minor_units) == (0, earned)
    assert [entry.transaction for entry in statement.entries] == [moved.name for moved in charged]
    wallets = api.ok(wallet_pb.ListWalletsRequest()).wallets
    assert [wallet.name for wallet in wallets] == ["wallets/b", "wallets/a"]


def test_no_call_changes_the_commission_wallet(api: Api, owner: psycopg.Connection) -> None:
    """But for taking out what was earned: every other call that names it is refused, and leaves nothing."""

    api.open("a", 1000)
    api.open("b")
    api.charge(fixed_minor_units=100)
    api.transfer("a", "b", 500)
    hold = api.ok(
        hold_pb.PlaceHoldRequest(wallet="wallets/a", amount=money(5), expire_time=LATE, request_id=new_id())
    ).hold
    name = f"wallets/{COMMISSION_WALLET}"
    fields: dict[str, Any] = {"wallet": name, "amount": money(1), "request_id": new_id()}
    named: dict[str, Any] = {"name": name, "request_id": new_id()}
    calls = [
        a_deposit(COMMISSION_WALLET, 1),
        a_transfer("a", COMMISSION_WALLET, 1),
        a_rule(wallet=name),
        an_update(COMMISSION_WALLET, display_name="mine"),
        an_update(COMMISSION_WALLET, overdraft_limit=money(1)),
        batch_of(pb.BATCH_MODE_ATOMIC, a_transfer("a", "b", 1), a_transfer("a", COMMISSION_WALLET, 1)),
        hold_pb.PlaceHoldRequest(**fields, expire_time=LATE),
        hold_pb.CaptureHoldRequest(name=hold.name, destination=name, request_id=new_id()),
        order_pb.ScheduleDepositRequest(**fields),
        wallet_pb.FreezeWalletRequest(**named),
        wallet_pb.UnfreezeWalletRequest(**named),
        wallet_pb.CloseWalletRequest(**named),
    ]
    before = everything(owner)

    for request in calls:
        refusal = api.refused(request)
        assert (refusal.code, refusal.reason) == ("PERMISSION_DENIED", "PERMISSION_MISSING"), request
        assert "permission" in refusal.metadata
    taken = wallet_pb.CreateWalletRequest(
        wallet_id=COMMISSION_WALLET, wallet=wallet_pb.Wallet(currency_code="USD"), request_id=new_id()
    )
    assert api.refused(taken).reason == "INVALID_FIELDS"
    assert everything(owner) == before
    assert api.balances(COMMISSION_WALLET) == [100]
