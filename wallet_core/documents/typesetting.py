"""Text in two directions on one page.

fpdf2 writes the file, embeds the fonts and shapes what it is given. Order is decided here, by the levels of the Unicode
bidirectional algorithm: fpdf2 itself orders two of them only, which turns a number inside Persian inside English
around, and it shapes a letter apart from the vowel sign above it, which then no longer joins its neighbours.
"""

import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from weakref import finalize

from fpdf import FPDF
from fpdf.bidi import BidiParagraph, auto_detect_base_direction
from fpdf.enums import TextDirection
from fpdf.fonts import TTFFont
from fpdf.line_break import Fragment

from wallet_core.documents.glyphs import JOINERS, Font, Piece, clings, pieces_of, shipped_fonts

LTR, RTL = TextDirection.LTR, TextDirection.RTL

Colour = tuple[int, int, int]

_POINTS_PER_MM = 72 / 25.4
# fpdf2 puts the baseline of a cell as high as its text here.
_BASELINE = 0.8
_DIRECTION_MARKS = "\N{LEFT-TO-RIGHT MARK}\N{RIGHT-TO-LEFT MARK}"
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
_BREAK_AFTER = " -/"

# What no font has is a box with its code point in two rows of digits; in parts of the type's size.
_BOX_DIGITS, _BOX_PADDING, _BOX_TOP, _BOX_BOTTOM, _BOX_RULE = 0.42, 0.08, 0.78, 0.14, 0.04


@dataclass(frozen=True, slots=True)
class Face:
    """How text looks: its size in points, its colour, and whether it is bold."""

    size: float
    colour: Colour
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """Characters of one direction, in the order they are read."""

    text: str
    direction: TextDirection


_MEASURED = {bold: Face(10, (0, 0, 0), bold) for bold in (False, True)}

Line = Sequence[Run]
"""Runs as they stand, from left to right."""


def clean(text: str) -> str:
    """Return *text* as one paragraph for people.

    Control characters and line breaks become spaces, and controls of direction are dropped: a text must not reorder
    its neighbours, nor show its own letters in another order than they stand.
    """
    kept = "".join(map(_shown, unicodedata.normalize("NFC", text)))
    return " ".join(kept.split())


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    if category in {"Cc", "Zs", "Zl", "Zp"}:
        return " "
    if category == "Cf" and character not in JOINERS + _DIRECTION_MARKS:
        return ""
    if unicodedata.name(character, "").startswith("VARIATION SELECTOR"):
        return ""
    return _REPLACEMENT if category == "Cs" else character


class Paragraph:
    """A cleaned text, and how deep each of its characters is nested in directions."""

    def __init__(self, text: str, direction: TextDirection | None = None) -> None:
        """Take the direction of the first letter where none is given."""
        self.text = text
        self.direction = direction or auto_detect_base_direction(text)
        self._levels = _levels(text, self.direction)

    def line(self, start: int = 0, end: int | None = None) -> Line:
        """Return the characters from *start* to *end* as they stand on one line."""
        numbered = list(enumerate(self._levels))[start:end]
        runs = [
            (level, "".join(self.text[index] for index, _ in run))
            for level, run in groupby(numbered, key=lambda item: item[1])
        ]
        # The algorithm's rule L2: what lies so deep or deeper is turned around as a whole, the deepest first.
        for depth in range(max((level for level, _ in runs), default=0), 0, -1):
            runs = _turned(runs, depth)
        return [Run(text, RTL if level % 2 else LTR) for level, text in runs]


def _turned(runs: list[tuple[int, str]], depth: int) -> list[tuple[int, str]]:
    return [
        run
        for deep, group in groupby(runs, key=lambda run: run[0] >= depth)
        for run in (reversed(list(group)) if deep else group)
    ]


def _levels(text: str, direction: TextDirection) -> list[int]:
    """Return each character's embedding level. A joiner has none of its own: it goes with the letter before it."""
    # A character that this version of Unicode does not know stands in a text like any sign.
    known = (character if unicodedata.bidirectional(character) else _REPLACEMENT for character in text)
    bare = "".join(character for character in known if character not in JOINERS)
    found = iter(BidiParagraph(text=bare, base_direction=direction).get_characters_with_embedding_level())
    level = 1 if direction is RTL else 0
    levels = []
    for character in text:
        if character not in JOINERS:
            level = next(found).embedding_level
        levels.append(level)
    return levels


