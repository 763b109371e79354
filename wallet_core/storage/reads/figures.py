"""Figures of the whole service, each found by an index, and counted up to a limit."""

from datetime import datetime
from typing import TypeAlias

from sqlalchemy import Connection, text

from wallet_core.domain.model.figures import CurrencyFigures, Figures, OrderFigures
from wallet_core.domain.model.money import Money
from wallet_core.storage.connections.reader import Reader

_Counted: TypeAlias = tuple[int, datetime | None]
"""How many, and the oldest."""

COUNTED_MAX = 10_000
_HOLDS_MAX = 100_000
_RATE_S = 10

_MONEY = text("""
SELECT currency, role, balance FROM wallets WHERE id >= 'system:' AND id < 'system;' ORDER BY currency
""")
_HELD = text("""
SELECT count(*) OVER () AS rows, wallets.currency, reserved.amount
FROM (
    (SELECT wallet, amount - captured AS amount FROM holds WHERE state = 'ACTIVE' LIMIT :most)
    UNION ALL
    (SELECT wallet, amount FROM withdrawals WHERE reserve AND state = 'SCHEDULED' LIMIT :most)
) AS reserved
JOIN wallets ON wallets.key = reserved.wallet
""")
_COUNTED = """
SELECT count(*), min(time)
FROM (SELECT {time} AS time FROM {table} WHERE {condition} ORDER BY 1 LIMIT :most) AS counted
"""
# Each condition repeats that of the partial index that finds it.
_TO_PAY = "state IN ('SCHEDULED', 'PROCESSING')"
_TO_ASK = "state IN ('IN_DOUBT', 'PROCESSING')"
_REST = text("""
SELECT
    clock_timestamp(),
    (SELECT count(*) FROM transactions WHERE time > clock_timestamp() - make_interval(secs => :seconds)),
    (SELECT coalesce(max(number), 0) FROM bank_statement_lines),
    (SELECT count(*) FROM (SELECT FROM bank_statement_lines WHERE match_result IS NULL LIMIT :most) AS counted),
    (SELECT count(*)
     FROM (
         SELECT FROM bank_statement_lines WHERE match_result = 'NOTHING' AND resolution = '' LIMIT :most
     ) AS counted)
""")
_PROCESSES = text("""
SELECT application_name, count(*)
FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'wallet-%'
GROUP BY application_name
ORDER BY application_name
""")


class FigureReads(Reader):
    """Reads of figures."""

    def figures(self) -> Figures:
        """Return the figures of this moment."""
        return self.read(_figures)


def _figures(tx: Connection) -> Figures:
    time, transactions, end, unmatched, open_ = tx.execute(_REST, {"seconds": _RATE_S, "most": COUNTED_MAX}).one()
    return Figures(
        time=time,
        currencies=_money(tx),
        withdrawals=_orders(tx, "withdrawals", ""),
        scheduled_deposits=_orders(tx, "scheduled_deposits", "collect AND"),
        transactions_per_second=transactions / _RATE_S,
        bank_statement_end=end,
        bank_statement_unmatched=unmatched,
        discrepancies=open_,
        processes={name: connections for name, connections in tx.execute(_PROCESSES)},  # noqa: C416  # rows are no pairs
    )


def _money(tx: Connection) -> list[CurrencyFigures]:
    """Add up the service's own wallets: what came in and is not elsewhere is in wallets."""
    balances: dict[str, dict[str, int]] = {}
    for currency, role, balance in tx.execute(_MONEY):
        balances.setdefault(currency, {})[role] = balance
    held, counted = dict.fromkeys(balances, 0), 0
    for counted, currency, amount in tx.execute(_HELD, {"most": _HOLDS_MAX}):  # noqa: B007  # the same in all rows
        held[currency] += amount
    return [
        CurrencyFigures(
            in_wallets=Money(currency, -sum(own.values())),
            held=Money(currency, held[currency]) if counted < _HOLDS_MAX else None,
            in_transit=Money(currency, own.get("IN_TRANSIT", 0)),
            commission=Money(currency, own.get("COMMISSION", 0)),
        )
        for currency, own in balances.items()
    ]


def _orders(tx: Connection, table: str, asked: str) -> OrderFigures:
    def counted(condition: str, time: str) -> _Counted:
        query = text(_COUNTED.format(table=table, time=time, condition=condition))
        count, oldest = tx.execute(query, {"most": COUNTED_MAX}).one()
        return count, oldest

    to_pay, to_ask = f"{asked} {_TO_PAY} AND state = 'SCHEDULED'", f"{asked} {_TO_ASK}"
    later = counted(f"{to_pay} AND next_attempt_time > now()", "next_attempt_time")
    due = counted(f"{to_pay} AND next_attempt_time <= now()", "next_attempt_time")
    if asked:  # those that the bank is not asked about have an index of their own
        to_credit = "NOT collect AND state = 'SCHEDULED'"
        later = _both(later, counted(f"{to_credit} AND next_attempt_time > now()", "next_attempt_time"))
        due = _both(due, counted(f"{to_credit} AND next_attempt_time <= now()", "next_attempt_time"))
    processing = counted(f"{to_ask} AND state = 'PROCESSING'", "update_time")
    in_doubt = counted(f"{to_ask} AND state = 'IN_DOUBT'", "update_time")
    return OrderFigures(
        scheduled=later[0],
        due=due[0],
        due_since=due[1],
        processing=processing[0],
        processing_since=processing[1],
        in_doubt=in_doubt[0],
        in_doubt_since=in_doubt[1],
    )


def _both(one: _Counted, other: _Counted) -> _Counted:
    return one[0] + other[0], min((time for time in (one[1], other[1]) if time is not None), default=None)
