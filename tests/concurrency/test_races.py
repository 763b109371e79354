"""Many callers through two processes' worth of service on one database: the ledger decides, not chance."""

from collections.abc import Callable, Iterator
from functools import partial
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.support import books
from tests.support.callers import count, open_funded, reasons, served, succeeded, usd
from tests.support.commands import a_new_wallet
from tests.support.database import Database
from tests.support.deadlocks import no_deadlock
from tests.support.together import together
from wallet_core.bootstrap import open_app
from wallet_core.domain.model.errors import RequestIdReused, ResourceExists
from wallet_core.domain.model.wallet import WalletId
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_core.usecases.change_wallet import WalletChanged, change_wallet
from wallet_core.usecases.move_money import MoneyMoved

ALICE, BOB = WalletId("alice"), WalletId("bob")


@pytest.fixture
def apps(settings: Settings, database: Database) -> Iterator[tuple[App, App]]:
    """Return two cores on one database; the ledger is verified at the end."""
    with open_app(settings, name="left") as left, open_app(settings, name="right") as right:
        yield left, right
    assert database.broken_rules() == []


def make(app: App, name: str, currency: str, id_: UUID | None = None) -> WalletChanged:
    """Open a wallet; without a name the service makes one up."""
    asked_id = WalletId(name) if name else None
    return change_wallet(
        app, a_new_wallet(name or str(uuid4()), currency, asked_id=asked_id, request=books.request(id_))
    )


def test_two_hundred_transfers_both_ways_all_pass(
    settings: Settings, owner: psycopg.Connection, database: Database
) -> None:
    """T13: A and B have 50 each; 25 there and 25 back, 100 at once each way: all OK where the money allows it."""

    with no_deadlock(owner), served(settings) as client:
        open_funded(client, alice=2500, bob=2500)
        there = partial(client.transfer, "wallets/alice", "wallets/bob", usd(25))
        back = partial(client.transfer, "wallets/bob", "wallets/alice", usd(25))

        results = together([there, back] * 100)

        assert (len(succeeded(results)), reasons(results)) == (200, [])
        names = ["wallets/alice", "wallets/bob"]
        assert [wallet.balance.minor_units for wallet in client.batch_get_wallets(names)] == [2500, 2500]
    assert database.broken_rules() == []


def test_transfers_both_ways_with_little_money_end_well(
    settings: Settings, owner: psycopg.Connection, database: Database
) -> None:
    """T13: with 50 each some may find too little at their moment; nothing else may go wrong."""

    with no_deadlock(owner), served(settings) as client:
        open_funded(client, alice=50, bob=50)
        there = partial(client.transfer, "wallets/alice", "wallets/bob", usd(25))
        back = partial(client.transfer, "wallets/bob", "wallets/alice", usd(25))

        results = together([there, back] * 100)

        assert set(reasons(results)) <= {"INSUFFICIENT_FUNDS"}
        both = client.batch_get_wallets(["wallets/alice", "wallets/bob"])
        assert sum(wallet.balance.minor_units for wallet in both) == 100
    assert database.broken_rules() == []


def test_two_servers_transferring_both_ways_never_deadlock(
    settings: Settings, owner: psycopg.Connection, database: Database
) -> None:
    """Lock order: wallets by key, in any order in which a caller or a batch names them."""

    names = [WalletId(f"w{number}") for number in range(6)]
    with no_deadlock(owner), open_app(settings, name="left") as left, open_app(settings, name="right") as right:
        for name in names:
            books.open_wallet(left, name, 10_000)
        calls = []
        for number in range(120):
            source, destination = names[number % 6], names[(number * 5 + 1) % 6]
            if source != destination:
                calls += [partial(books.transfer, left, source, destination, 1)]
                calls += [partial(books.transfer, right, destination, source, 1)]
            calls += [partial(books.deposit, (left, right)[number % 2], source, 1)] if number % 3 == 0 else []

        results = together(calls)

        assert reasons(results) == []
        assert sum(books.balance_of(left, name) for name in names) == 60_000 + 40
    assert database.broken_rules() == []


