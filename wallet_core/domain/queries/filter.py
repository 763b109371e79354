r"""Filters of lists: a small part of AIP-160, read into conditions for the storage.

    filter     = [ comparison { AND comparison } ]
    comparison = field op value
    field      = name | "labels." key               key: [a-z][a-z0-9_-]{0,62}
    op         = "=" | "!=" | "<" | "<=" | ">" | ">="
    value      = a bare word of [A-Za-z0-9_.:+-], or any text in double quotes, with \" and \\ for these two

Spaces may stand around an operator and must stand around AND. Quotes do not change what a value means: they only let
it hold any character, and there a star is a star. AND, OR and NOT are values in quotes only.

The rest of AIP-160 is refused by name, so that no part of a filter is ignored silently.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from wallet_core.domain.model.errors import FilterInvalid
from wallet_core.domain.model.money import INT64_MAX, INT64_MIN

MAX_FILTER_LENGTH = 1024
MAX_COMPARISONS = 10
MAX_TOKEN_SHOWN = 64


class Op(StrEnum):
    """How a field is compared with a value."""

    EQUAL = "="
    NOT_EQUAL = "!="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="


class Kind(StrEnum):
    """What a field holds; only whole numbers and times have an order."""

    TEXT = "TEXT"
    WORD = "WORD"
    """One of a few words."""
    INTEGER = "INTEGER"
    TIME = "TIME"
    LABEL = "LABEL"
    """Texts by key: declared as ``labels``, written ``labels.KEY``."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field that a list can be filtered by."""

    kind: Kind
    words: Mapping[str, str] = field(default_factory=dict)
    """For ``Kind.WORD``: how a word may be written, and what the storage compares with."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison, understood; ``key`` is empty but for labels, and times are in UTC."""

    field: str
    key: str
    op: Op
    value: str | int | datetime


def parse_filter(text: str, fields: Mapping[str, Field]) -> tuple[Condition, ...]:
    """Read a filter on the given fields: all conditions must hold, and a blank filter has none.

    Raises ``FilterInvalid`` where the filter is not understood, and nothing else, whatever the text.
    """
    if len(text) > MAX_FILTER_LENGTH:
        rest = _Token("", text[MAX_FILTER_LENGTH:], MAX_FILTER_LENGTH)
        raise rest.refused(f"a filter has at most {MAX_FILTER_LENGTH} characters")
    if "\0" in text:
        raise _Token("", "\0", text.index("\0")).refused("a filter cannot hold the NUL character")
    if not text.strip(_BLANKS):
        return ()

    # All tokens first: now() is refused as a function, not because "now" is no time.
    tokens = iter(list(_tokens(text)))
    conditions = [_comparison(tokens, fields)]
    while (joint := next(tokens)).sort != "end":
        if joint.text != "AND" or text[joint.position - 1] not in _BLANKS:
            raise joint.refused("expected the end or another comparison after AND, in capitals and between spaces")
        if len(conditions) == MAX_COMPARISONS:
            raise joint.refused(f"a filter has at most {MAX_COMPARISONS} comparisons")
        conditions.append(_comparison(tokens, fields))
    return tuple(conditions)


def _comparison(tokens: Iterator["_Token"], fields: Mapping[str, Field]) -> Condition:
    name, key = _field(next(tokens), fields)
    op = _op(next(tokens), fields[name].kind)
    return Condition(name, key, op, _value(next(tokens), fields[name]))


def _field(token: "_Token", fields: Mapping[str, Field]) -> tuple[str, str]:
    allowed = ", ".join(f"{name}.KEY" if known.kind is Kind.LABEL else name for name, known in fields.items())
    if token.sort != "word" or token.text == "AND":
        raise token.refused(f"expected a field; there are: {allowed}")
    if token.text.startswith("-"):
        raise token.refused("negation by - is not supported; != is")
    if ":" in token.text:
        raise token.refused("the operator : is not supported; = is")
    name, dot, key = token.text.partition(".")
    is_label = name in fields and fields[name].kind is Kind.LABEL
    if name not in fields or (dot and not is_label):
        raise token.refused(f"unknown field; there are: {allowed}")
    if is_label and not _LABEL_KEY.fullmatch(key):
        raise token.refused(f"expected {name}.KEY with a key like {_LABEL_KEY.pattern}")
    return name, key


