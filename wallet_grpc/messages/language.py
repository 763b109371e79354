"""Which language a caller reads, by the ``accept-language`` it sends (RFC 9110, section 12.5.4)."""

import re

from babel.core import negotiate_locale

LANGUAGES = ("en", "fa")
"""Each has its file of texts; the first is spoken to whoever asks for none of them."""

# As much of the header as is looked at: room for twenty languages.
_HEADER_MAX = 256

_RANGE = re.compile(
    r"""
    ( [a-z]{1,8} (?: - [a-z0-9]{1,8} )* | \* )
    (?: [ \t]* ; [ \t]* q= ( 0 (?: \.[0-9]{0,3} )? | 1 (?: \.0{0,3} )? ) )?
    """,
    re.VERBOSE | re.IGNORECASE,
)


def preferred(accept_language: str) -> str:
    """Return the language of ours that comes first by weight, then by place; what cannot be read is passed over."""
    if len(accept_language) > _HEADER_MAX:
        accept_language = accept_language[:_HEADER_MAX].rpartition(",")[0]  # a range that was cut may be another one
    found = [_RANGE.fullmatch(part.strip(" \t")) for part in accept_language.split(",")]
    weights = {match[1].lower(): float(match[2] or 1) for match in found if match}
    others = [language for language in LANGUAGES if language not in weights]
    wanted = [
        others[0] if range_ == "*" and others else range_
        for range_, weight in sorted(weights.items(), key=lambda item: -item[1])
        if weight
    ]
    return negotiate_locale(wanted, LANGUAGES, sep="-") or LANGUAGES[0]
