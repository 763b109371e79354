"""Each word of an enum is known in all three places: in the domain, on the wire, and to the database's checks."""

import re
from enum import StrEnum

import psycopg
import pytest
from google.protobuf.descriptor import EnumDescriptor
from wallet.v1 import commission_pb2, error_reason_pb2
from wallet.v1 import event_service_pb2 as events
from wallet.v1 import hold_service_pb2 as holds
from wallet.v1 import operations_service_pb2 as operations
from wallet.v1 import schedule_service_pb2 as orders
from wallet.v1 import transaction_service_pb2 as transactions
from wallet.v1 import wallet_service_pb2 as wallets
from wallet.v1 import webhook_service_pb2 as webhooks

from wallet_core.domain.model.attention import AttentionKind
from wallet_core.domain.model.bank import AnswerKind, LineKind, MatchResult
from wallet_core.domain.model.commission_rule import Payer
from wallet_core.domain.model.event import EventType
from wallet_core.domain.model.hold import HoldState
from wallet_core.domain.model.payment_order import FailureReason, OrderState, ResolutionKind
from wallet_core.domain.model.transaction import TransactionState, TransactionType
from wallet_core.domain.model.wallet import Role, WalletState
from wallet_core.domain.model.webhook import DeliveryState, WebhookState

Words = frozenset[str]


def words(enum: type[StrEnum], without: Words = frozenset()) -> Words:
    """Return the words of an enum of the domain."""
    return frozenset(one.value for one in enum) - without


# What never becomes of one kind of order.
_OF_WITHDRAWALS = words(FailureReason, frozenset({"LIMIT_EXCEEDED"}))
_OF_DEPOSITS = words(FailureReason, frozenset({"INSUFFICIENT_FUNDS", "WALLET_NOT_ACTIVE"}))
_STATES_OF_DEPOSITS = words(OrderState, frozenset({"RETURNED"}))

ON_THE_WIRE: dict[EnumDescriptor, Words] = {
    wallets.Wallet.State.DESCRIPTOR: words(WalletState),
    transactions.Transaction.Type.DESCRIPTOR: words(TransactionType),
    transactions.Transaction.State.DESCRIPTOR: words(TransactionState),
    holds.Hold.State.DESCRIPTOR: words(HoldState),
    orders.Withdrawal.State.DESCRIPTOR: words(OrderState),
    orders.ScheduledDeposit.State.DESCRIPTOR: _STATES_OF_DEPOSITS,
    orders.Withdrawal.FailureReason.DESCRIPTOR: _OF_WITHDRAWALS,
    orders.ScheduledDeposit.FailureReason.DESCRIPTOR: _OF_DEPOSITS,
    orders.BankAttempt.Result.DESCRIPTOR: words(AnswerKind),
    orders.ResolutionKind.DESCRIPTOR: words(ResolutionKind),
    operations.AttentionItem.Kind.DESCRIPTOR: words(AttentionKind),
    webhooks.Webhook.State.DESCRIPTOR: words(WebhookState),
    webhooks.WebhookDelivery.State.DESCRIPTOR: words(DeliveryState),
    commission_pb2.CommissionPayer.DESCRIPTOR: words(Payer),
    events.Event.Type.DESCRIPTOR: frozenset(re.sub(r"\W", "_", one).upper() for one in words(EventType)),
}
# Of calls alone, or held equal elsewhere: reasons in tests/unit/test_errors.py, scopes in test_declared_access.py.
OF_THE_WIRE_ALONE = {
    transactions.BatchMode.DESCRIPTOR,
    error_reason_pb2.ErrorReason.DESCRIPTOR,
}

IN_THE_DATABASE: dict[tuple[str, str], Words] = {
    ("wallets", "role"): words(Role),
    ("wallets", "state"): words(WalletState),
    ("transactions", "type"): words(TransactionType),
    ("transactions", "commission_payer"): words(Payer),
    ("commission_rules", "payer"): words(Payer),
    ("holds", "state"): words(HoldState),
    ("withdrawals", "state"): words(OrderState),
    ("withdrawals", "failure_reason"): _OF_WITHDRAWALS,
    ("scheduled_deposits", "state"): _STATES_OF_DEPOSITS,
    ("scheduled_deposits", "failure_reason"): _OF_DEPOSITS,
    ("bank_attempts", "answer"): words(AnswerKind),
    ("bank_statement_lines", "kind"): words(LineKind),
    ("bank_statement_lines", "match_result"): words(MatchResult),
    ("resolutions", "kind"): words(ResolutionKind),
    ("webhooks", "state"): words(WebhookState),
    ("webhook_deliveries", "state"): words(DeliveryState),
}
_CHECKS = """
SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint
WHERE contype = 'c' AND connamespace = 'public'::regnamespace
"""
_ONE_OF = re.compile(r"CHECK \(\((\w+) = ANY \(ARRAY\[([^\]]*)\]\)\)\)")


@pytest.mark.parametrize("enum", ON_THE_WIRE, ids=lambda enum: enum.full_name)
def test_wire_has_the_values_of_the_domain(enum: EnumDescriptor) -> None:
    """A missing one would make reads INTERNAL."""

    prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper()
    named = {value.name.removeprefix(f"{prefix}_") for value in enum.values if value.number != 0}
    assert named == ON_THE_WIRE[enum]


def test_no_enum_of_the_wire_is_forgotten() -> None:
    """Of those that answers and requests have."""

    found: set[EnumDescriptor] = set()
    for module in (
        commission_pb2,
        error_reason_pb2,
        events,
        holds,
        operations,
        orders,
        transactions,
        wallets,
        webhooks,
    ):
        file = module.DESCRIPTOR
        found |= set(file.enum_types_by_name.values())
        found |= {enum for message in file.message_types_by_name.values() for enum in message.enum_types}

    assert found == ON_THE_WIRE.keys() | OF_THE_WIRE_ALONE


def test_database_accepts_the_values_of_the_domain_and_no_others(owner: psycopg.Connection) -> None:
    """Every check that is a list of words, of every table."""

    found = {
        (table, match[1]): frozenset(re.findall(r"'([^']*)'", match[2]))
        for table, definition in owner.execute(_CHECKS).fetchall()
        if (match := _ONE_OF.fullmatch(definition)) is not None
    }
    assert found == IN_THE_DATABASE
