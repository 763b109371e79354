"""Commission as callers meet it: what transfers are charged, what a quote promises, and where it all goes."""

from fractions import Fraction
from functools import partial
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wallet.v1 import commission_service_pb2 as rule_pb
from wallet.v1 import hold_service_pb2 as hold_pb
from wallet.v1 import schedule_service_pb2 as order_pb
from wallet.v1 import transaction_service_pb2 as pb
from wallet.v1 import wallet_service_pb2 as wallet_pb

from scheduler.jobs import collect_due_deposits, credit_due_deposits, pay_due_withdrawals
from tests.support.asking import Asking
from tests.support.callers import BIGGEST, everything
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
from tests.support.together import together
from tests.support.toolchain import often
from wallet_core.usecases.app import App

EARNER = "system:commission:USD"
CLASSIC = {"threshold_minor_units": 100_000, "rate_millionths": 100_000}
"""10 % on top, paid by the source, where the amount is more than 1,000.00."""


def total(owner: psycopg.Connection) -> int:
    """Return what all wallets have together, the service's own among them."""
    row = owner.execute("SELECT sum(balance) FROM wallets").fetchone()
    assert row is not None
    return int(row[0])


def parts(moved: pb.Transaction) -> dict[str, int]:
    """Return what each wallet got by a transaction."""
    return {entry.wallet.removeprefix("wallets/"): entry.amount.minor_units for entry in moved.entries}


def fee(moved: pb.Transaction) -> tuple[str, int, int]:
    """Return by which rule how much was charged, and who paid it."""
    charged = moved.commission
    return charged.rule, charged.amount.minor_units, charged.payer


def as_told(moved: pb.Transaction) -> pb.Transaction:
    """Return a transaction with its entries by wallet, for comparing what is in it."""
    told = changed(moved, entries=None)
    told.entries.extend(sorted(moved.entries, key=lambda entry: entry.wallet))
    return told


def read(asking: Asking, moved: pb.Transaction) -> pb.Transaction:
    """Return a transaction as it is read, its entries by wallet."""
    found = asking.ok(pb.GetTransactionRequest(name=moved.name)).transaction
    return as_told(found)


def batch(mode: pb.BatchMode.ValueType, *items: pb.TransferRequest) -> pb.BatchTransferRequest:
    """Return these transfers as a batch."""
    atomic = mode == pb.BATCH_MODE_ATOMIC
    request = pb.BatchTransferRequest(mode=mode, request_id=new_id() if atomic else "")
    for item in items:
        told = request.items.add()
        told.MergeFromString(changed(item, request_id=None, max_commission=None).SerializePartialToString())
        told.request_id = "" if atomic else item.request_id
        if item.HasField("max_commission"):
            told.max_commission.CopyFrom(item.max_commission)
    return request


def test_more_than_a_thousand_costs_the_source_ten_percent_on_top(asking: Asking, owner: psycopg.Connection) -> None:
    """T3: A has 5000, transfers 2000: A 2800, B 2000, commission 200. The transaction says so for ever."""

    asking.open("a", 500_000)
    asking.open("b")
    rule = asking.charge(**CLASSIC)

    made = asking.ok(a_transfer("a", "b", 200_000))

    moved = made.transaction
    assert asking.balances("a", "b", EARNER) == [280_000, 200_000, 20_000]
    assert (fee(moved), moved.commission.amount.currency_code) == ((rule.name, 20_000, SOURCE), "USD")
    assert (moved.amount.minor_units, made.source_available.minor_units) == (200_000, 280_000)
    assert parts(moved) == {"a": -220_000, "b": 200_000, EARNER: 20_000}
    assert {entry.wallet: entry.balance_after.minor_units for entry in moved.entries} == {
        "wallets/a": 280_000,
        "wallets/b": 200_000,
        f"wallets/{EARNER}": 20_000,
    }
    assert read(asking, moved) == as_told(moved)
    assert total(owner) == 0


