"""The schema's constraints: the database refuses wallets, orders, holds, rules and attempts that must not exist."""

import re
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest

from tests.support.rows import (
    NOON,
    SYSTEM_KEY,
    insert,
    insert_hold,
    insert_rule,
    insert_scheduled_deposit,
    insert_transaction,
    insert_wallet,
    insert_withdrawal,
    refused_by,
)
from wallet_core.domain.model.bank import AnswerKind, LineKind, MatchResult
from wallet_core.domain.model.commission_rule import Payer
from wallet_core.domain.model.hold import HoldState
from wallet_core.domain.model.payment_order import COLLECTION_TRANSITIONS, FailureReason, OrderState, ResolutionKind
from wallet_core.domain.model.transaction import TransactionType
from wallet_core.domain.model.wallet import Role, WalletState


@pytest.mark.parametrize(
    ("constraint", "words"),
    [
        ("withdrawals_state", set(OrderState)),
        ("withdrawals_failure_reason", set(FailureReason) - {FailureReason.LIMIT_EXCEEDED}),
        ("scheduled_deposits_state", set(COLLECTION_TRANSITIONS)),
        (
            "scheduled_deposits_failure_reason",
            set(FailureReason) - {FailureReason.INSUFFICIENT_FUNDS, FailureReason.WALLET_NOT_ACTIVE},
        ),
        ("bank_attempts_answer", set(AnswerKind)),
        ("bank_statement_lines_kind", set(LineKind)),
        ("bank_statement_lines_match_result", set(MatchResult)),
        ("resolutions_kind", set(ResolutionKind)),
        ("wallets_role", set(Role)),
        ("wallets_state", set(WalletState)),
        ("transactions_type", set(TransactionType)),
        ("transactions_commission_payer", set(Payer)),
        ("commission_rules_payer", set(Payer)),
        ("holds_state", set(HoldState)),
    ],
)
def test_values_of_the_domain_are_those_that_the_database_accepts(
    owner: psycopg.Connection, constraint: str, words: set[str]
) -> None:
    """A new word without a migration would fail in production only."""

    row = owner.execute(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s", [constraint]
    ).fetchone()

    assert row is not None
    assert set(re.findall(r"'([A-Z_]+)'", row[0])) == {str(word) for word in words}


@pytest.mark.parametrize(
    ("constraint", "key", "changes"),
    [
        ("wallets_floor", 1, {"balance": -1}),
        ("wallets_floor", 1, {"balance": 5, "held": 6}),
        ("wallets_floor", 1, {"balance": -11, "overdraft_limit": 10}),
        ("wallets_floor", SYSTEM_KEY, {"role": "IN_TRANSIT", "id": "system:in_transit:USD", "balance": -1}),
        ("wallets_floor", SYSTEM_KEY, {"role": "COMMISSION", "id": "system:commission:USD", "balance": -1}),
        ("wallets_system_key", SYSTEM_KEY, {}),
        ("wallets_system_key", 1, {"role": "EXTERNAL", "id": "system:external:USD"}),
        ("wallets_system_id", 1, {"id": "system:external:USD"}),
        ("wallets_system_id", SYSTEM_KEY, {"role": "EXTERNAL", "id": "external"}),
        *[("wallets_system_id", 1, {"id": id_}) for id_ in ("", "A", "a_b", "-a", "a-", "a" * 64, "a\n", "ä")],
        *[("wallets_currency", 1, {"currency": currency}) for currency in ("usd", "US", "USDX", "", "USD\n")],
        ("wallets_role", 1, {"role": "OTHER"}),
        ("wallets_state", 1, {"state": "ASLEEP"}),
        ("wallets_held", 1, {"held": -1}),
        ("wallets_overdraft_limit", 1, {"balance": 5, "overdraft_limit": -1}),
        ("wallets_sequence", 1, {"sequence": -1}),
        ("wallets_closed", 1, {"state": "CLOSED", "balance": 1}),
        ("wallets_closed", 1, {"state": "CLOSED", "overdraft_limit": 1, "balance": -1}),
        ("wallets_closed", 1, {"state": "CLOSED", "overdraft_limit": 1, "held": 1}),
        ("wallets_labels", 1, {"labels": "[]"}),
        ("wallets_pkey", 7, {}),
        ("wallets_id_key", 1, {"id": "wallet-7"}),
    ],
)
def test_a_wallet_that_must_not_be_is_refused(
    owner: psycopg.Connection, constraint: str, key: int, changes: dict[str, object]
) -> None:
    """Each by the constraint that is named after the rule."""

    insert_wallet(owner, 7)

    assert refused_by(lambda: insert_wallet(owner, key, **changes)) == constraint


def test_only_the_external_wallet_has_no_floor(owner: psycopg.Connection) -> None:
    """And an overdraft lowers the others'."""

    insert_wallet(owner, SYSTEM_KEY, id="system:external:USD", role="EXTERNAL", balance=-(2**63))
    insert_wallet(owner, 1, balance=-10, overdraft_limit=10)
    insert_wallet(owner, 2, balance=5, held=5)

    assert owner.execute("SELECT count(*) FROM wallets").fetchone() == (3,)


