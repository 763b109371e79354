"""One unique reference, used on two servers at once for wallets whose locks do not meet."""

from collections.abc import Callable, Iterator
from functools import partial

import psycopg
import pytest

from tests.support import books
from tests.support.callers import reasons, succeeded
from tests.support.commands import request
from tests.support.database import Database
from tests.support.deadlocks import no_deadlock
from tests.support.together import together
from wallet_core.bootstrap import open_app
from wallet_core.domain.commands.transfers.batch_transfer import BatchTransfer
from wallet_core.domain.commands.transfers.transfer import Transfer, TransferTerms
from wallet_core.domain.model.errors import ExternalReferenceReused
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.transaction import TransactionDetails
from wallet_core.domain.model.wallet import WalletId
from wallet_core.settings import Settings
from wallet_core.usecases.app import App, new_id
from wallet_core.usecases.move_money import MoneyMoved, move_batch, move_money

PAIRS = 6
REFERENCES = tuple(f"invoice-{number}" for number in range(4))


@pytest.fixture
def apps(settings: Settings, database: Database, owner: psycopg.Connection) -> Iterator[tuple[App, App]]:
    """Return two cores on one database, which must not deadlock, and whose books are verified at the end."""
    with no_deadlock(owner), open_app(settings, name="left") as left, open_app(settings, name="right") as right:
        for number in range(PAIRS):
            books.open_wallet(left, f"payer-{number}", 1000)
            books.open_wallet(left, f"payee-{number}")
        yield left, right
    assert database.broken_rules() == []


def terms(pair: int, reference: str) -> dict[str, object]:
    """Return what moves 7 between two wallets under a reference."""
    return {
        "id": new_id(),
        "source": WalletId(f"payer-{pair}"),
        "destination": WalletId(f"payee-{pair}"),
        "amount": Money("USD", 7),
        "details": TransactionDetails(external_reference=reference),
        "unique_reference": True,
    }


def a_transfer(app: App, pair: int, reference: str) -> Callable[[], MoneyMoved]:
    """Return a transfer under a request id of its own."""
    command = Transfer(request=request(), **terms(pair, reference))  # type: ignore[arg-type]  # its fields
    return partial(move_money, app, command, None)


def a_batch(app: App, pair: int, references: tuple[str, ...]) -> Callable[[], object]:
    """Return a batch of one transfer for each reference, in this order."""
    items = tuple(TransferTerms(**terms(pair, reference)) for reference in references)  # type: ignore[arg-type]  # its fields
    return partial(move_batch, app, BatchTransfer(id=new_id(), request=request(), items=items), None)


def of_both(apps: tuple[App, App]) -> list[tuple[App, int]]:
    """Return each pair of wallets with the server that moves its money: no wallet is locked by both."""
    return [(apps[pair % 2], pair) for pair in range(PAIRS)]


def moved(app: App) -> int:
    """Return what the payees have got."""
    return sum(books.balance_of(app, WalletId(f"payee-{number}")) for number in range(PAIRS))


@pytest.mark.parametrize("round_", range(3))
def test_each_reference_is_paid_once(apps: tuple[App, App], round_: int) -> None:
    """The database decides; every loser runs again, finds the winner, and is refused with its name."""

    del round_
    asked = [a_transfer(app, pair, reference) for reference in REFERENCES for app, pair in of_both(apps)]

    results = together(asked)

    made = succeeded(results)
    assert len(made) == len(REFERENCES)
    assert reasons(results) == [ExternalReferenceReused.__name__] * (len(asked) - len(REFERENCES))
    winners = {one.transaction.movement.details.external_reference: one.transaction.name for one in made}
    refused = [one for one in results if isinstance(one, ExternalReferenceReused)]
    assert {(one.reference, one.resource) for one in refused} == set(winners.items())
    assert moved(apps[0]) == 7 * len(REFERENCES)


@pytest.mark.parametrize("round_", range(3))
def test_batches_with_the_same_references_in_another_order_do_not_wait_in_a_ring(
    apps: tuple[App, App], round_: int
) -> None:
    """One of all is made, entirely; no deadlock, and no batch in part."""

    del round_
    orders = {id(app): order for app, order in zip(apps, (REFERENCES, REFERENCES[::-1]), strict=True)}
    asked = [a_batch(app, pair, orders[id(app)]) for app, pair in of_both(apps)]

    results = together(asked)

    assert len(succeeded(results)) == 1
    assert set(reasons(results)) == {ExternalReferenceReused.__name__}
    assert moved(apps[0]) == 7 * len(REFERENCES)
