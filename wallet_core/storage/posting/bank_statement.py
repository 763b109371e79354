"""The bank statement: the cursor on it, its lines, and what each was matched with."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, LiteralString, cast
from uuid import UUID

from wallet_core.domain.commands.payments.match_statement import LineMatch, MatchedOrder
from wallet_core.domain.deciding.ledger_state import LedgerState
from wallet_core.domain.model.access import Person
from wallet_core.domain.model.bank import (
    UNREADABLE,
    BankStatement,
    BankStatementLine,
    LineKind,
    MatchResult,
    Payment,
    Status,
    StatusKind,
)
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.payment_order import OrderKind, OrderState, order_of_key
from wallet_core.storage.connections.engine import Engine, Expected, Tx, transaction
from wallet_core.storage.errors import served
from wallet_core.storage.posting.columns import Column, Insert, arrays, unnest

_COLUMNS: LiteralString = """number, kind, key, amount, currency, reference, time, match_result, explanation,
    resolution, resolved_by, person, token_id"""

LINES: LiteralString = f"SELECT {_COLUMNS} FROM bank_statement_lines WHERE number = ANY(%s)"

EXECUTED = "SELECT key FROM bank_statement_lines WHERE key = ANY(%s::text[]) AND kind IN ('EXECUTION', 'COLLECTION')"

# Where to read on: which statement, its line offset, and the last of its lines that was read, if any was.
PLACE: LiteralString = f"""
SELECT following.statement, following.line_offset, last.*
FROM bank_statement_cursor AS following
LEFT JOIN LATERAL (
    SELECT {_COLUMNS}
    FROM bank_statement_lines
    WHERE bank_statement_lines.number > following.line_offset
    ORDER BY number DESC
    LIMIT 1
) AS last ON true
"""

# Each names the statement that was read: an operator may have accepted another one meanwhile.
SET_ERROR = """
UPDATE bank_statement_cursor
SET error = %s, error_since = clock_timestamp()
WHERE statement = %s AND error <> %s
"""
READ_TO_END = "UPDATE bank_statement_cursor SET read_to_end_at = clock_timestamp() WHERE statement = %s"
NOW = "SELECT clock_timestamp()"
FOLLOWED_SINCE = "SELECT coalesce(read_to_end_at >= %s, false) FROM bank_statement_cursor"
# Whether the bank shows another statement, or one that was accepted and not read to its end yet.
REPLACED = "SELECT error NOT IN ('', %s) OR (statement > 1 AND read_to_end_at IS NULL) FROM bank_statement_cursor"
# Two schedulers may read the same page: one stores it. The lock keeps an operator from accepting another statement.
_READ: list[Column[BankStatementLine]] = [
    Column("number", "bigint", "number"),
    Column("kind", "text", "kind"),
    Column("key", "text", "key"),
    Column("order_id", "uuid", lambda line: _order_id(line.key)),
    Column("amount", "bigint", "amount.minor"),
    Column("currency", "text", "amount.currency"),
    Column("reference", "text", "reference"),
]
_READ_NAMES: LiteralString = ", ".join(column.name for column in _READ[1:])
INSERT_LINES = f"""
INSERT INTO bank_statement_lines (number, {_READ_NAMES}, time, statement)
SELECT following.line_offset + line.number, {_READ_NAMES}, clock_timestamp(), following.statement
FROM (SELECT statement, line_offset FROM bank_statement_cursor WHERE statement = %s FOR SHARE) AS following
CROSS JOIN {unnest("line", _READ)}
ORDER BY line.number
ON CONFLICT (number) DO NOTHING
"""

# Locked by commands on the statement: no scheduler stores lines meanwhile.
LOCK_CURSOR = "SELECT statement, error FROM bank_statement_cursor FOR NO KEY UPDATE"
FOLLOW_NEXT = """
UPDATE bank_statement_cursor
SET statement = %s, line_offset = (SELECT coalesce(max(number), 0) FROM bank_statement_lines), error = '',
    error_since = %s,
    read_to_end_at = NULL
