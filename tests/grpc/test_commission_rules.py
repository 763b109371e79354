"""Commission rules: created, ended and listed; refused, repeated and validated."""

from functools import partial
from typing import Any
from uuid import uuid4

import psycopg
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from wallet.v1 import commission_service_pb2 as pb
from wallet.v1 import wallet_service_pb2 as wallet_pb

from tests.support.api import Api, all_refused
from tests.support.callers import BIGGEST, count, events_of, everything
from tests.support.commission import with_rule
from tests.support.requests import (
    DESTINATION,
    LATE,
    a_rule,
    a_transfer,
    an_end,
    changed,
    later,
    new_id,
)
from tests.support.together import together

EARLY = Timestamp(seconds=1_000_000_000)


def list_rules(api: Api, **fields: Any) -> list[pb.CommissionRule]:  # noqa: ANN401  # a request's fields
    """Return a list of rules, page by page."""
    rules: list[pb.CommissionRule] = []
    request = pb.ListCommissionRulesRequest(**fields)
    while True:
        page = api.ok(request)
        rules += page.rules
        if not page.next_page_token:
            return rules
        request.page_token = page.next_page_token


def test_a_rule_is_what_was_requested_from_now_on(api: Api, owner: psycopg.Connection) -> None:
    """Every field; named, timed by the database, published once, and the same when read."""

    api.open("alice")
    scopes: list[dict[str, Any]] = [
        {},
        {"wallet": "wallets/alice"},
        {"label": pb.Label(key="tier", value="")},
        {"label": pb.Label(key="a" + "-" * 62, value="é" * 63)},
    ]
    for scope in scopes:
        fields = {
            "currency_code": "USD",
            "threshold_minor_units": 5,
            "rate_millionths": 1_000_000,
            "payer": DESTINATION,
            "fixed_minor_units": BIGGEST,
            "minimum_minor_units": 3,
            "maximum_minor_units": 3,
            "end_time": LATE,
            **scope,
        }
        made = api.ok(a_rule(**fields))
        rule = made.rule
        assert rule == pb.CommissionRule(
            **fields, name=rule.name, start_time=rule.create_time, create_time=rule.create_time
        )
        assert rule.name.startswith("commissionRules/")
        assert not made.replayed
        assert api.rule(rule.name) == rule
        assert list_rules(api)[0] == rule
        assert events_of(owner, rule.name) == ["commission_rule.created"]
    plain = api.charge()
    assert {field.name for field, _ in plain.ListFields()}.isdisjoint({"maximum_minor_units", "end_time", "wallet"})


def test_a_rule_that_makes_no_sense_is_refused_by_its_fields(api: Api, owner: psycopg.Connection) -> None:
    """INVALID_FIELDS, naming what to mend; nothing is kept, and nothing is a defect."""

    api.open("alice")
    label = pb.Label
    cases: list[tuple[dict[str, Any], str]] = [
        *(({"currency_code": code}, "rule.currency_code") for code in ("", "usd", "US", "ABC", "XXX", "XAU")),
        ({"threshold_minor_units": -1}, "rule.threshold_minor_units"),
        ({"rate_millionths": -1}, "rule.rate_millionths"),
        ({"rate_millionths": 1_000_001}, "rule.rate_millionths"),
        ({"fixed_minor_units": -(2**63)}, "rule.fixed_minor_units"),
        ({"minimum_minor_units": -1}, "rule.minimum_minor_units"),
        ({"maximum_minor_units": -1, "minimum_minor_units": -1}, "rule.maximum_minor_units"),
        ({"minimum_minor_units": 2, "maximum_minor_units": 1}, "rule"),
        ({"payer": 0}, "rule.payer"),
        ({"payer": 3}, "rule.payer"),
        *(({"wallet": name}, "rule.wallet") for name in ("", "alice", "wallets/", "wallets/A", "wallets/alice\n")),
        *(({"label": label(key=key)}, "rule.label.key") for key in ("", "A", "1a", "a" * 64, "a b", "é", "a\n")),
        *(({"label": label(key="a", value=bad)}, "rule.label.value") for bad in ("v" * 64, "\0", "a\tb", "\x7f")),
        ({"start_time": LATE, "end_time": LATE}, "rule"),
        ({"start_time": later(LATE, 1), "end_time": LATE}, "rule"),
        ({"end_time": EARLY}, "rule.end_time"),
        ({"start_time": EARLY}, "rule.start_time"),
        ({"start_time": EARLY, "end_time": LATE}, "rule.start_time"),
        *(({"start_time": Timestamp(seconds=-62_135_596_800)}, "rule.start_time"),),
    ]
    before = everything(owner)

    for fields, violation in cases:
        refusal = api.refused(with_rule(**fields))
        assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "INVALID_FIELDS"), fields
        assert violation in refusal.violations, fields
    for request in (
        pb.CreateCommissionRuleRequest(request_id=new_id()),
        changed(with_rule(), request_id=""),
        changed(with_rule(), request_id="x"),
        pb.GetCommissionRuleRequest(name="commissionRules/x"),
        pb.EndCommissionRuleRequest(name=f"rules/{uuid4()}", request_id=new_id()),
        pb.EndCommissionRuleRequest(name=f"commissionRules/{uuid4()}"),
        pb.ListCommissionRulesRequest(page_size=-1),
    ):
        assert api.refused(request).reason == "INVALID_FIELDS", request
    assert everything(owner) == before


