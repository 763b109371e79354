"""What a caller has received stays true, while the database's connections are cut again and again.

A final refusal never turns into a write, also once the call has become possible; an OK is found again by its id.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any

import psycopg
import pytest
from google.protobuf import message_factory
from google.protobuf.message import Message
from wallet.v1 import schedule_service_pb2 as order_pb
from wallet.v1 import wallet_service_pb2 as wallet_pb

from tests.support.api import Api, at_once
from tests.support.callers import everything
from tests.support.database import Database
from tests.support.requests import (
    LATE,
    a_close,
    a_deposit,
    a_freeze,
    a_hold,
    a_reversal,
    a_rule,
    a_transfer,
    an_item,
    an_unfreeze,
    an_update,
    atomic,
    changed,
    money,
    new_id,
)
from tests.support.together import over_and_over
from tests.support.toolchain import required
from tests.support.wire import Answer, all_methods
from walletctl.local.waiting import wait_until

# An answer without a definite outcome: the same id is retried.
NOT_YET = {"DATABASE_UNAVAILABLE", "OUTCOME_UNKNOWN", "TRANSACTION_CONFLICT", "SERVER_OVERLOADED", "DEADLINE_TOO_SHORT"}
# How often connections are cut: as often as anything gets through at all, and so that most of what is done does. Each
# pause is longer than the one before: what a machine gets done between two cuts depends on how busy it is.
OFTEN_S, AT_TIMES_S, SLOWER = 0.02, 0.06, 1.03
# How often they are cut under each refusal that is retried.
CUTS = 20 if required() else 8
LONGEST_S = 40.0


@dataclass
class Cuts:
    """How many connections of the server's were cut."""

    count: int = 0


@contextmanager
def cutting(database: Database, every_s: float) -> Iterator[Cuts]:
    """Cut all of the server's connections, again and again until the end."""
    cuts = Cuts()
    query = """
        SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'tests'
    """
    with psycopg.connect(database.url, autocommit=True) as killer:

        def cut() -> None:
            row = killer.execute(query).fetchone()
            cuts.count += row[0] if row is not None else 0

        with over_and_over(cut, every_s=every_s, slower=SLOWER):
            yield cuts


def decided(api: Api, request: Message) -> Answer:
    """Call until the outcome is definite: an OK or a final refusal."""
    until = monotonic() + LONGEST_S
    while monotonic() < until:
        answer = api.answer(request)
        if answer.reason not in NOT_YET:
            return answer
    raise AssertionError(request)


def all_done(api: Api, requests: Sequence[Message]) -> None:
    """Check that requests are done in order, with any number of retries."""
    assert [decided(api, request).code for request in requests] == ["OK"] * len(requests)


Requests = Callable[[Api], Sequence[Message]]


@dataclass(frozen=True)
class Final:
    """A call that is refused finally, and what would have made it possible if it had come before."""

    reason: str
    call: str
    ask: Callable[[Api], Message]
    mend: Requests | None
    """None where nothing ever makes it possible, e.g. a name that is taken."""

    def __str__(self) -> str:
        return f"{self.reason} {self.call}"


def taken_back(api: Api) -> Message:
    """Return the reversal of a transfer whose money has been spent."""
    given = api.transfer("rich", "poor", 5)
    api.transfer("poor", "rich", 5)
    return a_reversal(given.name)


def charged(api: Api) -> Message:
    """Return a transfer that may cost no more than it costs by a rule."""
    api.charge(fixed_minor_units=3, wallet="wallets/rich")
    return a_transfer("rich", "poor", 5, max_commission=money(2))


def ended_rules(api: Api) -> Sequence[Message]:
    """Return the end of all rules, by a rule for the wallet that wins over them and is free."""
    del api
    return [a_rule(wallet="wallets/rich")]


def withdrawal(wallet: str) -> Message:
    """Return a payout that is reserved."""
    return order_pb.ScheduleWithdrawalRequest(
        wallet=f"wallets/{wallet}", amount=money(5), execute_time=LATE, reserve=True, request_id=new_id()
    )


def creation(wallet: str) -> Message:
    """Return the opening of a wallet."""
    return wallet_pb.CreateWalletRequest(
        wallet_id=wallet, wallet=wallet_pb.Wallet(currency_code="USD"), request_id=new_id()
    )


