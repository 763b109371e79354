"""A receipt is one page, has the transaction's facts, and is the same bytes every time."""

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.documents.samples import PERSIAN, RECEIPT, a_font_with, fonts_in, lines_of, opened, seen_on, text_of
from tests.support.toolchain import often
from wallet_core.documents.pdf import PdfDocuments
from wallet_core.documents.words import title
from wallet_core.domain.model.money import INT64_MAX, Money
from wallet_core.domain.model.receipt import Language
from wallet_core.domain.model.transaction import TransactionType
from wallet_core.ports import Documents

ROOT = Path(__file__).parents[2]
LANGUAGES = list(Language)
A5_WIDTH = 148 / 25.4 * 72
DOCUMENTS: Documents = PdfDocuments()

# Prints what the bytes come to in a process of its own.
DIGEST = """
import hashlib
from tests.documents.samples import RECEIPT
from wallet_core.documents.pdf import PdfDocuments
from wallet_core.domain.model.receipt import Language
print(*(hashlib.sha256(PdfDocuments().receipt(RECEIPT, language)).hexdigest() for language in Language))
"""


@pytest.mark.parametrize("language", LANGUAGES)
def test_receipt_requested_again_has_the_same_bytes(language: Language) -> None:
    """Nothing in the file comes from a clock or from chance."""

    first = DOCUMENTS.receipt(RECEIPT, language)

    assert first == PdfDocuments().receipt(RECEIPT, language)
    assert first.startswith(b"%PDF-")


@pytest.mark.parametrize(
    "machine", [{"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "77", "TZ": "Asia/Tehran", "LC_ALL": "C"}]
)
def test_receipt_made_by_another_process_has_the_same_bytes(machine: dict[str, str]) -> None:
    """Other hashes, another time zone, another locale: the same document."""

    here = [hashlib.sha256(DOCUMENTS.receipt(RECEIPT, language)).hexdigest() for language in Language]

    message = subprocess.run([sys.executable, "-c", DIGEST], cwd=ROOT, env=machine, capture_output=True, check=True)

    assert here == message.stdout.decode().split()


def test_receipts_made_at_once_do_not_meddle_with_each_other() -> None:
    """One object serves all threads."""

    alone = {language: DOCUMENTS.receipt(RECEIPT, language) for language in Language}
    languages = LANGUAGES * 6

    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda language: DOCUMENTS.receipt(RECEIPT, language), languages))

    assert [alone[language] for language in languages] == together


def test_time_given_in_another_zone_gives_the_same_bytes() -> None:
    """An instant is an instant, however it is written."""

    elsewhere = replace(RECEIPT, time=RECEIPT.time.astimezone(timezone(timedelta(hours=3, minutes=30))))

    assert DOCUMENTS.receipt(RECEIPT, Language.PERSIAN) == DOCUMENTS.receipt(elsewhere, Language.PERSIAN)


def test_document_is_dated_as_its_transaction() -> None:
    """The file's date is when the money moved, not when the receipt was requested."""

    with opened(DOCUMENTS.receipt(RECEIPT, Language.ENGLISH)) as document:
        described = document.get_metadata_dict()

    assert described["CreationDate"] == "D:20261121075250Z"
    assert described["Title"] == f"Receipt {RECEIPT.transaction}"


def test_english_receipt_has_every_fact() -> None:
    """Who, to whom, how much, when, why, and which transaction."""

    text = text_of(DOCUMENTS.receipt(RECEIPT, Language.ENGLISH))

    for fact in [
        *["Receipt", "Transfer", "1,234.56 USD", "US Dollar", "alice", "bob", "21 November 2026, 07:52:50 UTC"],
        *[RECEIPT.transaction, "0.62 USD, paid by the sender", "1,235.18 USD", "Rent for November", "INV-2026/11-0042"],
    ]:
        assert fact in text


def test_persian_receipt_has_every_fact() -> None:
    """In Persian words, digits and dates; ids stay as they are."""

    text = text_of(DOCUMENTS.receipt(RECEIPT, Language.PERSIAN))

    for fact in [
        *["رسید", "انتقال", "۱٬۲۳۴٫۵۶", "آمریکا", "alice", "bob", "۳۰ آبان", "۰۷:۵۲:۵۰", RECEIPT.transaction],
        *["کارمزد", "۰٫۶۲ USD", "فرستنده", "۱٬۲۳۵٫۱۸ USD", "Rent for November"],
    ]:
        assert fact in text


