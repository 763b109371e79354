"""Fills the placeholders of a language's error texts."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files
from string import Formatter

from babel import Locale
from babel.lists import format_list
from babel.numbers import format_decimal

from wallet_grpc.messages.language import LANGUAGES

Values = Mapping[str, str | Sequence[str]]
"""The values of placeholders: an error's metadata by key, and ``fields``."""

READ = "read"
"""Takes the place of an outcome for calls that change nothing."""

_NUMBERS = frozenset({"item", "position", "limit"})
_AMOUNTS = frozenset({"available", "required"})
"""In minor units, of which ``exponent`` digits are decimals."""

# Names, ids and numbers keep their order inside text that runs from right to left.
_ISOLATED = "\N{FIRST STRONG ISOLATE}%s\N{POP DIRECTIONAL ISOLATE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """The texts of one language; ``en.toml`` explains them."""

    language: str
    digits: str
    item: str
    happened: Mapping[str, Sequence[str]]
    next: Mapping[str, str]
    words: Mapping[str, Mapping[str, str]]

    def message(self, reason: str, outcome: str, values: Values) -> str:
        """Return what happened and what to do next, for an error with an *outcome*, or ``READ``."""
        sentences = [self.item, *self.happened[reason], self.next_step(reason, outcome)]
        return " ".join(self._filled(sentences, values))

    def next_step(self, reason: str, outcome: str) -> str:
        """Return what to do next: the reason's own advice, or that of the *outcome*, or of ``READ``."""
        return self.next.get(reason) or self.next[outcome]

    def _filled(self, sentences: Sequence[str], values: Values) -> Iterator[str]:
        for sentence in sentences:
            names = placeholders(sentence)
            if all(values.get(name) for name in names):
                yield sentence.format_map({name: self._shown(name, values) for name in names})

    def _shown(self, name: str, values: Values) -> str:
        value = values[name]
        if not isinstance(value, str):
            return format_list([self._isolated(one) for one in value], locale=self.language)
        if name in _NUMBERS:
            return self._number(Decimal(value), 0)
        if name in _AMOUNTS:
            exponent = int(str(values["exponent"]))
            return self._number(Decimal(value).scaleb(-exponent), exponent)
        return self._word(name, value) or self._isolated(value)

    def _word(self, name: str, value: str) -> str | None:
        """Return the translation of a value: of the whole, or of what follows a resource name."""
        words = self.words.get(name, {})
        resource, _, said = value.partition(" ")
        return words.get(value) or (f"{self._isolated(resource)} {words[said]}" if said in words else None)

    def _number(self, number: Decimal, decimals: int) -> str:
        pattern = f"#,##0.{'0' * decimals}" if decimals else "#,##0"
        shown = format_decimal(number, format=pattern, locale=self.language, numbering_system="default")
        return self._isolated(shown.translate(str.maketrans("0123456789", self.digits)))  # babel keeps digits

    def _isolated(self, text: str) -> str:
        return _ISOLATED % text if Locale(self.language).text_direction == "rtl" else text


def placeholders(sentence: str) -> frozenset[str]:
    """Return the names of a sentence's placeholders."""
    return frozenset(name for _, name, _, _ in Formatter().parse(sentence) if name is not None)


def _read(language: str) -> Texts:
    data = (files(__package__) / f"{language}.toml").read_text(encoding="utf-8")
    return Texts(language=language, **tomllib.loads(data))


TEXTS = {language: _read(language) for language in LANGUAGES}
