"""The journal: everything that happened, once, in one order, and provably so."""

from functools import partial
from itertools import pairwise

import psycopg

from scheduler.jobs import write_journal
from tests.support.books import open_wallet, transfer
from tests.support.commands import a_rule
from tests.support.database import Database
from tests.support.together import over_and_over, together
from wallet_core.bootstrap import open_app
from wallet_core.domain.model.event import EventType, JournalRecord
from wallet_core.domain.model.wallet import WalletId
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_core.usecases.commission import change_rule

ALICE, BOB = WalletId("alice"), WalletId("bob")


def records(app: App) -> list[JournalRecord]:
    """Return the whole journal."""
    return app.reads.journal_after(0, 100_000)


def test_a_journal_record_has_the_type_the_subject_and_the_wallets_of_its_event(app: App) -> None:
    """In the order in which it happened, numbered from 1; a transfer with commission concerns three wallets."""

    open_wallet(app, ALICE, 100)
    open_wallet(app, BOB)
    rule = change_rule(app, a_rule(fixed=1))
    moved = transfer(app, ALICE, BOB, 10)

    assert write_journal.run_once(app).claimed == 5
    found = records(app)

    assert [record.number for record in found] == [1, 2, 3, 4, 5]
    assert [(record.event.type, record.event.wallets) for record in found] == [
        (EventType.WALLET_CREATED, ("alice",)),
        (EventType.TRANSACTION_POSTED, ("system:external:USD", "alice")),
        (EventType.WALLET_CREATED, ("bob",)),
        (EventType.COMMISSION_RULE_CREATED, ()),
        (EventType.TRANSACTION_POSTED, ("alice", "bob", "system:commission:USD")),
    ]
    assert found[3].event.subject == rule.rule.name
    assert (found[4].event.subject, found[4].event.time) == (moved.transaction.name, moved.transaction.time)
    assert write_journal.run_once(app).claimed == 0


def test_a_backlog_is_written_in_steps_from_the_oldest_event_on(app: App) -> None:
    """As after a time without a scheduler; a step returns how much it has moved."""

    open_wallet(app, ALICE, 100)
    open_wallet(app, BOB)
    names = [transfer(app, ALICE, BOB, 1).transaction.name for _ in range(7)]

    assert [app.journal.write(4) for _ in range(4)] == [4, 4, 2, 0]
    assert [record.event.subject for record in records(app)][3:] == names


def test_each_record_is_chained_to_the_one_before(app: App) -> None:
    """The hash is computed from the record and the hash before it, in one write and from one to the next."""

    open_wallet(app, ALICE, 100)
    write_journal.run_once(app)
    open_wallet(app, BOB, 100)
    write_journal.run_once(app)

    found = records(app)
    assert len(found) == 4
    assert found[0].chained(b"") == found[0]
    assert [after.chained(before.hash) for before, after in pairwise(found)] == found[1:]


def test_several_writers_write_each_event_once_during_transfers(
    app: App, settings: Settings, database: Database
) -> None:
    """Four write at the same time, two of them of other processes, beside eight callers; no number is left out."""

    wallets = [open_wallet(app, f"w{number}", 1000) for number in range(8)]

    def pay(number: int) -> None:
        for _ in range(25):
            transfer(app, wallets[number], wallets[(number + 1) % 8], 1)

    with open_app(settings, name="other") as other:

        def write() -> None:
            for writer in (app, other):
                writer.journal.write(7)

        with over_and_over(write), over_and_over(write):
            together([partial(pay, number) for number in range(8)])
        write_journal.run_once(app)

    found = records(app)
    assert [record.number for record in found] == list(range(1, len(found) + 1))
    posted = [record.event.subject for record in found if record.event.type == EventType.TRANSACTION_POSTED]
    assert len(posted) == len(set(posted)) == 8 + 200
    assert database.broken_rules() == []


def test_the_events_of_a_wallet_are_in_its_order_across_processes(
    app: App, settings: Settings, owner: psycopg.Connection
) -> None:
    """Two processes post to one wallet while the journal is written: its records follow its entries."""

    open_wallet(app, ALICE, 1000)
    open_wallet(app, BOB, 1000)

    def pay(who: App) -> None:
        for _ in range(40):
            transfer(who, ALICE, BOB, 1)

    with open_app(settings, name="other") as other, over_and_over(lambda: app.journal.write(3)):
        together([partial(pay, who) for who in (app, other) * 2])
    write_journal.run_once(app)

    entries = owner.execute(
        "SELECT 'transactions/' || transaction FROM entries JOIN wallets ON key = wallet WHERE id = 'alice'"
        " ORDER BY entries.sequence"
    ).fetchall()
    of_alice = [
        record.event.subject
        for record in records(app)
        if record.event.type == EventType.TRANSACTION_POSTED and "alice" in record.event.wallets
    ]
    assert of_alice == [name for (name,) in entries]
