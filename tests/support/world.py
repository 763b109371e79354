"""A service with wallets in every state, open items of each kind in them, and callers of every kind."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from wallet.v1 import operations_service_pb2 as operations_pb
from wallet.v1 import schedule_service_pb2 as order_pb
from wallet.v1 import transaction_service_pb2 as pb
from wallet.v1 import wallet_service_pb2 as wallet_pb
from wallet.v1 import webhook_service_pb2 as webhook_pb
from wallet.v1.reference_policy_pb2 import REFERENCE_POLICY_UNIQUE

from bank_stub.server import BankServer
from scheduler.jobs import collect_due_deposits, pay_due_withdrawals, reconcile_bank_statement
from tests.support.api import Api
from tests.support.documented_faults import REFERENCES, Fault
from tests.support.fuzz_trial import METHODS, WRITES
from tests.support.issuer import Issuer, bearer
from tests.support.payouts import Bank, show_another_ledger
from tests.support.requests import (
    LATE,
    a_capture,
    a_close,
    a_deposit,
    a_freeze,
    a_hold,
    a_rule,
    a_transfer,
    a_void,
    an_end,
    an_item,
    an_unfreeze,
    an_update,
    atomic,
    changed,
    money,
    new_id,
)
from tests.support.wire import Answer
from wallet_core.settings import Settings
from wallet_core.usecases.app import App
from wallet_grpc.security.access import CONFINED, Scope
from wallet_grpc.server.process import authentication
from wallet_grpc.server.serving import serving

ENDPOINT = "https://shop.example/events"
APPLIED_TO_WALLET = order_pb.RESOLUTION_KIND_APPLIED_TO_WALLET


@dataclass(frozen=True)
class World:
    """Wallets in every state, their dependent resources, and callers of every kind."""

    callers: Mapping[str, Api]
    names: Mapping[str, str]

    def request(self, base: Message, *faults: Fault) -> tuple[str, Any]:
        """Return the caller, and a request with these faults under a new id, or the one of a fault."""
        values = {way: value for fault in faults for way, value in fault.values.items()}
        by = values.pop("by", "operator")
        requested = changed(base)
        if "request_id" in requested.DESCRIPTOR.fields_by_name:
            requested.request_id = new_id()  # type: ignore[attr-defined]  # every call that changes something has one
        for way, value in values.items():
            put(requested, way.split("."), self.names.get(value, value) if isinstance(value, str) else value)
        return by, requested

    def answers_to(self, path: str, base: Message, *faults: Fault) -> list[Answer]:
        """Send it once to be validated and once to be done."""
        by, request = self.request(base, *faults)
        return [self.callers[by].call(path, changed(request, validate_only=only)) for only in (True, False)]


def put(message: Any, way: list[str], value: Any) -> None:  # noqa: ANN401  # any field's
    """Put a value into a message."""
    for step in way[:-1]:
        message = message[int(step)] if step.isdigit() else getattr(message, step)
    if isinstance(value, Message):
        getattr(message, way[-1]).CopyFrom(value)
    else:
        setattr(message, way[-1], value)


def bases(names: Mapping[str, str]) -> dict[str, Message]:
    """Return one request a call that would be done."""
    renamed = an_update("alice", display_name="x", overdraft_limit=money(5))
    resolved: dict[str, Any] = {"resolution": APPLIED_TO_WALLET, "reason": "r", "destination": "wallets/bob"}
    requests: list[Message] = [
        wallet_pb.CreateWalletRequest(wallet_id="new", wallet=wallet_pb.Wallet(currency_code="USD", owner="anna")),
        renamed,
        a_freeze("alice"),
        an_unfreeze("cold"),
        a_close("idle"),
        a_deposit("alice", 5),
        a_transfer("alice", "bob", 5),
        atomic([an_item("alice", "bob", 5), an_item("alice", "bob", 6)]),
        pb.ReverseTransactionRequest(name=names["given"], amount=money(5)),
        order_pb.ScheduleWithdrawalRequest(wallet="wallets/alice", amount=money(5), execute_time=LATE),
        order_pb.CancelWithdrawalRequest(name=names["withdrawal"]),
        order_pb.ScheduleDepositRequest(wallet="wallets/alice", amount=money(5), execute_time=LATE),
        order_pb.CancelScheduledDepositRequest(name=names["scheduled deposit"]),
        a_hold("alice", 5),
        a_capture(names["held"], "bob", 5),
        a_void(names["held"]),
        a_rule(wallet="wallets/alice"),
        an_end(names["rule"]),
        operations_pb.ResolveWithdrawalRequest(name=names["unapplied withdrawal"], **resolved),
        operations_pb.ResolveScheduledDepositRequest(name=names["unapplied deposit"], **resolved),
        operations_pb.ResolveDiscrepancyRequest(name=names["discrepancy"], reason="r"),
        operations_pb.AcceptBankStatementRequest(name="bankStatements/2", reason="r"),
        webhook_pb.CreateWebhookRequest(webhook=webhook_pb.Webhook(url=ENDPOINT, wallet="wallets/alice")),
        webhook_pb.UpdateWebhookRequest(
            webhook=webhook_pb.Webhook(name=names["webhook"], wallet="wallets/alice"),
            update_mask=FieldMask(paths=["description", "wallet"]),
        ),
        webhook_pb.RotateWebhookSecretRequest(name=names["webhook"]),
        webhook_pb.DeleteWebhookRequest(name=names["webhook"]),
        webhook_pb.PingWebhookRequest(name=names["webhook"]),
        webhook_pb.RedeliverEventRequest(name=names["webhook"], dead_since=LATE),
    ]
    by_type = {request.DESCRIPTOR.full_name: request for request in requests}
    return {path: by_type[METHODS[path].input_type.full_name] for path in WRITES}


def open_wallets(operator: Api) -> None:
    """Open wallets in every state, anna's all of them, and a rule by which alice pays for her transfers."""
    for wallet, currency in (("alice", "USD"), ("bob", "USD"), ("cold", "USD"), ("idle", "USD"), ("over", "USD")):
        operator.open(wallet, currency=currency, owner="anna")
    for wallet in ("eva", "emil"):
        operator.open(wallet, 100, "EUR", owner="anna")
    operator.open("full", owner="anna", overdraft_limit=money(2**63 - 1))
    operator.open("gone", owner="anna")
    operator.close("gone")
    operator.deposit("alice", 1000)
    operator.deposit("cold", 100)
    operator.update("over", overdraft_limit=money(100))
    operator.transfer("over", "bob", 90)
    operator.charge(fixed_minor_units=2, wallet="wallets/alice")