def test_a_time_that_is_none_is_refused_and_never_a_defect(api: Api, owner: psycopg.Connection) -> None:
    """Outside the years 1 to 9999, or with nanoseconds that are none; the last moment of all is a time."""

    last = Timestamp(seconds=253_402_300_799, nanos=999_999_999)
    rule = api.charge(start_time=LATE)
    times = [
        *(Timestamp(seconds=seconds) for seconds in (2**63 - 1, -(2**63), 253_402_300_800, -62_135_596_801)),
        *(Timestamp(seconds=LATE.seconds, nanos=nanos) for nanos in (-1, 1_000_000_000, 2**31 - 1, -(2**31))),
    ]
    before = everything(owner)

    for time in times:
        for fields in ({"start_time": time}, {"end_time": time}, {"start_time": time, "end_time": last}):
            assert api.refused(with_rule(**fields)).reason == "INVALID_FIELDS", fields
        assert api.refused(an_end(rule.name, time)).reason == "INVALID_FIELDS", time
    assert everything(owner) == before
    made = api.charge(start_time=later(last, -1), end_time=last)
    assert api.rule(made.name) == made
    assert [found.name for found in list_rules(api, filter='end_time > "9999-12-31T23:59:59.999998Z"')] == [
        made.name,
        rule.name,
    ]


def test_of_two_faults_in_a_rule_the_first_documented_is_reported(api: Api, owner: psycopg.Connection) -> None:
    """Shape, permission, used id, then currency and times, then the wallet and its currency; final ones are kept."""

    api.open("alice")
    used = with_rule()
    api.ok(used)
    nobody, system = "wallets/nobody", "wallets/system:external:USD"
    cases = [
        (with_rule(wallet=system, rate_millionths=-1), "INVALID_FIELDS", None),
        (with_rule(wallet=system, currency_code="XXX"), "PERMISSION_MISSING", None),
        (with_rule(wallet=system, start_time=EARLY), "PERMISSION_MISSING", None),
        (with_rule(wallet="wallets/system:commission:ZZZ"), "PERMISSION_MISSING", None),
        (changed(with_rule(wallet=system), request_id=used.request_id), "PERMISSION_MISSING", None),
        (changed(with_rule(start_time=EARLY), request_id=used.request_id), "REQUEST_ID_REUSED", None),
        (changed(with_rule(wallet=nobody), request_id=used.request_id), "REQUEST_ID_REUSED", None),
        (changed(with_rule(currency_code="XXX"), request_id=used.request_id), "REQUEST_ID_REUSED", None),
        (with_rule(wallet=nobody, currency_code="XXX"), "INVALID_FIELDS", None),
        (with_rule(wallet=nobody, start_time=EARLY), "INVALID_FIELDS", None),
        (with_rule(wallet=nobody, end_time=EARLY), "INVALID_FIELDS", None),
        (with_rule(wallet=nobody, currency_code="EUR"), "RESOURCE_NOT_FOUND", {"resourceName": nobody}),
        (
            with_rule(wallet="wallets/alice", currency_code="EUR"),
            "CURRENCY_MISMATCH",
            {"resourceName": "wallets/alice", "currency": "USD"},
        ),
    ]

    answers = all_refused(api, owner, [request for request, _, _ in cases])
    assert [answer.reason for answer in answers] == [reason for _, reason, _ in cases]
    assert [answer.metadata for answer in answers[-2:]] == [metadata for _, _, metadata in cases[-2:]]
    unknown = cases[-2][0]
    api.open("nobody", currency="EUR")
    assert api.refused(unknown).reason == "RESOURCE_NOT_FOUND"
    assert [rule.name for rule in list_rules(api)] == [api.ok(used).rule.name]