def scheduled_deposit(wallet: str) -> Message:
    """Return a credit at a time."""
    return order_pb.ScheduleDepositRequest(
        wallet=f"wallets/{wallet}", amount=money(5), execute_time=LATE, request_id=new_id()
    )


def of(*requests: Callable[[], Message]) -> Requests:
    """Return these requests, made when they are needed."""
    return lambda _: [request() for request in requests]


FUNDS, MISSING, INACTIVE = "INSUFFICIENT_FUNDS", "RESOURCE_NOT_FOUND", "WALLET_NOT_ACTIVE"
STATE, LIMIT = "STATE_TRANSITION_FORBIDDEN", "LIMIT_EXCEEDED"
FILLED, OPENED = of(lambda: a_deposit("poor", 100)), of(lambda: creation("late"))
THAWED = of(lambda: an_unfreeze("cold"))

FINALS = [
    Final(FUNDS, "Transfer", lambda _: a_transfer("poor", "rich", 5), FILLED),
    Final(FUNDS, "BatchTransfer", lambda _: atomic([an_item("rich", "cold", 5), an_item("poor", "rich", 5)]), FILLED),
    Final(FUNDS, "PlaceHold", lambda _: a_hold("poor", 5), FILLED),
    Final(FUNDS, "ScheduleWithdrawal", lambda _: withdrawal("poor"), FILLED),
    Final(FUNDS, "ReverseTransaction", taken_back, FILLED),
    Final(MISSING, "Deposit", lambda _: a_deposit("late", 5), OPENED),
    Final(MISSING, "Transfer", lambda _: a_transfer("rich", "late", 5), OPENED),
    Final(MISSING, "ScheduleDeposit", lambda _: scheduled_deposit("late"), OPENED),
    Final(MISSING, "FreezeWallet", lambda _: a_freeze("late"), OPENED),
    Final(INACTIVE, "Transfer", lambda _: a_transfer("cold", "rich", 5), THAWED),
    Final(INACTIVE, "PlaceHold", lambda _: a_hold("cold", 5), THAWED),
    Final(LIMIT, "Deposit", lambda _: a_deposit("full", 5), of(lambda: an_update("full", "overdraft_limit"))),
    Final(LIMIT, "Transfer", charged, ended_rules),
    Final(STATE, "CloseWallet", lambda _: a_close("rich"), of(lambda: a_transfer("rich", "poor", 1000))),
    Final(STATE, "FreezeWallet", lambda _: a_freeze("cold"), THAWED),
    Final(STATE, "UnfreezeWallet", lambda _: an_unfreeze("rich"), of(lambda: a_freeze("rich"))),
    Final(
        "ETAG_MISMATCH",
        "UpdateWallet",
        lambda _: an_update("rich", display_name="x", etag='"2"'),
        of(lambda: an_update("rich", display_name="y")),
    ),
    Final("CURRENCY_MISMATCH", "Transfer", lambda _: a_transfer("euro", "rich", 5), None),
    Final("RESOURCE_EXISTS", "CreateWallet", lambda _: creation("rich"), None),
]


@pytest.fixture
def people(api: Api) -> Api:
    """Return wallets: with much, with nothing, frozen, full, and in euros."""
    api.open("rich", 1000)
    api.open("poor")
    api.open("cold", 1000)
    api.freeze("cold")
    api.open("euro", 1000, "EUR")
    api.open("full", overdraft_limit=money(2**63 - 1))
    return api


@pytest.mark.parametrize("final", FINALS, ids=str)
def test_a_final_refusal_never_turns_into_a_write(
    people: Api, database: Database, owner: psycopg.Connection, final: Final
) -> None:
    """Refused, then made possible, then repeated by many at once: word for word the same, and nothing has moved."""

    request = final.ask(people)
    assert type(request).__name__ == f"{final.call}Request"
    with cutting(database, OFTEN_S):
        first = decided(people, request)
        if final.mend is not None:
            all_done(people, final.mend(people))
    assert first.reason == final.reason
    before = everything(owner)

    results: list[Answer] = []
    with cutting(database, OFTEN_S) as cuts:

        def is_enough() -> bool:
            results.extend(at_once([partial(people.answer, request)] * 24, threads=8))
            return cuts.count >= CUTS and sum(answer.code == first.code for answer in results) >= 24

        assert wait_until(is_enough, timeout_s=LONGEST_S), Counter(answer.reason for answer in results)
    results.extend(at_once([partial(people.answer, request)] * 8))

    assert [answer for answer in results if answer != first and answer.reason not in NOT_YET] == []
    assert results[-8:] == [first] * 8
    assert everything(owner) == before
    if final.mend is not None:
        possible = people.answer(changed(request, request_id=new_id(), validate_only=True))
        assert possible.code == "OK", possible


