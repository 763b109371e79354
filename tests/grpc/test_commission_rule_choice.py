"""Which commission rule applies to a transfer: by time, by scope and by currency."""

from typing import Any

import psycopg
import pytest
from wallet.v1 import commission_service_pb2 as pb
from wallet.v1 import transaction_service_pb2 as transaction_pb
from wallet.v1 import wallet_service_pb2 as wallet_pb

from tests.support.asking import Asking, all_refused
from tests.support.callers import count, events_of
from tests.support.commission import with_rule
from tests.support.requests import (
    DESTINATION,
    LATE,
    SOURCE,
    a_quote,
    an_end,
    changed,
    later,
    money,
    new_id,
)

SECOND = 1_000_000
"""In microseconds."""


def test_a_rule_applies_from_its_start_until_its_end_and_not_a_transfer_longer(
    asking: Asking, funded_pair: tuple[str, str]
) -> None:
    """Looked at is when the money moved: no transfer before the start or from the end on carries it."""

    now = asking.transfer(*funded_pair, 1).execute_time
    request = with_rule(start_time=later(now, SECOND), end_time=later(now, SECOND * 2))
    rule: pb.CommissionRule = asking.ok(request).rule
    assert asking.cost(*funded_pair, 100) == ("", 0)

    moved = [asking.transfer(*funded_pair, 100)]
    while moved[-1].execute_time.ToMicroseconds() < rule.end_time.ToMicroseconds():
        moved.append(asking.transfer(*funded_pair, 100))
    late = asking.ok(request)

    def carries(one: transaction_pb.Transaction) -> bool:
        return rule.start_time.ToMicroseconds() <= one.execute_time.ToMicroseconds() < rule.end_time.ToMicroseconds()

    assert [one.commission.rule for one in moved] == [rule.name if carries(one) else "" for one in moved]
    assert {carries(one) for one in moved} == {True, False}
    assert asking.cost(*funded_pair, 100) == ("", 0)
    assert (late.rule, late.replayed) == (rule, True)


def test_a_rule_that_is_ended_applies_no_more_and_stays_ended(
    asking: Asking, owner: psycopg.Connection, funded_pair: tuple[str, str]
) -> None:
    """Now, by the database's clock; every further end is refused finally, later or nearer."""

    rule = asking.charge(rate_millionths=10_000)
    assert asking.cost(*funded_pair, 100) == (rule.name, 1)
    request = an_end(rule.name)

    ended = asking.ok(request)
    again = asking.ok(request)

    assert ended.rule == changed(rule, end_time=ended.rule.end_time)
    assert rule.create_time.ToMicroseconds() < ended.rule.end_time.ToMicroseconds()
    assert asking.rule(rule.name) == ended.rule
    assert (again.rule, again.replayed, ended.replayed) == (ended.rule, True, False)
    assert asking.cost(*funded_pair, 100) == ("", 0)
    assert events_of(owner, rule.name) == ["commission_rule.created", "commission_rule.ended"]
    for refusal in all_refused(asking, owner, [an_end(rule.name), an_end(rule.name, LATE)]):
        assert (refusal.reason, refusal.metadata["resourceName"]) == ("STATE_TRANSITION_FORBIDDEN", rule.name)
        assert refusal.metadata.keys() == {"resourceName", "state", "explanation"}
    assert asking.rule(rule.name) == ended.rule