WHERE statement = %s - 1
"""
INSERT_BANK_STATEMENTS: Insert[BankStatement] = Insert(
    "bank_statements",
    [
        Column("number", "integer", "number"),
        Column("reason", "text", "reason"),
        Column("accepted_by", "text", "accepted_by"),
        Column("person", "text", "person.name"),
        Column("token_id", "text", "person.token_id"),
        Column("time", "timestamptz", "time"),
    ],
)
LEDGER = "SELECT number, reason, accepted_by, person, token_id, time FROM bank_statements WHERE number = %s"

# Lines without a result whose order is not in progress, each with that order and with what other lines say of it.
UNMATCHED_LINES: LiteralString = """
SELECT lines.number, lines.kind, lines.key, lines.amount, lines.currency, lines.reference, lines.time,
    lines.match_result, lines.explanation, lines.resolution, lines.resolved_by, lines.person, lines.token_id,
    orders.id, orders.state, orders.amount, orders.currency, orders.is_due,
    CASE WHEN orders.id IS NOT NULL THEN (
        SELECT count(*)
        FROM bank_statement_lines AS earlier
        WHERE earlier.key = lines.key AND earlier.kind = lines.kind AND earlier.number < lines.number
            -- Another statement may repeat lines of the one before it.
            AND (earlier.statement = lines.statement OR earlier.reference <> lines.reference)
    ) END,
    CASE WHEN orders.id IS NOT NULL THEN ARRAY(
        SELECT DISTINCT paid.reference
        FROM bank_statement_lines AS paid
        WHERE paid.key = lines.key AND paid.kind = 'EXECUTION'
    ) END
FROM bank_statement_lines AS lines
LEFT JOIN LATERAL (
    SELECT withdrawals.id, withdrawals.state, withdrawals.amount, wallets.currency,
        withdrawals.state = 'SCHEDULED' AND withdrawals.next_attempt_time <= clock_timestamp() AS is_due
    FROM withdrawals
    JOIN wallets ON wallets.key = withdrawals.wallet
    WHERE withdrawals.id = lines.order_id AND lines.key LIKE 'wd-%%'
    UNION ALL
    SELECT deposits.id, deposits.state, deposits.amount, wallets.currency,
        deposits.collect AND deposits.state = 'SCHEDULED' AND deposits.next_attempt_time <= clock_timestamp()
    FROM scheduled_deposits AS deposits
    JOIN wallets ON wallets.key = deposits.wallet
    WHERE deposits.id = lines.order_id AND lines.key LIKE 'sd-%%'
) AS orders ON true
WHERE lines.match_result IS NULL
    AND (orders.state IS NULL OR orders.state NOT IN ('PROCESSING', 'IN_DOUBT'))
    AND lines.number > %s
ORDER BY lines.number
LIMIT %s
"""

# The order that a line matches is reconciled with it.
_MATCHED: list[Column[tuple[BankStatementLine, LineMatch]]] = [
    Column("number", "bigint", lambda row: row[0].number),
    Column("match_result", "text", lambda row: row[1].match_result),
    Column("explanation", "text", lambda row: row[1].explanation),
]
STORE_MATCHES = f"""
WITH matched AS (
    UPDATE bank_statement_lines
    SET match_result = line_match.match_result, explanation = line_match.explanation
    FROM {unnest("line_match", _MATCHED)}
    WHERE bank_statement_lines.number = line_match.number AND bank_statement_lines.match_result IS NULL
    RETURNING bank_statement_lines.order_id, bank_statement_lines.kind, bank_statement_lines.match_result
), paid AS (
    UPDATE withdrawals
    SET reconciled = true
    FROM matched
    WHERE withdrawals.id = matched.order_id AND matched.match_result = 'ORDER' AND matched.kind = 'EXECUTION'
)
UPDATE scheduled_deposits
SET reconciled = true
FROM matched
WHERE scheduled_deposits.id = matched.order_id AND matched.match_result = 'ORDER' AND matched.kind = 'COLLECTION'
"""

# The execution of a key, if the statement has one.
EXECUTION = """
SELECT amount, currency, reference
FROM bank_statement_lines
WHERE key = %s AND kind = %s
ORDER BY number
LIMIT 1
"""

# Of two operators that resolve a line at once, the second changes no row.
RESOLVE_LINE = """
UPDATE bank_statement_lines
SET resolution = %s, resolved_by = %s, person = %s, token_id = %s
WHERE number = %s AND resolution = ''
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where to read on: the statement, and its last line that was read, under the bank's own number."""

    statement: int
    last: BankStatementLine | None


