"""Amounts and times are written as the language's readers write them."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import localcontext

import pytest

from wallet_core.documents.words import WORDS, amount, currency_name, moment
from wallet_core.domain.model.money import INT64_MAX, Money, listed_currencies
from wallet_core.domain.model.receipt import Language


@pytest.mark.parametrize(
    ("money", "english", "persian"),
    [
        (Money("USD", 123456), "1,234.56 USD", "۱٬۲۳۴٫۵۶ USD"),
        (Money("USD", 5), "0.05 USD", "۰٫۰۵ USD"),
        (Money("JPY", 150000), "150,000 JPY", "۱۵۰٬۰۰۰ JPY"),
        (Money("KWD", 1234567), "1,234.567 KWD", "۱٬۲۳۴٫۵۶۷ KWD"),
        (Money("IRR", 1234567890), "12,345,678.90 IRR", "۱۲٬۳۴۵٬۶۷۸٫۹۰ IRR"),
        (Money("CLF", 12345), "1.2345 CLF", "۱٫۲۳۴۵ CLF"),
        (Money("USD", INT64_MAX), "92,233,720,368,547,758.07 USD", "۹۲٬۲۳۳٬۷۲۰٬۳۶۸٬۵۴۷٬۷۵۸٫۰۷ USD"),
        (Money("JPY", INT64_MAX), "9,223,372,036,854,775,807 JPY", "۹٬۲۲۳٬۳۷۲٬۰۳۶٬۸۵۴٬۷۷۵٬۸۰۷ JPY"),
    ],
)
def test_amount_is_written_by_locale_with_the_decimals_of_iso_4217(money: Money, english: str, persian: str) -> None:
    """Not with the customary ones: a rial has two, even where shops use none."""

    exponent = listed_currencies()[money.currency].exponent

    assert english == amount(money, exponent, Language.ENGLISH)
    assert persian == amount(money, exponent, Language.PERSIAN)


def test_largest_amount_is_not_rounded_in_a_narrow_decimal_context() -> None:
    """The context belongs to the thread, and another library may have changed it."""

    with localcontext(prec=3):
        written = amount(Money("USD", INT64_MAX), 2, Language.ENGLISH)

    assert written == "92,233,720,368,547,758.07 USD"


@pytest.mark.parametrize(
    ("time", "english", "persian"),
    [
        (
            datetime(2026, 11, 21, 7, 52, 50, 999999, tzinfo=UTC),
            "21 November 2026, 07:52:50 UTC",
            "۳۰ آبان ۱۴۰۵، ساعت ۰۷:۵۲:۵۰ (UTC)",
        ),
        (
            datetime(2025, 3, 21, 2, 0, tzinfo=timezone(timedelta(hours=3, minutes=30))),
            "20 March 2025, 22:30:00 UTC",
            "۳۰ اسفند ۱۴۰۳، ساعت ۲۲:۳۰:۰۰ (UTC)",
        ),
        (datetime(2025, 3, 21, tzinfo=UTC), "21 March 2025, 00:00:00 UTC", "۱ فروردین ۱۴۰۴، ساعت ۰۰:۰۰:۰۰ (UTC)"),
    ],
)
def test_time_is_written_in_utc_by_the_calendar_of_the_language(time: datetime, english: str, persian: str) -> None:
    """The last day of a Persian leap year, and the first of the next."""

    assert english == moment(time, Language.ENGLISH)
    assert persian == moment(time, Language.PERSIAN)


def test_currency_has_its_name_in_the_language() -> None:
    """The code is beside the number; the name is for people."""

    assert currency_name("IRR", Language.ENGLISH) == "Iranian Rial"
    assert currency_name("IRR", Language.PERSIAN) == "ریال ایران"


def test_languages_have_texts_for_the_same_keys() -> None:
    """Every message exists in every language."""

    english, persian = WORDS[Language.ENGLISH], WORDS[Language.PERSIAN]

    assert english.titles.keys() == persian.titles.keys()
    assert english.system_wallets.keys() == persian.system_wallets.keys()
    assert english.paid_by.keys() == persian.paid_by.keys()
