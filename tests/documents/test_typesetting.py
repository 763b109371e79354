"""Text in two directions stands in the right order, its letters joined, and breaks where it may."""

import pytest

from wallet_core.documents.typesetting import LTR, RTL, Canvas, Face, Paragraph, Run, clean

FACE = Face(9, (0, 0, 0))
ZWNJ = "\N{ZERO WIDTH NON-JOINER}"


@pytest.fixture
def canvas() -> Canvas:
    """Return an empty page."""
    return Canvas(width=148, height=210, language="fa")


def test_number_inside_of_persian_inside_of_english_stands_between_its_words() -> None:
    """Persian words change places around it, the digits do not."""

    line = Paragraph("pay واحد 42 مهر now", LTR).line()

    assert line == [Run("pay ", LTR), Run(" مهر", RTL), Run("42", LTR), Run("واحد ", RTL), Run(" now", LTR)]


def test_english_inside_of_persian_stands_in_its_own_order() -> None:
    """The whole line is read from the right."""

    line = Paragraph("مبلغ to pay شد").line()

    assert line == [Run(" شد", RTL), Run("to pay", LTR), Run("مبلغ ", RTL)]


def test_joiner_goes_with_its_word_in_a_line_of_the_other_direction() -> None:
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
    """A letter that joins is narrower than one that stands alone; a sign above it takes no room."""

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
        ("\N{PARTY POPPER}\ufe0f 中", "\ufffd \ufffd"),
        ("\ud800\U000e0041\ue000", "\ufffd\ufffd"),
        (f"می{ZWNJ}شود\u00ad", f"می{ZWNJ}شود"),
        ("\u0007", ""),
    ],
)
def test_text_is_cleaned_of_what_cannot_be_shown(canvas: Canvas, written: str, shown: str) -> None:
    """Controls go, unknown characters are replaced, and words stay apart."""

    assert shown == canvas.clean(written)


def test_cleaned_text_holds_known_characters_only() -> None:
    """The fonts decide what is known."""

    assert clean("abc", {ord("a"), ord("c")}) == "a\N{REPLACEMENT CHARACTER}c"


@pytest.mark.parametrize("text", ["one two three four five " * 4, "x" * 200, "یک دو سه چهار " * 8, "a" + "\u0301" * 90])
def test_paragraph_is_broken_into_lines_that_fit(canvas: Canvas, text: str) -> None:
    """And nothing is lost but the spaces between them."""

    text = canvas.clean(text)

    lines = canvas.wrap(Paragraph(text), FACE, width=40)

    assert all(canvas.width_of(line, FACE) <= 40 for line in lines)
    written = ["".join(run.text for run in line) for line in lines]
    assert "".join(written).replace(" ", "") == text.replace(" ", "")


def test_letter_wider_than_the_line_has_a_line_of_its_own(canvas: Canvas) -> None:
    """Breaking always comes to an end."""

    assert len(canvas.wrap(Paragraph("WWW"), FACE, width=0.1)) == 3


def test_sign_stays_with_its_letter_where_a_word_is_torn(canvas: Canvas) -> None:
    """No line starts with a vowel sign."""

    lines = canvas.wrap(Paragraph("بَ" * 60), FACE, width=10)

    assert len(lines) > 1
    assert all(line[0].text[0] == "ب" for line in lines)


def test_lines_above_the_most_end_in_an_ellipsis(canvas: Canvas) -> None:
    """What was left out is seen to be left out."""

    lines = canvas.wrap(Paragraph("word " * 60), FACE, width=40, most=2)

    assert len(lines) == 2
    assert lines[-1][-1].text.endswith("\N{HORIZONTAL ELLIPSIS}")
