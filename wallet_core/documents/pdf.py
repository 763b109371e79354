"""Receipts as PDF: one A5 page, mirrored where the language is read from the right.

The same receipt gives the same bytes, whenever and wherever it is made: nothing in the file comes from a clock, from
chance or from the machine.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from pathlib import Path

from fpdf import ViewerPreferences

from wallet_core.documents.glyphs import Font, further_fonts
from wallet_core.documents.typesetting import LTR, RTL, Canvas, Colour, Face, Line, Paragraph, clean
from wallet_core.documents.words import WORDS, amount, currency_name, moment, system_wallet_name, title
from wallet_core.domain.model.money import Money
from wallet_core.domain.model.receipt import Language, Receipt

_WIDTH, _HEIGHT = 148.0, 210.0
_MARGIN = 14.0
_TEXT_WIDTH = _WIDTH - 2 * _MARGIN
_BAND = 42.0
_PANEL_TOP, _PANEL_HEIGHT = 82.0, 24.0
_PARTY_WIDTH = 46.0
_DETAILS_TOP, _DETAILS_BOTTOM = 112.0, 193.0
_LABEL_WIDTH = 34.0
_LINE_MM_PER_PT = 0.53
_GAP_MM_PER_PT = 0.36

_INK: Colour = (20, 48, 58)
_ACCENT: Colour = (46, 160, 132)
_PALE: Colour = (190, 224, 212)
_GREY: Colour = (108, 124, 128)
_RULE: Colour = (220, 229, 227)
_PANEL: Colour = (242, 246, 245)
_WHITE: Colour = (255, 255, 255)

_AMOUNT = Face(26, _INK, bold=True)
_LABEL = Face(8.5, _GREY)
_FOOTER = Face(7, _GREY)

# Type sizes, and lines a value where they are limited: the first that fits is taken, and the last fits whatever comes.
_DETAIL_SIZES = ((9.0, None), (8.0, None), (7.0, None), (6.0, None), (5.5, None), (5.5, 2))
# The last fits the longest id that a wallet can have.
_PARTY_SIZES = ((11.0, 2), (9.0, 2), (8.0, 3), (7.0, 3))


@dataclass(frozen=True, slots=True)
class _Detail:
    """A row of the table: its label and its value."""

    label: str
    value: Paragraph


class PdfDocuments:
    """Makes documents as PDF. Keeps nothing between two of them, so threads may share it."""

    def __init__(self, fonts: Iterable[Path] = ()) -> None:
        """Take further *fonts*, in this order, for what those that come with the service have not.

        Raises ``FontUnusable``.
        """
        self._fonts = further_fonts(fonts)

    def receipt(self, receipt: Receipt, language: Language) -> bytes:
        """Return a receipt as a PDF file."""
        return _ReceiptPage(receipt, language, self._fonts).draw()


class _ReceiptPage:
    """One receipt while it is drawn. Places are measured from the side where reading starts."""

    def __init__(self, receipt: Receipt, language: Language, fonts: Sequence[Font]) -> None:
        self._receipt = receipt
        self._language = language
        self._words = WORDS[language]
        self._direction = RTL if language is Language.PERSIAN else LTR
        self._canvas = Canvas(width=_WIDTH, height=_HEIGHT, language=language.value, fonts=fonts)

    def draw(self) -> bytes:
        """Draw everything from the top to the bottom."""
        self._describe()
        self._band()
        self._amount()
        self._parties()
        self._details()
        self._footer()
        return bytes(self._canvas.output())

    def _describe(self) -> None:
        canvas = self._canvas
        canvas.set_creation_date(self._receipt.time.astimezone(UTC))
        canvas.set_producer("wallet")
        canvas.set_title(f"{self._words.receipt} {self._receipt.transaction}")
        canvas.set_lang(self._language.value)
        canvas.viewer_preferences = ViewerPreferences(display_doc_title=True)

    def _band(self) -> None:
        self._box(0, 0, (_WIDTH, _BAND), _INK)
        self._box(0, _BAND, (_WIDTH, 1.2), _ACCENT)
        self._write(self._words.receipt, Face(22, _WHITE, bold=True), start=_MARGIN, baseline=20)
        self._write(title(self._receipt.type, self._language), Face(12, _PALE), start=_MARGIN, baseline=31)
        self._tick(_WIDTH - _MARGIN - 8, _BAND / 2)

    def _tick(self, start: float, middle: float) -> None:
        """Draw a tick in a circle: the money has moved."""
        x = self._left(start, 0)
        self._canvas.set_draw_color(*_ACCENT)
        self._canvas.set_line_width(0.9)
        self._canvas.circle(x, middle, 8)
        self._canvas.set_draw_color(*_WHITE)
        self._canvas.set_line_width(1.3)
        self._canvas.polyline([(x - 3.4, middle + 0.2), (x - 0.9, middle + 2.7), (x + 3.6, middle - 2.4)])

    def _amount(self) -> None:
        money = self._receipt.amount
        self._write(self._words.amount, _LABEL, start=_MARGIN, baseline=54)
        line = self._money(money).line()
        width = self._canvas.width_of(line, _AMOUNT)
        face = replace(_AMOUNT, size=_AMOUNT.size * min(1.0, _TEXT_WIDTH / width))
        self._put(line, face, start=_MARGIN, baseline=66)
        self._write(currency_name(money.currency, self._language), _LABEL, start=_MARGIN, baseline=74)

    def _parties(self) -> None:
        self._box(_MARGIN, _PANEL_TOP, (_TEXT_WIDTH, _PANEL_HEIGHT), _PANEL, corner=2.5)
        padding = 5.0
        self._party(self._words.source, self._receipt.source, _MARGIN + padding)
        self._party(self._words.destination, self._receipt.destination, _WIDTH - _MARGIN - padding - _PARTY_WIDTH)
        self._arrow(_WIDTH / 2, _PANEL_TOP + _PANEL_HEIGHT / 2)

    def _party(self, label: str, wallet: str, start: float) -> None:
        self._write(label, _LABEL, start=start, baseline=_PANEL_TOP + 7.5)
        named = system_wallet_name(wallet, self._language)
        name = self._value(named) if named else self._id(wallet)
        for size, most in _PARTY_SIZES:
            face = Face(size, _INK, bold=True)
            lines = self._canvas.wrap(name, face, width=_PARTY_WIDTH)
            if len(lines) <= most:
                break
        for number, line in enumerate(lines[:most]):
            self._put(line, face, start=start, baseline=_PANEL_TOP + 14 + number * size * 0.45)

    def _arrow(self, x: float, y: float) -> None:
        """Draw an arrow the way the money went, which is the way of reading."""
        forward = -1 if self._direction is RTL else 1
        self._canvas.set_draw_color(*_ACCENT)
        self._canvas.set_line_width(0.7)
        self._canvas.line(x - 4 * forward, y, x + 4 * forward, y)
        self._canvas.polyline([(x + 1.6 * forward, y - 2.2), (x + 4 * forward, y), (x + 1.6 * forward, y + 2.2)])

    def _details(self) -> None:
        details = list(self._rows())
        width = _TEXT_WIDTH - _LABEL_WIDTH
        for size, most in _DETAIL_SIZES:
            face = Face(size, _INK)
            values = [self._canvas.wrap(detail.value, face, width=width, most=most) for detail in details]
            line, gap = size * _LINE_MM_PER_PT, size * _GAP_MM_PER_PT
            if sum(len(lines) * line + gap for lines in values) <= _DETAILS_BOTTOM - _DETAILS_TOP:
                break
        top = _DETAILS_TOP
        for number, (detail, lines) in enumerate(zip(details, values, strict=True)):
            if number:
                self._box(_MARGIN, top, (_TEXT_WIDTH, 0.2), _RULE)
            baseline = top + gap / 2 + line * 0.7
            self._write(detail.label, replace(_LABEL, size=size - 0.5), start=_MARGIN, baseline=baseline)
            for shift, runs in enumerate(lines):
                self._put(runs, face, start=_MARGIN + _LABEL_WIDTH, baseline=baseline + shift * line)
            top += len(lines) * line + gap

    def _rows(self) -> Iterator[_Detail]:
        receipt, words, language = self._receipt, self._words, self._language
        yield _Detail(words.time, self._value(moment(receipt.time, language)))
        yield _Detail(words.transaction, self._id(receipt.transaction))
        if receipt.reverses:
            yield _Detail(words.reverses, self._id(receipt.reverses))
        if receipt.commission is not None:
            paid_by = words.paid_by[receipt.payer] if receipt.payer else ""
            yield _Detail(words.commission, self._money(receipt.commission, paid_by))
        yield _Detail(words.debited, self._money(receipt.source_debited))
        yield _Detail(words.credited, self._money(receipt.destination_credited))
        for label, given in (
            (words.description, receipt.description),
            (words.reference, receipt.external_reference),
        ):
            text = clean(given)
            if text:
                yield _Detail(label, Paragraph(text))

    def _footer(self) -> None:
        self._box(_MARGIN, 196, (_TEXT_WIDTH, 0.2), _RULE)
        lines = self._canvas.wrap(self._value(self._words.footer), _FOOTER, width=_TEXT_WIDTH, most=2)
        for number, line in enumerate(lines):
            self._put(line, _FOOTER, start=_MARGIN, baseline=200.5 + number * 3.8)

    def _value(self, text: str) -> Paragraph:
        """Return what the receipt itself says, in the direction of its language."""
        return Paragraph(text, self._direction)

    def _money(self, money: Money, and_then: str = "") -> Paragraph:
        return self._value(amount(money, self._receipt.exponent, self._language) + and_then)

    def _id(self, text: str) -> Paragraph:
        """Return an id, which is read from the left in every language."""
        return Paragraph(clean(text), LTR)

    def _write(self, text: str, face: Face, *, start: float, baseline: float) -> None:
        self._put(self._value(text).line(), face, start=start, baseline=baseline)

    def _put(self, line: Line, face: Face, *, start: float, baseline: float) -> None:
        left = self._left(start, self._canvas.width_of(line, face))
        self._canvas.put(line, face, left=left, baseline=baseline)

    def _box(self, start: float, top: float, size: tuple[float, float], colour: Colour, *, corner: float = 0.0) -> None:
        left = self._left(start, size[0])
        self._canvas.set_fill_color(*colour)
        self._canvas.rect(left, top, *size, style="F", round_corners=corner > 0, corner_radius=corner)

    def _left(self, start: float, width: float) -> float:
        """Return the left edge of what starts so far from the side where reading starts."""
        return _WIDTH - start - width if self._direction is RTL else start
