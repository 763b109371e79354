"""What commands show: tables and colours to a person, JSON to a program."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from babel.numbers import format_decimal
from rich.console import Console
from rich.table import Table

from wallet_core.domain.money import exponent_of

# Where no terminal says how wide it is, a table has the width that its ids need.
_PIPE_WIDTH = 160

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)
for console in (out, err):
    if not console.is_terminal:
        console.width = _PIPE_WIDTH

Row = Mapping[str, Any]

_COLOURS = {
    "ACTIVE": "green",
    "SUCCEEDED": "green",
    "SCHEDULED": "cyan",
    "PROCESSING": "blue",
    "IN_DOUBT": "yellow",
    "FROZEN": "yellow",
    "FAILED": "red",
    "CANCELLED": "dim",
    "CLOSED": "dim",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: its heading and what it shows of a row."""

    heading: str
    shown: Callable[[Row], str]
    right: bool = False


def amount(money: Mapping[str, Any]) -> str:
    """Show an amount with its currency's decimals: ``1,234.56 USD``."""
    currency = str(money["currency_code"])
    exponent = exponent_of(currency)
    value = Decimal(int(money["minor_units"])).scaleb(-exponent)
    pattern = "#,##0." + "0" * exponent if exponent else "#,##0"
    return f"{format_decimal(value, format=pattern, locale='en_US')} {currency}"


def state(name: str) -> str:
    """Show a state in its colour, without its prefix."""
    word = name.removeprefix("STATE_")
    return f"[{_COLOURS.get(word, 'white')}]{word}[/]"


def time(stamp: str | None) -> str:
    """Show a time to the second."""
    return stamp[:19].replace("T", " ") if stamp else ""


def short(name: str) -> str:
    """Show a resource name without its collection."""
    return name.partition("/")[2] or name


def _outcome(row: Row) -> str:
    reason = str(row["failure_reason"]).removeprefix("FAILURE_REASON_")
    return row["bank_reference"] or ("" if reason == "UNSPECIFIED" else reason) or row["attention"]


WALLETS = (
    Column("wallet", lambda row: short(row["name"])),
    Column("state", lambda row: state(row["state"])),
    Column("balance", lambda row: amount(row["balance"]), right=True),
    Column("held", lambda row: amount(row["held"]), right=True),
    Column("available", lambda row: amount(row["available"]), right=True),
    Column("owner", lambda row: row["owner"]),
)

TRANSACTIONS = (
    Column("transaction", lambda row: short(row["name"]) or "(validated only)"),
    Column("type", lambda row: row["type"].removeprefix("TYPE_")),
    Column("from", lambda row: short(row["source"])),
    Column("to", lambda row: short(row["destination"])),
    Column("amount", lambda row: amount(row["amount"]), right=True),
    Column("time", lambda row: time(row.get("execute_time"))),
)

WITHDRAWALS = (
    Column("withdrawal", lambda row: short(row["name"])),
    Column("wallet", lambda row: short(row["wallet"])),
    Column("amount", lambda row: amount(row["amount"]), right=True),
    Column("due", lambda row: time(row["execute_time"])),
    Column("state", lambda row: state(row["state"])),
    Column("attempts", lambda row: str(row["attempts"]), right=True),
    Column("what came of it", _outcome),
)


def table(columns: Sequence[Column], rows: Iterable[Row], *, title: str | None = None) -> Table:
    """Return a table of rows."""
    drawn = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        drawn.add_column(column.heading, justify="right" if column.right else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(column.shown(row) for column in columns))
    return drawn


def show(columns: Sequence[Column], rows: Sequence[Row], *, as_json: bool) -> None:
    """Show rows as a table, or as a JSON list."""
    if as_json:
        out.print_json(data=list(rows))
    elif rows:
        out.print(table(columns, rows))
    else:
        out.print("[dim]none[/]")


def show_one(columns: Sequence[Column], row: Row, *, as_json: bool) -> None:
    """Show one row as a table of one line, or as a JSON object."""
    if as_json:
        out.print_json(data=row)
    else:
        out.print(table(columns, [row]))