def test_a_call_that_races_what_makes_it_possible_is_answered_in_one_way_for_ever(
    people: Api, database: Database
) -> None:
    """With either one first: all callers get the same, and it was done, or it was not."""

    message: Counter[str] = Counter()
    with cutting(database, AT_TIMES_S) as cuts:
        for number in range(12):
            payer, payee = f"payer-{number}", f"payee-{number}"
            all_done(people, [creation(payer), creation(payee)])
            deposit, transfer = a_deposit(payer, 5), a_transfer(payer, payee, 5)
            calls = [transfer, deposit, transfer, transfer, deposit, transfer]
            order = calls if number % 2 else calls[::-1]
            answers = at_once([partial(decided, people, request) for request in order])
            found = {answer.reason for request, answer in zip(order, answers, strict=True) if request is transfer}
            assert len(found) == 1, found
            message[found.pop()] += 1
            again = decided(people, transfer)
            want = [0, 5] if again.code == "OK" else [5, 0]
            assert {answer.reason for answer in answers} <= {"", again.reason}
            assert balances(people, payer, payee) == want
        assert cuts.count > 12
    assert message.keys() <= {"", "INSUFFICIENT_FUNDS"}


def balances(api: Api, *wallets: str) -> list[int]:
    """Return the wallets' balances, with any number of retries."""
    request = wallet_pb.BatchGetWalletsRequest(names=[f"wallets/{wallet}" for wallet in wallets])
    found = wallet_pb.BatchGetWalletsResponse.FromString(decided(api, request).body)
    return [wallet.balance.minor_units for wallet in found.wallets]


def test_an_ok_that_was_received_is_found_again(people: Api, database: Database) -> None:
    """Calls of many kinds, each id sent by several at once: one result each, and the same on every repeat."""

    makes: list[Callable[[int], Message]] = [
        lambda _: a_transfer("rich", "poor", 1),
        lambda _: a_deposit("poor", 2),
        lambda _: atomic([an_item("rich", "poor", 1), an_item("poor", "rich", 1)]),
        lambda _: a_hold("rich", 3),
        lambda _: withdrawal("rich"),
        lambda _: scheduled_deposit("poor"),
        lambda number: creation(f"new-{number}"),
        lambda number: an_update("cold", display_name=f"cold {number}"),
    ]
    requests = [makes[number % len(makes)](number) for number in range(10 * len(makes))]

    with cutting(database, AT_TIMES_S) as cuts:
        commands = [request for request in requests for _ in range(3)]
        answers = at_once([partial(decided, people, request) for request in commands], threads=24)
    assert cuts.count > 10
    received = [answers[at : at + 3] for at in range(0, len(answers), 3)]

    for request, together in zip(requests, received, strict=True):
        assert {answer.code for answer in together} == {"OK"}, (request, together)
        again = people.ok(request)
        assert again.replayed
        assert {named_in(request, answer.body) for answer in together} == {name_of(again)}
    assert (
        len({named_in(request, one.body) for request, (one, *_) in zip(requests, received, strict=True)}) == 10 * 7 + 1
    )
    assert people.balances("rich", "poor") == [1000 - 10, 10 + 20]
    assert people.funds("rich")[1] == 10 * 3 + 10 * 5


_OUTPUTS = {method.input_type.full_name: method.output_type for method in all_methods()}


def named_in(request: Message, body: bytes) -> str:
    """Return the name of what a call made, from the bytes of its answer."""
    kind: Any = message_factory.GetMessageClass(_OUTPUTS[request.DESCRIPTOR.full_name])
    return name_of(kind.FromString(body))


def name_of(response: Any) -> str:  # noqa: ANN401  # any response
    """Return the names of what a call made: all that come before anything else in its answer."""
    made = getattr(response, response.DESCRIPTOR.fields[0].name)
    several = made if isinstance(made, Sequence) else [made]
    names = [one.name if hasattr(one, "name") else one.transaction.name for one in several]
    assert all(re.fullmatch(r"\w+/[a-z0-9-]+", name) for name in names), names
    return " ".join(names)
