"""Totals kept at every thousandth entry: what all entries up to it come to, however a wallet came by them."""

from dataclasses import replace
from datetime import UTC, datetime

import psycopg
import pytest

from tests.support.batching import post_as_one_batch
from tests.support.books import open_wallet, transfer
from tests.support.commands import a_batch, a_deposit, a_rule, an_item
from tests.support.long_history import write_history
from wallet_core.bootstrap import open_app
from wallet_core.domain.commands.transfers.batch_transfer import BatchTransfer
from wallet_core.domain.deciding.decision import Done
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.wallet import Role, WalletId, system_wallet
from wallet_core.domain.queries.statement import Statement
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_core.usecases.commission import change_rule

ALICE, BOB = WalletId("alice"), WalletId("bob")
OUTSIDE, COMMISSION = system_wallet(Role.EXTERNAL, "USD"), system_wallet(Role.COMMISSION, "USD")
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)

# Wallet, sequence, type, count, credited, debited.
Kept = list[tuple[str, int, str, int, int, int]]


@pytest.fixture
def alice(app: App) -> WalletId:
    """Return a wallet with 100,000 in one entry, with a neighbour that has none."""
    open_wallet(app, BOB)
    return open_wallet(app, ALICE, 100_000)


def batch(count: int, source: WalletId = ALICE, destination: WalletId = BOB) -> BatchTransfer:
    """Return an atomic batch of this many transfers of one, two, three … cents."""
    amounts = (Money("USD", number % 9 + 1) for number in range(count))
    return a_batch(*(an_item(source, destination, amount) for amount in amounts))


def kept(owner: psycopg.Connection) -> Kept:
    """Return what is kept."""
    return owner.execute(
        """
        SELECT id, entry_totals.sequence, type, count, credited::bigint, debited::bigint
        FROM entry_totals
        JOIN wallets ON wallets.key = wallet
        ORDER BY 1, 2, 3
        """
    ).fetchall()


def counted(owner: psycopg.Connection) -> Kept:
    """Return what should be kept, entry by entry."""
    totals: Kept = []
    so_far: dict[str, dict[str, tuple[int, int, int]]] = {}
    for wallet, sequence, type_, amount in owner.execute(
        """
        SELECT id, entries.sequence, type, amount
        FROM entries
        JOIN wallets ON wallets.key = wallet
        ORDER BY 1, 2
        """
    ).fetchall():
        types = so_far.setdefault(wallet, {})
        count, credited, debited = types.get(type_, (0, 0, 0))
        types[type_] = (count + 1, credited + max(amount, 0), debited + max(-amount, 0))
        if sequence % 1000 == 0:
            totals += [(wallet, sequence, name, *of_it) for name, of_it in types.items()]
    return sorted(totals)


def marks(owner: psycopg.Connection) -> dict[str, int]:
    """Return how many thousands are kept of each wallet that has any."""
    return dict(
        owner.execute(
            """
            SELECT id, count(DISTINCT entry_totals.sequence)
            FROM entry_totals
            JOIN wallets ON wallets.key = wallet
            GROUP BY id
            """
        ).fetchall()
    )


def statement(app: App, wallet: WalletId, start: datetime = FIRST, end: datetime = LAST) -> Statement:
    """Return the first entry of a statement, and its totals."""
    return app.reads.statement(wallet, start, end, size=1, first=None)


def test_totals_are_kept_when_a_thousand_is_complete_and_not_before(
    app: App, owner: psycopg.Connection, alice: WalletId
) -> None:
    """Across 999, 1000, 1001, 1999, 2000, 2001 entries, in batches and one at a time."""

    for count, reached, thousands in ((998, 999, 0), (1, 1000, 1), (1, 1001, 1), (998, 1999, 1), (1, 2000, 2)):
        app.ledger.post(batch(count))
        assert owner.execute("SELECT sequence FROM wallets WHERE id = 'alice'").fetchone() == (reached,)
        assert marks(owner).get("alice", 0) == thousands
        assert kept(owner) == counted(owner)
    transfer(app, alice, BOB, 1)
    assert marks(owner) == {"alice": 2, "bob": 2}
    assert kept(owner) == counted(owner)


def test_one_commit_that_completes_several_thousands_keeps_all_of_them(
    app: App, settings: Settings, owner: psycopg.Connection, alice: WalletId
) -> None:
    """Four batches of 900 in one commit, of a wallet with 500: four thousands; and of the wallet that earns by them."""

    change_rule(app, a_rule(fixed=1))
    app.ledger.post(batch(500))

    wide = settings.replaced(commit_batch_max=5000)
    with open_app(wide, name="wide") as gathering:
        outcomes = post_as_one_batch(gathering, [batch(900), batch(900, BOB, alice), batch(900), batch(900)])

    assert [type(one) for one in outcomes] == [Done, Done, Done, Done]
    ((transactions, instants),) = owner.execute(
        "SELECT count(*), count(DISTINCT xmin::text) FROM transactions WHERE batch_item = 899"
    ).fetchall()
    assert (transactions, instants) == (4, 1)
    assert marks(owner) == {"alice": 4, "bob": 4, COMMISSION: 4}
    assert kept(owner) == counted(owner)


def test_the_external_wallet_has_totals_too(app: App, owner: psycopg.Connection, alice: WalletId) -> None:
    """2,001 deposits in commits of any size: every one of them is an entry of the external wallet."""

    deposits = [a_deposit(alice, Money("USD", number % 7 + 1)) for number in range(2001)]

    assert all(isinstance(one, Done) for one in app.ledger.post_all(deposits))

    assert marks(owner) == {"alice": 2, OUTSIDE: 2}
    assert kept(owner) == counted(owner)
    for wallet in (alice, OUTSIDE):
        (total,) = statement(app, wallet).totals
        assert total.count == 2002


def test_a_refused_batch_leaves_no_totals(app: App, owner: psycopg.Connection, alice: WalletId) -> None:
    """Nor does one that was only validated."""

    before = kept(owner)
    items = batch(1000).items
    app.ledger.post(replace(a_batch(*items), validate_only=True))
    with pytest.raises(Exception, match="available balance is too low"):
        app.ledger.post(a_batch(*items[:-1], an_item(alice, BOB, Money("USD", 10**9))))

    assert kept(owner) == before == []


def test_statements_around_every_thousand_are_right(app: App, owner: psycopg.Connection) -> None:
    """From and to any of the entries next to 1000, 2000 and 3000: the totals of those between."""

    open_wallet(app, ALICE)
    open_wallet(app, BOB)
    write_history(owner, 3001)
    times: dict[int, datetime] = dict(
        owner.execute(
            "SELECT e.sequence, e.time FROM entries AS e JOIN wallets ON key = wallet WHERE id = 'alice'"
        ).fetchall()
    )
    rows = owner.execute(
        "SELECT e.time, e.type, e.amount FROM entries AS e JOIN wallets ON key = wallet WHERE id = 'alice'"
    ).fetchall()
    ends = [times[number] for number in (1, 998, 1000, 1003, 2000, 2002, 3001)]

    for start in ends:
        for end in (*ends, LAST):
            if start < end:
                within = [(type_, amount) for time, type_, amount in rows if start <= time < end]
                found = {
                    one.type: (one.count, one.credited, one.debited) for one in statement(app, ALICE, start, end).totals
                }
                assert found == {
                    kind: (
                        sum(type_ == kind for type_, _ in within),
                        sum(max(amount, 0) for type_, amount in within if type_ == kind),
                        sum(max(-amount, 0) for type_, amount in within if type_ == kind),
                    )
                    for kind in {type_ for type_, _ in within}
                }, (start, end)