def test_a_thousand_is_free_and_a_cent_more_is_not(asking: Asking) -> None:
    """T4: 1000.00 costs nothing; 1000.01 costs 10 %, rounded half up once."""

    asking.open("a", 5_000_000)
    asking.open("b")
    rule = asking.charge(**CLASSIC)

    free = asking.transfer("a", "b", 100_000)

    assert not free.HasField("commission")
    assert parts(free) == {"a": -100_000, "b": 100_000}
    assert asking.balances(EARNER) == [0]
    for amount, taken in ((100_001, 10_000), (100_004, 10_000), (100_005, 10_001), (100_006, 10_001)):
        moved = asking.transfer("a", "b", amount)
        assert (fee(moved), parts(moved)["a"]) == ((rule.name, taken, SOURCE), -amount - taken)


def test_a_source_that_cannot_pay_the_commission_too_transfers_nothing(
    asking: Asking, owner: psycopg.Connection
) -> None:
    """T5: A has 2100; 2000 needs 2200. Refused for good, and everything is as it was."""

    asking.open("a", 210_000)
    asking.open("b")
    asking.charge(**CLASSIC)
    request = a_transfer("a", "b", 200_000)
    before = everything(owner)

    tried = asking.refused(changed(request, validate_only=True))
    assert everything(owner) == before
    refused = asking.refused(request)

    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "INSUFFICIENT_FUNDS")
    assert refused.metadata == {
        "wallet": "wallets/a",
        "currencyCode": "USD",
        "available": "210000",
        "required": "220000",
    }
    assert tried == refused
    assert {name for name, rows in everything(owner).items() if rows != before[name]} == {"requests"}
    asking.deposit("a", 10_000)
    assert asking.refused(request) == refused
    assert asking.transfer("a", "b", 200_000).commission.amount.minor_units == 20_000
    assert asking.balances("a", "b", EARNER) == [0, 200_000, 20_000]


def test_whatever_is_charged_the_total_stays(asking: Asking, owner: psycopg.Connection) -> None:
    """T6: over all wallets, the service's own among them, to the last unit; whoever pays, however odd the amount."""

    asking.open("a", 10_000_000)
    asking.open("b")
    for payer in (SOURCE, DESTINATION):
        rule = asking.charge(**CLASSIC, fixed_minor_units=3, payer=payer)
        for amount in (100_005, 100_001, 123_457, 333_333):
            before = asking.balances("a", "b", EARNER)
            moved = asking.transfer("a", "b", amount)
            after = asking.balances("a", "b", EARNER)
            assert sum(after) == sum(before)
            assert sum(parts(moved).values()) == 0
            assert parts(moved) == {
                name: now - then for name, now, then in zip(("a", "b", EARNER), after, before, strict=True)
            }
            assert total(owner) == 0
        asking.end(rule.name)


def test_a_rule_changed_at_run_time_is_what_the_next_transfer_pays(asking: Asking) -> None:
    """L4: the next transfer has the new rate; what was charged before stays as it was."""

    asking.open("a", 1_000_000)
    asking.open("b")
    first = asking.charge(rate_millionths=10_000)
    old = asking.transfer("a", "b", 10_000)
    second = asking.charge(rate_millionths=20_000)
    new = asking.transfer("a", "b", 10_000)
    asking.end(second.name)
    old_again = asking.transfer("a", "b", 10_000)
    asking.end(first.name)
    free = asking.transfer("a", "b", 10_000)

    assert (fee(old), fee(new)) == ((first.name, 100, SOURCE), (second.name, 200, SOURCE))
    assert fee(old_again) == fee(old)
    assert not free.HasField("commission")
    assert [read(asking, moved) for moved in (old, new, old_again)] == list(map(as_told, (old, new, old_again)))
    assert asking.balances("a", "b", EARNER) == [1_000_000 - 40_400, 40_000, 400]


