"""Pages of lists, by key: the cost of a page depends neither on the length of the list nor on how few rows match.

A page reads a bounded scan window of the list. Where fewer rows match than a page holds, the page is short or empty,
and the next page starts at the end of the scan window.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from wallet_core.domain.queries.filter import Condition, Op
from wallet_core.domain.queries.lists import Page

# Rows that one page reads where a filter is checked on each.
SCAN_WINDOW = 2000

# A place in a list that is ordered by time and id.
Place = tuple[datetime, UUID]

_NO_ID = UUID(int=0)
_FIRST: Place = (datetime.min.replace(tzinfo=UTC), _NO_ID)
_LAST: Place = (datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))
_AN_INSTANT = timedelta(microseconds=1)


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
    known: Sequence[str] = ()
    """Columns before these that are the same in all rows, and have to be named for the index that has them."""
    descending: bool = True

    def page(self, tx: Connection, *, size: int, where: Where, parameters: Mapping[str, object]) -> Page[Row[Any]]:
        """Return up to *size* rows, each ending in its position.

        The scan window is ordered inside the query, so that the database stops once the page is full.
        """
        # The length is part of the statement: a plan for any length would be a plan for a whole table.
        length = max(SCAN_WINDOW, size + 1) if where.sql else size + 1
        bound = {**parameters, **where.parameters, "limit": size + 1}
        order = ", ".join(
            f"scan_window.{column}{' DESC' if self.descending else ''}" for column in (*self.known, *self.position)
        )
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
        end = tx.execute(text(f"{self.scan_window} OFFSET {length - 1} LIMIT 1"), parameters).mappings().first()
        return Page(rows, positions, tuple(end[column] for column in self.position) if end is not None else None)


@dataclass(frozen=True, slots=True)
class Narrowed:
    """Conditions on a list that is ordered by time and id: those that an index narrows it by, and all others."""

    by: Condition | None
    """The one on a field with an index of its own, compared by ``=``."""
    since: Place
    """The list ends here: with the last row that is not before it."""
    before: Place
    """The list begins here: with the first row that is before it."""
    others: Sequence[Condition]
    """Checked on each row."""

    @property
    def parameters(self) -> dict[str, object]:
        """The parameters of ``keyset``."""
        (since, since_id), (before, before_id) = self.since, self.before
        found: dict[str, object] = {"since": since, "since_id": since_id, "before": before, "before_id": before_id}
        if self.by is not None:
            found["known"] = self.by.value
        if self.by is not None and self.by.key:
            found["known_key"] = self.by.key
        return found

    def keyset(self, time: str, id_: str, *known: str) -> str:
        """Return the condition and the order of a list, on the columns of an index: those *known*, time and id.

        As two comparisons of rows, and in the order of all these columns, so that no other index has it: by an ``=``
        the database would take the column for a constant, and could read another index in the order of time, as far
        as it goes, to find few rows or none. The two ends are merged beforehand, because an index can start at one.
        """
        columns = (*known, time, id_)
        fixed = [":known_key", ":known"][-len(known) :] if known else []
        return (
            f"({', '.join(columns)}) < ({', '.join([*fixed, ':before', ':before_id'])})"
            f" AND ({', '.join(columns)}) >= ({', '.join([*fixed, ':since', ':since_id'])})"
            f" ORDER BY {', '.join(f'{column} DESC' for column in columns)}"
        )


def narrowed(conditions: Sequence[Condition], *, by: Sequence[str], time: str, before: Place | None) -> Narrowed:
    """Divide conditions: an index narrows by the first of the fields *by* that has an ``=``, and by the field *time*.

    *before* is where the page begins.
    """
    indexed = (
        condition
        for field in by
        for condition in conditions
        if condition.field == field and condition.op is Op.EQUAL and (condition.value or condition.key)
    )
    one = next(indexed, None)
    ends = [(condition, condition.value) for condition in conditions if condition.field == time]
    since, until = _FIRST, before or _LAST
    others = [condition for condition in conditions if condition is not one and condition.field != time]
    for condition, value in ends:
        if condition.op is Op.NOT_EQUAL or not isinstance(value, datetime):
            others.append(condition)
            continue
        if condition.op in {Op.LESS, Op.LESS_OR_EQUAL, Op.EQUAL}:
            until = min(until, (value if condition.op is Op.LESS else instant_after(value), _NO_ID))
        if condition.op in {Op.GREATER, Op.GREATER_OR_EQUAL, Op.EQUAL}:
            since = max(since, (instant_after(value) if condition.op is Op.GREATER else value, _NO_ID))
    return Narrowed(one, since, until, others)


def instant_after(time: datetime) -> datetime:
    """Return the next instant; the last one has none."""
    return time if time > datetime.max.replace(tzinfo=time.tzinfo) - _AN_INSTANT else time + _AN_INSTANT


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
