"""Pages of lists, by key: the cost of a page depends neither on the length of the list nor on how few rows match.

A page reads a bounded scan window of the list. Where fewer rows match than a page holds, the page is short or empty,
and the next page starts at the end of the scan window.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, text

from wallet_core.domain.queries.filter import Condition, Op
from wallet_core.domain.queries.lists import Page

# Rows that one page reads where a filter is checked on each.
SCAN_WINDOW = 2000


@dataclass(frozen=True, slots=True)
class Where:
    """Conditions as SQL, with their parameters."""

    sql: str
    parameters: dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A list as SQL, made of constants: values of callers are parameters."""

    scan_window: str
    """Selects *position* of the listed rows, from the page's start and in order; without a limit."""
    columns: str
    """The columns of a row, *position* last."""
    joins: str
    """The joins to ``scan_window`` for these columns."""
    position: Sequence[str]
    """The columns that order the list, as ``scan_window`` names them."""
    descending: bool = True

    def page(self, tx: Connection, *, size: int, where: Where, parameters: Mapping[str, object]) -> Page[Row[Any]]:
        """Return up to *size* rows, each ending in its position.

        The scan window is ordered inside the query, so that the database stops once the page is full.
        """
        # The length is part of the statement: a plan for any length would be a plan for a whole table.
        length = max(SCAN_WINDOW, size + 1) if where.sql else size + 1
        bound = {**parameters, **where.parameters, "limit": size + 1}
        order = ", ".join(f"scan_window.{column}{' DESC' if self.descending else ''}" for column in self.position)
        found = tx.execute(
            text(
                f"SELECT {self.columns} FROM ({self.scan_window} LIMIT {length}) AS scan_window {self.joins}"
                f"{' WHERE ' + where.sql if where.sql else ''} ORDER BY {order} LIMIT :limit"
            ),
            bound,
        ).all()
        rows = list(found[:size])
        positions = [tuple(row[-len(self.position) :]) for row in rows]
        if len(found) > size:
            return Page(rows, positions, positions[-1])
        if not where.sql:
            return Page(rows, positions, None)
        end = tx.execute(text(f"{self.scan_window} OFFSET {length - 1} LIMIT 1"), parameters).first()
        return Page(rows, positions, tuple(end) if end is not None else None)


def where(conditions: Sequence[Condition], columns: Mapping[str, str], *, prefix: str = "filter") -> Where:
    """Return conditions as SQL over *columns*, by the name of the field; their parameters begin with *prefix*."""
    parts: list[str] = []
    parameters: dict[str, object] = {}
    for number, condition in enumerate(conditions):
        column, value = columns[condition.field], f"{prefix}_{number}"
        parameters[value] = condition.value
        if not condition.key:
            operator = "<>" if condition.op is Op.NOT_EQUAL else condition.op
            parts.append(f"{column} {operator} :{value}")
        elif condition.op is Op.EQUAL:
            # In the form that the index on labels supports.
            parameters[value] = json.dumps({condition.key: condition.value})
            parts.append(f"({column} @> CAST(:{value} AS jsonb) AND {column} <> '{{}}')")
        else:
            parameters[f"{value}_key"] = condition.key
            parts.append(f"({column} ->> :{value}_key) IS DISTINCT FROM :{value}")
    return Where(" AND ".join(parts), parameters)