@pytest.mark.parametrize(
    ("constraint", "changes"),
    [
        ("withdrawals_amount", {"amount": 0}),
        ("withdrawals_amount", {"amount": -5}),
        ("withdrawals_state", {"state": "ON_ITS_WAY", "next_attempt_time": None}),
        ("withdrawals_final", {"next_attempt_time": None}),
        ("withdrawals_final", {"state": "CANCELLED"}),
        ("withdrawals_lease", {"state": "CANCELLED", "next_attempt_time": None, "lease_until": NOON}),
        ("withdrawals_succeeded", {"state": "SUCCEEDED", "next_attempt_time": None}),
        ("withdrawals_succeeded", {"state": "RETURNED", "next_attempt_time": None}),
        ("withdrawals_succeeded", {"bank_reference": "r"}),
        ("withdrawals_failed", {"state": "FAILED", "next_attempt_time": None}),
        ("withdrawals_failed", {"failure_reason": "BANK_DECLINED"}),
        ("withdrawals_failure_reason", {"state": "FAILED", "next_attempt_time": None, "failure_reason": "WHY"}),
        ("withdrawals_wallet_fkey", {"wallet": 404}),
    ],
)
def test_a_withdrawal_that_must_not_be_is_refused(
    owner: psycopg.Connection, constraint: str, changes: dict[str, object]
) -> None:
    """A final one has no next attempt and no lease, and has its outcome."""

    insert_wallet(owner, 1)

    assert refused_by(lambda: insert_withdrawal(owner, **changes)) == constraint


SUCCEEDED: dict[str, object] = {"state": "SUCCEEDED", "next_attempt_time": None, "credit": uuid4()}


@pytest.mark.parametrize(
    ("constraint", "changes"),
    [
        ("scheduled_deposits_amount", {"amount": 0}),
        ("scheduled_deposits_state", {"state": "RETURNED"}),
        ("scheduled_deposits_final", {"next_attempt_time": None}),
        ("scheduled_deposits_final", {"state": "CANCELLED"}),
        ("scheduled_deposits_lease", {"state": "CANCELLED", "next_attempt_time": None, "lease_until": NOON}),
        ("scheduled_deposits_collected", {"collect": False, "state": "PROCESSING"}),
        ("scheduled_deposits_collected", {"collect": False, "state": "IN_DOUBT"}),
        ("scheduled_deposits_succeeded", {"credit": uuid4()}),
        ("scheduled_deposits_succeeded", {**SUCCEEDED, "bank_reference": "r", "credit": None}),
        ("scheduled_deposits_reference", {"bank_reference": "r"}),
        ("scheduled_deposits_reference", {**SUCCEEDED}),
        ("scheduled_deposits_reference", {**SUCCEEDED, "collect": False, "bank_reference": "r"}),
        ("scheduled_deposits_failed", {"state": "FAILED", "next_attempt_time": None}),
        ("scheduled_deposits_failed", {"failure_reason": "BANK_DECLINED"}),
        ("scheduled_deposits_failure_reason", {"state": "FAILED", "failure_reason": "INSUFFICIENT_FUNDS"}),
        ("scheduled_deposits_wallet_fkey", {"wallet": 404}),
    ],
)
def test_a_scheduled_deposit_that_must_not_be_is_refused(
    owner: psycopg.Connection, constraint: str, changes: dict[str, object]
) -> None:
    """One that succeeded names what credited it; only one that is collected has to do with the bank."""

    insert_wallet(owner, 1)

    assert refused_by(lambda: insert_scheduled_deposit(owner, **changes)) == constraint


@pytest.mark.parametrize(
    ("constraint", "changes"),
    [
        ("holds_amount", {"amount": 0, "captured": 0}),
        ("holds_captured", {"captured": -1}),
        ("holds_captured", {"captured": 6}),
        ("holds_state", {"state": "LOST"}),
        ("holds_in_time", {"expire_time": NOON}),
        ("holds_ended_by_capture", {"state": "CAPTURED", "captured": 0}),
        ("holds_not_used_up", {"captured": 5}),
        ("holds_wallet_fkey", {"wallet": 404}),
    ],
)
def test_a_hold_that_must_not_be_is_refused(
    owner: psycopg.Connection, constraint: str, changes: dict[str, object]
) -> None:
    """An active one has something left, and none gives more than it held."""

    insert_wallet(owner, 1)

    assert refused_by(lambda: insert_hold(owner, **changes)) == constraint


