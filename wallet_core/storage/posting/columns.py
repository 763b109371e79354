"""Statements that write many rows at once, made from one table of columns: each column's name, type and value.

A statement takes one array for each column, so its text depends on no number of rows and is made once.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import Any, Generic, TypeVar

from wallet_core.storage.connections.engine import Cursor, Tx
from wallet_core.storage.posting.arrays import plain, texts, times

Row = TypeVar("Row")


@dataclass(frozen=True)
class Column(Generic[Row]):
    """A column: its name, its type in PostgreSQL, and the value that a row has in it."""

    name: str
    type: str
    value: str | Callable[[Row], Any]
    """A path of attributes, which costs no more than a loop by hand, or a function."""

    @cached_property
    def get(self) -> Callable[[Row], Any]:
        """The value as a function, made once: each batch calls it for each of its rows."""
        return attrgetter(self.value) if isinstance(self.value, str) else self.value


@dataclass(frozen=True, slots=True)
class _Form:
    """How values of a type are sent: as an array of which type, written how, and read back by which expression."""

    write: Callable[[Iterable[Any]], str]
    array_of: str = ""
    """The type of the array's elements, where it is another one than the column's."""
    expression: str = "{}"


def _json(values: Iterable[Mapping[str, Any] | None]) -> str:
    return texts(None if value is None else json.dumps(value) if value else "{}" for value in values)


_FORMS = {
    **dict.fromkeys(("smallint", "integer", "bigint", "boolean", "uuid"), _Form(plain)),
    "timestamptz": _Form(times),
    "text": _Form(texts),
    "jsonb": _Form(_json),
    "bytea": _Form(lambda values: texts("\\x" + value.hex() for value in values)),
    # An array of arrays would come out of unnest flattened. Wallet ids have no spaces.
    "text[]": _Form(lambda values: texts(" ".join(value) for value in values), "text", "string_to_array({}, ' ')"),
}


def unnest(alias: str, columns: Sequence[Column[Row]]) -> str:
    """Return the part of a FROM clause that makes rows of one parameter for each column."""
    arrays = ", ".join(f"%s::{_FORMS[column.type].array_of or column.type}[]" for column in columns)
    return f"unnest({arrays})\n    AS {alias} ({', '.join(column.name for column in columns)})"


def arrays(columns: Sequence[Column[Row]], rows: Sequence[Row]) -> list[str]:
    """Return the parameters for ``unnest``: an array literal for each column."""
    return [_FORMS[column.type].write(map(column.get, rows)) for column in columns]


class Insert(Generic[Row]):
    """An INSERT of any number of rows into a table; *fixed* columns have the same SQL expression in every row."""

    def __init__(
        self, table: str, columns: Sequence[Column[Row]], *, fixed: Mapping[str, str] | None = None, clause: str = ""
    ) -> None:
        self._columns = columns
        fixed = fixed or {}
        names = ", ".join((*(column.name for column in columns), *fixed))
        values = (_FORMS[column.type].expression.format(column.name) for column in columns)
        self.sql = (
            f"INSERT INTO {table} ({names})\n"
            f"SELECT {', '.join((*values, *fixed.values()))}\n"
            f"FROM {unnest('new', columns)}\n{clause}"
        )

    def write(self, tx: Tx, rows: Sequence[Row]) -> Cursor | None:
        """Insert *rows*, in their order; do nothing where there are none."""
        return tx.execute(self.sql, arrays(self._columns, rows)) if rows else None
