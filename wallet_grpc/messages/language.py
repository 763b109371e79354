"""The caller's language, by its ``accept-language`` (RFC 9110, section 12.5.4)."""

import re

from babel.core import negotiate_locale

LANGUAGES = ("en", "fa")
"""Each has its file of texts; the first is the default."""

# The part of the header that is read, in characters: enough for twenty languages.
_HEADER_MAX = 256

_RANGE = re.compile(
    r"""
    ( [a-z]{1,8} (?: - [a-z0-9]{1,8} )* | \* )
    (?: [ \t]* ; [ \t]* q= ( 0 (?: \.[0-9]{0,3} )? | 1 (?: \.0{0,3} )? ) )?
    """,
    re.VERBOSE | re.IGNORECASE,
)


def preferred(accept_language: str) -> str:
    """Return the supported language with the highest weight, then the first; unreadable ranges are ignored."""
    if len(accept_language) > _HEADER_MAX:
        accept_language = accept_language[:_HEADER_MAX].rpartition(",")[0]  # a truncated range could be another one
    found = [_RANGE.fullmatch(part.strip(" \t")) for part in accept_language.split(",")]
    weights = {match[1].lower(): float(match[2] or 1) for match in found if match}
    others = [language for language in LANGUAGES if language not in weights]
    wanted = [
        others[0] if range_ == "*" and others else range_
        for range_, weight in sorted(weights.items(), key=lambda item: -item[1])
        if weight
    ]
    return negotiate_locale(wanted, LANGUAGES, sep="-") or LANGUAGES[0]
