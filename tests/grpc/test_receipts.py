"""Receipts over the wire: of every type of transaction, in both languages, always the same bytes."""

from pathlib import Path
from uuid import UUID, uuid4

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from wallet.v1 import transaction_service_pb2 as pb
from wallet.v1 import wallet_service_pb2 as wallet_pb

from bank_stub.server import BankServer
from tests.documents.samples import a_font_with, text_of
from tests.support.api import Api
from tests.support.sample_ledger import one_of_each
from wallet_core.bootstrap import open_app
from wallet_core.domain.model.receipt import Language
from wallet_core.settings import Settings, SettingsError
from wallet_core.usecases.app import App
from wallet_core.usecases.write_receipt import write_receipt

LANGUAGES = ("en", "fa")


def receipt(api: Api, name: str, language: str = "") -> pb.GetReceiptResponse:
    """Return a receipt."""
    found: pb.GetReceiptResponse = api.ok(pb.GetReceiptRequest(name=name, language=language))
    return found


def test_every_type_of_transaction_has_a_receipt_in_both_languages(api: Api, app: App, bank: BankServer) -> None:
    """A PDF with id and amount, and a file name without a folder."""

    one_of_each(api, app, bank)
    listed = [
        one
        for wallet in ("alice", "bob", "system:in_transit:USD")
        for one in api.ok(pb.ListTransactionsRequest(wallet=f"wallets/{wallet}", page_size=1000)).transactions
    ]
    one_a_type = {one.type: one for one in listed}
    assert set(one_a_type) == set(pb.Transaction.Type.values()) - {pb.Transaction.TYPE_UNSPECIFIED}

    for number, (type_, one) in enumerate(sorted(one_a_type.items())):
        whole, cents = divmod(one.amount.minor_units, 100)
        amount = f"{whole:,}.{cents:02}"
        # Persian of every fourth: each is a tenth of a second's work, and the words are tested elsewhere.
        for language, shown in [("en", amount), ("fa", amount.translate(PERSIAN))][: 1 if number % 4 else 2]:
            result = receipt(api, one.name, language)
            assert result.pdf.startswith(b"%PDF-"), (type_, language)
            text = text_of(result.pdf)
            assert one.name in text, (type_, language)
            assert shown in text, (type_, language)
            assert result.filename.endswith(".pdf")
            assert not set(result.filename) & set("/\\: ")


# Digits, and what is between them.
PERSIAN = str.maketrans("0123456789,.", "۰۱۲۳۴۵۶۷۸۹\u066c\u066b")


@pytest.mark.parametrize("written", [b"no font", b"", None])
def test_a_server_does_not_start_with_a_font_that_cannot_be_used(
    settings: Settings, tmp_path: Path, written: bytes | None
) -> None:
    """It names the file, and starts nothing; a scheduler draws nothing, and starts without it."""

    font = tmp_path / "chinese.ttf"
    if written is not None:
        font.write_bytes(written)
    changed = settings.replaced(receipts_fonts=(font,), bank_url="http://127.0.0.1:1")

    with pytest.raises(SettingsError, match=r"WALLET_RECEIPTS_FONTS: .*chinese.ttf cannot be used as a font"):
        open_app(changed, name="tests").__enter__()
    with open_app(changed, name="tests", calls_bank=True) as app:
        app.ping()


def test_a_further_font_is_one_of_the_settings(app: App, api: Api, settings: Settings, tmp_path: Path) -> None:
    """What the service's own have not is shown in it."""

    api.open_all("alice")
    moved = api.deposit("alice", 1, description="pay 中 now")
    changed = settings.replaced(receipts_fonts=(a_font_with("中", tmp_path / "chinese.ttf"),))

    with open_app(changed, name="tests") as other:
        result = write_receipt(other, UUID(moved.name.partition("/")[2]), Language.ENGLISH)

    assert "pay 中 now" in text_of(result)
    assert "pay 中 now" not in text_of(write_receipt(app, UUID(moved.name.partition("/")[2]), Language.ENGLISH))


def test_a_receipt_is_the_same_bytes_after_later_changes(api: Api) -> None:
    """Reversed, its wallets renamed, labelled, frozen; empty means English."""

    api.open_all("alice", "bob", display_name="Before")
    api.deposit("alice", 1000)
    moved = api.transfer("alice", "bob", 999, description="Rent", external_reference="r-1")
    before = {language: receipt(api, moved.name, language) for language in LANGUAGES}
    assert before["en"].pdf != before["fa"].pdf

    api.reverse(moved, 9)
    api.reverse(moved)
    for wallet in ("alice", "bob"):
        renamed = wallet_pb.Wallet(name=f"wallets/{wallet}", display_name="After", labels={"k": "v"})
        mask = FieldMask(paths=["display_name", "labels"])
        api.ok(wallet_pb.UpdateWalletRequest(wallet=renamed, update_mask=mask, request_id=str(uuid4())))
        api.ok(wallet_pb.FreezeWalletRequest(name=f"wallets/{wallet}", request_id=str(uuid4())))

    assert {"en": receipt(api, moved.name), "fa": receipt(api, moved.name, "fa")} == before
    assert all(text in text_of(before["en"].pdf) for text in (moved.name, "9.99", "alice", "bob", "Rent", "r-1"))


def test_a_receipt_of_nothing_or_in_no_language_is_refused(api: Api) -> None:
    """NOT_FOUND with the name; other languages, and other spellings of ours, INVALID_ARGUMENT, which comes first."""

    api.open("alice")
    name = f"transactions/{uuid4()}"

    unknown = api.refused(pb.GetReceiptRequest(name=name, language="fa"))
    assert (unknown.code, unknown.reason) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    assert unknown.metadata == {"resourceName": name}
    for language in ("de", "EN", "fa-IR", " en", "en\n", "\x00", "e" * 9999):
        answer = api.refused(pb.GetReceiptRequest(name=name, language=language))
        assert (answer.code, answer.reason) == ("INVALID_ARGUMENT", "INVALID_FIELDS"), language
        assert answer.violations == ("language",)
    for bad in ("", "transactions/x", name.upper(), f"{name}\n", name.replace("transactions", "wallets")):
        assert api.refused(pb.GetReceiptRequest(name=bad)).violations == ("name",)


def flat(text: str) -> str:
    """Return a text in one line."""
    return text.replace("\n", " ")


def test_any_text_that_a_transaction_may_have_fits_on_its_receipt(api: Api) -> None:
    """Lines, private and missing characters, other directions, no words at all: a PDF, never an error."""

    api.open("alice")
    odd = "\u202e\u2066\u200d\ufeff\ufdfa\ufffe\U0010ffff\U000e0001\u0301\u0e33\u2028\n%()<>\\{}"
    words = [odd, odd[::-1] * 8, "".join(map(chr, range(0x600, 0x700)))]

    for number, description in enumerate(words):
        made = api.deposit("alice", 1, description=description, external_reference=flat(description)[:128])
        assert made.name in text_of(receipt(api, made.name, LANGUAGES[number % 2]).pdf), number
