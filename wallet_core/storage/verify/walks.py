"""The form of verify: tables are walked in slices of their primary key, and each slice is checked by rules.

One slice is one statement, thus one short snapshot: it reads the rows of the slice, joins what the rules compare them
with, and counts in one pass the rows that break each rule.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What must be true of every row of a walk."""

    meaning: str
    broken: str
    """The condition of rows that break it, on the columns of the walk's *joined* rows."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Walk:
    """A table that is walked in the order of its key, and the rules of its rows."""

    table: str
    key: Sequence[tuple[str, str]]
    """The columns of the primary key, each with its type."""
    name: str
    """An expression that names a row to an operator, on the columns of *joined*."""
    subject: str = "NULL"
    """An expression for the resource that events are about, on the table's columns: the column ``subject_name``."""
    sets: Mapping[str, str] = field(default_factory=dict)
    """What belongs to all rows of a slice, where it can be read at once: queries on ``slice`` by their names."""
    joined: str
    """A query on ``slice`` and the *sets* that yields the columns that the rules read."""
    rules: Mapping[str, Rule]
    chained: Sequence[str] = ()
    """The columns that rules compare with those of the row before, which are named like ``number_before``: in the order
    of the key, and among rows that have all but the last column of it in common; NULL in the first of them. Where there
    are some, the row before the slice is read, too, and not counted: its column ``is_before`` is true."""
    summed: str = ""
    """An expression, on the columns of *joined*, for the hash of a row that the journal does not report any more; NULL
    for another row. A summary of the journal states the digest of these hashes."""
    until: bool = False
    """Whether the walk ends at the journal number that was fixed at the start."""

    @property
    def _columns(self) -> str:
        return ", ".join(name for name, _ in self.key)

    def place(self, prefix: str) -> str:
        """Return the placeholders of a key, as a row."""
        return ", ".join(f"%({prefix}_{name})s::{type_}" for name, type_ in self.key)

    def bound(self, *, after: bool) -> str:
        """Return the statement that finds the last key of the next slice; no row where the slice is the last one."""
        return (
            f"SELECT {self._columns} FROM {self.table} WHERE {self._range(after=after, upto=False)} "
            f"ORDER BY {self._columns} OFFSET %(rows)s - 1 LIMIT 1"
        )

    def keys(self, *, after: bool, upto: bool) -> str:
        """Return the statement that lists the keys of a slice."""
        where = self._range(after=after, upto=upto)
        return f"SELECT {self._columns} FROM {self.table} WHERE {where} ORDER BY {self._columns}"

    def statement(self, *, after: bool, upto: bool) -> str:
        """Return the statement that checks a slice: one row.

        It has the count of the slice's rows, then for each rule the count of the rows that break it, and the first one;
        and where rows are *summed*, their hashes, one after another.
        The slice begins after a key, or with the table, and ends with a key, or with the table.
        """
        columns = f'*, ({self.subject}) COLLATE "C" AS subject_name'
        counted = "true"
        if self.chained:
            counted = "NOT is_before"
            is_before = f"({self._columns}) = ({self.place('after')})" if after else "false"
            columns = ", ".join([columns, f"{is_before} AS is_before", *self._before()])
        slice_ = (
            f"SELECT {columns} FROM {self.table} "
            f"WHERE {self._range(after=after, upto=upto, inclusive=bool(self.chained))} ORDER BY {self._columns}"
        )
        broken = [f"{counted} AND ({rule.broken})" for rule in self.rules.values()]
        judged = ["*", f"{counted} AS counted", *(f"{one} AS broken{i}" for i, one in enumerate(broken))]
        found = ["count(*) FILTER (WHERE counted)"]
        for i in range(len(broken)):
            found += [
                f"count(*) FILTER (WHERE broken{i})",
                f"min({self.name}) FILTER (WHERE broken{i})",
            ]  # a name is made of broken rows alone
        sets = ",\n".join(
            f"{name} AS MATERIALIZED (\n{query}\n)" for name, query in {"waiting": _WAITING, **self.sets}.items()
        )
        if self.summed:
            found.append(f"string_agg({self.summed}, ''::bytea) FILTER (WHERE counted)")
        # OFFSET 0: what is used several times is computed once.
        return (
            f"WITH slice AS MATERIALIZED (\n{slice_}\n),\n{sets}\nSELECT {', '.join(found)}\nFROM (\n"
            f"SELECT {', '.join(judged)}\nFROM (\n{self.joined}\nOFFSET 0\n) AS joined\nOFFSET 0\n) AS judged"
        )

    def _before(self) -> Iterator[str]:
        *shared, last = [name for name, _ in self.key]
        partition = f"PARTITION BY {', '.join(shared)} " if shared else ""
        for column in self.chained:
            yield f"lag({column}) OVER ({partition}ORDER BY {last}) AS {column}_before"

    def places(self, prefix: str, key: Sequence[Any]) -> dict[str, Any]:
        """Return the parameters for a key."""
        return {f"{prefix}_{name}": value for (name, _), value in zip(self.key, key, strict=True)}

    def _range(self, *, after: bool, upto: bool, inclusive: bool = False) -> str:
        bounds = []
        if after:
            bounds.append(f"({self._columns}) {'>=' if inclusive else '>'} ({self.place('after')})")
        if upto:
            bounds.append(f"({self._columns}) <= ({self.place('upto')})")
        if self.until:
            bounds.append("number <= %(journal_end)s")
        return " AND ".join(bounds) or "true"


