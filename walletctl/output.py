"""How commands show things: tables and colours to a person, JSON to a program."""

import errno
import os
import sys
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal
from unicodedata import category

import typer
from babel.numbers import format_decimal
from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment
from rich.table import Table

from walletctl.currencies import exponent_to_show

# Where no terminal says how wide it is, a table has the width that its ids need.
_PIPE_WIDTH = 160

# Not for a terminal: controls, halves of characters, other ends of lines, and what turns the direction of a text. Two
# that join letters or keep them apart are part of how Persian is written.
_OBEYED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_WRITTEN = frozenset({"\u200c", "\u200d"})


def safe(text: str) -> str:
    """Return a text with nothing in it that a terminal would obey, but for the ends of its lines."""
    return "".join(one if one in _WRITTEN or one == "\n" or category(one) not in _OBEYED else " " for one in text)


class Unwritten(Exception):
    """What was to be shown, or a part of it, could not be written; the message says why."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error.strerror)
        self.is_left = error.errno == errno.EPIPE
        """Whether the reader has left, e.g. ``head``, which has read enough."""


@contextmanager
def _writing() -> Iterator[None]:
    """Raise ``Unwritten`` where it fails. What is left in buffers then is dropped, or the exit code would change."""
    try:
        yield
    except OSError as error:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:
                with suppress(OSError):  # has no file in tests
                    os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        raise Unwritten(error) from None


class Terminal(Console):
    """A console that lets through no order to the terminal but its own, whatever is shown and however it got there."""

    def print(self, *shown: Any, **how: Any) -> None:  # noqa: ANN401  # what rich takes
        """Show something; raise ``Unwritten`` where it cannot be written."""
        with _writing():
            super().print(*shown, **how)

    def on_broken_pipe(self) -> None:
        """Do not end the process, as rich would: it may have done something that is to be told."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Return what is drawn, made safe."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(safe(segment.text), segment.style)


out = Terminal(highlight=False)
err = Terminal(stderr=True, highlight=False)
for console in (out, err):
    if not console.is_terminal:
        console.width = _PIPE_WIDTH

Row = Mapping[str, Any]

_COLOURS = {
    "ACTIVE": "green",
    "SUCCEEDED": "green",
    "POSTED": "green",
    "CAPTURED": "green",
    "SCHEDULED": "cyan",
    "PROCESSING": "blue",
    "IN_DOUBT": "yellow",
    "FROZEN": "yellow",
    "PARTIALLY_REVERSED": "yellow",
    "REVERSED": "yellow",
    "FAILED": "red",
    "CANCELLED": "dim",
    "CLOSED": "dim",
    "VOIDED": "dim",
    "EXPIRED": "dim",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: its heading and what it shows of a row."""

    heading: str
    shown: Callable[[Row], str]
    right: bool = False
    rare: bool = False
    """Left out of a table where it is empty in every row."""


def amount(money: Row | None) -> str:
    """Show an amount with its currency's decimals: ``1,234.56 USD``; nothing where there is none.

    Of a currency that the service does not know, which a bank may write, it is shown in minor units.
    """
    if money is None:
        return ""
    currency = str(money["currency_code"])
    exponent = exponent_to_show(currency)
    if exponent is None:
        return words(f"{money['minor_units']} {currency} minor units")
    value = Decimal(int(money["minor_units"])).scaleb(-exponent)
    pattern = "#,##0." + "0" * exponent if exponent else "#,##0"
    return f"{format_decimal(value, format=pattern, locale='en_US')} {currency}"


def minor(minor_units: int | str, currency: str) -> str:
    """Show a count of minor units as an amount."""
    return amount({"currency_code": currency, "minor_units": minor_units})


def signed(money: Row) -> str:
    """Show what came in green and what went in red."""
    return f"[{'red' if int(money['minor_units']) < 0 else 'green'}]{_with_sign(amount(money))}[/]"


def _with_sign(shown: str) -> str:
    return shown if shown.startswith("-") else f"+{shown}"


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


def words(text: str) -> str:
    """Show words that a caller gave, on one line: as they are, but for what a terminal or rich would obey."""
    return escape(safe(text.replace("\n", " ")))


def labels(row: Row) -> str:
    """Show labels as they are typed."""
    return words(" ".join(f"{key}={value}" for key, value in sorted(row["labels"].items())))


def table(columns: Sequence[Column], rows: Iterable[Row], *, title: str | None = None) -> Table:
    """Return a table of rows."""
    rows = list(rows)
    drawn = Table(title=title, title_justify="left", header_style="bold")
    columns = [column for column in columns if not column.rare or any(column.shown(row) for row in rows)]
    for place, column in enumerate(columns):
        # A name is kept in one piece as long as anything else can give way.
        justify: Literal["left", "right"] = "right" if column.right else "left"
        drawn.add_column(column.heading, justify=justify, overflow="fold", no_wrap=place == 0)
    for row in rows:
        drawn.add_row(*(column.shown(row) for column in columns))
    return drawn


def show(columns: Sequence[Column], rows: Sequence[Row], *, as_json: bool) -> None:
    """Show rows as a table, or as a JSON list."""
    if as_json:
        show_json(list(rows))
    elif rows:
        out.print(table(columns, rows))
    else:
        out.print("[dim]none[/]")


def show_one(columns: Sequence[Column], row: Row, *, as_json: bool) -> None:
    """Show one row as a table of one line, or as a JSON object."""
    if as_json:
        show_json(row)
    else:
        out.print(table(columns, [row]))


def show_json(data: object, *, indent: int | None = 2) -> None:
    """Show JSON in ASCII: what is not is escaped, so a program gets it unchanged and a terminal obeys none of it."""
    out.print_json(data=data, indent=indent, ensure_ascii=True)


def write(pieces: Iterable[bytes]) -> None:
    """Write text in UTF-8 to standard output: as it is to a program or a file, made safe to a terminal."""
    decoder = getincrementaldecoder("utf-8")(errors="replace")
    for piece in pieces:
        shown = safe(decoder.decode(piece).replace("\r", "")) if out.is_terminal else piece
        with _writing():
            typer.echo(shown, nl=False)