def hang_on_them(operator: Api, app: App, bank: Bank) -> dict[str, str]:
    """Open one of each in them, and return their names; what is held in cold, and given to it, was before it froze."""
    names = {"given": operator.transfer("alice", "bob", 20).name}
    for name, wallet in (("given to cold and back", "cold"), ("given and back", "bob")):
        given = operator.transfer("alice", wallet, 10)
        operator.reverse(given)
        names[name] = given.name
    spent = operator.transfer("alice", "idle", 10)
    operator.transfer("idle", "bob", 10)
    names["given and spent"] = spent.name
    for name, wallet in (("held", "alice"), ("held in cold", "cold"), ("voided", "alice")):
        names[name] = operator.ok(a_hold(wallet, 10)).hold.name
    operator.ok(a_void(names["voided"]))
    later: dict[str, Any] = {"wallet": "wallets/alice", "amount": money(10), "execute_time": LATE}
    for withdrawal in ("withdrawal", "cancelled withdrawals"):
        request = order_pb.ScheduleWithdrawalRequest(**later, request_id=new_id())
        names[withdrawal] = operator.ok(request).withdrawal.name
    earned = order_pb.ScheduleWithdrawalRequest(
        wallet="wallets/system:commission:USD", amount=money(1), execute_time=LATE, request_id=new_id()
    )
    names["withdrawal of what was earned"] = operator.ok(earned).withdrawal.name
    for deposit in ("scheduled deposit", "cancelled scheduledDeposits"):
        order = order_pb.ScheduleDepositRequest(**later, request_id=new_id())
        names[deposit] = operator.ok(order).scheduled_deposit.name
    cancelled = names["cancelled withdrawals"]
    operator.ok(order_pb.CancelWithdrawalRequest(name=cancelled, request_id=new_id()))
    cancelled = names["cancelled scheduledDeposits"]
    operator.ok(order_pb.CancelScheduledDepositRequest(name=cancelled, request_id=new_id()))
    names["rule"] = operator.charge(start_time=LATE).name
    names["ended"] = operator.charge(start_time=LATE).name
    operator.end(names["ended"])
    names["used"] = new_id()
    operator.ok(changed(a_deposit("bob", 1), request_id=names["used"]))
    for reference in REFERENCES:
        operator.ok(a_deposit("bob", 1, external_reference=reference, reference_policy=REFERENCE_POLICY_UNIQUE))
    for name in ("webhook", "deleted webhook"):
        names[name] = operator.ok(a_webhook()).webhook.name
    operator.ok(webhook_pb.DeleteWebhookRequest(name=names["deleted webhook"], request_id=new_id()))
    names |= strand(operator, app, bank)
    operator.freeze("cold")
    return names