@pytest.mark.parametrize("round_", range(3))
def test_the_first_wallets_of_a_currency_made_by_two_servers_are_all_made(
    apps: tuple[App, App], owner: psycopg.Connection, round_: int
) -> None:
    """The system wallets of each currency exist once, with any first caller."""

    del round_
    calls = [
        partial(make, app, f"{currency.lower()}-{side}-{number}", currency)
        for currency in ("USD", "EUR", "JPY", "KWD")
        for side, app in enumerate(apps)
        for number in range(8)
    ]

    results = together(calls)

    assert reasons(results) == []
    assert count(owner, "wallets") == 64 + 4 * 3


def test_one_name_wanted_through_two_servers_is_given_once(apps: tuple[App, App]) -> None:
    """One gets it, all others get RESOURCE_EXISTS, and each gets the same again from the other server."""

    ids = [uuid4() for _ in range(30)]
    results = together([partial(make, apps[n % 2], "alice", "USD", id_) for n, id_ in enumerate(ids)])

    assert (len(succeeded(results)), set(reasons(results))) == (1, {ResourceExists.__name__})
    again = together([partial(make, apps[(n + 1) % 2], "alice", "USD", id_) for n, id_ in enumerate(ids)])
    assert [type(result) for result in again] == [type(result) for result in results]


def test_one_creation_sent_through_two_servers_makes_one_wallet(
    apps: tuple[App, App], owner: psycopg.Connection
) -> None:
    """The same request id, the name chosen by the service."""

    id_ = uuid4()

    results = together([partial(make, app, "", "USD", id_) for app in apps] * 15)

    made = succeeded(results)
    assert reasons(results) == []
    assert len({answer.wallet.id for answer in made}) == 1
    assert [answer.replayed for answer in made].count(False) == 1
    assert count(owner, "wallets") == 4


@pytest.mark.parametrize("round_", range(3))
def test_one_deposit_sent_through_two_servers_is_made_once(apps: tuple[App, App], round_: int) -> None:
    """D8 over two processes: one transaction, one balance, one that is not a replay."""

    del round_
    books.open_wallet(apps[0], ALICE)
    id_ = uuid4()

    results = together([partial(books.deposit, app, ALICE, 250, id_=id_) for app in apps] * 15)

    made = succeeded(results)
    assert reasons(results) == []
    assert len({moved.transaction.id for moved in made}) == 1
    assert [moved.replayed for moved in made].count(False) == 1
    assert books.balance_of(apps[0], ALICE) == 250


def moves(kind: str, app: App, wallet: WalletId, id_: UUID) -> Callable[[], MoneyMoved]:
    """Return a call that moves 7 into *wallet*."""
    if kind == "deposit":
        return partial(books.deposit, app, wallet, 7, id_=id_)
    return partial(books.transfer, app, WalletId(f"{wallet}-payer"), wallet, 7, id_)


@pytest.mark.parametrize("kind", ["deposit", "transfer"])
@pytest.mark.parametrize("round_", range(3))
def test_one_id_used_on_two_servers_for_two_wallets_moves_money_once(
    apps: tuple[App, App], kind: str, round_: int
) -> None:
    """The wallets' locks are disjoint, so the request itself decides: one wins, the other gets REQUEST_ID_REUSED."""

    del round_
    left, right = apps
    for name in (ALICE, BOB):
        books.open_wallet(left, name)
        books.open_wallet(left, f"{name}-payer", 100)
    id_ = uuid4()

    results = together([moves(kind, left, ALICE, id_), moves(kind, right, BOB, id_)] * 10)

    made = succeeded(results)
    assert set(reasons(results)) == {RequestIdReused.__name__}
    assert len(made) == 10
    assert len({moved.transaction.id for moved in made}) == 1
    assert [moved.replayed for moved in made].count(False) == 1
    assert sorted([books.balance_of(left, ALICE), books.balance_of(left, BOB)]) == [0, 7]


def test_a_last_balance_fought_over_by_two_servers_is_spent_once(apps: tuple[App, App]) -> None:
    """T11 over two processes: exactly ten of thirty."""

    books.open_wallet(apps[0], ALICE, 1000)
    books.open_wallet(apps[0], BOB)

    results = together([partial(books.transfer, apps[n % 2], ALICE, BOB, 100) for n in range(30)])

    assert (len(succeeded(results)), set(reasons(results))) == (10, {"InsufficientFunds"})
    assert (books.balance_of(apps[1], ALICE), books.balance_of(apps[1], BOB)) == (0, 1000)
