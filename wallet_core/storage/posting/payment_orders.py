"""Payment orders and their attempts: read under the wallet's lock, written only under the fence that was read."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any, LiteralString, TypeVar
from uuid import UUID

from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.access import Person
from wallet_core.domain.model.bank import AnswerKind
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.payment_order import (
    Attempt,
    FailureReason,
    OrderKind,
    OrderState,
    PaymentOrder,
    Resolution,
    ResolutionKind,
    ScheduledDeposit,
    Withdrawal,
    bank_key,
    order_name,
)
from wallet_core.domain.model.wallet import WalletId
from wallet_core.storage.connections.engine import Cursor, Expected, Tx
from wallet_core.storage.posting.columns import Column, Insert

# The columns of both tables, in the order in which `_common` takes them.
_COLUMNS: LiteralString = """o.id, wallets.id, wallets.currency, o.amount, o.bank_account, o.description,
    o.execute_time, o.create_time, o.update_time, o.state, o.next_attempt_time, o.lease_until, o.fence, o.inquiries,
    o.bank_reference, o.failure_reason, o.attention, o.unapplied, o.reconciled, o.caller"""

WITHDRAWALS: LiteralString = f"""
SELECT {_COLUMNS}, o.reserve
FROM withdrawals AS o
JOIN wallets ON wallets.key = o.wallet
WHERE o.id = ANY(%s)
"""

SCHEDULED_DEPOSITS: LiteralString = f"""
SELECT {_COLUMNS}, o.collect, o.external_reference, o.credit
FROM scheduled_deposits AS o
JOIN wallets ON wallets.key = o.wallet
WHERE o.id = ANY(%s)
"""

ATTEMPTS: LiteralString = """
SELECT key, number, start_time, in_flight_until, is_resend, request, answer, reference, detail
FROM bank_attempts
WHERE key = ANY(%s)
ORDER BY key, number
"""

RESOLUTIONS: LiteralString = """
SELECT subject, kind, reason, bank_evidence, operator, time, person, token_id
FROM resolutions
WHERE subject = ANY(%s)
ORDER BY position
"""

Order = TypeVar("Order", bound=PaymentOrder)


def _insert(table: str, *columns: Column[tuple[Order, int]]) -> Insert[tuple[Order, int]]:
    """Return the INSERT of one kind of orders, each with the key of its wallet, from that kind's own columns."""
    return Insert(
        table,
        [
            Column("id", "uuid", lambda row: row[0].id),
            Column("wallet", "bigint", lambda row: row[1]),
            Column("amount", "bigint", lambda row: row[0].amount.minor),
            Column("bank_account", "text", lambda row: row[0].bank_account),
            Column("description", "text", lambda row: row[0].description),
            Column("execute_time", "timestamptz", lambda row: row[0].execute_time),
            Column("create_time", "timestamptz", lambda row: row[0].create_time),
            Column("update_time", "timestamptz", lambda row: row[0].update_time),
            Column("state", "text", lambda row: row[0].state),
            Column("next_attempt_time", "timestamptz", lambda row: row[0].next_attempt_time),
            Column("caller", "text", lambda row: row[0].caller),
            *columns,
        ],
        fixed={"fence": "0", "inquiries": "0", "bank_reference": "''", "attention": "''"},
    )


INSERT_WITHDRAWALS: Insert[tuple[Withdrawal, int]] = _insert(
    "withdrawals", Column("reserve", "boolean", lambda row: row[0].reserve)
)

INSERT_SCHEDULED_DEPOSITS: Insert[tuple[ScheduledDeposit, int]] = _insert(
    "scheduled_deposits",
    Column("collect", "boolean", lambda row: row[0].collect),
    Column("external_reference", "text", lambda row: row[0].external_reference),
)

# A claim raises the fence without the wallet's lock: where it was raised since it was read, nothing is written.
# Reconciliation marks an order as reconciled without that lock, too: the mark is never removed.
UPDATE_WITHDRAWAL = """
UPDATE withdrawals
SET update_time = %s, state = %s, next_attempt_time = %s, lease_until = %s, inquiries = %s, bank_reference = %s,
    failure_reason = %s, attention = %s, unapplied = %s, reconciled = reconciled OR %s
WHERE id = %s AND fence = %s
"""