def a_webhook() -> webhook_pb.CreateWebhookRequest:
    """Return the creation of a webhook."""
    return webhook_pb.CreateWebhookRequest(webhook=webhook_pb.Webhook(url=ENDPOINT), request_id=new_id())


def strand(operator: Api, app: App, bank: Bank) -> dict[str, str]:
    """Let the bank return what it paid to a closed wallet, collect for a full one, and execute an unknown payment."""
    operator.open("late", 41, owner="anna")
    now: dict[str, Any] = {"amount": money(41), "request_id": new_id()}
    paid = operator.ok(order_pb.ScheduleWithdrawalRequest(wallet="wallets/late", **now)).withdrawal.name
    pay_due_withdrawals.run_once(app)
    operator.close("late")
    bank.give_back(UUID(paid.rpartition("/")[2]))
    bank.execute(key="stranger", amount=5)
    reconcile_bank_statement.run_once(app)
    now = {"amount": money(43), "request_id": new_id(), "collect": True}
    collected = operator.ok(order_pb.ScheduleDepositRequest(wallet="wallets/full", **now)).scheduled_deposit.name
    collect_due_deposits.run_once(app)
    show_another_ledger(app)
    operator.ok(operations_pb.AcceptBankStatementRequest(name="bankStatements/1", reason="r", request_id=new_id()))
    show_another_ledger(app)
    return {"unapplied withdrawal": paid, "unapplied deposit": collected, "discrepancy": "bankStatementLines/3"}


@contextmanager
def a_world(app: App, settings: Settings, issuer: Issuer, bank: BankServer) -> Iterator[World]:
    """Serve all of it."""
    everything_ = " ".join(Scope)
    others = " ".join({Scope.WALLET_READ})
    with ExitStack() as stack:
        target = f"127.0.0.1:{stack.enter_context(serving(app, settings, authentication(settings)))}"
        metadata: dict[str, Any] = {
            "operator": bearer(issuer.token(everything_)),
            "anna": bearer(issuer.token(" ".join(CONFINED), owner="anna")),
            "bert": bearer(issuer.token(everything_, owner="bert")),
            "clerk": bearer(issuer.token(" ".join(set(Scope) - {Scope.OPERATIONS, Scope.WALLET_CREDIT}))),
            "reader": bearer(issuer.token(others)),
            "stranger": (),
        }
        callers = {who_: stack.enter_context(Api(target, metadata=text)) for who_, text in metadata.items()}
        operator = callers["operator"]
        open_wallets(operator)
        of_anna = callers["anna"].ok(a_webhook()).webhook.name
        names = hang_on_them(operator, app, Bank(bank.url))
        yield World(callers, names | {"webhook of anna": of_anna})