def test_a_destination_that_pays_gets_so_much_less(asking: Asking, owner: psycopg.Connection) -> None:
    """All but what it is charged; nothing where that is all; and LIMIT_EXCEEDED where it is more."""

    asking.open("a", 1000)
    asking.open("b")
    rule = asking.charge(fixed_minor_units=60, payer=DESTINATION)

    less, nothing = asking.transfer("a", "b", 100), asking.transfer("a", "b", 60)
    before = everything(owner)
    request = a_transfer("a", "b", 59)
    refused = asking.refused(changed(request, validate_only=True))

    assert (parts(less), fee(less)) == ({"a": -100, "b": 40, EARNER: 60}, (rule.name, 60, DESTINATION))
    assert (parts(nothing), fee(nothing)) == ({"a": -60, EARNER: 60}, (rule.name, 60, DESTINATION))
    assert (nothing.source, nothing.destination, nothing.amount.minor_units) == ("wallets/a", "wallets/b", 60)
    assert read(asking, nothing) == as_told(nothing)
    for wallet in ("a", EARNER):
        listed = asking.ok(pb.ListTransactionsRequest(wallet=f"wallets/{wallet}"))
        assert list(map(as_told, listed.transactions[:2])) == [as_told(nothing), as_told(less)]
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "LIMIT_EXCEEDED")
    assert refused.metadata == {"resourceName": rule.name, "limit": "59"}
    assert everything(owner) == before
    assert asking.refused(request) == refused
    assert asking.balances("a", "b", EARNER) == [840, 40, 120]


def test_a_rule_that_takes_nothing_is_told_with_nothing(asking: Asking) -> None:
    """Zero, not unset: a rule applied. The same from the call, from a repeat and from a read."""

    asking.open("a", 10_000)
    asking.open("b")
    asking.charge(rate_millionths=500_000)
    rule = asking.charge(payer=DESTINATION, fixed_minor_units=5, maximum_minor_units=0)
    request = a_transfer("a", "b", 7)

    first, again = (asking.ok(request) for _ in range(2))

    assert fee(first.transaction) == (rule.name, 0, DESTINATION)
    assert (again.transaction, again.replayed) == (first.transaction, True)
    assert parts(first.transaction) == {"a": -7, "b": 7}
    assert asking.quote("a", "b", 7).commission == first.transaction.commission


@pytest.mark.parametrize("payer", [SOURCE, DESTINATION])
def test_a_transfer_takes_no_more_commission_than_it_says(asking: Asking, payer: Any) -> None:  # noqa: ANN401  # an enum
    """max_commission: what is due goes through, a unit less is refused; whoever pays."""

    asking.open("a", 1000)
    asking.open("b")
    guarded = partial(a_transfer, "a", "b", 100)
    assert not asking.transfer("a", "b", 1, max_commission=money(0)).HasField("commission")
    rule = asking.charge(rate_millionths=105_000, payer=payer)  # 10.5, so 11

    for most in (0, 10):
        refused = asking.refused(guarded(max_commission=money(most)))
        assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "LIMIT_EXCEEDED")
        assert refused.metadata == {"resourceName": rule.name, "limit": str(most)}
    for most in (11, 12, BIGGEST):
        assert fee(asking.transfer("a", "b", 100, max_commission=money(most))) == (rule.name, 11, payer)
    for wrong in (money(-1), money(11, "EUR"), money(11, "")):
        assert asking.refused(guarded(max_commission=wrong)).reason == "INVALID_FIELDS", wrong


def test_of_two_faults_in_a_charged_transfer_the_first_documented_is_told(asking: Asking) -> None:
    """States of both ends, then the commission's limits, then the money, then the largest balance."""

    asking.open("a", 1000)
    asking.open("b")
    asking.open("rich", overdraft_limit=money(BIGGEST - 10))
    asking.open("full", BIGGEST - 2000)
    asking.open("gone")
    asking.ok(wallet_pb.CloseWalletRequest(name="wallets/gone", request_id=new_id()))
    asking.charge(fixed_minor_units=100, label=rule_pb.Label(key="pays", value="yes"))
    asking.charge(fixed_minor_units=100, label=rule_pb.Label(key="gets", value="less"), payer=DESTINATION)
    asking.update("a", labels={"pays": "yes"})
    cases = [
        (a_transfer("a", "gone", 5, max_commission=money(1)), "WALLET_NOT_ACTIVE"),
        (a_transfer("a", "b", 5000, max_commission=money(99)), "LIMIT_EXCEEDED"),
        (a_transfer("a", "b", 901, max_commission=money(100)), "INSUFFICIENT_FUNDS"),
        (a_transfer("rich", "full", BIGGEST), "INSUFFICIENT_FUNDS"),
        (a_transfer("rich", "full", BIGGEST - 10), "LIMIT_EXCEEDED"),
    ]

    for request, reason in cases:
        assert asking.refused(request).reason == reason, request
    asking.update("b", labels={"gets": "less"})
    asking.update("a", "labels")
    assert asking.refused(a_transfer("a", "b", 50, max_commission=money(BIGGEST))).reason == "LIMIT_EXCEEDED"
    assert asking.transfer("a", "b", 900).commission.amount.minor_units == 100