def test_reversal_names_what_it_reverses() -> None:
    """Beside its own name."""

    reversed_one = "transactions/0198c7f2-0000-7c3b-9f04-1d2e3f4a5b6c"
    reversal = replace(RECEIPT, type=TransactionType.REVERSAL, reverses=reversed_one)

    text = text_of(DOCUMENTS.receipt(reversal, Language.ENGLISH))

    assert f"Reverses {reversed_one}" in text
    assert RECEIPT.transaction in text


def test_what_a_transaction_does_not_have_is_left_out() -> None:
    """No empty rows."""

    bare = replace(RECEIPT, commission=None, payer=None, description="", external_reference="\n")

    text = text_of(DOCUMENTS.receipt(bare, Language.ENGLISH))

    for label in ["Commission", "Description", "Reference", "Reverses"]:
        assert label not in text


@pytest.mark.parametrize(
    ("wallet", "language", "named"),
    [
        ("system:external:USD", Language.ENGLISH, "outside the service"),
        ("system:in_transit:USD", Language.ENGLISH, "on its way to the bank"),
        ("system:commission:USD", Language.ENGLISH, "service commission"),
        ("system:in_transit:USD", Language.PERSIAN, "در راه بانک"),
    ],
)
def test_system_wallet_is_shown_by_its_name(wallet: str, language: Language, named: str) -> None:
    """People know the bank, not our names for it."""

    text = text_of(DOCUMENTS.receipt(replace(RECEIPT, destination=wallet), language))

    assert named in text
    assert wallet not in text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", list(TransactionType))
def test_every_type_has_a_title(kind: TransactionType, language: Language) -> None:
    """A type that is added needs words in both languages."""

    assert title(kind, language)


def test_persian_page_is_the_mirror_of_the_english_one() -> None:
    """What starts at the left there starts at the right here, as far from the edge."""

    [english] = [line for line in lines_of(DOCUMENTS.receipt(RECEIPT, Language.ENGLISH)) if line.text == "alicebob"]
    [persian] = [line for line in lines_of(DOCUMENTS.receipt(RECEIPT, Language.PERSIAN)) if line.text == "bobalice"]

    assert english.lefts[0] == pytest.approx(A5_WIDTH - persian.rights[-1], abs=1.0)


@pytest.mark.parametrize("external_reference", ["0198-42-REF#7", "7/a-1 b", "+98 21 1234-5678"])
def test_latin_text_on_a_persian_page_runs_from_left_to_right(external_reference: str) -> None:
    """An id that starts with a digit would otherwise be turned around in pieces."""

    pdf = DOCUMENTS.receipt(replace(RECEIPT, external_reference=external_reference), Language.PERSIAN)

    assert RECEIPT.transaction in seen_on(pdf)
    assert external_reference.replace(" ", "") in seen_on(pdf)


def test_persian_amount_is_to_the_right_of_its_currency() -> None:
    """Read from the right, the number comes first; its own digits run from the left."""

    assert "USD۱٬۲۳۴٫۵۶" in seen_on(DOCUMENTS.receipt(RECEIPT, Language.PERSIAN))


@pytest.mark.parametrize("language", LANGUAGES)
def test_persian_sentence_is_seen_from_right_to_left(language: Language) -> None:
    """Its full stop is at its left, its brackets around what they were around."""

    pdf = DOCUMENTS.receipt(replace(RECEIPT, description="مهر (۴۲ روز)."), language)

    assert f".({'روز'[::-1]}۴۲){'مهر'[::-1]}" in seen_on(pdf)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("currency", ["USD", "JPY", "KWD", "CLF"])
def test_largest_amount_stays_inside_of_the_page(currency: str, language: Language) -> None:
    """It is written smaller, and in full."""

    most = Money(currency, INT64_MAX)
    pdf = DOCUMENTS.receipt(replace(RECEIPT, amount=most, source_debited=most, destination_credited=most), language)

    lines = lines_of(pdf)

    assert min(min(line.lefts) for line in lines) > 0
    assert max(max(line.rights) for line in lines) < A5_WIDTH


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("wide", ["W", "W ", "ص", "\ufdfc", "مهر ", "\N{PARTY POPPER}", "-", "a\u0301"])
def test_longest_texts_are_shown_in_full_on_one_page(wide: str, language: Language) -> None:
    """The type gets smaller until all of them fit."""

    longest = replace(
        RECEIPT,
        type=TransactionType.REVERSAL,
        source="w" * 63,
        destination="w" * 63,
        description=(wide * 256)[:256],
        external_reference=(wide * 128)[:128],
        reverses=RECEIPT.transaction,
    )

    text = text_of(DOCUMENTS.receipt(longest, language))

    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    assert text.count("w") >= 2 * 63


