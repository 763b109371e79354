"""Commission for tests: what a transaction charged, to whom, and by which rule."""

from typing import Any

from wallet.v1 import commission_service_pb2 as rule_pb
from wallet.v1 import transaction_service_pb2 as pb

from tests.support.requests import a_rule, changed, new_id

COMMISSION_WALLET = "system:commission:USD"


def amounts_by_wallet(moved: pb.Transaction) -> dict[str, int]:
    """Return what each wallet got by a transaction."""
    return {entry.wallet.removeprefix("wallets/"): entry.amount.minor_units for entry in moved.entries}


def fee(moved: pb.Transaction) -> tuple[str, int, int]:
    """Return by which rule how much was charged, and who paid it."""
    charged = moved.commission
    return charged.rule, charged.amount.minor_units, charged.payer


def with_sorted_entries(moved: pb.Transaction) -> pb.Transaction:
    """Return a transaction with its entries by wallet, for comparing what is in it."""
    copy = changed(moved, entries=None)
    copy.entries.extend(sorted(moved.entries, key=lambda entry: entry.wallet))
    return copy


def batch_of(mode: pb.BatchMode.ValueType, *items: pb.TransferRequest) -> pb.BatchTransferRequest:
    """Return these transfers as a batch."""
    atomic = mode == pb.BATCH_MODE_ATOMIC
    request = pb.BatchTransferRequest(mode=mode, request_id=new_id() if atomic else "")
    for item in items:
        copy = request.items.add()
        copy.MergeFromString(changed(item, request_id=None, max_commission=None).SerializePartialToString())
        copy.request_id = "" if atomic else item.request_id
        if item.HasField("max_commission"):
            copy.max_commission.CopyFrom(item.max_commission)
    return request


def with_rule(**fields: Any) -> rule_pb.CreateCommissionRuleRequest:  # noqa: ANN401  # a rule's fields
    """Return the creation of a rule of 1 %, with these *fields*."""
    return a_rule(**{"rate_millionths": 10_000, **fields})
