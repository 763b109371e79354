"""Rules that change during transfers: every transaction carries the rule that was live when money moved."""

import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast
from uuid import UUID

import psycopg
from google.protobuf.timestamp_pb2 import Timestamp
from wallet.v1 import commission_service_pb2 as rule_pb
from wallet.v1 import transaction_service_pb2 as pb
from wallet.v1 import wallet_service_pb2 as wallet_pb

from tests.support import books, commands
from tests.support.api import Api, several_servers
from tests.support.batching import post_as_one_batch
from tests.support.callers import aware
from tests.support.database import Database
from tests.support.deadlocks import no_deadlock
from tests.support.requests import DESTINATION, SOURCE, a_rule, a_transfer, an_end, later, new_id
from tests.support.together import together
from wallet_core.domain.deciding.command import Command
from wallet_core.domain.deciding.decision import Done
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.wallet import WalletId
from wallet_core.settings import Settings
from wallet_core.usecases.app import App

ALICE, BOB = WalletId("alice"), WalletId("bob")
THREADS = 8


@dataclass(frozen=True)
class Lived:
    """A rule's life, as the database keeps it."""

    id: UUID
    rate_millionths: int
    start: datetime
    end: datetime | None

    def live(self, time: datetime) -> bool:
        """Whether it applies at a time: from its start on, and from its end on no longer."""
        return self.start <= time and (self.end is None or time < self.end)


def lives(owner: psycopg.Connection) -> list[Lived]:
    """Return every rule there ever was."""
    rows = owner.execute("SELECT id, rate_millionths, start_time, end_time FROM commission_rules").fetchall()
    return [Lived(*row) for row in rows]


def misruled(owner: psycopg.Connection) -> list[str]:
    """Return the transfers that carry another rule than the one with the latest start that was live at their time."""
    rules = lives(owner)
    wrong = []
    rows = owner.execute(
        "SELECT time, commission_rule, commission, amount FROM transactions WHERE type = 'TRANSFER' ORDER BY time"
    ).fetchall()
    for time, carried, commission, amount in rows:
        found = max((rule for rule in rules if rule.live(time)), key=lambda rule: rule.start, default=None)
        due = (2 * amount * found.rate_millionths + 1_000_000) // 2_000_000 if found is not None else 0
        if (carried, commission) != (found.id if found is not None else None, due):
            near = [rule for rule in rules if rule.id == carried]
            wrong.append(f"at {time} carried {near or carried} for {commission}, not {found} for {due}")
    return wrong


def replace_rules(api: Api, changes: int) -> None:
    """Create, end and replace rules, one after the other, in every way there is; at times none is live."""
    live: list[str] = []
    now = Timestamp()
    for number in range(changes):
        rate = 1000 * (number + 1)
        match number % 5:
            case 0 | 1:
                live.append(api.charge(rate_millionths=rate).name)
            case 2:  # may come too late on a slow machine: then there is none
                now = api.end(live.pop()).end_time
                api.answer(a_rule(rate_millionths=rate, start_time=later(now, 30_000), end_time=later(now, 90_000)))
            case 3:
                now = api.end(live.pop()).end_time
                api.answer(a_rule(rate_millionths=rate, end_time=later(now, 30_000)))
            case _:
                live.append(api.charge(rate_millionths=rate).name)
                api.answer(an_end(live.pop(), later(now, 60_000)))


