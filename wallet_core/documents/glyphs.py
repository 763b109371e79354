"""Which font shows which characters of a text: a word in one font, as far as there is one that has all of it."""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from itertools import groupby
from pathlib import Path

from fontTools.ttLib import TTFont  # type: ignore[import-untyped]  # comes without types

_FONTS = Path(__file__).parent / "fonts"

# The signs that make letters join, and not: no font needs to have them.
JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"


# What a PDF takes of a font beside its outlines.
_NEEDED = ("head", "hhea", "hmtx", "maxp", "name", "OS/2", "post", "cmap")


class FontUnusable(Exception):
    """A file is no font that can be drawn with; the text says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Font:
    """A font, and the characters that it has."""

    family: str
    regular: Path
    bold: Path
    """The same file where there is no bold one."""
    known: frozenset[int]

    def has(self, text: str) -> bool:
        """Return whether it has all characters of a text."""
        return all(ord(character) in self.known or character in JOINERS for character in text)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text, and the font that shows it; None where no font has its only character."""

    text: str
    font: Font | None


@cache
def shipped_fonts() -> tuple[Font, ...]:
    """Return the fonts that come with the service: the receipt's own, and one for what that has not."""
    regular, bold, other = (_FONTS / f"{name}.ttf" for name in ("Vazirmatn-Regular", "Vazirmatn-Bold", "DejaVuSans"))
    return (
        Font("vazirmatn", regular, bold, _characters(regular) & _characters(bold)),
        Font("dejavu", other, other, _characters(other)),
    )


def further_fonts(files: Iterable[Path]) -> tuple[Font, ...]:
    """Return the fonts in *files*, checked; raise ``FontUnusable`` where one cannot be drawn with."""
    return tuple(_further(number, file) for number, file in enumerate(files, 1))


def _further(number: int, file: Path) -> Font:
    try:
        known = _characters(file)
    except Exception as error:  # noqa: BLE001  # a damaged file is met by all kinds of them
        raise FontUnusable(f"{file} cannot be used as a font: {str(error) or type(error).__name__}") from None
    # Not named by its file: the same receipt is the same bytes, wherever the file lies.
    return Font(f"further{number}", file, file, known)


def _characters(file: Path) -> frozenset[int]:
    """Return the characters that a font has; of a file that is no font, or half of one, any exception is raised."""
    font = TTFont(BytesIO(file.read_bytes()), lazy=True)
    for table in _NEEDED:
        font[table]
    return frozenset(font.getBestCmap())


def pieces_of(text: str, fonts: Sequence[Font]) -> list[Piece]:
    """Part a text by font: the first that has a whole word, else the first that has a letter with its signs."""
    found: list[Piece] = []
    for word in _words(text):
        font = _first_with(word, fonts)
        if word.isspace() and found and found[-1].font is not None and found[-1].font.has(word):
            font = found[-1].font  # no change of font for a space
        found += [Piece(word, font)] if font is not None else _letters(word, fonts)
    joined = []
    for font, group in groupby(found, key=lambda piece: piece.font):
        parts = [piece.text for piece in group]
        joined += [Piece("".join(parts), font)] if font is not None else [Piece(part, None) for part in parts]
    return joined


def clings(character: str) -> bool:
    """Return whether a character belongs to the one before it: a sign above or below it, or a joiner."""
    return unicodedata.category(character).startswith("M") or character in JOINERS


def _words(text: str) -> Iterator[str]:
    for _, group in groupby(text, key=str.isspace):
        yield "".join(group)


def _letters(word: str, fonts: Sequence[Font]) -> Iterator[Piece]:
    start = 0
    ends = [index for index in range(1, len(word)) if not clings(word[index])]
    for end in [*ends, len(word)]:
        letter = word[start:end]
        font = _first_with(letter, fonts)
        if font is not None:
            yield Piece(letter, font)
        else:
            yield from (Piece(one, _first_with(one, fonts)) for one in letter)
        start = end


def _first_with(text: str, fonts: Sequence[Font]) -> Font | None:
    return next((font for font in fonts if font.has(text)), None)