@dataclass(frozen=True, slots=True)
class BankStatementLines:
    """The stored bank statement. Every method raises ``ServiceError`` where the database fails."""

    engine: Engine

    def place(self) -> Place:
        """Return where to read on."""
        with served(), transaction(self.engine) as tx:
            ((statement, base, *row),) = tx.execute(PLACE)
        last = line_of(*row) if row[0] is not None else None
        return Place(statement, replace(last, number=last.number - base) if last is not None else None)

    def note(self, place: Place, error: str) -> None:
        """Store why the statement cannot be read; empty where it can."""
        with served(), transaction(self.engine) as tx:
            tx.execute(SET_ERROR, [error, place.statement, error])

    def note_read_to_end(self, place: Place) -> None:
        """Store that the statement was read to its end just now, for all schedulers."""
        with served(), transaction(self.engine) as tx:
            tx.execute(READ_TO_END, [place.statement])

    def now(self) -> datetime:
        """Return the database's time."""
        with served(), transaction(self.engine) as tx:
            ((now,),) = tx.execute(NOW)
        return cast("datetime", now)

    def followed_since(self, instant: datetime) -> bool:
        """Return whether any scheduler has read the statement to its end since then."""
        with served(), transaction(self.engine) as tx:
            ((followed,),) = tx.execute(FOLLOWED_SINCE, [instant])
        return bool(followed)

    def is_replaced(self) -> bool:
        """Return whether the bank shows another statement than the one that was read to its end."""
        with served(), transaction(self.engine) as tx:
            ((replaced,),) = tx.execute(REPLACED, [UNREADABLE])
        return bool(replaced)

    def keep(self, place: Place, lines: Sequence[BankStatementLine]) -> None:
        """Store lines that were read; lines that are stored already stay unchanged."""
        with served(), transaction(self.engine) as tx:
            tx.execute(INSERT_LINES, [place.statement, *arrays(_READ, lines)])

    def unmatched(self, *, after: int, limit: int) -> list[tuple[BankStatementLine, MatchedOrder | None]]:
        """Return lines above *after* that can be matched, each with the order that it names, if it names one."""
        with served(), transaction(self.engine) as tx:
            return [_unmatched(*row) for row in tx.execute(UNMATCHED_LINES, [after, limit])]

    def match_line(self, line_matches: Sequence[tuple[BankStatementLine, LineMatch]]) -> None:
        """Store the results of matching."""
        with served(), transaction(self.engine) as tx:
            tx.execute(STORE_MATCHES, arrays(_MATCHED, line_matches))

    def execution_of(self, payment: Payment) -> Status:
        """Return the status of a payment by the bank statement: executed, or unknown."""
        kind = LineKind.COLLECTION if payment.collect else LineKind.EXECUTION
        with served(), transaction(self.engine) as tx:
            rows = tx.execute(EXECUTION, [payment.key, kind]).fetchall()
        if not rows:
            return Status(kind=StatusKind.SILENT)
        ((amount, currency, reference),) = rows
        detail = "by the bank statement"
        return Status(kind=StatusKind.EXECUTED, amount=Money(currency, amount), reference=reference, detail=detail)


def line_of(  # a row
    number: int,
    kind: str,
    key: str,
    amount: int,
    currency: str,
    reference: str,
    time: datetime,
    match_result: str | None,
    explanation: str,
    resolution: str,
    resolved_by: str,
    person: str,
    token_id: str,
) -> BankStatementLine:
    """Return the line in a row of ``LINES``."""
    return BankStatementLine(
        number=number,
        kind=LineKind(kind),
        key=key,
        amount=Money(currency, amount),
        reference=reference,
        time=time,
        match_result=MatchResult(match_result) if match_result is not None else None,
        explanation=explanation,
        resolution=resolution,
        resolved_by=resolved_by,
        person=Person(person, token_id),
    )


def store_bank_statement_lines(tx: Tx, ledger: LedgerState) -> Expected:
    """Write the lines that operators have resolved."""
    lines = sorted(ledger.pending.lines.values(), key=lambda one: one.number)
    return [(tx.execute(RESOLVE_LINE, [*_resolved(line), line.number]), 1) for line in lines]


def _resolved(line: BankStatementLine) -> list[str]:
    return [line.resolution, line.resolved_by, line.person.name, line.person.token_id]


def store_bank_statement(tx: Tx, ledger: LedgerState) -> Expected:
    """Move the cursor to the statement that was accepted."""
    statement = ledger.pending.bank_statement
    if statement is None:
        return []
    INSERT_BANK_STATEMENTS.write(tx, [statement])
    return [(tx.execute(FOLLOW_NEXT, [statement.number, statement.time, statement.number]), 1)]


def _unmatched(*row: Any) -> tuple[BankStatementLine, MatchedOrder | None]:  # noqa: ANN401  # a row
    line = line_of(*row[:13])
    id_, state, amount, currency, is_due, earlier, paid_by = row[13:]
    named = order_of_key(line.key)
    if id_ is None or named is None:
        return line, None
    kind, _ = named
    order = MatchedOrder(
        kind=kind,
        id=id_,
        state=OrderState(state),
        amount=Money(currency, amount),
        is_due=is_due,
        earlier=earlier,
        paid_by=tuple(paid_by),
    )
    return line, order


def _order_id(key: str) -> UUID | None:
    named: tuple[OrderKind, UUID] | None = order_of_key(key)
    return named[1] if named is not None else None