def test_no_transfer_carries_a_rule_that_had_ended_or_had_not_begun(
    settings: Settings, owner: psycopg.Connection, database: Database
) -> None:
    """Eight threads transfer through two servers while rules come and go, through one that has nothing else to do.

    Each server has wallets of its own, so that nothing but the rules makes the three wait for each other. Then the
    rules change through a server that transfers, too.
    """

    done = threading.Event()
    with no_deadlock(owner), several_servers(settings, ("left", "right", "rules")) as (left, right, rules):
        wallets = {server: [f"{side}-{number}" for number in range(3)] for server, side in ((left, "l"), (right, "r"))}
        for name in (*wallets[left], *wallets[right]):
            left.open(name, 10**12)

        def keep_transferring(number: int) -> Counter[str]:
            counted: Counter[str] = Counter()
            server = (left, right)[number % 2]
            names = wallets[server]
            source, destination = names[number % 3], names[(number + 1 + number // 4) % 3]
            while not done.is_set():
                answer = server.insist(a_transfer(source, destination, 1000 + number))
                counted[answer.reason or answer.code] += 1
            return counted

        with ThreadPoolExecutor(THREADS) as pool:
            transfers = [pool.submit(keep_transferring, number) for number in range(THREADS)]
            try:
                replace_rules(rules, 40)
                replace_rules(left, 15)
            finally:
                done.set()
            outcomes: Counter[str] = sum((transfer.result(30) for transfer in transfers), Counter())
        (earned,) = left.balances("system:commission:USD")

    assert set(outcomes) == {"OK"}
    moved = owner.execute("SELECT count(*), sum(commission), count(commission_rule) FROM transactions").fetchone()
    assert moved is not None
    assert (moved[0], moved[1]) == (outcomes["OK"] + 6, earned)
    assert 0 < moved[2] < outcomes["OK"]
    assert database.broken_rules() == []
    wrong = misruled(owner)
    assert wrong == [], f"{len(wrong)} of {outcomes['OK']}"


def a_command(kind: str, rule: UUID | None = None) -> Command:
    """Return a transfer from Alice to Bob, a new rule, or the end of a rule."""
    if kind == "transfer":
        return commands.a_transfer(ALICE, BOB, Money("USD", 1000))
    return commands.a_rule(rate_millionths=10_000) if rule is None else commands.an_end(rule)


def in_one_batch(app: App, kinds: Sequence[str], rule: UUID | None = None) -> list[Done]:
    """Have these commands decided in one batch, in this order."""
    for name in (ALICE, BOB):
        books.open_wallet(app, name, 100_000)
    outcomes = post_as_one_batch(app, [a_command(kind, rule) for kind in kinds])
    assert all(isinstance(outcome, Done) for outcome in outcomes), outcomes
    return cast("list[Done]", outcomes)


def test_a_transfer_in_one_batch_with_the_end_of_its_rule_does_not_outlive_it(
    app: App, owner: psycopg.Connection
) -> None:
    """From its end on a rule applies no longer: what carries it has an earlier time."""

    books.open_wallet(app, "first")
    made = app.ledger.post(a_command("rule")).rule
    assert made is not None

    in_one_batch(app, ["transfer", "end", "transfer"], made.id)

    assert misruled(owner) == []


def test_a_transfer_in_one_batch_with_a_new_rule_is_not_free_from_its_start_on(
    app: App, owner: psycopg.Connection
) -> None:
    """From its start on a rule applies: what does not carry it has an earlier time."""

    in_one_batch(app, ["transfer", "rule", "transfer"])

    assert misruled(owner) == []


def test_rules_created_and_ended_at_once_leave_each_with_one_life(
    settings: Settings, owner: psycopg.Connection, database: Database
) -> None:
    """Through two servers, each ended by many: one ends it, the others are refused because it has ended.

    No deadlock.
    """

    with no_deadlock(owner), several_servers(settings) as servers:
        servers[0].open("alice", 1_000_000)
        servers[0].open("bob")
        calls = [partial(servers[number % 2].insist, a_rule(rate_millionths=number)) for number in range(16)]
        made = [cast("Any", answer) for answer in together(calls)]
        rules = [rule_pb.CreateCommissionRuleResponse.FromString(answer.body).rule.name for answer in made]
        assert len(set(rules)) == 16

        ends = [partial(server.insist, an_end(rule)) for rule in rules for server in servers]
        transfers = [partial(server.insist, a_transfer("alice", "bob", 1000)) for server in servers * 4]
        outcomes = [cast("Any", answer) for answer in together([*ends, *transfers])]

    ended = [answer.reason or answer.code for answer in outcomes[: len(ends)]]
    assert Counter(ended) == {"OK": 16, "STATE_TRANSITION_FORBIDDEN": 16}
    assert {answer.code for answer in outcomes[len(ends) :]} == {"OK"}
    assert all(rule.end is not None and rule.start < rule.end for rule in lives(owner))
    assert database.broken_rules() == []


def test_one_rule_and_its_end_sent_through_two_servers_are_made_once(
    settings: Settings, owner: psycopg.Connection, database: Database
) -> None:
    """The same request ids: one rule, one end, equal answers.

    Also where the currency's system wallets do not exist yet.
    """

    create = a_rule(rate_millionths=5, currency_code="KWD", payer=DESTINATION)
    with no_deadlock(owner), several_servers(settings) as servers:
        made = [cast("Any", answer) for answer in together([partial(one.insist, create) for one in servers * 10])]
        answers = [rule_pb.CreateCommissionRuleResponse.FromString(answer.body) for answer in made]
        (name,) = {answer.rule.name for answer in answers}
        end = an_end(name)
        outcomes = [cast("Any", answer) for answer in together([partial(one.insist, end) for one in servers * 10])]
        ended = [rule_pb.EndCommissionRuleResponse.FromString(answer.body) for answer in outcomes]

    assert [answer.replayed for answer in answers].count(False) == 1
    assert [answer.replayed for answer in ended].count(False) == 1
    assert len({answer.rule.end_time.ToMicroseconds() for answer in ended}) == 1
    assert owner.execute("SELECT count(*) FROM wallets").fetchone() == (3,)
    assert database.broken_rules() == []


def test_first_wallets_and_first_rules_of_a_currency_made_at_once_are_all_made(
    settings: Settings, owner: psycopg.Connection, database: Database
) -> None:
    """Both open the service's own wallets; each of those once."""

    with no_deadlock(owner), several_servers(settings) as servers:
        calls: list[Any] = []
        for currency in ("EUR", "JPY", "KWD"):
            for number, server in enumerate(servers * 3):
                rule = a_rule(rate_millionths=number, currency_code=currency)
                wallet = wallet_pb.CreateWalletRequest(
                    wallet=wallet_pb.Wallet(currency_code=currency), request_id=new_id()
                )
                calls += [partial(server.insist, rule), partial(server.insist, wallet)]

        results = together(calls)

    assert {getattr(result, "code", result) for result in results} == {"OK"}
    assert owner.execute("SELECT count(*) FROM wallets").fetchone() == (18 + 9,)
    assert owner.execute("SELECT count(*) FROM commission_rules").fetchone() == (18,)
    assert database.broken_rules() == []


def test_commissions_of_many_transfers_both_ways_add_up(
    settings: Settings, owner: psycopg.Connection, database: Database
) -> None:
    """A system wallet that all transfers use: nothing lost, nothing doubled, no deadlock."""

    with no_deadlock(owner), several_servers(settings) as servers:
        for name in ("alice", "bob"):
            servers[0].open(name, 1_000_000)
        servers[0].charge(rate_millionths=10_005, payer=SOURCE, wallet="wallets/alice")
        servers[0].charge(fixed_minor_units=3, payer=DESTINATION, wallet="wallets/alice")
        ways = [("alice", "bob"), ("bob", "alice")]
        calls = [
            partial(servers[number % 2].insist, a_transfer(*ways[number // 2 % 2], 1000 + number))
            for number in range(60)
        ]

        outcomes = [cast("Any", answer) for answer in together(calls)]
        balances = servers[1].balances("alice", "bob", "system:commission:USD")

    assert {answer.code for answer in outcomes} == {"OK"}
    moved = [pb.TransferResponse.FromString(answer.body).transaction for answer in outcomes]
    earned = sum(one.commission.amount.minor_units for one in moved)
    assert (balances[2], sum(balances)) == (earned, 2_000_000)
    assert database.broken_rules() == []


def test_a_rule_that_ends_of_itself_is_carried_by_nothing_after_its_end(
    settings: Settings, owner: psycopg.Connection, database: Database
) -> None:
    """Many rules with ends to come, one after the other, while four threads transfer through two servers."""

    with several_servers(settings) as servers:
        servers[0].open("alice", 10**9)
        servers[0].open("bob")
        start = servers[0].transfer("alice", "bob", 1).execute_time
        for number in range(8):
            # So long that a busy machine, too, makes transfers under most of them.
            begin = later(start, 1_000_000 + number * 150_000)
            servers[0].charge(rate_millionths=1000 * (number + 1), start_time=begin, end_time=later(begin, 120_000))
        end = aware(later(start, 1_000_000 + 8 * 150_000))

        def keep_transferring(number: int) -> None:
            moved = start
            while aware(moved) <= end + timedelta(milliseconds=10):
                answer = servers[number % 2].insist(a_transfer("alice", "bob", 1000))
                moved = pb.TransferResponse.FromString(answer.body).transaction.execute_time

        assert together([partial(keep_transferring, number) for number in range(4)]) == [None] * 4

    assert misruled(owner) == []
    assert len(owner.execute("SELECT DISTINCT commission_rule FROM transactions").fetchall()) > 4
    assert database.broken_rules() == []
