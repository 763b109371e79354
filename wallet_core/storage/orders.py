"""Withdrawals and their attempts on the posting path: read under the wallet's lock, written behind the fence."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import psycopg

from wallet_core.domain.bank import AnswerKind
from wallet_core.domain.books import Books
from wallet_core.domain.money import Money
from wallet_core.domain.wallet import WalletId
from wallet_core.domain.withdrawal import Attempt, FailureReason, Withdrawal, WithdrawalState
from wallet_core.storage.engine import Tx

Cursor = psycopg.Cursor[tuple[Any, ...]]

# Statements, each with the number of rows that it must have written.
Expected = list[tuple[Cursor, int]]

WITHDRAWALS: LiteralString = """
SELECT w.id, wallets.id, wallets.currency, w.amount, w.bank_account, w.description, w.execute_time, w.create_time,
    w.update_time, w.state, w.next_attempt_time, w.lease_until, w.fence, w.asks, w.bank_reference, w.failure_reason,
    w.attention
FROM withdrawals AS w
JOIN wallets ON wallets.key = w.wallet
WHERE w.id = ANY(%s)
"""

ATTEMPTS: LiteralString = """
SELECT withdrawal, number, key, start_time, answer, reference, detail
FROM bank_attempts
WHERE withdrawal = ANY(%s)
ORDER BY withdrawal, number
"""

INSERT_WITHDRAWALS = """
INSERT INTO withdrawals (id, wallet, amount, bank_account, description, execute_time, create_time, update_time, state,
    next_attempt_time, lease_until, fence, asks, bank_reference, failure_reason, attention)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

# A claim stamps the fence without the wallet's lock: where it has moved on since it was read, nothing is written.
UPDATE_WITHDRAWAL = """
UPDATE withdrawals
SET update_time = %s, state = %s, next_attempt_time = %s, lease_until = %s, asks = %s, bank_reference = %s,
    failure_reason = %s, attention = %s
WHERE id = %s AND fence = %s
"""

INSERT_ATTEMPT = """
INSERT INTO bank_attempts (withdrawal, number, key, start_time, reference, detail)
VALUES (%s, %s, %s, %s, '', '')
"""

# An answer is written once.
ANSWER_ATTEMPT = """
UPDATE bank_attempts
SET answer = %s, reference = %s, detail = %s, answer_time = %s
WHERE withdrawal = %s AND number = %s AND answer IS NULL
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """A read of withdrawals that has been sent and not yet looked at."""

    withdrawals: Iterable[Sequence[Any]]
    attempts: Iterable[Sequence[Any]]

    def rows(self) -> dict[UUID, Withdrawal]:
        """Return the withdrawals with their attempts, by id."""
        attempts: dict[UUID, list[Attempt]] = {}
        for withdrawal, *columns in self.attempts:
            attempts.setdefault(withdrawal, []).append(_attempt(*columns))
        return {row[0]: _withdrawal(tuple(attempts.get(row[0], ())), *row) for row in self.withdrawals}


def read_withdrawals(
    execute: Callable[[LiteralString, tuple[list[UUID]]], Iterable[Sequence[Any]]], ids: list[UUID]
) -> Reading:
    """Send the reads for some withdrawals by *execute*; a pipeline's rows are there once it is through."""
    return Reading(execute(WITHDRAWALS, (ids,)), execute(ATTEMPTS, (ids,)))


def store_withdrawals(tx: Tx, books: Books) -> Expected:
    """Write the withdrawals and attempts that are new or have changed."""
    written = books.written
    expected: Expected = []
    for w in sorted(written.withdrawals.values(), key=lambda withdrawal: withdrawal.id):
        if w.id in written.scheduled:
            tx.execute(INSERT_WITHDRAWALS, _withdrawal_row(w, books.wallets[w.wallet].key))
            continue
        changed = [w.update_time, w.state, w.next_attempt_time, w.lease_until, w.asks, w.bank_reference]
        update = tx.execute(UPDATE_WITHDRAWAL, [*changed, w.failure_reason, w.attention, w.id, w.fence])
        expected.append((update, 1))
    for (withdrawal, number), attempt in sorted(written.attempts.items()):
        if attempt.answer is None:
            tx.execute(INSERT_ATTEMPT, [withdrawal, number, attempt.key, attempt.start_time])
        else:
            answer = [attempt.answer, attempt.reference, attempt.detail, books.now]
            expected.append((tx.execute(ANSWER_ATTEMPT, [*answer, withdrawal, number]), 1))
    return expected


def _withdrawal_row(w: Withdrawal, wallet_key: int) -> list[object]:
    return [
        w.id,
        wallet_key,
        w.amount.minor,
        w.bank_account,
        w.description,
        w.execute_time,
        w.create_time,
        w.update_time,
        w.state,
        w.next_attempt_time,
        w.lease_until,
        w.fence,
        w.asks,
        w.bank_reference,
        w.failure_reason,
        w.attention,
    ]


def _withdrawal(
    attempts: tuple[Attempt, ...],
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
) -> Withdrawal:
    return Withdrawal(
        id=id_,
        wallet=WalletId(wallet),
        amount=Money(currency, amount),
        bank_account=bank_account,
        description=description,
        execute_time=execute_time,
        create_time=create_time,
        update_time=update_time,
        state=WithdrawalState(state),
        next_attempt_time=next_attempt_time,
        lease_until=lease_until,
        fence=fence,
        asks=asks,
        bank_reference=bank_reference,
        failure_reason=FailureReason(failure_reason) if failure_reason is not None else None,
        attention=attention,
        attempts=attempts,
    )


def _attempt(number: int, key: str, start_time: datetime, answer: str | None, reference: str, detail: str) -> Attempt:
    return Attempt(
        number=number,
        key=key,
        start_time=start_time,
        answer=AnswerKind(answer) if answer is not None else None,
        reference=reference,
        detail=detail,
    )