def _op(token: "_Token", kind: Kind) -> Op:
    ops = list(Op) if kind in {Kind.INTEGER, Kind.TIME} else [Op.EQUAL, Op.NOT_EQUAL]
    if token.sort != "op" or Op(token.text) not in ops:
        raise token.refused(f"expected one of the operators of this field: {' '.join(ops)}")
    return Op(token.text)


def _value(token: "_Token", known: Field) -> str | int | datetime:
    if token.sort not in {"word", "quoted"} or token.text == "AND":
        raise token.refused("expected a value: a bare word, or text in double quotes")
    written = _ESCAPED.sub(r"\1", token.text[1:-1]) if token.sort == "quoted" else token.text
    value: str | int | datetime | None
    match known.kind:
        case Kind.TEXT | Kind.LABEL:
            return written
        case Kind.WORD:
            value, expected = known.words.get(written), f"one of: {', '.join(known.words)}"
        case Kind.INTEGER:
            value, expected = _integer(written), f"a whole number from {INT64_MIN} to {INT64_MAX}"
        case Kind.TIME:
            value, expected = _time(written), "a time with its zone and at most microseconds, like 2026-01-31T23:59:59Z"
    if value is None:
        raise token.refused(f"expected {expected}")
    return value


def _integer(written: str) -> int | None:
    if not _INTEGER.fullmatch(written):
        return None
    number = int(written)
    return number if INT64_MIN <= number <= INT64_MAX else None


def _time(written: str) -> datetime | None:
    # Python reads more than RFC 3339 has, such as weeks and times without a zone, and cuts what is below microseconds.
    if not _TIME.fullmatch(written):
        return None
    try:
        return datetime.fromisoformat(written.upper()).astimezone(UTC)
    except (ValueError, OverflowError):  # no such day; or its zone puts it before year 1 or after 9999
        return None


_BLANKS = " \t\r\n"
_LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_ESCAPED = re.compile(r'\\(["\\])')
_INTEGER = re.compile(r"-?[0-9]+")
_CLOCK = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_TIME = re.compile(rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[Tt]{_CLOCK}:[0-5][0-9](?:\.[0-9]{{1,6}})?(?:[Zz]|[+-]{_CLOCK})")

# Alternatives begin differently and repeat possessively, so the text is walked once, whatever it is. Only "unclosed"
# begins as "quoted" does: it ends at the end of the text or at a wrong escape, and is the last token either way.
_TOKEN = re.compile(
    r"""
      (?P<blank>    [ \t\r\n]++ )
    | (?P<op>       [!<>]= | [=<>] )
    | (?P<word>     [A-Za-z0-9_.:+-]++ )
    | (?P<quoted>   "(?: [^"\\] | \\["\\] )*+" )
    | (?P<unclosed> "(?: [^"\\] | \\["\\] )*+ )
    | (?P<stray>    . )
    """,
    re.VERBOSE | re.DOTALL,
)

_UNSUPPORTED = {
    "OR": "OR is not supported: comparisons are joined by AND; as a value it stands in quotes",
    "NOT": "NOT is not supported: there is !=; as a value it stands in quotes",
    "(": "parentheses and functions are not supported",
    ")": "parentheses and functions are not supported",
    "*": "wildcards are not supported; as part of a value a star stands in quotes",
}


@dataclass(frozen=True, slots=True)
class _Token:
    sort: str
    text: str
    position: int

    def refused(self, description: str) -> FilterInvalid:
        return FilterInvalid(self.position, self.text[:MAX_TOKEN_SHOWN], description)


def _tokens(text: str) -> Iterator[_Token]:
    for found in _TOKEN.finditer(text):
        token = _Token(found.lastgroup or "", found.group(), found.start())
        if token.text in _UNSUPPORTED:
            raise token.refused(_UNSUPPORTED[token.text])
        if token.sort == "stray":
            raise token.refused("this character may stand in double quotes only")
        if token.sort == "unclosed" and found.end() == len(text):
            raise token.refused("the quotes that begin here are not closed")
        if token.sort == "unclosed":
            escape = _Token("stray", text[found.end() : found.end() + 2], found.end())
            raise escape.refused(r"expected one of the two escapes: \" and \\")
        if token.sort != "blank":
            yield token
    yield _Token("end", "", len(text))