# The events about the rows of a slice that are not in the journal yet: few, and the outbox has no index.
_WAITING = "SELECT * FROM outbox WHERE subject IN (SELECT subject_name FROM slice)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """A rule of a whole ledger: sums that no single row shows."""

    meaning: str
    query: str
    """Yields the name of everything that breaks it."""


# What belongs to a row is joined laterally, with a limit or an aggregate: a look-up by index for each row of the slice,
# whatever the planner guesses of sizes. A join of tables would read a whole table for every slice.

# What the summed up part of the journal has said of a row: one row, or none.
_SUMMED_UP = """
    SELECT * FROM journal_last_events
    WHERE subject = slice.subject_name AND number <= %(start)s
    ORDER BY number DESC
    LIMIT 1
"""

# The events about a row, in the journal or still in the outbox, and of summed up ones the decisions of operators.
EVENTS = f"""
    SELECT facts::jsonb AS facts
    FROM journal
    WHERE subject = slice.subject_name AND type <> 'transaction.posted' AND number > %(start)s
    UNION ALL
    SELECT facts::jsonb
    FROM waiting
    WHERE subject = slice.subject_name AND type <> 'transaction.posted'
    UNION ALL
    SELECT jsonb_build_object('resolution', resolution)
    FROM ({_SUMMED_UP}) AS summed_up
    CROSS JOIN LATERAL jsonb_array_elements(resolutions) AS listed (resolution)
"""

# For each row of the slice with events: their count, their types, and the facts of the last one; ``place`` orders them.
# The journal is looked up for each row; the result is joined as a whole, for the outbox may have as many events as the
# slice has rows. Transactions have one event each, which their walk reads by itself.
_LAST_EVENTS = f"""
    SELECT subject, sum(events)::bigint AS events, string_to_array(string_agg(types, ' '), ' ') AS types,
        (array_agg(facts ORDER BY place DESC))[1] AS facts
    FROM (
        SELECT slice.subject_name AS subject, 1 AS events, own.type AS types, own.facts::jsonb - 'request' AS facts,
            own.number AS place
        FROM slice
        CROSS JOIN LATERAL (
            SELECT type, facts, number
            FROM journal
            WHERE subject = slice.subject_name AND type <> 'transaction.posted' AND number > %(start)s
            OFFSET 0
        ) AS own
        UNION ALL
        SELECT subject, 1, type, facts::jsonb - 'request', position + 4611686018427387904
        FROM waiting
        WHERE type <> 'transaction.posted'
        UNION ALL
        SELECT summed_up.subject, events, array_to_string(types, ' '), facts, summed_up.number
        FROM slice
        CROSS JOIN LATERAL ({_SUMMED_UP}) AS summed_up
        WHERE %(start)s > 0
    ) AS events
    GROUP BY subject
"""
JOIN_LAST_EVENT = f"LEFT JOIN ({_LAST_EVENTS}) AS published ON published.subject = slice.subject_name"


def join_wallet(key: str, name: str = "wallets") -> str:
    """Return the join of the wallet with a key."""
    return f"LEFT JOIN LATERAL (SELECT * FROM wallets WHERE wallets.key = {key} LIMIT 1) AS {name} ON true"


def lacks(table: str, where: str) -> str:
    """Return the condition that a table has no such row.

    It is looked up by an index: for EXISTS a plan may read the whole table.
    """
    return f"(SELECT true FROM {table} WHERE {where} LIMIT 1) IS NULL"


def microseconds(column: str) -> str:
    """Return the expression of a time as facts have it."""
    return f"(extract(epoch FROM {column}) * 1000000)::bigint"


def facts(**values: str) -> str:
    """Return the expression of a row's facts: each name with the SQL of its value; NULL leaves it out."""
    pairs = ", ".join(f"'{name}', {value}" for name, value in values.items())
    return f"jsonb_strip_nulls(jsonb_build_object({pairs}))"


def hashed(*values: str) -> str:
    """Return the expression of the hash of a row, as summaries of the journal sum it up."""
    return f"sha256(convert_to(concat_ws(chr(10), {', '.join(values)}), 'UTF8'))"


def filled(column: str) -> str:
    """Return the expression of a text that facts leave out where it is empty."""
    return f"nullif({column}, '')"
