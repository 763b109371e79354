"""Reversals and batches sent at once through two servers: never more goes back than went, and nothing goes twice."""

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from wallet.v1 import transaction_service_pb2 as pb
from wallet.v1 import wallet_service_pb2 as wallet_pb

from tests.support import books, commands
from tests.support.api import Api, several_servers
from tests.support.batching import post_as_one_batch
from tests.support.callers import count, reasons, succeeded
from tests.support.commission import COMMISSION_WALLET
from tests.support.database import Database
from tests.support.deadlocks import no_deadlock
from tests.support.requests import SOURCE, a_reversal, a_transfer, an_item, atomic, each
from tests.support.together import together
from wallet_core.domain.deciding.decision import Done
from wallet_core.domain.model.errors import StateTransitionForbidden
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.transaction import TransactionState
from wallet_core.domain.model.wallet import WalletId
from wallet_core.settings import Settings
from wallet_core.usecases.app import App, new_id

ROUNDS = 8


@pytest.fixture
def servers(settings: Settings, database: Database) -> Iterator[list[Api]]:
    """Return channels to two servers on one database; the ledger is verified at the end."""
    with several_servers(settings) as servers:
        yield servers
    assert database.broken_rules() == []


@pytest.fixture
def people(servers: list[Api]) -> list[Api]:
    """Return the channels, with Alice who has 1000, and Bob and Carol who have nothing."""
    left, _ = servers
    left.open("alice", 1000)
    for name in ("bob", "carol"):
        left.open(name)
    return servers


def moved(calls: Api, source: str, destination: str, units: int) -> str:
    """Transfer; return the transaction's name."""
    return str(calls.transfer(source, destination, units).name)


@pytest.mark.parametrize("units", [None, 60, 100], ids=["all that is left", "more than half", "the whole"])
def test_of_two_reversals_at_once_that_do_not_both_fit_one_is_made(people: list[Api], units: int | None) -> None:
    """Round after round, with money enough for both."""

    left, right = people
    for round_ in range(ROUNDS):
        paid = moved(left, "alice", "bob", 100)
        back = units or 100

        results = together([partial(calls.ok, a_reversal(paid, units)) for calls in people[:: 1 if round_ % 2 else -1]])

        made = succeeded(results)
        if units == 60:
            assert (len(made), reasons(results)) == (1, ["LIMIT_EXCEEDED"])
        else:
            assert (len(made), reasons(results)) == (1, ["STATE_TRANSITION_FORBIDDEN"])
        found = right.transaction(paid)
        assert (list(found.reversals), found.reversed_amount.minor_units) == ([made[0].transaction.name], back)
    kept = ROUNDS * (100 - back)
    assert left.balances("alice", "bob") == [1000 - kept, kept]


def test_many_parts_at_once_give_back_exactly_the_whole_and_its_commission(
    people: list[Api],
) -> None:
    """Ten of thirty pass; they are listed in the order in which they were made."""

    left, _ = people
    left.charge(payer=SOURCE, fixed_minor_units=7)
    paid = moved(left, "alice", "bob", 100)

    results = together([partial(people[number % 2].ok, a_reversal(paid, 10)) for number in range(30)])

    assert len(succeeded(results)) == 10
    assert set(reasons(results)) <= {"STATE_TRANSITION_FORBIDDEN", "LIMIT_EXCEEDED"}
    found = left.transaction(paid)
    assert (found.state, found.reversed_amount.minor_units) == (pb.Transaction.STATE_REVERSED, 100)
    assert left.balances("alice", "bob", COMMISSION_WALLET) == [1000, 0, 0]
    places = {
        made.transaction.name: entry.sequence
        for made in succeeded(results)
        for entry in made.transaction.entries
        if entry.wallet == "wallets/bob"
    }
    assert list(found.reversals) == sorted(places, key=lambda name: places[name])


def test_one_reversal_sent_through_two_servers_is_made_once(people: list[Api]) -> None:
    """Of "all that is left": every repeat returns the first one."""

    left, _ = people
    paid = moved(left, "alice", "bob", 100)
    request = a_reversal(paid)

    results = together([partial(calls.ok, request) for calls in people] * 8)

    made = succeeded(results)
    assert reasons(results) == []
    assert [answer.replayed for answer in made].count(False) == 1
    assert len({answer.transaction.name for answer in made}) == 1
    assert left.balances("alice", "bob") == [1000, 0]


def test_money_that_is_spent_while_it_is_taken_back_goes_one_way(people: list[Api]) -> None:
    """Spent or given back, never both."""

    left, right = people
    for round_ in range(ROUNDS):
        paid = moved(left, "alice", "bob", 10)

        calls = [partial(left.ok, a_reversal(paid)), partial(right.ok, a_transfer("bob", "carol", 10))]
        results = together(calls if round_ % 2 else calls[::-1])

        assert (len(succeeded(results)), reasons(results)) == (1, ["INSUFFICIENT_FUNDS"])
    alice, bob, carol = left.balances("alice", "bob", "carol")
    assert (bob, alice + carol) == (0, 1000)


