"""Which commission rule applies to a transfer: by time, by scope and by currency."""

from typing import Any

import psycopg
import pytest
from wallet.v1 import commission_service_pb2 as pb
from wallet.v1 import transaction_service_pb2 as transaction_pb
from wallet.v1 import wallet_service_pb2 as wallet_pb

from tests.support.api import Api, all_refused
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
    api: Api, funded_pair: tuple[str, str]
) -> None:
    """Looked at is when the money moved: no transfer before the start or from the end on carries it."""

    now = api.transfer(*funded_pair, 1).execute_time
    request = with_rule(start_time=later(now, SECOND), end_time=later(now, SECOND * 2))
    rule: pb.CommissionRule = api.ok(request).rule
    assert api.cost(*funded_pair, 100) == ("", 0)

    moved = [api.transfer(*funded_pair, 100)]
    while moved[-1].execute_time.ToMicroseconds() < rule.end_time.ToMicroseconds():
        moved.append(api.transfer(*funded_pair, 100))
    late = api.ok(request)

    def carries(one: transaction_pb.Transaction) -> bool:
        return rule.start_time.ToMicroseconds() <= one.execute_time.ToMicroseconds() < rule.end_time.ToMicroseconds()

    assert [one.commission.rule for one in moved] == [rule.name if carries(one) else "" for one in moved]
    assert {carries(one) for one in moved} == {True, False}
    assert api.cost(*funded_pair, 100) == ("", 0)
    assert (late.rule, late.replayed) == (rule, True)


def test_a_rule_that_is_ended_applies_no_more_and_stays_ended(
    api: Api, owner: psycopg.Connection, funded_pair: tuple[str, str]
) -> None:
    """Now, by the database's clock; every further end is refused finally, later or nearer."""

    rule = api.charge(rate_millionths=10_000)
    assert api.cost(*funded_pair, 100) == (rule.name, 1)
    request = an_end(rule.name)

    ended = api.ok(request)
    again = api.ok(request)

    assert ended.rule == changed(rule, end_time=ended.rule.end_time)
    assert rule.create_time.ToMicroseconds() < ended.rule.end_time.ToMicroseconds()
    assert api.rule(rule.name) == ended.rule
    assert (again.rule, again.replayed, ended.replayed) == (ended.rule, True, False)
    assert api.cost(*funded_pair, 100) == ("", 0)
    assert events_of(owner, rule.name) == ["commission_rule.created", "commission_rule.ended"]
    for refusal in all_refused(api, owner, [an_end(rule.name), an_end(rule.name, LATE)]):
        assert (refusal.reason, refusal.metadata["resourceName"]) == ("STATE_TRANSITION_FORBIDDEN", rule.name)
        assert refusal.metadata.keys() == {"resourceName", "state", "explanation"}
    assert api.rule(rule.name) == ended.rule


