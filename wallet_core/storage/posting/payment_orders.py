"""Orders and their attempts on the posting path: read under the wallet's lock, written behind the fence."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
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

# What both tables have, in the order that `_order` takes it.
_COLUMNS: LiteralString = """o.id, wallets.id, wallets.currency, o.amount, o.bank_account, o.description,
    o.execute_time, o.create_time, o.update_time, o.state, o.next_attempt_time, o.lease_until, o.fence, o.asks,
    o.bank_reference, o.failure_reason, o.attention, o.unapplied, o.reconciled"""

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

INSERT_WITHDRAWAL = """
INSERT INTO withdrawals (id, wallet, amount, bank_account, description, execute_time, create_time, update_time, state,
    next_attempt_time, fence, asks, bank_reference, attention, reserve)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 0, 0, '', '', %s)
"""

INSERT_SCHEDULED_DEPOSIT = """
INSERT INTO scheduled_deposits (id, wallet, amount, bank_account, description, execute_time, create_time, update_time,
    state, next_attempt_time, fence, asks, bank_reference, attention, collect, external_reference)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 0, 0, '', '', %s, %s)
"""

# A claim stamps the fence without the wallet's lock: where it has moved on since it was read, nothing is written. What
# follows the bank's ledger says without the lock, too, that an order is reconciled: that is never taken back.
UPDATE_WITHDRAWAL = """
UPDATE withdrawals
SET update_time = %s, state = %s, next_attempt_time = %s, lease_until = %s, asks = %s, bank_reference = %s,
    failure_reason = %s, attention = %s, unapplied = %s, reconciled = reconciled OR %s
WHERE id = %s AND fence = %s
"""

UPDATE_SCHEDULED_DEPOSIT = """
UPDATE scheduled_deposits
SET update_time = %s, state = %s, next_attempt_time = %s, lease_until = %s, asks = %s, bank_reference = %s,
    failure_reason = %s, attention = %s, unapplied = %s, reconciled = reconciled OR %s, credit = %s
WHERE id = %s AND fence = %s
"""

INSERT_ATTEMPT = """
INSERT INTO bank_attempts (key, number, start_time, in_flight_until, is_resend, request, reference, detail)
VALUES (%s, %s, %s, %s, %s, %s, '', '')
"""

# An answer is written once.
ANSWER_ATTEMPT = """
UPDATE bank_attempts
SET answer = %s, reference = %s, detail = %s, answer_time = %s
WHERE key = %s AND number = %s AND answer IS NULL
"""

INSERT_RESOLUTION = """
INSERT INTO resolutions (subject, kind, reason, bank_evidence, operator, time, person, token_id)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """A read of orders that has been sent and not yet looked at."""

    withdrawals: Iterable[Sequence[Any]]
    deposits: Iterable[Sequence[Any]]
    attempts: Iterable[Sequence[Any]]
    resolutions: Iterable[Sequence[Any]]

    def rows(self) -> dict[UUID, PaymentOrder]:
        """Return the orders with their attempts, by id."""
        attempts: dict[str, list[Attempt]] = {}
        for key, *columns in self.attempts:
            attempts.setdefault(key, []).append(_attempt(key, *columns))
        resolved: dict[str, list[Resolution]] = {}
        for subject, *columns in self.resolutions:
            resolved.setdefault(subject, []).append(_resolution(*columns))

        def of(kind: OrderKind, id_: UUID) -> dict[str, Any]:
            tried, decided = attempts.get(bank_key(kind, id_), ()), resolved.get(order_name(kind, id_), ())
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
    """Send the reads for some orders of either kind by *execute*; a pipeline's rows are there once it is through."""
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
    """Write the orders and attempts that are new or have changed."""
    written = ledger.pending
    expected: Expected = []
    for order in sorted(written.orders.values(), key=lambda one: one.id):
        if order.id in written.new:
            _insert(tx, order, ledger.wallets[order.wallet].key)
        else:
            expected.append((_update(tx, order), 1))
    for (key, number), attempt in sorted(written.attempts.items()):
        if attempt.answer is None:
            begun = [attempt.start_time, attempt.in_flight_until, attempt.is_resend, attempt.request]
            tx.execute(INSERT_ATTEMPT, [key, number, *begun])
        else:
            answer = [attempt.answer, attempt.reference, attempt.detail, ledger.now]
            expected.append((tx.execute(ANSWER_ATTEMPT, [*answer, key, number]), 1))
    for subject, one in written.resolutions:
        decided = [
            one.kind,
            one.reason,
            one.bank_evidence,
            one.operator,
            one.time,
            one.person.name,
            one.person.token_id,
        ]
        tx.execute(INSERT_RESOLUTION, [subject, *decided])
    return expected


def _insert(tx: Tx, order: PaymentOrder, wallet_key: int) -> None:
    common = [order.id, wallet_key, order.amount.minor, order.bank_account, order.description, order.execute_time]
    common += [order.create_time, order.update_time, order.state, order.next_attempt_time]
    match order:
        case Withdrawal():
            tx.execute(INSERT_WITHDRAWAL, [*common, order.reserve])
        case ScheduledDeposit():
            tx.execute(INSERT_SCHEDULED_DEPOSIT, [*common, order.collect, order.external_reference])


def _update(tx: Tx, order: PaymentOrder) -> Cursor:
    changed = [order.update_time, order.state, order.next_attempt_time, order.lease_until, order.asks]
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
    asks: int,
    bank_reference: str,
    failure_reason: str | None,
    attention: str,
    unapplied: bool,  # noqa: FBT001  # a column
    reconciled: bool,  # noqa: FBT001  # a column
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
        "asks": asks,
        "bank_reference": bank_reference,
        "failure_reason": FailureReason(failure_reason) if failure_reason is not None else None,
        "attention": attention,
        "unapplied": unapplied,
        "reconciled": reconciled,
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