def test_amounts_and_commissions_near_64_bits_are_refused_and_never_a_defect(asking: Asking) -> None:
    """LIMIT_EXCEEDED: of the rule where the sum cannot be counted, of the commission wallet where that is full."""

    for name in ("a", "c"):
        asking.open(name, overdraft_limit=money(BIGGEST))
    asking.open("b")
    huge = asking.charge(fixed_minor_units=2**62)
    assert fee(asking.transfer("a", "b", 1)) == (huge.name, 2**62, SOURCE)

    full = asking.refused(a_transfer("c", "b", 1))
    asking.charge(fixed_minor_units=BIGGEST, minimum_minor_units=BIGGEST, rate_millionths=1_000_000)
    beyond = [asking.refused(request) for request in (a_transfer("c", "b", BIGGEST), a_quote("c", "b", BIGGEST))]

    assert (full.reason, full.metadata["resourceName"]) == ("LIMIT_EXCEEDED", f"wallets/{EARNER}")
    assert [refused.reason for refused in beyond] == ["LIMIT_EXCEEDED"] * 2
    cut = asking.charge(rate_millionths=1_000_000, fixed_minor_units=BIGGEST, maximum_minor_units=7)
    assert asking.cost("c", "b", BIGGEST - 7) == (cut.name, 7)
    assert asking.refused(a_quote("c", "b", BIGGEST - 6)).reason == "LIMIT_EXCEEDED"


SMALL = st.integers(0, 5000)
TERMS = st.fixed_dictionaries(
    {
        "payer": st.sampled_from([SOURCE, DESTINATION]),
        "rate_millionths": st.one_of(st.sampled_from([0, 15_000, 500_000, 1_000_000]), st.integers(0, 1_000_000)),
        "fixed_minor_units": st.one_of(st.just(0), SMALL),
        "minimum_minor_units": st.one_of(st.just(0), SMALL),
        "threshold_minor_units": st.one_of(st.just(0), SMALL),
    },
    optional={"maximum_minor_units": st.integers(0, 9000)},
)


