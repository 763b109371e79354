"""The texts of a receipt in each of its languages: words, amounts, times and the names of wallets."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Context, Decimal, localcontext

import jdatetime
from babel.dates import format_datetime
from babel.numbers import format_decimal, get_currency_name

from wallet_core.domain.model.money import Money
from wallet_core.domain.model.receipt import Language
from wallet_core.domain.model.transaction import TransactionType

# Every 64-bit amount in any currency, unrounded, whatever the thread's own decimal context is.
_EXACT = Context(prec=40)
# Babel and jdatetime know a language's separators and calendar, but write Western digits.
_DIGITS = {
    Language.ENGLISH: str.maketrans({}),
    Language.PERSIAN: str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The words of one language, and the locale that its numbers follow."""

    locale: str
    receipt: str
    amount: str
    source: str
    destination: str
    time: str
    transaction: str
    reverses: str
    commission: str
    debited: str
    credited: str
    description: str
    reference: str
    footer: str
    paid_by: Mapping[str, str]
    """After a commission's amount: who paid it."""
    titles: Mapping[str, str]
    """By the transaction's type."""
    system_wallets: Mapping[str, str]
    """By the role in the wallet's id."""


WORDS = {
    Language.ENGLISH: Words(
        locale="en",
        receipt="Receipt",
        amount="Amount",
        source="From",
        destination="To",
        time="Date and time",
        transaction="Transaction",
        reverses="Reverses",
        commission="Commission",
        debited="Total debited",
        credited="Total credited",
        description="Description",
        reference="Reference",
        footer="This receipt is derived from the transaction named above. The transaction is what counts; "
        "the receipt can be issued again at any time and is always the same.",
        paid_by={"SOURCE": ", paid by the sender", "DESTINATION": ", paid by the recipient"},
        titles={
            "DEPOSIT": "Deposit",
            "TRANSFER": "Transfer",
            "WITHDRAWAL": "Withdrawal",
            "WITHDRAWAL_SETTLEMENT": "Withdrawal paid by the bank",
            "WITHDRAWAL_RELEASE": "Withdrawal not paid, back in the wallet",
            "WITHDRAWAL_RETURN": "Withdrawal returned by the bank",
            "RETURN_APPLICATION": "Returned money given to a wallet",
            "COLLECTION_APPLICATION": "Collected money given to a wallet",
            "COLLECTION": "Collection through the bank",
            "HOLD_CAPTURE": "Capture of held money",
            "REVERSAL": "Reversal",
        },
        system_wallets={
            "external": "outside the service",
            "in_transit": "on its way to the bank",
            "commission": "service commission",
        },
    ),
    Language.PERSIAN: Words(
        locale="fa",
        receipt="رسید",
        amount="مبلغ",
        source="از",
        destination="به",
        time="تاریخ و ساعت",
        transaction="تراکنش",
        reverses="برگشتِ تراکنشِ",
        commission="کارمزد",
        debited="مجموع برداشت",
        credited="مجموع واریز",
        description="شرح",
        reference="شمارهٔ ارجاع",
        footer="این رسید از روی تراکنش بالا ساخته شده است. آنچه اعتبار دارد خود تراکنش است؛ "
        "رسید را هر زمان می‌توان دوباره گرفت و همیشه همین است.",
        paid_by={"SOURCE": "، بر عهدهٔ فرستنده", "DESTINATION": "، بر عهدهٔ گیرنده"},
        titles={
            "DEPOSIT": "واریز",
            "TRANSFER": "انتقال",
            "WITHDRAWAL": "برداشت",
            "WITHDRAWAL_SETTLEMENT": "پرداخت برداشت از سوی بانک",
            "WITHDRAWAL_RELEASE": "بازگشت برداشت پرداخت‌نشده به کیف پول",
            "WITHDRAWAL_RETURN": "برگشت برداشت از سوی بانک",
            "RETURN_APPLICATION": "واگذاری مبلغ برگشتی به کیف پول",
            "COLLECTION_APPLICATION": "واگذاری مبلغ وصول‌شده به کیف پول",
            "COLLECTION": "وصول از راه بانک",
            "HOLD_CAPTURE": "برداشت از مبلغ مسدودشده",
            "REVERSAL": "برگشت تراکنش",
        },
        system_wallets={
            "external": "بیرون از سرویس",
            "in_transit": "در راه بانک",
            "commission": "کارمزد سرویس",
        },
    ),
}


def title(kind: TransactionType, language: Language) -> str:
    """Return what a type of transaction is called."""
    return WORDS[language].titles[kind]


def amount(money: Money, exponent: int, language: Language) -> str:
    """Write an amount with *exponent* decimals and the language's digits: ``1,234.56 USD``."""
    pattern = "#,##0." + "0" * exponent if exponent else "#,##0"
    with localcontext(_EXACT):
        value = Decimal(money.minor).scaleb(-exponent)
        number = format_decimal(value, format=pattern, locale=WORDS[language].locale, numbering_system="default")
    return f"{number.translate(_DIGITS[language])} {money.currency}"


def currency_name(currency: str, language: Language) -> str:
    """Return what a currency is called."""
    return get_currency_name(currency, locale=WORDS[language].locale)


def moment(time: datetime, language: Language) -> str:
    """Write a time to the second in UTC, by the calendar of the language."""
    utc = time.astimezone(UTC)
    if language is Language.PERSIAN:
        day = jdatetime.date.fromgregorian(date=utc.date())
        month = jdatetime.date.j_months_fa[day.month - 1]
        return f"{day.day} {month} {day.year}، ساعت {utc:%H:%M:%S} (UTC)".translate(_DIGITS[language])
    return format_datetime(utc, "d MMMM y, HH:mm:ss 'UTC'", locale=WORDS[language].locale)


def system_wallet_name(wallet: str, language: Language) -> str | None:
    """Return what one of the service's own wallets is called; None for a caller's wallet."""
    role = wallet.split(":")[1] if wallet.startswith("system:") else ""
    return WORDS[language].system_wallets.get(role)
