"""What others wrote is shown to a person, and commands no terminal."""

import io
import json
from collections.abc import Iterator

import pytest
import typer
from grpc import StatusCode
from rich.live import Live

from wallet_client import CallFailed
from walletctl import context, output
from walletctl.output import Column, Screen, safe, show, show_json, table, words, write
from walletctl.terminal import Terminal

# A title, a colour by a single character, text that runs backwards, a hidden one, the end of a line of another kind.
HOSTILE = "a\x1b]0;title\x07b\x9b31mc\u202ed\u2066e\u2028f\x00g\x7fh\rj"
SHOWN = "a ]0;title b 31mc d e f g h j"
PERSIAN = "می\u200cخواهم"  # noqa: RUF001  # with the joiner that is part of the word


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Return what a terminal is sent."""
    sent = io.StringIO()
    terminal = Terminal(file=sent, force_terminal=True, color_system=None, width=120)
    monkeypatch.setattr(Screen, "is_terminal", True)
    for screen_ in (output.out, output.err):
        monkeypatch.setattr(screen_, "terminal", terminal)
    yield sent
    assert set(map(ord, sent.getvalue())).isdisjoint({0x00, 0x07, 0x7F, 0x9B, 0x202E, 0x2066, 0x2028})


def test_what_a_terminal_would_obey_is_left_out_and_what_is_written_stays() -> None:
    """Ends of lines too, and the joiners of Persian."""

    assert safe(HOSTILE) == SHOWN
    assert safe(f"one\n{PERSIAN} ü 💥") == f"one\n{PERSIAN} ü 💥"
    assert words("[link=x]\n\x1b[2J") == "\\[link=x]  [2J"


def test_anything_shown_is_safe(screen: io.StringIO) -> None:
    """Tables whose columns think nothing of it, sentences, titles."""

    show((Column(HOSTILE, lambda row: row["name"]),), [{"name": HOSTILE}], as_json=False)
    output.out.print(HOSTILE, markup=False)

    assert screen.getvalue().count("]0;titleb 31mc") == 3
    assert "\x1b" not in screen.getvalue()


def test_a_table_that_changes_is_safe(screen: io.StringIO) -> None:
    """It moves the cursor by itself, and only by itself."""

    with Live(table((Column("name", lambda row: row["name"]),), [{"name": HOSTILE}]), console=output.out.terminal):
        pass

    assert "a ]0;titleb" in screen.getvalue()
    assert "\x1b]" not in screen.getvalue()


def test_an_error_is_safe(screen: io.StringIO) -> None:
    """Its message holds what a caller wrote, or a file."""

    with pytest.raises(typer.Exit), context.report_errors():
        raise CallFailed(code=StatusCode.NOT_FOUND, reason=f"[red]{HOSTILE}", message=HOSTILE, localized=HOSTILE)

    assert screen.getvalue().count("]0;titleb 31mc") == 3
    assert "\x1b" not in screen.getvalue()


def test_json_is_ascii_and_equal_in_content(screen: io.StringIO) -> None:
    """A program gets every character back."""

    show_json({"description": HOSTILE + PERSIAN})

    assert screen.getvalue().isascii()
    assert "\x1b" not in screen.getvalue()
    assert json.loads(screen.getvalue()) == {"description": HOSTILE + PERSIAN}


def test_csv_is_safe_on_a_terminal_and_exact_elsewhere(
    screen: io.StringIO, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A character may be cut in two by the pieces."""

    file = f"a,{HOSTILE}é\r\n".encode()
    pieces = [file[:-3], file[-3:]]
    write(pieces)
    on_terminal = capsysbinary.readouterr().out
    monkeypatch.setattr(Screen, "is_terminal", False)
    write(pieces)

    assert on_terminal.decode() == f"a,{SHOWN.replace('h j', 'hj')}é\n"
    assert capsysbinary.readouterr().out == file
    assert screen.getvalue() == ""
