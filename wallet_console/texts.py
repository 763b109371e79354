"""The languages of the console: English in the code and the templates, Persian in ``language/fa/*.toml``.

An English text is its own key. Placeholders are named: ``{count} open``.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from string import Formatter

ENGLISH, PERSIAN = "en", "fa"
LANGUAGES = {ENGLISH: "English", PERSIAN: "فارسی"}


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of one language."""

    language: str
    translations: Mapping[str, str]

    @property
    def direction(self) -> str:
        """The direction of writing."""
        return "rtl" if self.language == PERSIAN else "ltr"

    def __call__(self, text: str, **values: object) -> str:
        """Return *text* in this language with its placeholders filled; a text without a translation stays English."""
        shown = self.translations.get(text, text)
        return shown.format_map(values) if values else shown


@cache
def texts(language: str) -> Texts:
    """Return the texts of a language of ``LANGUAGES``."""
    return Texts(language, {} if language == ENGLISH else _read(language))


def placeholders(text: str) -> set[str]:
    """Return the names of the placeholders of a text."""
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def preferred(accept_language: str) -> str:
    """Return the first language of an ``Accept-Language`` header that there is."""
    for part in accept_language.split(","):
        language = part.partition(";")[0].strip().lower().partition("-")[0]
        if language in LANGUAGES:
            return language
    return ENGLISH


def _read(language: str) -> dict[str, str]:
    folder = files("wallet_console").joinpath("language", language)
    found: dict[str, str] = {}
    for path in folder.iterdir():
        if path.name.endswith(".toml"):
            found |= tomllib.loads(path.read_text(encoding="utf-8"))
    return found