class Canvas(FPDF):
    """One page, on which lines are put by their baselines; lengths are millimetres from the left and the top."""

    def __init__(self, *, width: float, height: float, language: str, fonts: Sequence[Font] = ()) -> None:
        """Take further *fonts* for what those that come with the service have not."""
        super().__init__(format=(width, height))
        self._language = language
        self._fonts = (*shipped_fonts(), *fonts)
        self._pieces: dict[Run, list[Piece]] = {}
        self._widths: dict[tuple[Piece, TextDirection, bool], float] = {}
        self.alias_nb_pages("")
        self.set_auto_page_break(auto=False)
        self.set_margin(0)
        self.c_margin = 0.0
        self.add_page()

    def width_of(self, line: Line, face: Face) -> float:
        """Return how wide a line is."""
        return sum(self._width(piece, run.direction, face) for run in line for piece in self._parted(run))

    def put(self, line: Line, face: Face, *, left: float, baseline: float) -> None:
        """Draw a line."""
        for run in line:
            for piece in self._parted(run):
                width = self._width(piece, run.direction, face)
                if piece.font is None:
                    self._put_box(piece.text, face, left, baseline)
                else:
                    self._put_text(piece.text, piece.font, run.direction, face, (left, baseline, width))
                left += width

    def _put_text(
        self, text: str, font: Font, direction: TextDirection, face: Face, place: tuple[float, float, float]
    ) -> None:
        left, baseline, width = place
        height = face.size / _POINTS_PER_MM
        self.set_text_color(*face.colour)
        self._use(font, direction, face)
        self.set_xy(left, baseline - _BASELINE * height)
        self.cell(width, height, text)

    def _put_box(self, character: str, face: Face, left: float, baseline: float) -> None:
        """Draw what no font has."""
        height = face.size / _POINTS_PER_MM
        digits = replace(face, size=face.size * _BOX_DIGITS)
        padding, middle = _BOX_PADDING * height, baseline - (_BOX_TOP - _BOX_BOTTOM) / 2 * height
        width = self._box_width(character, face)
        self.set_draw_color(*face.colour)
        self.set_line_width(_BOX_RULE * height)
        top, bottom = baseline - _BOX_TOP * height, baseline + _BOX_BOTTOM * height
        self.rect(left + padding / 2, top, width - padding, bottom - top)
        for row, lower in zip(_code_point(character), (middle - padding / 2, bottom - padding), strict=True):
            inside = self.width_of([Run(row, LTR)], digits)
            self.put([Run(row, LTR)], digits, left=left + (width - inside) / 2, baseline=lower)

    def _box_width(self, character: str, face: Face) -> float:
        digits = replace(face, size=face.size * _BOX_DIGITS)
        rows = (self.width_of([Run(row, LTR)], digits) for row in _code_point(character))
        return max(rows) + 3 * _BOX_PADDING * face.size / _POINTS_PER_MM

    def wrap(self, paragraph: Paragraph, face: Face, *, width: float, most: int | None = None) -> list[Line]:
        """Break a paragraph into lines of a width; an ellipsis stands for what does not fit into *most* of them."""
        lines = list(self._broken(paragraph, face, width))
        while most is not None and len(lines) > most:
            text = paragraph.text[: lines[most - 1][1] - 1].rstrip() + _ELLIPSIS
            paragraph = Paragraph(text, paragraph.direction)
            lines = list(self._broken(paragraph, face, width))
        return [paragraph.line(start, end) for start, end in lines]

    def _broken(self, paragraph: Paragraph, face: Face, width: float) -> Iterator[tuple[int, int]]:
        """Yield where each line starts and ends: after a space or a hyphen, or inside of a word that is too long."""
        text = paragraph.text
        start = 0

        def shown(end: int) -> int:
            return start + len(text[start:end].rstrip())

        def width_to(end: int) -> float:
            return self.width_of(paragraph.line(start, shown(end)), face)

        while start < len(text):
            # A line is the wider the more it holds, so that the last stop that fits is found by halving.
            stops = _word_ends(text, start)
            fitting = bisect_right(stops, width, key=width_to)
            if not fitting:
                stops = _letter_ends(text, start, stops[0])
                fitting = max(1, bisect_right(stops, width, key=width_to))
            end = stops[fitting - 1]
            yield start, shown(end)
            start = end

    def _parted(self, run: Run) -> list[Piece]:
        """Return a run by fonts, as it stands from left to right."""
        if run not in self._pieces:
            pieces = pieces_of(run.text, self._fonts)
            self._pieces[run] = pieces[::-1] if run.direction is RTL else pieces
        return self._pieces[run]

    def _width(self, piece: Piece, direction: TextDirection, face: Face) -> float:
        """Return how wide a piece is; measured once, at one size, since each takes shaping."""
        key = (piece, direction, face.bold)
        if key not in self._widths:
            measured = _MEASURED[face.bold]
            if piece.font is None:
                self._widths[key] = self._box_width(piece.text, measured)
            else:
                self._use(piece.font, direction, measured)
                self._widths[key] = self.get_string_width(piece.text)
        return self._widths[key] * face.size / _MEASURED[face.bold].size

    def _use(self, font: Font, direction: TextDirection, face: Face) -> None:
        style = "B" if face.bold else ""
        if font.family + style not in self.fonts:
            self.add_font(font.family, style, font.bold if face.bold else font.regular)
            added = self.fonts[font.family + style]
            if isinstance(added, TTFFont):
                # Reading continues until the page is written; one that never is must not keep the file open.
                finalize(self, added.ttfont.close)
        self.set_font(font.family, style, face.size)
        self.set_text_shaping(direction=direction, language=self._language)

    def _preload_bidirectional_text(self, text: str, markdown: bool) -> Sequence[Fragment]:  # noqa: FBT001  # fpdf2's own
        """Shape a run as a whole: it is in order already. The one method of fpdf2's inside that is replaced."""
        del markdown
        if not text or self.text_shaping is None:
            return ()
        direction = self.text_shaping["direction"]
        self.text_shaping |= {"paragraph_direction": direction, "fragment_direction": direction}
        return (Fragment(text, self._get_current_graphics_state(), self.k),)


def _word_ends(text: str, start: int) -> list[int]:
    """Return where a line from *start* may end."""
    return [
        index for index in range(start + 1, len(text)) if text[index - 1] in _BREAK_AFTER and text[index] != " "
    ] + [len(text)]


def _letter_ends(text: str, start: int, end: int) -> list[int]:
    """Return where a word may be torn: never between a letter and its signs."""
    return [index for index in range(start + 1, end) if not clings(text[index])] + [end]


def _code_point(character: str) -> tuple[str, str]:
    """Return a code point in two rows of digits."""
    digits = f"{ord(character):04X}"
    digits = digits if len(digits) % 2 == 0 else f"0{digits}"
    return digits[: len(digits) // 2], digits[len(digits) // 2 :]
