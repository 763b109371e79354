"""Output of commands: tables and colours for people, JSON for programs, which needs no rich and so starts sooner."""

import errno
import json
import os
import sys
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal
from unicodedata import category

import typer

from walletctl.currencies import exponent_to_show

if TYPE_CHECKING:
    from rich.table import Table

    from walletctl.terminal import Terminal

# Not for a terminal: control characters, surrogates, other line ends, and characters that change the direction of a
# text. The joiner and the non-joiner are part of Persian spelling.
_OBEYED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_WRITTEN = frozenset({"\u200c", "\u200d"})


def safe(text: str) -> str:
    """Return a text without terminal control characters, except for its line ends."""
    return "".join(one if one in _WRITTEN or one == "\n" or category(one) not in _OBEYED else " " for one in text)


class OutputFailed(Exception):
    """Output could not be written, or only in part; the message says why."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error.strerror)
        self.is_left = error.errno == errno.EPIPE
        """Whether the reader has closed the pipe, e.g. ``head``, which has read enough."""


@contextmanager
def writing() -> Iterator[None]:
    """Raise ``OutputFailed`` on failure, and drop buffered output: flushing it at exit would change the exit code."""
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
        raise OutputFailed(error) from None


class Screen:
    """Standard output, or standard error."""

    def __init__(self, *, stderr: bool = False) -> None:
        self._stderr = stderr

    @cached_property
    def terminal(self) -> "Terminal":
        """What draws tables and colours."""
        from walletctl.terminal import Terminal  # noqa: PLC0415  # loads rich

        return Terminal(stderr=self._stderr)

    @property
    def is_terminal(self) -> bool:
        """Whether a person reads it."""
        stream = sys.stderr if self._stderr else sys.stdout
        return stream is not None and stream.isatty()

    def print(self, *shown: Any, **how: Any) -> None:  # noqa: ANN401  # what rich takes
        """Print with rich's markup; raise ``OutputFailed`` if that fails."""
        self.terminal.print(*shown, **how)

    def remark(self, text: str) -> None:
        """Print a text as it is, dimmed on a terminal; raise ``OutputFailed`` if that fails."""
        with writing():
            typer.secho(safe(text), dim=True, err=self._stderr)


out = Screen()
err = Screen(stderr=True)

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
    """One column of a table: its heading and its text for a row."""

    heading: str
    shown: Callable[[Row], str]
    right: bool = False
    rare: bool = False
    """Left out if it is empty in every row."""


def amount(money: Row | None) -> str:
    """Format an amount with its currency's decimals: ``1,234.56 USD``; empty for None.

    A currency that the service does not know, which a bank may send, is formatted in minor units.
    """
    if money is None:
        return ""
    currency = str(money["currency_code"])
    exponent = exponent_to_show(currency)
    if exponent is None:
        return words(f"{money['minor_units']} {currency} minor units")
    value = Decimal(int(money["minor_units"])).scaleb(-exponent)
    return f"{value:,.{exponent}f} {currency}"


def minor(minor_units: int | str, currency: str) -> str:
    """Format minor units as an amount."""
    return amount({"currency_code": currency, "minor_units": minor_units})


def signed(money: Row) -> str:
    """Format an amount with its sign: credits green, debits red."""
    return f"[{'red' if int(money['minor_units']) < 0 else 'green'}]{_with_sign(amount(money))}[/]"


def _with_sign(shown: str) -> str:
    return shown if shown.startswith("-") else f"+{shown}"


def state(name: str) -> str:
    """Format a state in its colour, without its prefix."""
    word = name.removeprefix("STATE_")
    return f"[{_COLOURS.get(word, 'white')}]{word}[/]"


def time(stamp: str | None) -> str:
    """Format a time to the second."""
    return stamp[:19].replace("T", " ") if stamp else ""


def short(name: str) -> str:
    """Return a resource name without its collection."""
    return name.partition("/")[2] or name


def escape(text: str) -> str:
    """Return a text whose brackets are no markup."""
    from rich.markup import escape as escaped  # noqa: PLC0415  # loads rich

    return escaped(text)


def words(text: str) -> str:
    """Format a text of a caller on one line, without control characters and markup."""
    return escape(safe(text.replace("\n", " ")))


def labels(row: Row) -> str:
    """Format labels as they are typed."""
    return words(" ".join(f"{key}={value}" for key, value in sorted(row["labels"].items())))


def table(columns: Sequence[Column], rows: Iterable[Row], *, title: str | None = None) -> "Table":
    """Return a table of rows."""
    from rich.table import Table  # noqa: PLC0415  # loads rich

    rows = list(rows)
    drawn = Table(title=title, title_justify="left", header_style="bold")
    columns = [column for column in columns if not column.rare or any(column.shown(row) for row in rows)]
    for place, column in enumerate(columns):
        # A name is not wrapped while another column can be.
        justify: Literal["left", "right"] = "right" if column.right else "left"
        drawn.add_column(column.heading, justify=justify, overflow="fold", no_wrap=place == 0)
    for row in rows:
        drawn.add_row(*(column.shown(row) for column in columns))
    return drawn


def show(columns: Sequence[Column], rows: Sequence[Row], *, as_json: bool) -> None:
    """Print rows as a table, or as a JSON list."""
    if as_json:
        show_json(list(rows))
    elif rows:
        out.print(table(columns, rows))
    else:
        out.print("[dim]none[/]")


def show_one(columns: Sequence[Column], row: Row, *, as_json: bool) -> None:
    """Print one row as a table, or as a JSON object."""
    if as_json:
        show_json(row)
    else:
        out.print(table(columns, [row]))


def show_json(data: object, *, indent: int | None = 2) -> None:
    """Print JSON in ASCII: other characters are escaped, unchanged for a program and harmless to a terminal."""
    text = json.dumps(data, indent=indent)
    if out.is_terminal:
        out.terminal.print_json(text, indent=indent, ensure_ascii=True)  # in colours
        return
    with writing():
        typer.echo(text)


def write(pieces: Iterable[bytes]) -> None:
    """Write UTF-8 text to standard output: unchanged to a pipe or a file, without control characters to a terminal."""
    decoder = getincrementaldecoder("utf-8")(errors="replace")
    for piece in pieces:
        shown = safe(decoder.decode(piece).replace("\r", "")) if out.is_terminal else piece
        with writing():
            typer.echo(shown, nl=False)