@pytest.mark.parametrize(
    ("constraint", "changes"),
    [
        ("commission_rules_currency", {"currency": "usd"}),
        ("commission_rules_threshold", {"threshold": -1}),
        ("commission_rules_rate", {"rate_millionths": -1}),
        ("commission_rules_rate", {"rate_millionths": 1_000_001}),
        ("commission_rules_fixed", {"fixed": -1}),
        ("commission_rules_minimum", {"minimum": -1}),
        ("commission_rules_maximum", {"maximum": 0}),
        ("commission_rules_payer", {"payer": "NOBODY"}),
        ("commission_rules_scope", {"label_key": "tier"}),
        ("commission_rules_scope", {"wallet": 1, "label_key": "tier", "label_value": "gold"}),
        ("commission_rules_wallet_fkey", {"wallet": 404}),
    ],
)
def test_a_commission_rule_that_must_not_be_is_refused(
    owner: psycopg.Connection, constraint: str, changes: dict[str, object]
) -> None:
    """It is for one wallet, for a label, or for all of a currency; and it never takes more than the amount by rate."""

    insert_wallet(owner, 1)

    assert refused_by(lambda: insert_rule(owner, **changes)) == constraint


@pytest.mark.parametrize(
    ("constraint", "changes"),
    [
        ("bank_attempts_key", {"key": "wd-1"}),
        ("bank_attempts_key", {"key": f"xx-{uuid4()}"}),
        ("bank_attempts_number", {"number": 0}),
        ("bank_attempts_in_flight_until", {"in_flight_until": NOON - timedelta(microseconds=1)}),
        ("bank_attempts_answer", {"answer": "PERHAPS", "answer_time": NOON}),
        ("bank_attempts_answered", {"answer": "ACCEPTED"}),
        ("bank_attempts_answered", {"answer_time": NOON}),
    ],
)
def test_an_attempt_that_must_not_be_is_refused(
    owner: psycopg.Connection, constraint: str, changes: dict[str, object]
) -> None:
    """Its key names what it was for."""

    values = {"key": f"sd-{uuid4()}", "number": 1, "start_time": NOON, "in_flight_until": NOON, "is_resend": False}
    values |= {"reference": "", "detail": ""}

    assert refused_by(lambda: insert(owner, "bank_attempts", **(values | changes))) == constraint


CAUSED = [type_ for type_ in TransactionType if type_ not in {TransactionType.TRANSFER, TransactionType.DEPOSIT}]
CHARGED: dict[str, object] = {"commission": 1, "commission_rule": uuid4(), "commission_payer": "SOURCE"}


@pytest.mark.parametrize(
    ("constraint", "changes"),
    [
        ("transactions_amount", {"amount": 0}),
        ("transactions_amount", {"amount": -1}),
        ("transactions_type", {"type": "GIFT", "cause": uuid4()}),
        ("transactions_cause", {"cause": uuid4()}),
        *[("transactions_cause", {"type": type_}) for type_ in CAUSED],
        *[("transactions_commission", {"type": type_, "cause": uuid4(), **CHARGED}) for type_ in CAUSED],
        ("transactions_commission", {"type": "DEPOSIT", **CHARGED}),
        ("transactions_commission", {**CHARGED, "commission": -1}),
        ("transactions_commission_rule", {"commission": 1}),
        ("transactions_commission_rule", {**CHARGED, "commission_rule": None}),
        ("transactions_commission_rule", {"commission_payer": "SOURCE"}),
        ("transactions_commission_payer", {**CHARGED, "commission_payer": "NOBODY"}),
        ("transactions_batch", {"batch": uuid4()}),
        ("transactions_batch", {"batch_item": 0}),
    ],
)
def test_a_transaction_that_must_not_be_is_refused(
    owner: psycopg.Connection, constraint: str, changes: dict[str, object]
) -> None:
    """What came from something names it, and nothing else does; commission is taken of transfers and given back."""

    assert refused_by(lambda: insert_transaction(owner, uuid4(), **changes)) == constraint


@pytest.mark.parametrize(
    ("constraint", "changes"),
    [
        ("requests_fingerprint", {"fingerprint": b"short"}),
        ("requests_outcome", {"subject": None}),
        ("requests_outcome", {"refusal": "InsufficientFunds", "refusal_details": "{}"}),
        ("requests_outcome", {"subject": None, "refusal": "InsufficientFunds"}),
    ],
)
def test_a_request_has_one_outcome(owner: psycopg.Connection, constraint: str, changes: dict[str, object]) -> None:
    """A subject, or a refusal with its details."""

    values: dict[str, object] = {
        "caller": "c",
        "request_id": uuid4(),
        "method": "M",
        "fingerprint": bytes(16),
        "subject": "s",
        "time": NOON,
    }

    assert refused_by(lambda: insert(owner, "requests", **(values | changes))) == constraint


def test_texts_are_indexed_in_the_order_of_their_bytes(owner: psycopg.Connection) -> None:
    """Another order changes with the C library, and then an index no longer finds what is there."""

    indexed = owner.execute(
        """
        SELECT indexrelid::regclass::text, collname
        FROM pg_index
        CROSS JOIN unnest(indcollation::oid[]) AS used (order_of)
        JOIN pg_collation ON pg_collation.oid = used.order_of
        JOIN pg_class ON pg_class.oid = indrelid
        WHERE relnamespace = 'public'::regnamespace
        """
    ).fetchall()

    assert {index for index, order in indexed if order != "C"} == {"alembic_version_pkc"}
    assert len(indexed) > 10
