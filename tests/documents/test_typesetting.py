"""Text in two directions is in the right order, its letters joined, and breaks where it may."""

import unicodedata
from pathlib import Path

import pytest

from wallet_core.documents.glyphs import FontUnusable, Piece, further_fonts, pieces_of, shipped_fonts
from wallet_core.documents.typesetting import LTR, RTL, Canvas, Face, Paragraph, Run, clean

FACE = Face(9, (0, 0, 0))
ZWNJ = "\N{ZERO WIDTH NON-JOINER}"
DEJAVU = shipped_fonts()[1].regular


def letters(*ranges: tuple[int, int]) -> str:
    """Return all letters between two code points, both with them."""
    every = (chr(number) for first, last in ranges for number in range(first, last + 1))
    return "".join(one for one in every if unicodedata.category(one)[0] in "LM")


SCRIPTS = {
    "Latin": letters((0x41, 0x24F), (0x1E00, 0x1E99), (0x1EA0, 0x1EF9)),
    "Greek": letters((0x370, 0x3FF), (0x1F00, 0x1FFF)),
    "Cyrillic": letters((0x400, 0x45F), (0x48A, 0x523)),
    "Hebrew": letters((0x5B0, 0x5C2), (0x5D0, 0x5EA)),
    "Arabic": letters((0x621, 0x63A), (0x641, 0x652), (0x679, 0x6BF), (0x6C6, 0x6D0), (0x6D2, 0x6D3)),
    "Georgian": letters((0x10D0, 0x10FA)),
    "Armenian": letters((0x531, 0x556), (0x561, 0x586)),
}


@pytest.fixture
def canvas() -> Canvas:
    """Return an empty page."""
    return Canvas(width=148, height=210, language="fa")


def test_number_within_persian_within_english_is_between_its_words() -> None:
    """Persian words change places around it, the digits do not."""

    line = Paragraph("pay واحد 42 مهر now", LTR).line()

    assert line == [Run("pay ", LTR), Run(" مهر", RTL), Run("42", LTR), Run("واحد ", RTL), Run(" now", LTR)]


def test_english_within_persian_keeps_its_own_order() -> None:
    """The whole line is read from the right."""

    line = Paragraph("مبلغ to pay شد").line()

    assert line == [Run(" شد", RTL), Run("to pay", LTR), Run("مبلغ ", RTL)]


def test_joiner_stays_with_its_word_in_a_line_of_the_other_direction() -> None:
    """Or it would tear the word into two that change places."""

    line = Paragraph(f"so می{ZWNJ}شود x", LTR).line()

    assert line == [Run("so ", LTR), Run(f"می{ZWNJ}شود", RTL), Run(" x", LTR)]


def test_part_of_a_paragraph_keeps_the_directions_of_the_whole() -> None:
    """A line that starts with digits is Persian where the paragraph is."""

    paragraph = Paragraph("واحد 42 شد")

    assert paragraph.line(5) == [Run(" شد", RTL), Run("42", LTR)]


@pytest.mark.parametrize(
    ("bare", "signed"),
    [("بب", "بَب"), ("ببب", "ببَّب"), ("سسس", "سِسُس")],
)
def test_vowel_sign_does_not_part_the_letters(canvas: Canvas, bare: str, signed: str) -> None:
    """A joining letter is narrower than an isolated one; a sign above it takes no room."""

    joined = canvas.width_of(Paragraph(bare).line(), FACE)

    assert joined == pytest.approx(canvas.width_of(Paragraph(signed).line(), FACE))
    assert joined < sum(canvas.width_of(Paragraph(letter).line(), FACE) for letter in bare)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("a\tb\r\nc\x00d\x1b[0m", "a b c d [0m"),
        ("  a \N{NO-BREAK SPACE} b\u2028c ", "a b c"),
        ("\u202eabc\u202c \u2067x\u2069", "abc x"),
        ("e\u0301 caf\u0065\u0301", "é café"),
        ("\N{PARTY POPPER}\ufe0f 中", "\N{PARTY POPPER} 中"),
        ("\ud800\U000e0041\ue000", "\ufffd\ue000"),
        (f"می{ZWNJ}شود\u00ad", f"می{ZWNJ}شود"),
        ("\u0007", ""),
    ],
)
def test_text_is_cleaned_of_what_cannot_be_shown(written: str, shown: str) -> None:
    """Controls go, and words stay apart."""

    assert shown == clean(written)


