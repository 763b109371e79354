"""GetFigures: what operators see of the whole service."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.callers import usd
from wallet_client import WalletClient
from wallet_core.storage.reads import figures

LATER = datetime.now(UTC) + timedelta(days=1)  # noqa: TID251  # a time to come


def test_money_is_shown_by_where_it_is(client: WalletClient) -> None:
    """What came in is in wallets, in transit or earned; holds and reserved payouts are a part of the first."""

    client.create_wallet("alice", "USD")
    client.create_wallet("berta", "EUR")
    client.deposit("wallets/alice", usd(1000))
    client.create_wallet("bob", "USD")
    hold = client.place_hold("wallets/alice", usd(400), LATER).hold
    client.capture_hold(hold.name, "wallets/bob", amount=usd(100))
    client.schedule_withdrawal("wallets/alice", usd(50), execute_time=LATER, reserve=True)

    shown = client.get_figures()

    assert [
        (one.in_wallets.currency_code, one.in_wallets.minor_units, one.held.minor_units, one.in_transit.minor_units)
        for one in shown.currencies
    ] == [("EUR", 0, 0, 0), ("USD", 1000, 350, 0)]
    assert shown.withdrawals.scheduled == 1
    assert shown.transactions_per_second == pytest.approx(0.2)
    assert shown.HasField("call_median")


def test_payment_orders_are_counted_by_what_happens_to_them(client: WalletClient) -> None:
    """With the age of the oldest, of both kinds."""

    client.create_wallet("alice", "USD")
    client.deposit("wallets/alice", usd(1000))
    for collect in (True, False):
        client.schedule_deposit("wallets/alice", usd(1), collect=collect, bank_account="x" if collect else "")
        client.schedule_deposit(
            "wallets/alice", usd(1), collect=collect, execute_time=LATER, bank_account="x" if collect else ""
        )
    client.schedule_withdrawal("wallets/alice", usd(5))

    shown = client.get_figures()

    assert (shown.withdrawals.due, shown.withdrawals.scheduled, shown.withdrawals.in_doubt) == (1, 0, 0)
    assert shown.withdrawals.HasField("due_since")
    assert not shown.withdrawals.HasField("in_doubt_since")
    assert (shown.scheduled_deposits.due, shown.scheduled_deposits.scheduled) == (2, 2)


def test_too_many_holds_are_not_added_up(client: WalletClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call stays cheap whatever the number: the sum is left out."""

    monkeypatch.setattr(figures, "_HOLDS_MAX", 2)
    client.create_wallet("alice", "USD")
    client.deposit("wallets/alice", usd(1000))
    for _ in range(2):
        client.place_hold("wallets/alice", usd(1), LATER)

    (shown,) = client.get_figures().currencies

    assert not shown.HasField("held")
    assert shown.in_wallets.minor_units == 1000