UPDATE_SCHEDULED_DEPOSIT = """
UPDATE scheduled_deposits
SET update_time = %s, state = %s, next_attempt_time = %s, lease_until = %s, inquiries = %s, bank_reference = %s,
    failure_reason = %s, attention = %s, unapplied = %s, reconciled = reconciled OR %s, credit = %s
WHERE id = %s AND fence = %s
"""

INSERT_ATTEMPTS: Insert[Attempt] = Insert(
    "bank_attempts",
    [
        Column("key", "text", "key"),
        Column("number", "integer", "number"),
        Column("start_time", "timestamptz", "start_time"),
        Column("in_flight_until", "timestamptz", "in_flight_until"),
        Column("is_resend", "boolean", "is_resend"),
        Column("request", "text", "request"),
    ],
    fixed={"reference": "''", "detail": "''"},
)

# An answer is written once.
ANSWER_ATTEMPT = """
UPDATE bank_attempts
SET answer = %s, reference = %s, detail = %s, answer_time = %s
WHERE key = %s AND number = %s AND answer IS NULL
"""

# A resolution and the name of its order.
INSERT_RESOLUTIONS: Insert[tuple[str, Resolution]] = Insert(
    "resolutions",
    [
        Column("subject", "text", lambda row: row[0]),
        Column("kind", "text", lambda row: row[1].kind),
        Column("reason", "text", lambda row: row[1].reason),
        Column("bank_evidence", "text", lambda row: row[1].bank_evidence),
        Column("operator", "text", lambda row: row[1].operator),
        Column("time", "timestamptz", lambda row: row[1].time),
        Column("person", "text", lambda row: row[1].person.name),
        Column("token_id", "text", lambda row: row[1].person.token_id),
    ],
)


@dataclass(frozen=True, slots=True)
class Reading:
    """A read of orders that has been sent and whose rows have not been fetched yet."""

    withdrawals: Iterable[Sequence[Any]]
    deposits: Iterable[Sequence[Any]]
    attempts: Iterable[Sequence[Any]]
    resolutions: Iterable[Sequence[Any]]

    def rows(self) -> dict[UUID, PaymentOrder]:
        """Return the orders with their attempts, by id."""
        attempts: dict[str, list[Attempt]] = {}
        for key, *columns in self.attempts:
            attempts.setdefault(key, []).append(_attempt(key, *columns))
        resolutions: dict[str, list[Resolution]] = {}
        for subject, *columns in self.resolutions:
            resolutions.setdefault(subject, []).append(_resolution(*columns))

        def of(kind: OrderKind, id_: UUID) -> dict[str, Any]:
            tried, decided = attempts.get(bank_key(kind, id_), ()), resolutions.get(order_name(kind, id_), ())
            return {"attempts": tuple(tried), "resolutions": tuple(decided)}

        found: dict[UUID, PaymentOrder] = {}
        for *columns, reserve in self.withdrawals:
            more = of(OrderKind.WITHDRAWAL, columns[0])
            found[columns[0]] = Withdrawal(**_common(*columns), **more, reserve=reserve)
        for *columns, collect, reference, credit in self.deposits:
            more = of(OrderKind.SCHEDULED_DEPOSIT, columns[0])
            found[columns[0]] = ScheduledDeposit(
                **_common(*columns), **more, collect=collect, external_reference=reference, credit=credit
            )
        return found


def read_orders(
    execute: Callable[[LiteralString, tuple[list[Any]]], Iterable[Sequence[Any]]], ids: Sequence[UUID]
) -> Reading:
    """Send the reads of orders of either kind by *execute*; in a pipeline, the rows arrive at its end."""
    wanted = list(ids)
    keys = [bank_key(kind, id_) for id_ in wanted for kind in OrderKind]
    names = [order_name(kind, id_) for id_ in wanted for kind in OrderKind]
    return Reading(
        execute(WITHDRAWALS, (wanted,)),
        execute(SCHEDULED_DEPOSITS, (wanted,)),
        execute(ATTEMPTS, (keys,)),
        execute(RESOLUTIONS, (names,)),
    )