@given(terms=TERMS, amount=st.one_of(st.integers(1, 10_000), st.integers(1, 10**12)), spare=st.integers(-1, 1))
@settings(
    max_examples=often(25),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_quote_is_what_a_transfer_then_takes(asking: Asking, terms: dict[str, int], amount: int, spare: int) -> None:
    """Yes and no alike, and max_commission is held to it; by the contract's own arithmetic."""

    maximum = terms.get("maximum_minor_units")
    if maximum is not None:
        terms = {**terms, "maximum_minor_units": max(maximum, terms["minimum_minor_units"])}
    a, b = f"a-{new_id()}", f"b-{new_id()}"
    asking.open(a, overdraft_limit=money(10**15))
    asking.open(b)
    on_top = terms["payer"] == SOURCE
    rule = asking.charge(**terms, wallet=f"wallets/{a if on_top else b}")
    exact = terms["fixed_minor_units"] + Fraction(amount * terms["rate_millionths"], 1_000_000)
    due = max(int(exact + Fraction(1, 2)), terms["minimum_minor_units"])
    due = min(due, terms.get("maximum_minor_units", due))
    applies = amount > terms["threshold_minor_units"]
    request = a_transfer(a, b, amount, max_commission=money(max(0, due + spare)))

    asked = asking.answer(a_quote(a, b, amount))
    tried, made = asking.answer(changed(request, validate_only=True)), asking.answer(request)

    if applies and not on_top and due > amount:
        assert {one.reason for one in (asked, tried, made)} == {"LIMIT_EXCEEDED"}
        assert asked.metadata == {"resourceName": rule.name, "limit": str(amount)}
        return
    quote = rule_pb.QuoteCommissionResponse.FromString(asked.body)
    taken = due if applies else 0
    assert asked.code == "OK"
    assert quote.HasField("commission") is applies
    assert (quote.source_debit, quote.destination_credit) == (
        money(amount + (taken if on_top else 0)),
        money(amount - (0 if on_top else taken)),
    )
    if applies and due > request.max_commission.minor_units:
        assert tried == made
        assert (made.reason, made.metadata) == (
            "LIMIT_EXCEEDED",
            {"resourceName": rule.name, "limit": str(request.max_commission.minor_units)},
        )
        return
    for moved in (pb.TransferResponse.FromString(answer.body).transaction for answer in (tried, made)):
        assert moved.HasField("commission") is applies
        assert moved.commission == quote.commission
        assert fee(moved) == ((rule.name, taken, terms["payer"]) if applies else ("", 0, 0))
        moves = {a: -quote.source_debit.minor_units, b: quote.destination_credit.minor_units, EARNER: taken}
        assert parts(moved) == {name: part for name, part in moves.items() if part}


def test_a_quote_looks_at_neither_balances_nor_states_and_changes_nothing(
    asking: Asking, owner: psycopg.Connection
) -> None:
    """An empty, a frozen and a closed wallet are quoted alike; nothing at all is written."""

    for name in ("empty", "cold", "gone", "b"):
        asking.open(name)
    asking.ok(wallet_pb.FreezeWalletRequest(name="wallets/cold", request_id=new_id()))
    asking.ok(wallet_pb.CloseWalletRequest(name="wallets/gone", request_id=new_id()))
    rule = asking.charge(rate_millionths=100_000)
    before = everything(owner)

    quotes = [asking.quote(name, "b", 1000) for name in ("empty", "cold", "gone")]
    quotes += [asking.quote("b", name, 1000) for name in ("empty", "cold", "gone")]

    assert {(quote.commission.rule, quote.commission.amount.minor_units) for quote in quotes} == {(rule.name, 100)}
    assert {(quote.source_debit.minor_units, quote.destination_credit.minor_units) for quote in quotes} == {
        (1100, 1000)
    }
    assert everything(owner) == before


def test_of_two_faults_in_a_quote_the_first_documented_is_told(asking: Asking) -> None:
    """All of the source before all of the destination, as in a transfer; then the limit."""

    asking.open("alice")
    asking.open("bob")
    asking.open("eva", currency="EUR")
    asking.charge(fixed_minor_units=100, payer=DESTINATION)
    asking.charge(fixed_minor_units=100, payer=DESTINATION, currency_code="EUR")
    system = "system:external:USD"
    cases = [
        (a_quote(system, "bob", 0), "INVALID_FIELDS", ""),
        (a_quote(system, system, 1), "INVALID_FIELDS", ""),
        (a_quote("alice", "alice", 1), "INVALID_FIELDS", ""),
        (a_quote(system, "bob", 1, "XXX"), "PERMISSION_MISSING", ""),
        (a_quote("alice", "bob", -5), "INVALID_FIELDS", ""),
        (a_quote("nobody", system, 1), "PERMISSION_MISSING", ""),
        (a_quote(EARNER, "nobody", 1), "PERMISSION_MISSING", ""),
        (a_quote("nobody", "nobody-else", 1), "RESOURCE_NOT_FOUND", "wallets/nobody"),
        (a_quote("nobody", "eva", 1), "RESOURCE_NOT_FOUND", "wallets/nobody"),
        (a_quote("eva", "bob", 1), "CURRENCY_MISMATCH", "wallets/eva"),
        (a_quote("alice", "bob", 1, "XXX"), "CURRENCY_MISMATCH", "wallets/alice"),
        (a_quote("alice", "bob", 1, "EUR"), "CURRENCY_MISMATCH", "wallets/alice"),
        (a_quote("alice", "nobody", 1), "RESOURCE_NOT_FOUND", "wallets/nobody"),
        (a_quote("alice", "eva", 1), "CURRENCY_MISMATCH", "wallets/eva"),
        (a_quote("alice", "bob", 1), "LIMIT_EXCEEDED", None),
    ]

    for request, reason, resource in cases:
        told = asking.refused(request)
        assert told.reason == reason, request
        if resource is not None:
            assert told.metadata.get("resourceName", "") == resource, request


def test_a_quote_tells_of_a_source_in_another_currency_before_a_missing_destination(asking: Asking) -> None:
    """As a transfer does: `RESOURCE_NOT_FOUND` and `CURRENCY_MISMATCH` of the source, then of the destination."""

    asking.open("eva", currency="EUR")

    told = [asking.refused(ask("eva", "nobody", 1)) for ask in (a_transfer, a_quote)]

    assert [one.reason for one in told] == ["CURRENCY_MISMATCH"] * 2
    assert told[0].metadata == told[1].metadata == {"resourceName": "wallets/eva", "currency": "EUR"}


def test_an_atomic_batch_is_charged_item_by_item(asking: Asking, owner: psycopg.Connection) -> None:
    """Each on what those before it left, commission included; one that cannot pay it fails all, and is named."""

    for name, units in (("a", 1000), ("b", 0), ("c", 0)):
        asking.open(name, units)
    rule = asking.charge(rate_millionths=100_000)
    there, on = a_transfer("a", "b", 500), a_transfer("b", "c", 400)
    atomic = partial(batch, pb.BATCH_MODE_ATOMIC)
    refusals = [
        (atomic(there, a_transfer("b", "c", 460)), "INSUFFICIENT_FUNDS", {"available": "500", "required": "506"}),
        (atomic(there, there), "INSUFFICIENT_FUNDS", {"available": "450", "required": "550"}),
        (atomic(there, changed(on, max_commission=money(39))), "LIMIT_EXCEEDED", {"limit": "39"}),
    ]
    before = everything(owner)

    for request, reason, metadata in refusals:
        told = asking.refused(changed(request, validate_only=True))
        assert (told.reason, told.metadata["item"]) == (reason, "1")
        assert metadata.items() <= told.metadata.items()
    tried = asking.ok(changed(atomic(there, on), validate_only=True))
    assert everything(owner) == before
    request = atomic(there, on)
    made, again = (asking.ok(request) for _ in range(2))

    moved = [result.transaction for result in made.results]
    assert [fee(one) for one in moved] == [(rule.name, 50, SOURCE), (rule.name, 40, SOURCE)]
    assert [parts(result.transaction) for result in tried.results] == [parts(one) for one in moved]
    assert asking.balances("a", "b", "c", EARNER) == [450, 60, 400, 90]
    assert again.replayed
    assert [as_told(result.transaction) for result in again.results] == list(map(as_told, moved))


def test_items_of_a_batch_are_charged_each_on_its_own(asking: Asking) -> None:
    """One that cannot pay its commission, or may not cost so much, harms no neighbour."""

    asking.open("a", 1000)
    asking.open("b")
    rule = asking.charge(rate_millionths=100_000)
    items = [
        a_transfer("a", "b", 500),
        a_transfer("a", "b", 100, max_commission=money(9)),
        a_transfer("a", "b", 450),
        a_transfer("a", "b", 400, max_commission=money(40)),
    ]

    made = asking.ok(batch(pb.BATCH_MODE_ITEM, *items))

    told = [result.error.details[0] if result.HasField("error") else fee(result.transaction) for result in made.results]
    assert (told[0], told[3]) == ((rule.name, 50, SOURCE), (rule.name, 40, SOURCE))
    refused = [asking.refused(item).reason for item in items[1:3]]
    assert refused == ["LIMIT_EXCEEDED", "INSUFFICIENT_FUNDS"]
    assert [result.HasField("error") for result in made.results] == [False, True, True, False]
    assert asking.balances("a", "b", EARNER) == [10, 900, 90]


@pytest.mark.usefixtures("bank")
def test_nothing_but_transfers_is_charged(asking: Asking, app: App) -> None:
    """Neither deposits, nor holds and captures, nor withdrawals, nor scheduled deposits, nor what is given back."""

    asking.open("a", 10_000)
    asking.open("b")
    first = asking.transfer("a", "b", 1000)
    for payer in (SOURCE, DESTINATION):
        asking.charge(fixed_minor_units=7, payer=payer)
    hold = asking.ok(
        hold_pb.PlaceHoldRequest(wallet="wallets/a", amount=money(500), expire_time=LATE, request_id=new_id())
    ).hold
    captured = asking.ok(
        hold_pb.CaptureHoldRequest(name=hold.name, destination="wallets/b", request_id=new_id())
    ).transaction
    reversal = asking.ok(pb.ReverseTransactionRequest(name=first.name, request_id=new_id())).transaction
    for reserve in (False, True):
        asking.ok(
            order_pb.ScheduleWithdrawalRequest(
                wallet="wallets/a", amount=money(100), reserve=reserve, request_id=new_id()
            )
        )
    for collect in (False, True):
        asking.ok(
            order_pb.ScheduleDepositRequest(wallet="wallets/b", amount=money(200), collect=collect, request_id=new_id())
        )
    for job in (pay_due_withdrawals, collect_due_deposits, credit_due_deposits):
        job.run_once(app)
    asking.deposit("b", 50)

    assert asking.balances("a", "b", EARNER) == [9300, 950, 0]
    listed = [
        moved
        for wallet in ("a", "b")
        for moved in asking.ok(pb.ListTransactionsRequest(wallet=f"wallets/{wallet}")).transactions
    ]
    types = pb.Transaction
    assert {moved.type for moved in listed} == {
        *(types.TYPE_DEPOSIT, types.TYPE_TRANSFER, types.TYPE_HOLD_CAPTURE, types.TYPE_REVERSAL),
        *(types.TYPE_WITHDRAWAL, types.TYPE_COLLECTION),
    }
    assert not any(moved.HasField("commission") for moved in [*listed, captured, reversal])


def test_the_commission_wallet_can_be_read_and_adds_up(asking: Asking) -> None:
    """Its balance, its transactions and its statement are what was charged; it is in no list of wallets."""

    asking.open("a", 100_000)
    asking.open("b", 100_000)
    start = asking.wallet("a").create_time
    asking.charge(rate_millionths=30_000)
    charged = [asking.transfer(*ends, amount) for ends, amount in ((("a", "b"), 1050), (("b", "a"), 990))]

    listed = asking.ok(pb.ListTransactionsRequest(wallet=f"wallets/{EARNER}"))
    statement = asking.ok(
        pb.GetStatementRequest(wallet=f"wallets/{EARNER}", start_time=start, end_time=later(charged[1].execute_time, 1))
    )
    earned = sum(moved.commission.amount.minor_units for moved in charged)

    assert earned == 32 + 30
    assert list(map(as_told, listed.transactions)) == list(map(as_told, charged[::-1]))
    assert asking.wallet(EARNER).balance.minor_units == earned
    assert asking.wallet(EARNER).available.minor_units == earned
    assert [(sum_.type, sum_.count, sum_.credited.minor_units) for sum_ in statement.totals] == [
        (pb.Transaction.TYPE_TRANSFER, 2, earned)
    ]
    assert (statement.opening_balance.minor_units, statement.closing_balance.minor_units) == (0, earned)
    assert [entry.transaction for entry in statement.entries] == [moved.name for moved in charged]
    wallets = asking.ok(wallet_pb.ListWalletsRequest()).wallets
    assert [wallet.name for wallet in wallets] == ["wallets/b", "wallets/a"]


def test_no_call_changes_the_commission_wallet(asking: Asking, owner: psycopg.Connection) -> None:
    """But for taking out what was earned: every other call that names it is refused, and leaves nothing."""

    asking.open("a", 1000)
    asking.open("b")
    asking.charge(fixed_minor_units=100)
    asking.transfer("a", "b", 500)
    hold = asking.ok(
        hold_pb.PlaceHoldRequest(wallet="wallets/a", amount=money(5), expire_time=LATE, request_id=new_id())
    ).hold
    name = f"wallets/{EARNER}"
    asked: dict[str, Any] = {"wallet": name, "amount": money(1), "request_id": new_id()}
    named: dict[str, Any] = {"name": name, "request_id": new_id()}
    calls = [
        a_deposit(EARNER, 1),
        a_transfer("a", EARNER, 1),
        a_rule(wallet=name),
        an_update(EARNER, display_name="mine"),
        an_update(EARNER, overdraft_limit=money(1)),
        batch(pb.BATCH_MODE_ATOMIC, a_transfer("a", "b", 1), a_transfer("a", EARNER, 1)),
        hold_pb.PlaceHoldRequest(**asked, expire_time=LATE),
        hold_pb.CaptureHoldRequest(name=hold.name, destination=name, request_id=new_id()),
        order_pb.ScheduleDepositRequest(**asked),
        wallet_pb.FreezeWalletRequest(**named),
        wallet_pb.UnfreezeWalletRequest(**named),
        wallet_pb.CloseWalletRequest(**named),
    ]
    before = everything(owner)

    for request in calls:
        told = asking.refused(request)
        assert (told.code, told.reason) == ("PERMISSION_DENIED", "PERMISSION_MISSING"), request
        assert "permission" in told.metadata
    taken = wallet_pb.CreateWalletRequest(
        wallet_id=EARNER, wallet=wallet_pb.Wallet(currency_code="USD"), request_id=new_id()
    )
    assert asking.refused(taken).reason == "INVALID_FIELDS"
    assert everything(owner) == before
    assert asking.balances(EARNER) == [100]


def test_a_repeat_is_the_first_transfer_whatever_the_rules_are_by_then(
    asking: Asking, owner: psycopg.Connection
) -> None:
    """Fee and refusal are of the first call; another guard under its id is another request."""

    asking.open("a", 10_000)
    asking.open("b")
    rule = asking.charge(fixed_minor_units=10)
    paid = a_transfer("a", "b", 100, max_commission=money(10))
    guarded = a_transfer("a", "b", 100, max_commission=money(9))
    first, refused = asking.ok(paid), asking.refused(guarded)
    asking.charge(fixed_minor_units=5000)
    asking.end(rule.name)
    before = everything(owner)

    again = asking.ok(paid)

    assert (again.source_available, again.replayed) == (first.source_available, True)
    assert as_told(again.transaction) == as_told(first.transaction)
    assert asking.refused(guarded) == refused
    for other in (None, money(11), money(9)):
        assert asking.refused(changed(paid, max_commission=other)).reason == "REQUEST_ID_REUSED"
    assert everything(owner) == before


@pytest.mark.parametrize("payer", [SOURCE, DESTINATION])
def test_a_charged_transfer_is_told_alike_by_the_call_by_a_repeat_and_by_a_read(asking: Asking, payer: Any) -> None:  # noqa: ANN401  # an enum
    """To the order of its entries."""

    asking.open("a", 10_000)
    asking.open("b")
    asking.charge(fixed_minor_units=30, payer=payer)
    request = a_transfer("a", "b", 100)

    first, again = (asking.ok(request).transaction for _ in range(2))

    assert again == first
    assert asking.ok(pb.GetTransactionRequest(name=first.name)).transaction == first


def test_one_charged_transfer_sent_by_many_is_charged_once(asking: Asking) -> None:
    """Twenty at once with the same id: one transaction, one fee."""

    asking.open("a", 10_000)
    asking.open("b")
    asking.charge(fixed_minor_units=10)
    request = a_transfer("a", "b", 100)

    answers = together([partial(asking.ok, request)] * 20)

    told = [answer for answer in answers if isinstance(answer, pb.TransferResponse)]
    assert len(told) == 20
    assert len({answer.transaction.name for answer in told}) == 1
    assert sum(not answer.replayed for answer in told) == 1
    assert asking.balances("a", "b", EARNER) == [9890, 100, 10]
