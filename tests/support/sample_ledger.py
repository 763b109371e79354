"""Books with something of everything: transactions of every type, orders and holds in every state, rules of all scopes.

Times that are yet to come lie in 2099.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from google.protobuf.field_mask_pb2 import FieldMask
from wallet.v1 import commission_pb2
from wallet.v1 import commission_service_pb2 as commission_pb
from wallet.v1 import hold_service_pb2 as hold_pb
from wallet.v1 import operations_service_pb2 as operations_pb
from wallet.v1 import schedule_service_pb2 as schedule_pb
from wallet.v1 import wallet_service_pb2 as wallet_pb
from wallet.v1 import webhook_service_pb2 as webhook_pb

from bank_stub.server import BankServer
from scheduler.jobs import (
    collect_due_deposits,
    credit_due_deposits,
    expire_holds,
    pay_due_withdrawals,
    reconcile_bank_statement,
)
from tests.support.api import Api
from tests.support.payouts import Bank
from tests.support.requests import money, stamp
from wallet_core.usecases.app import App

LATER = datetime(2099, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)
A_DAY = timedelta(days=1)


def one_of_each(api: Api, app: App, bank: BankServer) -> None:
    """Make all of it."""
    _wallets(api)
    _rules(api)
    _transactions(api)
    _holds(api, app)
    _withdrawals(api, app, Bank(bank.url))
    _scheduled_deposits(api, app, Bank(bank.url))
    _what_found_no_room(api, app, Bank(bank.url))
    _webhooks(api)


def _webhooks(api: Api) -> None:
    """Make two of them, with two deliveries each, that nothing is ever sent to."""
    for number in range(2):
        webhook = webhook_pb.Webhook(url=f"https://shop.example/{number}")
        made = api.ok(webhook_pb.CreateWebhookRequest(webhook=webhook, request_id=_id())).webhook
        for _ in range(2):
            api.ok(webhook_pb.PingWebhookRequest(name=made.name, request_id=_id()))


def _wallets(api: Api) -> None:
    api.open("alice", owner="o-1", display_name="Alice", labels={"tier": "gold", "region": "north"})
    api.open("bob", owner="o-1", display_name='Bob "the builder"', labels={"tier": "silver"})
    api.open("carol", owner="o-2", labels={"tier": "", "region": "شمال"})
    api.open_all("dora", "emil", currency="EUR", display_name="Alice")
    api.open("fay", currency="JPY", labels={"region": "north"})
    api.ok(wallet_pb.FreezeWalletRequest(name="wallets/carol", request_id=_id()))
    api.ok(wallet_pb.CloseWalletRequest(name="wallets/emil", request_id=_id()))
    renamed = wallet_pb.Wallet(name="wallets/fay", display_name="فی")
    mask = FieldMask(paths=["display_name"])
    api.ok(wallet_pb.UpdateWalletRequest(wallet=renamed, update_mask=mask, request_id=_id()))


def _rules(api: Api) -> None:
    source, destination = commission_pb2.COMMISSION_PAYER_SOURCE, commission_pb2.COMMISSION_PAYER_DESTINATION
    rule = commission_pb.CommissionRule
    label = commission_pb.Label(key="tier", value="silver")
    rules = [
        rule(currency_code="USD", threshold_minor_units=500, rate_millionths=15_000, payer=source),
        rule(currency_code="USD", fixed_minor_units=3, payer=destination, wallet="wallets/carol"),
        rule(currency_code="USD", fixed_minor_units=1, threshold_minor_units=900, payer=source, label=label),
        rule(currency_code="EUR", payer=source, start_time=stamp(LATER), end_time=stamp(LATER + A_DAY)),
        rule(currency_code="EUR", payer=source, end_time=stamp(LATER), wallet="wallets/dora"),
        rule(currency_code="JPY", payer=source, start_time=stamp(LATER)),
    ]
    made = [api.ok(commission_pb.CreateCommissionRuleRequest(rule=one, request_id=_id())).rule for one in rules]
    api.ok(commission_pb.EndCommissionRuleRequest(name=made[-1].name, request_id=_id()))


def _transactions(api: Api) -> None:
    first = api.deposit("alice", 10_000, external_reference="r-1", labels={"kind": "salary"})
    api.deposit("bob", 2_000, external_reference="r-2", labels={"kind": ""})
    api.deposit("dora", 700, currency="EUR")
    charged = api.transfer("alice", "bob", 1_000, external_reference="r-1", labels={"kind": "rent", "year": "2026"})
    api.transfer("bob", "alice", 950, description="x")
    api.transfer("alice", "carol", 50)
    api.reverse(charged, 400)
    api.reverse(api.transfer("alice", "bob", 20))
    api.reverse(first, 1)


def _holds(api: Api, app: App) -> None:
    def place(units: int, expire_time: datetime = LATER) -> str:
        request = hold_pb.PlaceHoldRequest(
            wallet="wallets/alice", amount=money(units), expire_time=stamp(expire_time), request_id=_id()
        )
        return str(api.ok(request).hold.name)

    def capture(name: str, **fields: Any) -> None:  # noqa: ANN401  # a request's
        api.ok(hold_pb.CaptureHoldRequest(name=name, destination="wallets/bob", request_id=_id(), **fields))

    opened = api.ok(wallet_pb.GetWalletRequest(name="wallets/alice")).wallet.create_time
    place(11, opened.ToDatetime(tzinfo=UTC) + A_DAY)
    expire_holds.run_once(app, clock_offset=2 * A_DAY)
    place(12)
    capture(place(13), labels={"kind": "rent"})
    capture(place(14), amount=money(4))
    capture(place(15), amount=money(5), final=True)
    api.ok(hold_pb.VoidHoldRequest(name=place(16), request_id=_id()))


def _withdrawals(api: Api, app: App, bank: Bank) -> None:
    def schedule(units: int, **fields: Any) -> str:  # noqa: ANN401  # a request's
        request = schedule_pb.ScheduleWithdrawalRequest(
            wallet="wallets/alice", amount=money(units), request_id=_id(), **fields
        )
        return str(api.ok(request).withdrawal.name)

    schedule(21, execute_time=stamp(LATER), reserve=True)
    cancelled = schedule(22, execute_time=stamp(LATER + A_DAY))
    api.ok(schedule_pb.CancelWithdrawalRequest(name=cancelled, request_id=_id()))
    for units, fault in ((23, None), (24, "declined"), (10**9, None), (25, "reset"), (26, "declined_retryable")):
        if fault is not None:
            bank.order(fault, times=1, **({"reason": "no"} if fault == "declined" else {}))
        schedule(units)
        pay_due_withdrawals.run_once(app)


def _scheduled_deposits(api: Api, app: App, bank: Bank) -> None:
    def schedule(units: int, **fields: Any) -> str:  # noqa: ANN401  # a request's
        request = schedule_pb.ScheduleDepositRequest(
            wallet="wallets/bob", amount=money(units), request_id=_id(), **fields
        )
        return str(api.ok(request).scheduled_deposit.name)

    schedule(31, execute_time=stamp(LATER))
    cancelled = schedule(32, execute_time=stamp(LATER + A_DAY))
    api.ok(schedule_pb.CancelScheduledDepositRequest(name=cancelled, request_id=_id()))
    schedule(33)
    credit_due_deposits.run_once(app)
    for units, fault in ((34, None), (35, "declined"), (36, "reset"), (37, "declined_retryable")):
        if fault is not None:
            bank.order(fault, times=1, **({"reason": "no"} if fault == "declined" else {}))
        schedule(units, collect=True)
        collect_due_deposits.run_once(app)


def _what_found_no_room(api: Api, app: App, bank: Bank) -> None:
    """Let the bank give back what it paid, to a wallet that is there and to one that is closed; collect for a full one.

    What found no room is given to bob.
    """
    full = wallet_pb.Wallet(currency_code="USD", overdraft_limit=money(2**63 - 1))
    api.ok(wallet_pb.CreateWalletRequest(wallet_id="full", wallet=full, request_id=_id()))
    api.open("late")
    api.deposit("late", 41)
    for wallet, units in (("alice", 42), ("late", 41)):
        request = schedule_pb.ScheduleWithdrawalRequest(
            wallet=f"wallets/{wallet}", amount=money(units), request_id=_id()
        )
        paid = api.ok(request).withdrawal.name
        pay_due_withdrawals.run_once(app)
        bank.give_back(UUID(paid.rpartition("/")[2]))
    api.ok(wallet_pb.CloseWalletRequest(name="wallets/late", request_id=_id()))
    reconcile_bank_statement.run_once(app)
    collected = api.ok(
        schedule_pb.ScheduleDepositRequest(wallet="wallets/full", amount=money(43), collect=True, request_id=_id())
    ).scheduled_deposit.name
    collect_due_deposits.run_once(app)
    place: dict[str, Any] = {
        "resolution": schedule_pb.RESOLUTION_KIND_APPLIED_TO_WALLET,
        "reason": "no room",
        "destination": "wallets/bob",
    }
    api.ok(operations_pb.ResolveWithdrawalRequest(name=paid, request_id=_id(), **place))
    api.ok(operations_pb.ResolveScheduledDepositRequest(name=collected, request_id=_id(), **place))


def _id() -> str:
    return str(uuid4())