def test_a_rule_that_ends_before_it_starts_never_applies(asking: Asking, funded_pair: tuple[str, str]) -> None:
    """Ended while it was yet to come."""

    now = asking.transfer(*funded_pair, 1).execute_time
    rule = asking.charge(fixed_minor_units=5, start_time=later(now, SECOND))
    ended = asking.end(rule.name)
    assert ended.end_time.ToMicroseconds() < rule.start_time.ToMicroseconds()

    moved = asking.transfer(*funded_pair, 10)
    while moved.execute_time.ToMicroseconds() < later(rule.start_time, SECOND // 20).ToMicroseconds():
        moved = asking.transfer(*funded_pair, 10)
        assert not moved.HasField("commission")
    assert asking.rule(rule.name) == ended


def test_the_rule_for_the_wallet_goes_before_the_labels_before_the_currencys(asking: Asking) -> None:
    """Then the later start, then the newer one; as each funded_pair, the next takes over."""

    asking.open("a", labels={"tier": "gold"})
    asking.open("b")
    asking.open("c")
    # Made in the order of precedence, so that neither beginning later nor being newer helps.
    scopes: list[dict[str, Any]] = [
        {"wallet": "wallets/a"},
        {"label": pb.Label(key="tier", value="gold")},
        {},
    ]
    rules = [asking.charge(**scope) for scope in scopes]
    for others in ({"wallet": "wallets/b"}, {"label": pb.Label(key="tier", value="silver")}, {"currency_code": "EUR"}):
        asking.charge(**others)
    soon = later(asking.open("d").create_time, SECOND)
    newer, newest = (asking.charge(rate_millionths=rate, start_time=soon) for rate in (1, 2))
    while asking.cost("c", "b", 1)[0] == rules[2].name:
        pass

    applied = []
    while found := asking.cost("a", "b", 1)[0]:
        applied.append(found)
        asking.end(found)

    assert applied == [rule.name for rule in (rules[0], rules[1], newest, newer, rules[2])]


@pytest.mark.parametrize("payer", [SOURCE, DESTINATION])
def test_a_label_that_comes_and_goes_brings_its_rule_and_takes_it_along(asking: Asking, payer: Any) -> None:  # noqa: ANN401  # an enum
    """By UpdateWallet, on the side that pays; labels of the other side and other values do nothing."""

    asking.open("a", 1000)
    asking.open("b", 1000)
    pays, other = ("a", "b") if payer == SOURCE else ("b", "a")
    everyone = asking.charge(rate_millionths=10_000, payer=payer)
    rule = asking.charge(rate_millionths=200_000, payer=payer, label=pb.Label(key="tier", value="gold"))

    def charged() -> str:
        quoted, moved = asking.cost("a", "b", 100)[0], asking.transfer("a", "b", 100).commission.rule
        assert quoted == moved
        return moved

    assert charged() == everyone.name
    asking.update(other, labels={"tier": "gold"})
    asking.update(pays, labels={"tier": "silver", "kind": "gold"})
    assert charged() == everyone.name
    asking.update(pays, labels={"tier": "gold", "kind": "shop"})
    assert charged() == rule.name
    asking.update(pays, display_name="still gold")
    assert charged() == rule.name
    asking.update(pays, "labels")
    assert charged() == everyone.name
    asking.open("c", labels={"tier": "gold"})
    assert asking.cost("c", "b", 100)[0] == (rule.name if payer == SOURCE else everyone.name)


def test_a_rule_for_one_wallet_is_for_the_side_that_pays(asking: Asking) -> None:
    """Not those of others, and not in the other direction."""

    for name in ("a", "b", "c"):
        asking.open(name, 1000)
    gives = asking.charge(fixed_minor_units=3, wallet="wallets/a")
    gets = asking.charge(fixed_minor_units=4, wallet="wallets/c", payer=DESTINATION)

    costs = {f"{one}{two}": asking.cost(one, two, 10) for one in "abc" for two in "abc" if one != two}

    assert costs == {
        **dict.fromkeys(["ba", "ca", "cb"], ("", 0)),
        "ab": (gives.name, 3),
        "bc": (gets.name, 4),
        "ac": (gives.name, 3) if costs["ac"][1] == 3 else (gets.name, 4),
    }
    # Both fit the transfer from a to c: the one with the later start applies.
    assert costs["ac"] == (gets.name, 4)


def test_a_rule_may_come_before_the_first_wallet_of_its_currency(asking: Asking, owner: psycopg.Connection) -> None:
    """Nothing of it stays where it was only validated; then it charges the first transfer there is."""

    request = with_rule(currency_code="KWD", rate_millionths=100_000)
    tried = asking.ok(changed(request, validate_only=True))
    assert (tried.rule.name, tried.replayed, count(owner, "wallets")) == ("", False, 0)
    rule = asking.ok(request).rule

    asking.open("a", 1000, "KWD")
    asking.open("b", currency="KWD")
    moved = asking.transfer("a", "b", 105, currency="KWD")

    assert (moved.commission.rule, moved.commission.amount) == (rule.name, money(11, "KWD"))
    assert asking.balances("a", "b", "system:commission:KWD", "system:external:KWD") == [884, 105, 11, -1000]
    wallets = asking.ok(wallet_pb.ListWalletsRequest()).wallets
    assert [wallet.name for wallet in wallets] == ["wallets/b", "wallets/a"]


def test_rules_of_one_currency_charge_no_other(asking: Asking) -> None:
    """Each currency has its own rules and its own commission wallet."""

    for currency in ("USD", "EUR"):
        asking.open(f"a-{currency.lower()}", 100, currency)
        asking.open(f"b-{currency.lower()}", currency=currency)
    rule = asking.charge(fixed_minor_units=1, currency_code="EUR")

    free = asking.transfer("a-usd", "b-usd", 10)
    charged = asking.transfer("a-eur", "b-eur", 10, currency="EUR")

    both = transaction_pb.BatchTransferRequest(mode=transaction_pb.BATCH_MODE_ATOMIC, request_id=new_id())
    for currency in ("USD", "EUR"):
        source, destination = (f"wallets/{side}-{currency.lower()}" for side in "ab")
        both.items.add(source=source, destination=destination, amount=money(10, currency))
    results = asking.ok(both).results

    assert (free.HasField("commission"), charged.commission.rule) == (False, rule.name)
    assert [result.transaction.commission.rule for result in results] == ["", rule.name]
    assert asking.balances("system:commission:USD", "system:commission:EUR") == [0, 2]


def test_a_frozen_or_closed_wallet_does_not_prevent_a_rule(asking: Asking) -> None:
    """A rule names a wallet; the wallet's state does not matter to it."""

    for name in ("cold", "gone", "b"):
        asking.open(name)
    asking.ok(wallet_pb.FreezeWalletRequest(name="wallets/cold", request_id=new_id()))
    asking.ok(wallet_pb.CloseWalletRequest(name="wallets/gone", request_id=new_id()))

    rules = [asking.charge(wallet=f"wallets/{name}", fixed_minor_units=1) for name in ("cold", "gone")]

    assert [asking.cost(name, "b", 1)[0] for name in ("cold", "gone")] == [rule.name for rule in rules]
    assert asking.answer(a_quote("b", "cold", 1)).code == "OK"
