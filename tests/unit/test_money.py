"""Amounts as people type them become exact minor units, or are refused."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_core.domain.model.errors import InvalidField
from wallet_core.domain.model.money import INT64_MAX, Money, listed_currencies, parse_amount

CURRENCIES = listed_currencies()


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("10.05", "USD", 1005),
        ("10.5", "USD", 1050),
        ("10", "USD", 1000),
        ("0.01", "USD", 1),
        ("007.50", "USD", 750),
        ("1500", "JPY", 1500),
        ("1.234", "KWD", 1234),
        ("1.23", "IRR", 123),
        ("1.2345", "CLF", 12345),
        ("92233720368547758.07", "USD", INT64_MAX),
        ("9223372036854775807", "JPY", INT64_MAX),
    ],
)
def test_decimal_amount_is_read_exactly(text: str, currency: str, minor: int) -> None:
    """The exponent is ISO 4217's, and nothing is rounded."""

    assert Money(currency, minor) == parse_amount(text, CURRENCIES[currency])


@pytest.mark.parametrize(
    "text",
    [
        *["1e3", "1E3", "NaN", "nan", "Infinity", "inf", "abc", "", " ", "-1", "-0.01", "+1", "0", "0.00", "1,000"],
        *["1_000", " 1", "1 ", "1\n", ".5", "5.", "1.2.3", "0x10", "$1", "\N{ARABIC-INDIC DIGIT ONE}", "\uff11", "½"],
    ],
)
def test_anything_but_a_positive_decimal_is_refused(text: str) -> None:
    """Digits and one point: no signs, no exponents, no words, no other alphabets' digits."""

    with pytest.raises(InvalidField) as refused:
        parse_amount(text, CURRENCIES["USD"])

    assert refused.value.field == "amount"


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("0.001", "USD"),
        ("10.005", "USD"),
        ("0.5", "JPY"),
        ("1.2345", "KWD"),
        ("1.234", "IRR"),
        ("0.999", "USD"),
    ],
)
def test_more_decimals_than_the_currency_has_are_refused(text: str, currency: str) -> None:
    """Half a cent is not rounded."""

    with pytest.raises(InvalidField, match="decimals"):
        parse_amount(text, CURRENCIES[currency])


@pytest.mark.parametrize("zeros", [20, 26, 27, 30, 100])
def test_a_tiny_part_far_behind_the_point_is_refused_and_not_rounded_away(zeros: int) -> None:
    """However many digits the text has, what cannot be counted is refused."""

    with pytest.raises(InvalidField, match="decimals"):
        parse_amount(f"1.{'0' * zeros}1", CURRENCIES["USD"])


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("92233720368547758.08", "USD"),
        ("9223372036854775808", "JPY"),
        ("9223372036854775.808", "KWD"),
        ("9" * 40, "USD"),
        ("9" * 4000, "USD"),
    ],
)
def test_more_than_64_bits_hold_is_refused(text: str, currency: str) -> None:
    """One minor unit past the largest is one too many."""

    with pytest.raises(InvalidField, match="than can be counted"):
        parse_amount(text, CURRENCIES[currency])


@pytest.mark.parametrize("currency", ["XAU", "XXX", "XTS", "ZZZ", "BGN", "usd", "US", "USDX", "", "840", "   "])
def test_what_is_no_currency_with_minor_units_is_not_listed(currency: str) -> None:
    """Gold, "no currency", testing codes, inventions, and what was withdrawn."""

    assert currency not in CURRENCIES


@given(
    minor=st.integers(min_value=1, max_value=INT64_MAX),
    currency=st.sampled_from(["USD", "JPY", "KWD", "IRR", "CLF"]),
)
def test_every_amount_survives_being_written_and_read(minor: int, currency: str) -> None:
    """What a person copies from a statement comes back as the same minor units."""

    text = format(Decimal(minor) / 10 ** CURRENCIES[currency].exponent, "f")

    assert Money(currency, minor) == parse_amount(text, CURRENCIES[currency])


@given(text=st.from_regex(r"[0-9]{1,40}(\.[0-9]{1,60})?", fullmatch=True), currency=st.sampled_from(["USD", "JPY"]))
def test_every_accepted_amount_is_exactly_what_was_written(text: str, currency: str) -> None:
    """Compared by whole numbers, which no decimal context can round."""

    whole, _, decimals = text.partition(".")
    try:
        money = parse_amount(text, CURRENCIES[currency])
    except InvalidField:
        return

    assert int(whole + decimals) * 10 ** CURRENCIES[currency].exponent == money.minor * 10 ** len(decimals)