def test_a_start_in_the_past_is_refused_by_the_databases_clock(api: Api, funded_pair: tuple[str, str]) -> None:
    """Even the last moment that was; a repeat of what was in time is answered however late it comes."""

    now = api.transfer(*funded_pair, 1).execute_time

    for fields in ({"start_time": now}, {"end_time": now}):
        refusal = api.refused(with_rule(**fields))
        assert (refusal.reason, len(refusal.violations)) == ("INVALID_FIELDS", 1)
    late = with_rule(start_time=now)
    assert api.refused(late).reason == "INVALID_FIELDS"
    assert api.ok(changed(with_rule(), request_id=late.request_id)).replayed is False


def test_an_end_may_only_come_nearer(api: Api) -> None:
    """From never to late, from late to earlier, to now; repeats return its present state."""

    rule = api.charge()
    first = an_end(rule.name, LATE)

    assert api.ok(first).rule == changed(rule, end_time=LATE)
    assert api.end(rule.name, later(LATE, -1)).end_time == later(LATE, -1)
    again = api.ok(first)
    now = api.end(rule.name)

    assert (again.rule.end_time, again.replayed) == (later(LATE, -1), True)
    assert api.ok(first).rule == now == api.rule(rule.name)
    assert now.end_time.ToMicroseconds() < LATE.ToMicroseconds()


def test_an_end_later_than_the_one_it_has_is_forbidden(api: Api, owner: psycopg.Connection) -> None:
    """`STATE_TRANSITION_FORBIDDEN` (it ends before that time anyway): final, and the end stays."""

    rule = api.charge(end_time=LATE)

    (refusals,) = all_refused(api, owner, [an_end(rule.name, later(LATE, 1))])

    assert (refusals.reason, refusals.metadata.get("resourceName")) == ("STATE_TRANSITION_FORBIDDEN", rule.name)
    assert api.rule(rule.name).end_time == LATE


def test_of_two_faults_in_an_end_the_first_documented_is_reported(api: Api, owner: psycopg.Connection) -> None:
    """Used id before the time, the time before the state."""

    used = an_end(api.charge().name)
    api.ok(used)
    late = api.charge(end_time=LATE).name
    nobody = f"commissionRules/{uuid4()}"
    cases = [
        (an_end("x", EARLY), "INVALID_FIELDS"),
        (changed(an_end(nobody, EARLY), request_id=used.request_id), "REQUEST_ID_REUSED"),
        (changed(used, end_time=EARLY), "REQUEST_ID_REUSED"),
        (an_end(used.name, EARLY), "INVALID_FIELDS"),
        (an_end(late, EARLY), "INVALID_FIELDS"),
        (an_end(nobody, LATE), "RESOURCE_NOT_FOUND"),
        (an_end(nobody), "RESOURCE_NOT_FOUND"),
    ]

    refusals = all_refused(api, owner, [request for request, _ in cases])
    assert [answer.reason for answer in refusals] == [reason for _, reason in cases]
    assert api.refused(pb.GetCommissionRuleRequest(name=nobody)).metadata == {"resourceName": nobody}


def test_an_end_in_the_past_is_reported_before_a_missing_rule(api: Api) -> None:
    """`INVALID_FIELDS` (an end in the past) precedes `RESOURCE_NOT_FOUND`: so nothing is stored with the id."""

    refusal = api.refused(an_end(f"commissionRules/{uuid4()}", EARLY))

    assert (refusal.reason, refusal.violations) == ("INVALID_FIELDS", ("end_time",))


def test_a_rule_that_is_only_tried_is_answered_and_not_made(
    api: Api, owner: psycopg.Connection, funded_pair: tuple[str, str]
) -> None:
    """Neither created nor ended; the id stays free, and a repeat of a real call is marked as one."""

    create = with_rule(end_time=LATE)
    before = everything(owner)
    tried = api.ok(changed(create, validate_only=True))
    assert everything(owner) == before

    made = api.ok(create)
    again = api.ok(changed(create, validate_only=True))
    end = an_end(made.rule.name)
    before = everything(owner)
    tried_end = api.ok(changed(end, validate_only=True))
    assert everything(owner) == before
    charged = api.cost(*funded_pair, 100)
    ended = api.ok(end)

    assert tried.rule.name == ""
    assert {tried.replayed, made.replayed, tried_end.replayed} == {False}
    fields = {"name", "start_time", "create_time"}
    assert changed(tried.rule, **dict.fromkeys(fields)) == changed(made.rule, **dict.fromkeys(fields))
    assert (again.rule, again.replayed) == (made.rule, True)
    assert charged == (made.rule.name, 1)
    assert changed(tried_end.rule, end_time=None) == changed(ended.rule, end_time=None)
    assert api.ok(changed(end, validate_only=True)).replayed


