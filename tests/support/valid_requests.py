"""One valid request of each method, and what every answer to an invalid one must be."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import psycopg
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from wallet.v1 import audit_service_pb2 as audit_pb
from wallet.v1 import commission_pb2
from wallet.v1 import commission_service_pb2 as commission_pb
from wallet.v1 import event_service_pb2 as event_pb
from wallet.v1 import hold_service_pb2 as hold_pb
from wallet.v1 import info_service_pb2 as info_pb
from wallet.v1 import operations_service_pb2 as operations_pb
from wallet.v1 import schedule_service_pb2 as schedule_pb
from wallet.v1 import transaction_service_pb2 as transaction_pb
from wallet.v1 import wallet_service_pb2 as wallet_pb
from wallet.v1 import webhook_service_pb2 as webhook_pb

from tests.support.callers import everything
from tests.support.long_history import BEGAN
from tests.support.requests import money, stamp
from tests.support.sample_ledger import LATER
from tests.support.wire import Answer, all_methods, path_of

ABSENT = uuid4()
AMOUNT = money(5)
ZOE, YVES = "wallets/zoe", "wallets/yves"
PAGE: dict[str, Any] = {"page_size": 3, "filter": 'create_time < "2099-01-01T00:00:00Z"'}


def valid_requests() -> dict[str, Any]:
    """Return one valid request of each method; those that change something name missing resources, or only validate."""
    requests: list[Message] = [
        *_wallet_requests(),
        info_pb.GetServiceInfoRequest(),
        *_transaction_requests(),
        *_schedule_requests(),
        *_hold_requests(),
        *_commission_requests(),
        *_webhook_requests(),
        *_audit_requests(),
        *_operations_requests(),
        event_pb.WatchEventsRequest(wallet="wallets/alice", types=[event_pb.Event.TYPE_WALLET_FROZEN]),
    ]
    by_type = {request.DESCRIPTOR.full_name: request for request in requests}
    return {path_of(method): by_type[method.input_type.full_name] for method in all_methods()}


def _wallet_requests() -> list[Message]:
    wallet = wallet_pb.Wallet(
        currency_code="USD", owner="o", display_name="d", labels={"k": "v"}, overdraft_limit=money(7)
    )
    changed = wallet_pb.Wallet(name=ZOE, display_name="d", etag='"1"', overdraft_limit=money(7))
    mask = FieldMask(paths=["display_name", "overdraft_limit"])
    on_zoe: dict[str, Any] = {"name": ZOE, "etag": '"1"'}
    return [
        wallet_pb.CreateWalletRequest(wallet_id="alice", wallet=wallet, request_id=str(uuid4()), validate_only=True),
        wallet_pb.GetWalletRequest(name="wallets/alice", as_of=stamp(BEGAN)),
        wallet_pb.BatchGetWalletsRequest(names=["wallets/alice", "wallets/bob"]),
        wallet_pb.ListWalletsRequest(**PAGE),
        wallet_pb.ListCurrenciesRequest(),
        wallet_pb.UpdateWalletRequest(wallet=changed, update_mask=mask, request_id=str(uuid4())),
        wallet_pb.FreezeWalletRequest(**on_zoe, request_id=str(uuid4())),
        wallet_pb.UnfreezeWalletRequest(**on_zoe, request_id=str(uuid4())),
        wallet_pb.CloseWalletRequest(**on_zoe, request_id=str(uuid4())),
    ]


def _transaction_requests() -> list[Message]:
    transfer: dict[str, Any] = {
        "source": ZOE,
        "destination": YVES,
        "amount": AMOUNT,
        "max_commission": money(1),
        "description": "d",
    }
    past: dict[str, Any] = {"wallet": "wallets/alice", "start_time": stamp(BEGAN), "end_time": stamp(LATER)}
    return [
        transaction_pb.DepositRequest(
            wallet=ZOE,
            amount=AMOUNT,
            request_id=str(uuid4()),
            description="d",
            external_reference="r",
            labels={"k": "v"},
        ),
        transaction_pb.TransferRequest(**transfer, request_id=str(uuid4()), external_reference="r", labels={"k": "v"}),
        transaction_pb.BatchTransferRequest(
            mode=transaction_pb.BATCH_MODE_ATOMIC,
            items=[transaction_pb.TransferItem(**transfer)] * 2,
            request_id=str(uuid4()),
        ),
        transaction_pb.ReverseTransactionRequest(
            name=f"transactions/{ABSENT}", amount=AMOUNT, request_id=str(uuid4()), description="d"
        ),
        transaction_pb.GetTransactionRequest(name=f"transactions/{ABSENT}"),
        transaction_pb.ListTransactionsRequest(wallet="wallets/bob", page_size=3, filter="type = TRANSFER"),
        transaction_pb.GetStatementRequest(**past, page_size=3),
        transaction_pb.ExportStatementRequest(**past),
        transaction_pb.GetReceiptRequest(name=f"transactions/{ABSENT}", language="fa"),
    ]


def _schedule_requests() -> list[Message]:
    return [
        schedule_pb.ScheduleWithdrawalRequest(
            wallet=ZOE,
            amount=AMOUNT,
            request_id=str(uuid4()),
            bank_account="b",
            description="d",
            execute_time=stamp(LATER),
        ),
        schedule_pb.GetWithdrawalRequest(name=f"withdrawals/{ABSENT}"),
        schedule_pb.ListWithdrawalsRequest(wallet="wallets/alice", **PAGE),
        schedule_pb.CancelWithdrawalRequest(name=f"withdrawals/{ABSENT}", request_id=str(uuid4())),
        schedule_pb.ScheduleDepositRequest(
            wallet=ZOE,
            amount=AMOUNT,
            request_id=str(uuid4()),
            bank_account="b",
            description="d",
            external_reference="r",
        ),
        schedule_pb.GetScheduledDepositRequest(name=f"scheduledDeposits/{ABSENT}"),
        schedule_pb.ListScheduledDepositsRequest(wallet="wallets/alice", **PAGE),
        schedule_pb.CancelScheduledDepositRequest(name=f"scheduledDeposits/{ABSENT}", request_id=str(uuid4())),
    ]


def _hold_requests() -> list[Message]:
    return [
        hold_pb.PlaceHoldRequest(
            wallet=ZOE, amount=AMOUNT, expire_time=stamp(LATER), request_id=str(uuid4()), description="d"
        ),
        hold_pb.CaptureHoldRequest(
            name=f"holds/{ABSENT}",
            destination=ZOE,
            amount=AMOUNT,
            request_id=str(uuid4()),
            description="d",
            labels={"k": "v"},
        ),
        hold_pb.VoidHoldRequest(name=f"holds/{ABSENT}", request_id=str(uuid4())),
        hold_pb.GetHoldRequest(name=f"holds/{ABSENT}"),
        hold_pb.ListHoldsRequest(wallet="wallets/alice", **PAGE),
    ]


def _commission_requests() -> list[Message]:
    rule = commission_pb.CommissionRule(
        currency_code="USD",
        threshold_minor_units=1,
        rate_millionths=1,
        fixed_minor_units=1,
        minimum_minor_units=1,
        maximum_minor_units=2,
        payer=commission_pb2.COMMISSION_PAYER_SOURCE,
        label=commission_pb.Label(key="k", value="v"),
        start_time=stamp(LATER),
        end_time=Timestamp(seconds=4_102_444_800),
    )
    return [
        commission_pb.CreateCommissionRuleRequest(rule=rule, request_id=str(uuid4()), validate_only=True),
        commission_pb.GetCommissionRuleRequest(name=f"commissionRules/{ABSENT}"),
        commission_pb.ListCommissionRulesRequest(**PAGE),
        commission_pb.EndCommissionRuleRequest(
            name=f"commissionRules/{ABSENT}", end_time=stamp(LATER), request_id=str(uuid4())
        ),
        commission_pb.QuoteCommissionRequest(source=ZOE, destination=YVES, amount=AMOUNT),
    ]


def _webhook_requests() -> list[Message]:
    named = f"webhooks/{ABSENT}"
    endpoint: dict[str, Any] = {
        "url": "https://shop.example/events",
        "description": "d",
        "types": [event_pb.Event.TYPE_WALLET_FROZEN],
        "owner": "o",
    }
    webhook = webhook_pb.Webhook(**endpoint, wallet="wallets/alice", label=commission_pb.Label(key="k", value="v"))
    changed = webhook_pb.Webhook(**endpoint, name=named, etag='"1"')
    return [
        webhook_pb.CreateWebhookRequest(webhook=webhook, request_id=str(uuid4()), validate_only=True),
        webhook_pb.GetWebhookRequest(name=named),
        webhook_pb.ListWebhooksRequest(page_size=3),
        webhook_pb.UpdateWebhookRequest(
            webhook=changed,
            update_mask=FieldMask(paths=["url", "description", "types", "owner"]),
            request_id=str(uuid4()),
        ),
        webhook_pb.RotateWebhookSecretRequest(name=named, etag='"1"', request_id=str(uuid4())),
        webhook_pb.DeleteWebhookRequest(name=named, etag='"1"', request_id=str(uuid4())),
        webhook_pb.PingWebhookRequest(name=named, request_id=str(uuid4())),
        webhook_pb.ListDeliveriesRequest(webhook=named, **PAGE),
        webhook_pb.RedeliverEventRequest(name=named, delivery=f"{named}/deliveries/msg_1", request_id=str(uuid4())),
    ]


def _audit_requests() -> list[Message]:
    return [
        audit_pb.VerifyLedgerRequest(
            since="checkpoints/77",
            one_snapshot=True,
            kept=[audit_pb.Checkpoint(number=77, statement="{}", key_id="0" * 16, signature=bytes(64))],
        ),
        audit_pb.ExportCheckpointsRequest(first_number=77),
        audit_pb.ListCheckpointKeysRequest(),
    ]


def _operations_requests() -> list[Message]:
    resolved: dict[str, Any] = {"reason": "r", "bank_evidence": "w", "destination": YVES}
    resolved["resolution"] = schedule_pb.RESOLUTION_KIND_APPLIED_TO_WALLET
    return [
        operations_pb.ListAttentionRequest(page_size=3),
        operations_pb.GetFiguresRequest(),
        operations_pb.ResolveWithdrawalRequest(name=f"withdrawals/{ABSENT}", **resolved, request_id=str(uuid4())),
        operations_pb.ResolveScheduledDepositRequest(
            name=f"scheduledDeposits/{ABSENT}", **resolved, request_id=str(uuid4())
        ),
        operations_pb.ResolveDiscrepancyRequest(name="bankStatementLines/77", reason="r", request_id=str(uuid4())),
        operations_pb.AcceptBankStatementRequest(name="bankStatements/77", reason="r", request_id=str(uuid4())),
    ]


def is_ok_or_named_refusal(answer: Answer) -> bool:
    """Return whether an answer is OK, or a refusal with a reason and, for invalid fields, their names."""
    if answer.code == "OK":
        return True
    return (
        answer.code in {"INVALID_ARGUMENT", "NOT_FOUND", "PERMISSION_DENIED", "FAILED_PRECONDITION", "ALREADY_EXISTS"}
        and [info.domain for info in answer.infos] == ["wallet.example.com"]
        and answer.reason != ""
        and (answer.reason != "INVALID_FIELDS" or answer.violations != ())
    )


def all_but_requests(owner: psycopg.Connection) -> dict[str, str]:
    """Return a fingerprint of everything but the requests, where refusals of what is well-formed are kept."""
    prints = everything(owner)
    del prints["requests"]
    return prints


def value_at(message: Message, path: Sequence[str | int]) -> Any:  # noqa: ANN401  # any field's
    """Return the value at a place in a message."""
    value: Any = message
    for step in path:
        value = value[step] if isinstance(step, int) else getattr(value, step)
    return value


def with_value(request: Message, path: Sequence[str | int], value: object) -> Message:
    """Return a copy with something else in one place, None for nothing."""
    copy = type(request)()
    copy.CopyFrom(request)
    *way, last = path
    parent = value_at(copy, way)
    if isinstance(last, int):
        parent[last] = value
    elif value is None:
        parent.ClearField(last)
    elif isinstance(value, Message):
        getattr(parent, last).CopyFrom(value)
    else:
        setattr(parent, last, value)
    return copy