def test_text_that_no_page_could_hold_ends_in_an_ellipsis() -> None:
    """A receipt has one page with any content."""

    text = text_of(DOCUMENTS.receipt(replace(RECEIPT, description="word " * 1000), Language.ENGLISH))

    assert text.count("word ") > 10
    assert text.count("\N{HORIZONTAL ELLIPSIS}") == 1


def test_text_of_the_kind_that_the_writer_replaces_is_left_alone() -> None:
    """What means a number of pages or bold type elsewhere is a caller's word here."""

    text = "{nb} **bold** [link](page) (a\\b)"

    assert text in text_of(DOCUMENTS.receipt(replace(RECEIPT, description=text), Language.ENGLISH))


@pytest.mark.parametrize("language", LANGUAGES)
def test_persian_description_is_found_in_the_text(language: Language) -> None:
    """It can be searched and copied, in either receipt."""

    text = text_of(DOCUMENTS.receipt(replace(RECEIPT, description=PERSIAN), language))

    for word in ["قرارداد", "۱۲۳", "پرداخت"]:
        assert word in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_of_many_scripts_are_shown_and_found(language: Language) -> None:
    """In the file they are text, in displayed order; no box replaces any of them."""

    text = "Zażółć Ελλάς Оплата ґава ქართული Հայերեն ₽"

    pdf = DOCUMENTS.receipt(replace(RECEIPT, description=text, external_reference="שלום עולם"), language)

    assert text in " ".join(text_of(pdf).split())
    assert "שלום"[::-1] in seen_on(pdf)
    assert fonts_in(pdf) == {"Vazirmatn", "VazirmatnBold", "DejaVuSansBook"}


def test_what_no_font_has_is_a_box_with_its_code_point() -> None:
    """Seen to be something, and which."""

    seen = seen_on(DOCUMENTS.receipt(replace(RECEIPT, description="a中b\N{PARTY POPPER}c"), Language.ENGLISH))

    # Two rows of digits, a little above and below the letters' baseline.
    assert {"4E01F", "2D389", "abc"} <= set(seen.splitlines())


def test_a_further_font_shows_what_the_others_have_not(tmp_path: Path) -> None:
    """Named by a setting; where its file lies, changes no byte."""

    font = a_font_with("中", tmp_path / "one.ttf")
    elsewhere = tmp_path / "other.ttf"
    elsewhere.write_bytes(font.read_bytes())
    chinese = replace(RECEIPT, description="pay 中 now")

    pdf = PdfDocuments([font]).receipt(chinese, Language.ENGLISH)

    assert "pay 中 now" in text_of(pdf)
    assert "4E" not in seen_on(DOCUMENTS.receipt(RECEIPT, Language.ENGLISH))
    assert pdf == PdfDocuments([elsewhere]).receipt(chinese, Language.ENGLISH)


def test_no_text_of_a_caller_reorders_a_receipt() -> None:
    """An amount in a description is read as it was written."""

    text = "\u202e00.001 USD\u202c \u2067x\u2069"

    assert "00.001USDx" in seen_on(DOCUMENTS.receipt(replace(RECEIPT, description=text), Language.ENGLISH))


@settings(max_examples=often(15), deadline=None)
@given(
    description=st.text(st.characters(), max_size=256),
    external_reference=st.text(
        st.characters(categories=["Cc", "Cf", "Cs", "Co", "Mn", "Me", "So", "Lo"]), max_size=128
    ),
    language=st.sampled_from(Language),
)
def test_any_text_gives_one_page(description: str, external_reference: str, language: Language) -> None:
    """Any text of a caller gives a receipt; and always the same."""

    receipt = replace(RECEIPT, description=description, external_reference=external_reference)

    pdf = DOCUMENTS.receipt(receipt, language)

    assert RECEIPT.transaction in text_of(pdf)
    assert pdf == DOCUMENTS.receipt(receipt, language)
