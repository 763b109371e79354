"""A receipt to vary, and what can be read in a PDF."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import pypdfium2
from fontTools.fontBuilder import FontBuilder  # type: ignore[import-untyped]  # comes without types
from fontTools.pens.ttGlyphPen import TTGlyphPen  # type: ignore[import-untyped]  # comes without types

from wallet_core.domain.model.commission_rule import Payer
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.receipt import Receipt
from wallet_core.domain.model.transaction import TransactionType

RECEIPT = Receipt(
    transaction="transactions/0198c7f2-5a1e-7c3b-9f04-1d2e3f4a5b6c",
    type=TransactionType.TRANSFER,
    time=datetime(2026, 11, 21, 7, 52, 50, 123456, tzinfo=UTC),
    exponent=2,
    amount=Money("USD", 123456),
    source="alice",
    destination="bob",
    commission=Money("USD", 62),
    source_debited=Money("USD", 123518),
    destination_credited=Money("USD", 123456),
    description="Rent for November",
    external_reference="INV-2026/11-0042",
    reverses="",
    payer=Payer.SOURCE,
)

PERSIAN = "اجارهٔ ماه آبان، طبق قرارداد شمارهٔ ۱۲۳ (واحد ۴). فوراً پرداخت می\u200cشود!"


@contextmanager
def opened(pdf: bytes) -> Iterator[pypdfium2.PdfDocument]:
    """Open a PDF as a reader does."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        yield document
    finally:
        document.close()


def text_of(pdf: bytes) -> str:
    """Return the text of a PDF's only page."""
    with opened(pdf) as document:
        assert len(document) == 1
        return str(document[0].get_textpage().get_text_bounded())


@dataclass(frozen=True, slots=True)
class Seen:
    """A line as displayed: its characters but spaces, from left to right, and their positions, in points."""

    text: str
    lefts: list[float]
    rights: list[float]


def lines_of(pdf: bytes) -> list[Seen]:
    """Return the text of a PDF's only page, from the top to the bottom, in its displayed order."""
    with opened(pdf) as document:
        page = document[0].get_textpage()
        characters = [
            (-page.get_charbox(index, loose=True)[1], *page.get_charbox(index)[::2], page.get_text_range(index, 1))
            for index in range(page.count_chars())
        ]
    shown = sorted(character for character in characters if character[3].strip())
    return [
        Seen("".join(text for *_, text in line), [left for _, left, *_ in line], [right for *_, right, _ in line])
        for line in (list(group) for _, group in groupby(shown, key=lambda character: character[0]))
    ]


def seen_on(pdf: bytes) -> str:
    """Return the lines of a PDF's only page as the eye sees them from left to right, without spaces."""
    return "\n".join(line.text for line in lines_of(pdf))


def fonts_in(pdf: bytes) -> set[str]:
    """Return the names of the fonts that the texts of a PDF's only page are in."""
    with opened(pdf) as document:
        texts = document[0].get_objects(filter=[pypdfium2.raw.FPDF_PAGEOBJ_TEXT])
        return {text.get_font().get_base_name().partition("+")[2] for text in texts}


def a_font_with(characters: str, file: Path) -> Path:
    """Write a font that has these characters alone, as one and the same filled square."""
    pen = TTGlyphPen(None)
    pen.moveTo((100, 0))
    for corner in ((100, 700), (800, 700), (800, 0)):
        pen.lineTo(corner)
    pen.closePath()
    square = pen.glyph()
    made = FontBuilder(1000, isTTF=True)
    made.setupGlyphOrder([".notdef", "square"])
    made.setupCharacterMap(dict.fromkeys(map(ord, characters), "square"))
    made.setupGlyf({".notdef": square, "square": square})
    made.setupHorizontalMetrics({".notdef": (900, 100), "square": (900, 100)})
    made.setupHorizontalHeader(ascent=800, descent=-200)
    made.setupNameTable({"familyName": "Squares", "styleName": "Regular", "psName": "Squares"})
    made.setupOS2(sTypoAscender=800, sTypoDescender=-200, usWinAscent=800, usWinDescent=200)
    made.setupPost()
    made.save(file)
    return file
