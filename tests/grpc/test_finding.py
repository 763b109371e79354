"""Finding payments across wallets: by the calling system, by reference, by label; each by whom it was asked for."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from google.protobuf.message import Message
from wallet.v1 import hold_service_pb2 as hold_pb
from wallet.v1 import schedule_service_pb2 as order_pb
from wallet.v1 import transaction_service_pb2 as pb

from bank_stub.server import BankServer
from scheduler.jobs import pay_due_withdrawals
from tests.support.api import Api, all_pages
from tests.support.issuer import Issuer, bearer
from tests.support.requests import (
    a_capture,
    a_deposit,
    a_hold,
    a_reversal,
    a_transfer,
    an_item,
    atomic,
    each,
    money,
    new_id,
)
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_grpc.security.access import Scope
from wallet_grpc.server.process import authentication
from wallet_grpc.server.serving import serving

pytestmark = pytest.mark.own_app


@pytest.fixture
def callers(app: App, guarded: Settings, issuer: Issuer, bank: BankServer) -> Iterator[dict[str, Api]]:
    """Return channels of two calling systems, and wallets with money."""
    del bank
    with ExitStack() as stack:
        target = f"127.0.0.1:{stack.enter_context(serving(app, guarded, authentication(guarded)))}"
        found = {
            name: stack.enter_context(Api(target, metadata=bearer(issuer.token(" ".join(Scope), f"{name}-client"))))
            for name in ("shop", "billing")
        }
        found["shop"].open("alice", 1000)
        found["billing"].open("bob", 1000)
        yield found


def listed(api: Api, request: Any, rows: str) -> list[Any]:  # noqa: ANN401  # any list
    """Return all rows of a list."""
    return [row for page in all_pages(api, request) for row in getattr(page, rows)]


def transactions(api: Api, filter_: str) -> list[str]:
    """Return the names of the transactions of all wallets that fit."""
    return [one.name for one in listed(api, pb.ListTransactionsRequest(filter=filter_), "transactions")]


def test_transactions_are_found_by_their_caller(callers: dict[str, Api]) -> None:
    """Deposits, transfers, items, batches, reversals and captures, of any owner; newest first."""

    shop, billing = callers["shop"], callers["billing"]
    paid = billing.ok(a_transfer("alice", "bob", 5)).transaction
    made = [paid.name]
    made += [one.transaction.name for one in billing.ok(atomic([an_item("bob", "alice", 1)] * 2)).results]
    made += [one.transaction.name for one in billing.ok(each([an_item("bob", "alice", 1)] * 2)).results]
    held = shop.ok(a_hold("alice", 10)).hold.name
    made.append(billing.ok(a_capture(held, "bob", 10)).transaction.name)
    made.append(billing.ok(a_reversal(paid.name)).transaction.name)
    by_shop = shop.ok(a_deposit("bob", 5)).transaction

    found = transactions(shop, 'caller = "billing"')
    assert found[:-1] == sorted(made, key=found.index)
    assert set(made) < set(found)
    assert len(found) == len(made) + 1  # and the deposit of the fixture
    assert transactions(billing, 'caller = "shop"')[0] == by_shop.name
    assert by_shop.caller == "shop"
    assert shop.ok(pb.GetTransactionRequest(name=paid.name)).transaction.caller == "billing"
    assert set(transactions(shop, "")) == set(transactions(shop, 'caller = "shop"')) | set(found)
    assert transactions(shop, 'caller = "nobody"') == []


def test_orders_and_holds_are_found_by_their_caller(callers: dict[str, Api], app: App) -> None:
    """What the scheduler does for a withdrawal has no caller; the withdrawal has."""

    shop, billing = callers["shop"], callers["billing"]
    asked: dict[str, Any] = {"wallet": "wallets/alice", "amount": money(5)}
    requests: dict[str, tuple[Any, Message, str]] = {
        "withdrawals": (order_pb.ScheduleWithdrawalRequest, order_pb.ListWithdrawalsRequest(), "withdrawal"),
        "scheduled_deposits": (
            order_pb.ScheduleDepositRequest,
            order_pb.ListScheduledDepositsRequest(),
            "scheduled_deposit",
        ),
    }
    for rows, (schedule, request, one) in requests.items():
        shop.ok(schedule(**asked, request_id=new_id()))
        made = getattr(billing.ok(schedule(**asked, request_id=new_id())), one)
        request.filter = 'caller = "billing"'  # type: ignore[attr-defined]  # every list has one
        found = listed(shop, request, rows)
        assert [(row.name, row.caller) for row in found] == [(made.name, "billing")], rows
    shop.ok(a_hold("bob", 1))
    held = billing.ok(a_hold("alice", 1)).hold
    found = listed(shop, hold_pb.ListHoldsRequest(filter='caller = "billing"'), "holds")
    assert [(row.name, row.caller) for row in found] == [(held.name, "billing")]

    pay_due_withdrawals.run_once(app)
    moved = listed(shop, pb.ListTransactionsRequest(filter="type = WITHDRAWAL"), "transactions")
    assert [one.caller for one in moved] == ["", ""]
    assert {one.withdrawal for one in moved} == {
        row.name for row in listed(shop, order_pb.ListWithdrawalsRequest(), "withdrawals")
    }


def test_references_and_labels_are_found_across_wallets(callers: dict[str, Api]) -> None:
    """Together with anything else that a filter says, page by page."""

    shop = callers["shop"]
    marked: dict[str, Any] = {"external_reference": "r-1", "labels": {"tier": "gold", "area": "شمال"}}
    both = [shop.ok(a_transfer(*ends, 5, **marked)).transaction.name for ends in (("alice", "bob"), ("bob", "alice"))]
    shop.ok(a_transfer("alice", "bob", 5, external_reference="r-2", labels={"tier": "tin"}))
    order = order_pb.ScheduleDepositRequest(
        wallet="wallets/bob", amount=money(5), external_reference="r-1", request_id=new_id()
    )
    scheduled = shop.ok(order).scheduled_deposit.name

    for filter_ in ('external_reference = "r-1"', 'labels.tier = "gold"', 'labels.area = "شمال"'):
        assert transactions(shop, filter_) == both[::-1], filter_
        assert transactions(shop, f'{filter_} AND source = "wallets/alice"') == both[:1], filter_
        pages = all_pages(shop, pb.ListTransactionsRequest(filter=filter_, page_size=1))
        assert [one.name for page in pages for one in page.transactions] == both[::-1], filter_
    assert transactions(shop, 'external_reference = "r-1" AND labels.tier = "tin"') == []
    found = listed(
        shop, order_pb.ListScheduledDepositsRequest(filter='external_reference = "r-1"'), "scheduled_deposits"
    )
    assert [one.name for one in found] == [scheduled]