def test_a_repeat_returns_the_rule_as_it_is_now(api: Api, owner: psycopg.Connection) -> None:
    """Creates nothing; other words under the same id are refused, each of them, by any method."""

    api.open("alice")
    request = with_rule(
        threshold_minor_units=1,
        fixed_minor_units=1,
        minimum_minor_units=1,
        maximum_minor_units=5,
        label=pb.Label(key="tier", value="gold"),
        start_time=later(LATE, -9),
        end_time=LATE,
    )
    made = api.ok(request).rule
    now = api.end(made.name, later(LATE, -1))
    before = everything(owner)

    again = api.ok(changed(request, request_id=request.request_id.upper()))
    others: dict[str, Any] = {
        "currency_code": "EUR",
        "threshold_minor_units": 2,
        "rate_millionths": 1,
        "fixed_minor_units": 2,
        "minimum_minor_units": 2,
        "maximum_minor_units": None,
        "payer": DESTINATION,
        "end_time": None,
        "label": pb.Label(key="tier", value=""),
        "wallet": "wallets/alice",
        "start_time": None,
    }
    reused: list[Message] = [
        changed(request, rule=changed(request.rule, **{name: other})) for name, other in others.items()
    ]
    reused += [
        changed(an_end(made.name), request_id=request.request_id),
        changed(a_transfer("alice", "bob", 1), request_id=request.request_id),
        wallet_pb.FreezeWalletRequest(name="wallets/alice", request_id=request.request_id),
    ]

    assert (again.rule, again.replayed) == (now, True)
    for other in reused:
        refusal = api.refused(other)
        assert (refusal.code, refusal.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED"), other
        assert refusal.metadata == {
            "requestId": request.request_id,
            "method": "CreateCommissionRule",
            "resourceName": made.name,
        }
    assert everything(owner) == before


def test_one_rule_sent_by_many_is_made_and_ended_once(api: Api, owner: psycopg.Connection) -> None:
    """Twenty at once with the same id, creating and then ending."""

    create = with_rule()
    made = together([partial(api.ok, create)] * 20)
    names = {answer.rule.name for answer in made if isinstance(answer, pb.CreateCommissionRuleResponse)}
    (name,) = names
    end = an_end(name)
    ended = together([partial(api.ok, end)] * 20)

    outcomes = [[getattr(answer, "replayed", answer) for answer in answers] for answers in (made, ended)]
    assert [answers.count(False) for answers in outcomes] == [1, 1]
    assert [answers.count(True) for answers in outcomes] == [19, 19]
    assert count(owner, "commission_rules") == 1
    assert events_of(owner, name) == ["commission_rule.created", "commission_rule.ended"]


def test_rules_are_listed_newest_first_page_by_page_and_by_filter(api: Api) -> None:
    """Ended ones too; one without an end ends after every time."""

    api.open("alice")
    rules = [
        api.charge(wallet="wallets/alice"),
        api.charge(currency_code="EUR", end_time=LATE),
        api.charge(start_time=LATE),
        api.charge(label=pb.Label(key="tier", value="gold")),
    ]
    rules[3] = api.end(rules[3].name)
    at = rules[1].create_time.ToJsonString()
    filters = {
        'currency_code = "EUR"': [1],
        'currency_code != "EUR"': [3, 2, 0],
        'wallet = "wallets/alice"': [0],
        'wallet != "wallets/alice"': [3, 2, 1],
        f'create_time <= "{at}"': [1, 0],
        f'create_time > "{at}" AND currency_code = "USD"': [3, 2],
        'start_time >= "2100-01-01T00:00:00Z"': [2],
        'end_time > "2100-01-01T00:00:00Z"': [2, 0],
        'end_time <= "2100-01-01T00:00:00Z"': [3, 1],
    }

    assert list_rules(api) == rules[::-1]
    assert list_rules(api, page_size=1) == rules[::-1]
    for filter_, expected in filters.items():
        assert list_rules(api, filter=filter_) == [rules[number] for number in expected], filter_
    for bad in ('state = "x"', "rate_millionths = 5", 'currency_code < "EUR"', 'wallet = "a" OR wallet = "b"'):
        assert api.refused(pb.ListCommissionRulesRequest(filter=bad)).reason == "FILTER_INVALID"
    first = api.ok(pb.ListCommissionRulesRequest(page_size=1))
    other = pb.ListCommissionRulesRequest(filter='currency_code = "USD"', page_token=first.next_page_token)
    assert api.refused(other).reason == "PAGE_TOKEN_INVALID"