def test_a_rule_that_ends_before_it_starts_never_applies(api: Api, funded_pair: tuple[str, str]) -> None:
    """Ended while it was yet to come."""

    now = api.transfer(*funded_pair, 1).execute_time
    rule = api.charge(fixed_minor_units=5, start_time=later(now, SECOND))
    ended = api.end(rule.name)
    assert ended.end_time.ToMicroseconds() < rule.start_time.ToMicroseconds()

    moved = api.transfer(*funded_pair, 10)
    while moved.execute_time.ToMicroseconds() < later(rule.start_time, SECOND // 20).ToMicroseconds():
        moved = api.transfer(*funded_pair, 10)
        assert not moved.HasField("commission")
    assert api.rule(rule.name) == ended


def test_the_rule_for_the_wallet_goes_before_the_labels_before_the_currencys(api: Api) -> None:
    """Then the later start, then the newer one; as each funded_pair, the next takes over."""

    api.open("a", labels={"tier": "gold"})
    api.open("b")
    api.open("c")
    # Made in the order of precedence, so that neither beginning later nor being newer helps.
    scopes: list[dict[str, Any]] = [
        {"wallet": "wallets/a"},
        {"label": pb.Label(key="tier", value="gold")},
        {},
    ]
    rules = [api.charge(**scope) for scope in scopes]
    for others in ({"wallet": "wallets/b"}, {"label": pb.Label(key="tier", value="silver")}, {"currency_code": "EUR"}):
        api.charge(**others)
    soon = later(api.open("d").create_time, SECOND)
    newer, newest = (api.charge(rate_millionths=rate, start_time=soon) for rate in (1, 2))
    while api.cost("c", "b", 1)[0] == rules[2].name:
        pass

    applied = []
    while found := api.cost("a", "b", 1)[0]:
        applied.append(found)
        api.end(found)

    assert applied == [rule.name for rule in (rules[0], rules[1], newest, newer, rules[2])]


@pytest.mark.parametrize("payer", [SOURCE, DESTINATION])
def test_a_label_that_comes_and_goes_brings_its_rule_and_takes_it_along(api: Api, payer: Any) -> None:  # noqa: ANN401  # an enum
    """By UpdateWallet, on the side that pays; labels of the other side and other values do nothing."""

    api.open("a", 1000)
    api.open("b", 1000)
    pays, other = ("a", "b") if payer == SOURCE else ("b", "a")
    everyone = api.charge(rate_millionths=10_000, payer=payer)
    rule = api.charge(rate_millionths=200_000, payer=payer, label=pb.Label(key="tier", value="gold"))

    def charged() -> str:
        quoted, moved = api.cost("a", "b", 100)[0], api.transfer("a", "b", 100).commission.rule
        assert quoted == moved
        return moved

    assert charged() == everyone.name
    api.update(other, labels={"tier": "gold"})
    api.update(pays, labels={"tier": "silver", "kind": "gold"})
    assert charged() == everyone.name
    api.update(pays, labels={"tier": "gold", "kind": "shop"})
    assert charged() == rule.name
    api.update(pays, display_name="still gold")
    assert charged() == rule.name
    api.update(pays, "labels")
    assert charged() == everyone.name
    api.open("c", labels={"tier": "gold"})
    assert api.cost("c", "b", 100)[0] == (rule.name if payer == SOURCE else everyone.name)


def test_a_rule_for_one_wallet_is_for_the_side_that_pays(api: Api) -> None:
    """Not those of others, and not in the other direction."""

    for name in ("a", "b", "c"):
        api.open(name, 1000)
    gives = api.charge(fixed_minor_units=3, wallet="wallets/a")
    gets = api.charge(fixed_minor_units=4, wallet="wallets/c", payer=DESTINATION)

    costs = {f"{one}{two}": api.cost(one, two, 10) for one in "abc" for two in "abc" if one != two}

    assert costs == {
        **dict.fromkeys(["ba", "ca", "cb"], ("", 0)),
        "ab": (gives.name, 3),
        "bc": (gets.name, 4),
        "ac": (gives.name, 3) if costs["ac"][1] == 3 else (gets.name, 4),
    }
    # Both fit the transfer from a to c: the one with the later start applies.
    assert costs["ac"] == (gets.name, 4)


def test_a_rule_may_come_before_the_first_wallet_of_its_currency(api: Api, owner: psycopg.Connection) -> None:
    """Nothing of it stays where it was only validated; then it charges the first transfer there is."""

    request = with_rule(currency_code="KWD", rate_millionths=100_000)
    tried = api.ok(changed(request, validate_only=True))
    assert (tried.rule.name, tried.replayed, count(owner, "wallets")) == ("", False, 0)
    rule = api.ok(request).rule

    api.open("a", 1000, "KWD")
    api.open("b", currency="KWD")
    moved = api.transfer("a", "b", 105, currency="KWD")

    assert (moved.commission.rule, moved.commission.amount) == (rule.name, money(11, "KWD"))
    assert api.balances("a", "b", "system:commission:KWD", "system:external:KWD") == [884, 105, 11, -1000]
    wallets = api.ok(wallet_pb.ListWalletsRequest()).wallets
    assert [wallet.name for wallet in wallets] == ["wallets/b", "wallets/a"]


def test_rules_of_one_currency_charge_no_other(api: Api) -> None:
    """Each currency has its own rules and its own commission wallet."""

    for currency in ("USD", "EUR"):
        api.open(f"a-{currency.lower()}", 100, currency)
        api.open(f"b-{currency.lower()}", currency=currency)
    rule = api.charge(fixed_minor_units=1, currency_code="EUR")

    free = api.transfer("a-usd", "b-usd", 10)
    charged = api.transfer("a-eur", "b-eur", 10, currency="EUR")

    both = transaction_pb.BatchTransferRequest(mode=transaction_pb.BATCH_MODE_ATOMIC, request_id=new_id())
    for currency in ("USD", "EUR"):
        source, destination = (f"wallets/{side}-{currency.lower()}" for side in "ab")
        both.items.add(source=source, destination=destination, amount=money(10, currency))
    results = api.ok(both).results

    assert (free.HasField("commission"), charged.commission.rule) == (False, rule.name)
    assert [result.transaction.commission.rule for result in results] == ["", rule.name]
    assert api.balances("system:commission:USD", "system:commission:EUR") == [0, 2]


def test_a_frozen_or_closed_wallet_does_not_prevent_a_rule(api: Api) -> None:
    """A rule names a wallet; the wallet's state does not matter to it."""

    for name in ("cold", "gone", "b"):
        api.open(name)
    api.ok(wallet_pb.FreezeWalletRequest(name="wallets/cold", request_id=new_id()))
    api.ok(wallet_pb.CloseWalletRequest(name="wallets/gone", request_id=new_id()))

    rules = [api.charge(wallet=f"wallets/{name}", fixed_minor_units=1) for name in ("cold", "gone")]

    assert [api.cost(name, "b", 1)[0] for name in ("cold", "gone")] == [rule.name for rule in rules]
    assert api.answer(a_quote("b", "cold", 1)).code == "OK"