def store_orders(tx: Tx, ledger: LedgerState) -> Expected:
    """Write the orders and attempts that are new or have changed, and their resolutions."""
    pending = ledger.pending
    orders = sorted(pending.orders.values(), key=lambda one: one.id)
    new = [(order, ledger.wallets[order.wallet].key) for order in orders if order.id in pending.new]
    INSERT_WITHDRAWALS.write(tx, [(order, key) for order, key in new if isinstance(order, Withdrawal)])
    INSERT_SCHEDULED_DEPOSITS.write(tx, [(order, key) for order, key in new if isinstance(order, ScheduledDeposit)])
    expected = [(_update(tx, order), 1) for order in orders if order.id not in pending.new]
    attempts = [attempt for _, attempt in sorted(pending.attempts.items(), key=itemgetter(0))]
    INSERT_ATTEMPTS.write(tx, [attempt for attempt in attempts if attempt.answer is None])
    for attempt in attempts:
        if attempt.answer is not None:
            result = [attempt.answer, attempt.reference, attempt.detail, ledger.now]
            expected.append((tx.execute(ANSWER_ATTEMPT, [*result, attempt.key, attempt.number]), 1))
    INSERT_RESOLUTIONS.write(tx, pending.resolutions)
    return expected


def _update(tx: Tx, order: PaymentOrder) -> Cursor:
    changed = [order.update_time, order.state, order.next_attempt_time, order.lease_until, order.inquiries]
    changed += [order.bank_reference, order.failure_reason, order.attention, order.unapplied, order.reconciled]
    if isinstance(order, ScheduledDeposit):
        return tx.execute(UPDATE_SCHEDULED_DEPOSIT, [*changed, order.credit, order.id, order.fence])
    return tx.execute(UPDATE_WITHDRAWAL, [*changed, order.id, order.fence])


def _common(
    id_: UUID,
    wallet: str,
    currency: str,
    amount: int,
    bank_account: str,
    description: str,
    execute_time: datetime,
    create_time: datetime,
    update_time: datetime,
    state: str,
    next_attempt_time: datetime | None,
    lease_until: datetime | None,
    fence: int,
    inquiries: int,
    bank_reference: str,
    failure_reason: str | None,
    attention: str,
    unapplied: bool,  # noqa: FBT001  # a column
    reconciled: bool,  # noqa: FBT001  # a column
    caller: str,
) -> dict[str, Any]:
    return {
        "id": id_,
        "wallet": WalletId(wallet),
        "amount": Money(currency, amount),
        "bank_account": bank_account,
        "description": description,
        "execute_time": execute_time,
        "create_time": create_time,
        "update_time": update_time,
        "state": OrderState(state),
        "next_attempt_time": next_attempt_time,
        "lease_until": lease_until,
        "fence": fence,
        "inquiries": inquiries,
        "bank_reference": bank_reference,
        "failure_reason": FailureReason(failure_reason) if failure_reason is not None else None,
        "attention": attention,
        "unapplied": unapplied,
        "reconciled": reconciled,
        "caller": caller,
    }


def _resolution(  # a row
    kind: str, reason: str, bank_evidence: str, operator: str, time: datetime, person: str, token_id: str
) -> Resolution:
    return Resolution(
        kind=ResolutionKind(kind),
        reason=reason,
        bank_evidence=bank_evidence,
        operator=operator,
        time=time,
        person=Person(person, token_id),
    )


def _attempt(  # a row
    key: str,
    number: int,
    start_time: datetime,
    in_flight_until: datetime,
    is_resend: bool,  # noqa: FBT001  # a column
    request: str,
    answer: str | None,
    reference: str,
    detail: str,
) -> Attempt:
    return Attempt(
        number=number,
        key=key,
        start_time=start_time,
        in_flight_until=in_flight_until,
        is_resend=is_resend,
        request=request,
        answer=AnswerKind(answer) if answer is not None else None,
        reference=reference,
        detail=detail,
    )
