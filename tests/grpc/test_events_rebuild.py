"""Events carry what has changed: an outside reader rebuilds balances from the stream alone."""

from collections import defaultdict
from collections.abc import Callable
from itertools import islice
from typing import Any

import psycopg
import pytest
from wallet.v1 import event_service_pb2 as pb

from bank_stub.server import BankServer
from tests.support.api import Api
from tests.support.audited_books import write_books
from tests.support.issuer import Issuer, bearer
from tests.support.watching import wait_until_published, watching, writing_journal
from wallet_client import WalletClient
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_grpc.security.access import Scope
from wallet_grpc.server.process import authentication
from wallet_grpc.server.serving import serving


@pytest.fixture
def events(app: App, client: WalletClient, bank: BankServer) -> list[pb.Event]:
    """Return all events of books with a bit of everything."""
    write_books(app, bank.url)
    while app.journal.write(1000):
        pass
    end = app.reads.journal_end()
    assert end is not None
    return list(islice(client.watch_events(from_start=True), end.number))


def test_balances_and_reserves_follow_from_the_stream_alone(client: WalletClient, events: list[pb.Event]) -> None:
    """Every entry follows from the one before it, and the last ones are what the wallets are now."""

    balances: defaultdict[str, int] = defaultdict(int)
    sequences: defaultdict[str, int] = defaultdict(int)
    reserved: dict[str, tuple[str, int]] = {}
    for event in events:
        for entry in event.transaction.entries:
            balances[entry.wallet] += entry.amount.minor_units
            sequences[entry.wallet] += 1
            assert (entry.sequence, entry.balance_after.minor_units) == (
                sequences[entry.wallet],
                balances[entry.wallet],
            )
        if event.HasField("hold"):
            reserved[event.resource] = (event.hold.wallet, event.hold.remaining_amount.minor_units)
        if event.HasField("withdrawal") and event.withdrawal.reserve:
            is_scheduled = event.withdrawal.state == event.withdrawal.STATE_SCHEDULED
            reserved[event.resource] = (event.withdrawal.wallet, event.withdrawal.amount.minor_units * is_scheduled)

    wallets = {event.resource for event in events if event.type == pb.Event.TYPE_WALLET_CREATED} | balances.keys()
    assert len(wallets) > 8
    for name in wallets:
        found = client.get_wallet(name)
        held = sum(amount for wallet, amount in reserved.values() if wallet == name)
        assert (found.balance.minor_units, found.held.minor_units) == (balances[name], held), name


def test_an_event_states_what_the_read_call_returns(client: WalletClient, events: list[pb.Event]) -> None:
    """The last event of each resource: every field but those that only the resource itself has."""

    reads: dict[str, tuple[Callable[[str], Any], tuple[str, ...]]] = {
        "transaction": (client.get_transaction, ("state", "reversals", "reversed_amount")),
        "wallet": (client.get_wallet, ("balance", "held", "available")),
        "hold": (client.get_hold, ()),
        "withdrawal": (client.get_withdrawal, ("bank_attempts", "resolutions", "next_attempt_time")),
        "scheduled_deposit": (client.get_scheduled_deposit, ("bank_attempts", "resolutions", "next_attempt_time")),
        "commission_rule": (client.get_commission_rule, ()),
    }
    last: dict[str, pb.Event] = {event.resource: event for event in events}
    seen = set()
    for name, event in last.items():
        kind = event.WhichOneof("change")
        if kind is None:
            assert event.type in {pb.Event.TYPE_DISCREPANCY_RESOLVED, pb.Event.TYPE_BANK_STATEMENT_ACCEPTED}
            continue
        read, own = reads[kind]
        found = read(name)
        for field in own:
            found.ClearField(field)
            getattr(event, kind).ClearField(field)
        assert getattr(event, kind) == found
        seen.add(kind)
    assert seen == reads.keys()


def test_changes_show_what_the_reader_may_read(
    app: App, guarded: Settings, issuer: Issuer, owner: psycopg.Connection
) -> None:
    """An owner sees the balances of its own wallets only; without `wallet.read` an event names its resource only."""

    def caller(scope: str = " ".join(Scope), **claims: Any) -> Api:  # noqa: ANN401  # any claim
        return Api(target, metadata=bearer(issuer.token(scope, **claims)))

    with writing_journal(app), serving(app, guarded, authentication(guarded)) as port:
        target = f"127.0.0.1:{port}"
        with (
            caller() as all_,
            caller(owner="anna") as anna,
            caller(" ".join(set(Scope) - {Scope.OPERATIONS})) as plain,
            caller(" ".join(set(Scope) - {Scope.WALLET_READ})) as blind,
        ):
            for who in ("anna", "bert"):
                all_.open(f"{who}s", owner=who)
            wait_until_published(owner)
            with (
                watching(anna) as of_anna,
                watching(plain) as of_plain,
                watching(all_) as of_all,
                watching(blind) as of_blind,
            ):
                all_.deposit("annas", 100)
                all_.transfer("annas", "berts", 1)
                received = [watcher.wait_for_events(2) for watcher in (of_anna, of_plain, of_all, of_blind)]

    def balances(event: pb.Event) -> dict[str, tuple[int, int]]:
        return {
            entry.wallet.removeprefix("wallets/"): (entry.sequence, entry.balance_after.minor_units)
            for entry in event.transaction.entries
            if entry.sequence
        }

    annas, plains, alls, blinds = ([balances(event) for event in events] for events in received)
    assert annas == [{"annas": (1, 100)}, {"annas": (2, 99)}]
    assert plains == [{"annas": (1, 100)}, {"annas": (2, 99), "berts": (1, 1)}]
    assert alls == [{"annas": (1, 100), "system:external:USD": (1, -100)}, {"annas": (2, 99), "berts": (1, 1)}]
    assert blinds == [{}, {}]
    assert [event.WhichOneof("change") for event in received[3]] == [None, None]