@pytest.mark.parametrize("text", ["one two three four five " * 4, "x" * 200, "یک دو سه چهار " * 8, "a" + "\u0301" * 90])
def test_paragraph_is_broken_into_lines_that_fit(canvas: Canvas, text: str) -> None:
    """And nothing is lost but the spaces between them."""

    text = clean(text)

    lines = canvas.wrap(Paragraph(text), FACE, width=40)

    assert all(canvas.width_of(line, FACE) <= 40 for line in lines)
    written = ["".join(run.text for run in line) for line in lines]
    assert "".join(written).replace(" ", "") == text.replace(" ", "")


def test_letter_wider_than_the_line_has_a_line_of_its_own(canvas: Canvas) -> None:
    """Breaking always comes to an end."""

    assert len(canvas.wrap(Paragraph("WWW"), FACE, width=0.1)) == 3


def test_sign_stays_with_its_letter_where_a_word_is_broken(canvas: Canvas) -> None:
    """No line starts with a vowel sign."""

    lines = canvas.wrap(Paragraph("بَ" * 60), FACE, width=10)

    assert len(lines) > 1
    assert all(line[0].text[0] == "ب" for line in lines)


def test_lines_above_the_most_end_in_an_ellipsis(canvas: Canvas) -> None:
    """A cut is visible."""

    lines = canvas.wrap(Paragraph("word " * 60), FACE, width=40, most=2)

    assert len(lines) == 2
    assert lines[-1][-1].text.endswith("\N{HORIZONTAL ELLIPSIS}")


def test_a_run_of_text_is_shown_in_one_font() -> None:
    """The receipt's own where that has all of it; a space goes with the word before it."""

    own, other = shipped_fonts()

    assert pieces_of("pay zażółć Việt, оплата x", [own, other]) == [
        Piece("pay zażółć ", own),
        Piece("Việt, оплата ", other),
        Piece("x", own),
    ]


def test_a_character_without_a_font_is_alone_and_its_neighbours_are_unchanged() -> None:
    """A letter keeps its signs, in whichever font has both."""

    own, other = shipped_fonts()

    assert pieces_of("a中文é!", [own, other]) == [
        Piece("a", own),
        Piece("中", None),
        Piece("文", None),
        Piece("é!", own),
    ]
    assert pieces_of("中и\u0301x", [own, other]) == [
        Piece("中", None),
        Piece("и\u0301", other),
        Piece("x", own),
    ]


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_the_shipped_fonts_have_the_letters_of(script: str) -> None:
    """Each letter of the alphabets that are promised."""

    missing = [one for one in SCRIPTS[script] if not any(font.has(one) for font in shipped_fonts())]

    assert missing == []


def test_what_no_font_has_takes_a_box_of_its_own(canvas: Canvas) -> None:
    """As wide as its code point needs: two digits above two, or three above three."""

    narrow, wide = (canvas.width_of(Paragraph(one).line(), FACE) for one in ("中", "\N{PARTY POPPER}"))

    assert 0 < narrow < wide < 2 * narrow
    assert canvas.width_of(Paragraph("中中").line(), FACE) == pytest.approx(2 * narrow)


def test_a_file_that_is_no_font_is_refused_by_name(tmp_path: Path) -> None:
    """Where the server starts, not at a receipt."""

    (tmp_path / "no.ttf").write_bytes(b"no font at all")
    (tmp_path / "cut.ttf").write_bytes(DEJAVU.read_bytes()[:20_000])

    for name in ("no.ttf", "cut.ttf", "absent.ttf"):
        with pytest.raises(FontUnusable, match=f"{name} cannot be used as a font"):
            further_fonts([tmp_path / name])
