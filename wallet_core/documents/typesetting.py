"""Text in two directions on one page.

fpdf2 writes the file, embeds the fonts and shapes what it is given. Order is decided here, by the levels of the Unicode
bidirectional algorithm: fpdf2 itself orders two of them only, which turns a number inside Persian inside English
around, and it shapes a letter apart from the vowel sign above it, which then no longer joins its neighbours.
"""

import unicodedata
from bisect import bisect_right
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from weakref import finalize

from fpdf import FPDF
from fpdf.bidi import BidiParagraph, auto_detect_base_direction
from fpdf.enums import TextDirection
from fpdf.fonts import TTFFont
from fpdf.line_break import Fragment

LTR, RTL = TextDirection.LTR, TextDirection.RTL

Colour = tuple[int, int, int]

_FONTS = Path(__file__).parent / "fonts"
_FAMILY = "vazirmatn"
_POINTS_PER_MM = 72 / 25.4
# fpdf2 puts the baseline of a cell as high as its text here.
_BASELINE = 0.8
# The signs that make letters join, and not.
_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
_DIRECTION_MARKS = "\N{LEFT-TO-RIGHT MARK}\N{RIGHT-TO-LEFT MARK}"
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
_BREAK_AFTER = " -/"


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


def clean(text: str, known: Container[int]) -> str:
    """Return *text* as one paragraph that fonts with *known* characters can show.

    Control characters and line breaks become spaces, controls of direction are dropped (a text must not reorder its
    neighbours), and what has no glyph is replaced.
    """
    kept = "".join(_shown(character, known) for character in unicodedata.normalize("NFC", text))
    return " ".join(kept.split())


def _shown(character: str, known: Container[int]) -> str:
    category = unicodedata.category(character)
    if category in {"Cc", "Zs", "Zl", "Zp"}:
        return " "
    if category == "Cf" and character not in _JOINERS + _DIRECTION_MARKS:
        return ""
    if unicodedata.name(character, "").startswith("VARIATION SELECTOR"):
        return ""
    return character if ord(character) in known else _REPLACEMENT


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
    bare = "".join(character for character in text if character not in _JOINERS)
    found = iter(BidiParagraph(text=bare, base_direction=direction).get_characters_with_embedding_level())
    level = 1 if direction is RTL else 0
    levels = []
    for character in text:
        if character not in _JOINERS:
            level = next(found).embedding_level
        levels.append(level)
    return levels


class Canvas(FPDF):
    """One page, on which lines are put by their baselines; lengths are millimetres from the left and the top."""

    def __init__(self, *, width: float, height: float, language: str) -> None:
        super().__init__(format=(width, height))
        self._language = language
        self._widths: dict[tuple[Run, bool], float] = {}
        self._known = self._with_font("", "Vazirmatn-Regular.ttf") & self._with_font("B", "Vazirmatn-Bold.ttf")
        self.alias_nb_pages("")
        self.set_auto_page_break(auto=False)
        self.set_margin(0)
        self.c_margin = 0.0
        self.add_page()

    def _with_font(self, style: str, file: str) -> frozenset[int]:
        """Load a font; return the characters that it has."""
        self.add_font(_FAMILY, style, _FONTS / file)
        font = self.fonts[_FAMILY + style]
        if not isinstance(font, TTFFont):
            return frozenset()
        # Reading goes on until the page is written; one that never is must not keep the file open.
        finalize(self, font.ttfont.close)
        return frozenset(font.cmap)

    def clean(self, text: str) -> str:
        """Return *text* as the fonts can show it."""
        return clean(text, self._known)

    def width_of(self, line: Line, face: Face) -> float:
        """Return how wide a line is."""
        return sum(self._width(run, face) for run in line)

    def put(self, line: Line, face: Face, *, left: float, baseline: float) -> None:
        """Draw a line."""
        self.set_text_color(*face.colour)
        height = face.size / _POINTS_PER_MM
        for run in line:
            width = self._width(run, face)
            self._use(run, face)
            self.set_xy(left, baseline - _BASELINE * height)
            self.cell(width, height, run.text)
            left += width

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

    def _width(self, run: Run, face: Face) -> float:
        """Return how wide a run is; measured once, at one size, since each takes shaping."""
        key = (run, face.bold)
        if key not in self._widths:
            self._use(run, _MEASURED[face.bold])
            self._widths[key] = self.get_string_width(run.text)
        return self._widths[key] * face.size / _MEASURED[face.bold].size

    def _use(self, run: Run, face: Face) -> None:
        self.set_font(_FAMILY, "B" if face.bold else "", face.size)
        self.set_text_shaping(direction=run.direction, language=self._language)

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
    return [index for index in range(start + 1, end) if not _clings(text[index])] + [end]


def _clings(character: str) -> bool:
    return unicodedata.category(character).startswith("M") or character in _JOINERS