def test_nothing_goes_back_to_a_wallet_that_was_closed_meanwhile(people: list[Api]) -> None:
    """It got its money before it could be closed, or it is closed and stays empty."""

    left, right = people
    for number in range(8):
        giver = f"giver-{number}"
        left.open(giver, 10)
        paid = moved(left, giver, "bob", 10)
        close = wallet_pb.CloseWalletRequest(name=f"wallets/{giver}", request_id=str(uuid4()))

        calls = [partial(left.ok, a_reversal(paid)), partial(right.ok, close)]
        results = together(calls if number % 2 else calls[::-1])

        assert len(succeeded(results)) == 1
        assert reasons(results)[0] in {"WALLET_NOT_ACTIVE", "STATE_TRANSITION_FORBIDDEN"}


def test_batches_over_the_same_wallets_in_any_order_never_deadlock(
    settings: Settings, owner: psycopg.Connection, database: Database
) -> None:
    """All or none and each on its own, with commission, through two servers: all of them are made."""

    names = [f"w{number}" for number in range(6)]
    with no_deadlock(owner), several_servers(settings) as servers:
        left, _ = servers
        for name in names:
            left.open(name, 10_000)
        left.charge(payer=SOURCE, fixed_minor_units=1)
        calls: list[Any] = []
        for number in range(24):
            turn = number % 6
            order = names[turn:] + names[:turn]
            order = order if number % 4 < 2 else order[::-1]
            items = [an_item(*ends, 1) for ends in pairwise(order)]
            calls.append(partial(servers[number % 2].ok, (atomic, each)[number % 3 == 0](items)))

        results = together(calls)

        assert reasons(results) == []
        assert {result.WhichOneof("outcome") for answer in succeeded(results) for result in answer.results} == {
            "transaction"
        }
        assert left.balances(COMMISSION_WALLET) == [24 * 5]
        assert sum(left.balances(*names)) == 60_000 - 24 * 5
    assert database.broken_rules() == []


def test_one_batch_sent_through_two_servers_is_made_once(people: list[Api], owner: psycopg.Connection) -> None:
    """Atomic by its id; otherwise by the ids of its items, in any order."""

    items = [an_item("alice", "bob", 1), an_item("alice", "carol", 2), an_item("alice", "bob", 3)]
    whole, single = atomic(items), each(items)
    backwards = pb.BatchTransferRequest(mode=pb.BATCH_MODE_ITEM, items=list(single.items)[::-1])
    transactions = count(owner, "transactions")

    atomics = together([partial(calls.ok, whole) for calls in people] * 6)
    singles = together([partial(calls.ok, request) for calls in people for request in (single, backwards)] * 4)

    assert reasons([*atomics, *singles]) == []
    assert [answer.replayed for answer in succeeded(atomics)].count(False) == 1
    results = [result for answer in succeeded(singles) for result in answer.results]
    assert [result.replayed for result in results].count(False) == 3
    assert len({result.transaction.name for answer in succeeded(atomics) for result in answer.results}) == 3
    assert len({result.transaction.name for result in results}) == 3
    assert count(owner, "transactions") == transactions + 6
    assert people[0].balances("alice", "bob", "carol") == [988, 8, 4]


def test_the_last_of_the_money_is_given_out_by_as_many_batches_as_it_allows(
    people: list[Api],
) -> None:
    """An atomic batch takes all of its items' money or none."""

    left, _ = people
    requests = [an_item("alice", "bob", 40), an_item("alice", "carol", 60)]

    results = together([partial(people[number % 2].ok, atomic(requests)) for number in range(16)])

    assert (len(succeeded(results)), reasons(results)) == (10, ["INSUFFICIENT_FUNDS"] * 6)
    assert left.balances("alice", "bob", "carol") == [0, 400, 600]


def test_however_many_reversals_there_are_all_count_and_the_first_hundred_are_named(
    app: App, database: Database
) -> None:
    """Of 130 units one at a time, and then there is nothing left."""

    for name, balance in (("alice", 130), ("bob", 0)):
        books.open_wallet(app, name, balance)
    books.deposit(app, WalletId("bob"), 1000)
    paid = books.transfer(app, WalletId("alice"), WalletId("bob"), 130).transaction.id
    requests = [commands.a_reversal(paid, Money("USD", 1)) for _ in range(132)]

    outcomes = [*app.ledger.post_all(requests[:101]), *app.ledger.post_all(requests[101:])]

    assert [type(one) for one in outcomes] == [Done] * 130 + [StateTransitionForbidden] * 2
    found = app.reads.transaction(paid)
    assert (found.state, found.reversals.amount) == (TransactionState.REVERSED, 130)
    assert found.reversals.ids == tuple(command.id for command in requests[:100])
    assert database.broken_rules() == []


def test_reversals_of_one_commit_see_each_other_and_are_published_in_order(app: App) -> None:
    """The one that was decided first is listed first, whichever got its id first; the third finds nothing left."""

    for name, balance in (("gate", 0), ("alice", 100), ("bob", 0)):
        books.open_wallet(app, name, balance)
    paid = books.transfer(app, WalletId("alice"), WalletId("bob"), 100).transaction.id
    older, newer = new_id(), new_id()
    parts = ((newer, Money("USD", 30)), (older, None), (new_id(), None))
    requests = [commands.a_reversal(paid, amount, id=id_) for id_, amount in parts]

    first, second, third = post_as_one_batch(app, requests)

    assert isinstance(third, StateTransitionForbidden)
    assert [done.transactions[0].movement.amount.minor for done in (first, second) if isinstance(done, Done)] == [
        30,
        70,
    ]
    assert app.reads.transaction(paid).reversals.ids == (newer, older)
