"""Errors in the caller's own language: complete, true to their metadata, and small enough to travel."""

# ruff: noqa: RUF001  # Persian digits are meant

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields
from string import Formatter
from typing import Any, NoReturn, cast
from urllib.parse import quote

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from wallet.v1 import hold_service_pb2, schedule_service_pb2, transaction_service_pb2, wallet_service_pb2
from wallet.v1.error_reason_pb2 import ErrorReason

from wallet_core.domain.model import errors
from wallet_core.domain.model.bank import LineState
from wallet_grpc.errors.catalogue import CATALOGUE, Outcome
from wallet_grpc.errors.kinds import InvalidFields
from wallet_grpc.errors.status import status_of
from wallet_grpc.interceptors.errors import errors_as_status, errors_interceptor
from wallet_grpc.messages.language import LANGUAGES, preferred
from wallet_grpc.messages.texts import READ, TEXTS

REASONS = {name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys()} - {"UNSPECIFIED"}  # noqa: SIM118  # no mapping
GET_WALLET = "/wallet.v1.WalletService/GetWallet"
TRANSFER = "/wallet.v1.TransactionService/Transfer"

each_language = pytest.mark.parametrize("language", LANGUAGES)


def example(kind: type[errors.WalletError], text: str = "x", number: int = 7) -> errors.WalletError:
    """Return an error of a class, with these names and numbers."""
    if issubclass(kind, InvalidFields):
        return InvalidFields([errors.InvalidField(f"{place}{text}", text) for place in range(12)])
    named = {"currency": "USD"}
    result = fields(cast("Any", kind)) if hasattr(kind, "__dataclass_fields__") else ()
    return kind(**{one.name: number if one.type in {int, int | None} else named.get(one.name, text) for one in result})


def metadata_keys() -> dict[str, set[str]]:
    """Return the keys of every reason's metadata."""
    return {face.reason_name: set(face.metadata(example(kind))) for kind, face in CATALOGUE.items()}


def placeholders(*sentences: str) -> set[str]:
    """Return the names of the values that texts need."""
    return {name for sentence in sentences for _, name, _, _ in Formatter().parse(sentence) if name is not None}


def detail(status: status_pb2.Status, into: Any) -> Any:  # noqa: ANN401  # google.rpc has no types
    """Return the detail of a message's type; None where there is none."""
    return next((into for packed in status.details if packed.Unpack(into)), None)


def exponent_of(code: str) -> int | None:
    """Return a currency's decimals, as a server that has read them."""
    return {"USD": 2, "JPY": 0, "BHD": 3, "IRR": 2}.get(code)


def localized(status: status_pb2.Status) -> tuple[str, str] | None:
    """Return language and text of a status, where it has one."""
    found = detail(status, error_details_pb2.LocalizedMessage())
    return (found.locale, found.message) if found is not None else None


def message_of(error: errors.WalletError, accept_language: str = "en", *, read: bool = False) -> str:
    """Return the message of an error, without the marks that keep names in order in Persian."""
    found = localized(status_of(error, read=read, accept_language=accept_language, exponent_of=exponent_of))
    assert found is not None
    return found[1].replace("\N{FIRST STRONG ISOLATE}", "").replace("\N{POP DIRECTIONAL ISOLATE}", "")


def header_bytes(status: status_pb2.Status) -> int:
    """Return the size of the headers that carry a status."""
    packed = base64.b64encode(status.SerializeToString())
    return len(packed) + len(quote(status.message)) + len("grpc-status-details-bin" + "grpc-message") + 2 * 32


@contextmanager
def raising(error: Exception) -> Iterator[grpc.Channel]:
    """Serve a method that always fails, behind the interceptor; yield a channel to it."""

    def fail(request: bytes, context: grpc.ServicerContext) -> NoReturn:
        del request, context
        raise error

    service, _, method = GET_WALLET.removeprefix("/").partition("/")
    handler = grpc.method_handlers_generic_handler(service, {method: grpc.unary_unary_rpc_method_handler(fail)})
    with ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool, handlers=[handler], interceptors=[errors_interceptor(exponent_of)])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield channel
        finally:
            server.stop(None).wait()


def answer(channel: grpc.Channel, *metadata: tuple[str, str]) -> status_pb2.Status:
    """Call the method that fails; return its status."""
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(GET_WALLET, request_serializer=bytes)(b"", metadata=metadata, timeout=10)
    status = rpc_status.from_call(cast("Any", caught.value))
    assert status is not None
    return status


@each_language
def test_every_reason_has_a_text(language: str) -> None:
    """And none is there for a reason that cannot occur."""

    assert set(TEXTS[language].happened) == REASONS


@each_language
def test_texts_name_what_the_metadata_has(language: str) -> None:
    """All of it and nothing else; of invalid fields, which have no metadata, those that BadRequest names."""

    named = {reason: placeholders(*sentences) for reason, sentences in TEXTS[language].happened.items()}

    assert named == metadata_keys() | {"INVALID_FIELDS": {"fields"}}
    assert placeholders(TEXTS[language].item) == {"item"}
    assert placeholders(*TEXTS[language].next.values()) == set()


@each_language
def test_every_outcome_has_a_next_step(language: str) -> None:
    """So have reads, and the same reasons in every language."""

    steps = set(TEXTS[language].next)

    assert {*Outcome, READ} <= steps
    assert steps - {*Outcome, READ} <= REASONS
    assert steps == set(TEXTS["en"].next)


def test_both_messages_end_with_the_same_next_step() -> None:
    """The one for developers and the localized one, in English."""

    for kind in CATALOGUE:
        for read in (False, True):
            status = status_of(example(kind), read=read, accept_language="en", exponent_of=exponent_of)
            _, text = localized(status) or ("", "")
            steps = [step for step in TEXTS["en"].next.values() if text.endswith(step)]
            assert [status.message.endswith(step) for step in steps] == [True], kind


def test_open_items_have_persian_names() -> None:
    """All of it, also the text after the name of the open item."""

    assert set(TEXTS["fa"].words["explanation"]) == set(errors.Because)

    blocked = errors.StateTransitionForbidden("wallets/a", "ACTIVE", f"holds/1 {errors.Because.STILL_OPEN}")
    _, message = localized(status_of(blocked, read=False, accept_language="fa", exponent_of=exponent_of)) or ("", "")
    assert "holds/1\N{POP DIRECTIONAL ISOLATE} هنوز باز است" in message


def test_states_have_persian_names() -> None:
    """A reader of Persian is not shown the names that programs use."""

    modules = (wallet_service_pb2, transaction_service_pb2, schedule_service_pb2, hold_service_pb2)
    messages = [message for module in modules for message in module.DESCRIPTOR.message_types_by_name.values()]
    names = {name for message in messages for name in message.enum_values_by_name if name.startswith("STATE_")}
    states = {name.removeprefix("STATE_") for name in names}

    assert set(TEXTS["fa"].words["state"]) == states - {"UNSPECIFIED"} | {
        "ENDED",
        "ENDING",  # of rules, which have no states
        *LineState,  # of lines of the bank statement
    }
    assert "وضعیت آن: مسدود." in message_of(errors.WalletNotActive("wallets/alice", "FROZEN"), "fa")


@each_language
def test_every_error_is_documented_whole(language: str) -> None:
    """Nothing is left to fill in, nothing is empty, and it ends with what to do."""

    for kind, face in CATALOGUE.items():
        text = message_of(example(kind), language)
        advice = TEXTS[language].next.get(face.reason_name) or TEXTS[language].next[face.outcome]
        assert "{" not in text
        assert "  " not in text
        assert text.endswith(f" {advice}"), kind


@pytest.mark.parametrize(
    ("currency", "english", "persian"),
    [
        ("USD", "1,234.56 USD", "۱٬۲۳۴٫۵۶ USD"),
        ("JPY", "123,456 JPY", "۱۲۳٬۴۵۶ JPY"),
        ("BHD", "123.456 BHD", "۱۲۳٫۴۵۶ BHD"),
        ("IRR", "1,234.56 IRR", "۱٬۲۳۴٫۵۶ IRR"),
    ],
)
def test_amounts_are_decimals_as_people_write_them(currency: str, english: str, persian: str) -> None:
    """With the currency's decimals by ISO 4217, and each language's digits and separators."""

    short = errors.InsufficientFunds("wallets/alice", currency, 0, 123456)

    assert english in message_of(short)
    assert persian in message_of(short, "fa")


def test_amounts_whose_decimals_are_not_known_are_left_out() -> None:
    """A sentence without them is better than one that is wrong by a hundred."""

    short = errors.InsufficientFunds("wallets/alice", "KWD", 1, 123456)

    assert "The available balance of wallets/alice is too low." in message_of(short)
    assert "123" not in message_of(short)


def test_large_amounts_are_not_rounded() -> None:
    """The largest that can be stored, to its last minor unit."""

    short = errors.InsufficientFunds("wallets/alice", "USD", 0, 2**63 - 1)

    assert "92,233,720,368,547,758.07 USD" in message_of(short)


def test_empty_fields_are_left_out() -> None:
    """A used id of a refused request has no resource; a state may be enough; a filter may end too early."""

    used = errors.RequestIdReused("id", "Transfer", "transactions/1")
    stuck = errors.StateTransitionForbidden("wallets/alice", "ACTIVE", "it holds money")
    wrong = errors.FilterInvalid(4, "~", "no operator")

    assert "Its result was transactions/1." in message_of(used)
    assert "Its result" not in message_of(errors.RequestIdReused("id", "Transfer", ""))
    assert "The cause: it holds money." in message_of(stuck)
    assert "cause" not in message_of(errors.StateTransitionForbidden("wallets/alice", "ACTIVE"))
    assert "The text at that position: “~”." in message_of(wrong)
    assert "at that position:" not in message_of(errors.FilterInvalid(4, "", "no operator"))


def test_messages_hold_what_the_error_adds() -> None:
    """In its own words, after the metadata."""

    wrong = status_of(errors.FilterInvalid(4, "~", "expected an operator"), read=True)
    stuck = status_of(errors.StateTransitionForbidden("wallets/alice", "ACTIVE", "it holds money"), read=False)

    assert "is not valid: position 4, token ~ (expected an operator)." in wrong.message
    assert "does not allow this: resourceName wallets/alice, state ACTIVE (it holds money)." in stuck.message


def test_an_item_of_a_batch_is_named() -> None:
    """In metadata, message and both languages; the first is item 0; where there is no batch there is no item."""

    for place, in_persian in ((0, "۰"), (12, "۱۲")):
        refused = errors.WalletNotActive("wallets/alice", "FROZEN")
        refused.item = place
        status = status_of(refused, read=False)
        assert detail(status, error_details_pb2.ErrorInfo()).metadata["item"] == str(place)
        assert status.message.startswith(f"Item {place}, counted from 0: The wallet is frozen or closed")
        assert message_of(refused).startswith(f"Item {place} of the request, ")
        assert message_of(refused, "fa").startswith(f"مورد شمارهٔ {in_persian} درخواست ")
    alone = errors.WalletNotActive("wallets/alice", "FROZEN")
    assert "item" not in detail(status_of(alone, read=False), error_details_pb2.ErrorInfo()).metadata
    assert "item" not in message_of(alone).lower()


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("fa", "fa"),
        ("FA-ir", "fa"),
        ("fa-Arab-IR", "fa"),
        ("en-US", "en"),
        ("*", "en"),
        ("fa, en", "fa"),
        ("en;q=0.5, fa;q=0.9", "fa"),
        ("en;q=0.5 , fa ; q=0.499", "en"),
        ("de, fr;q=0.9, fa;q=0.001", "fa"),
        ("de, *;q=0.5", "en"),
        ("*, en;q=0.1", "fa"),
        ("en;q=0, *", "fa"),
        ("fa;q=0", "en"),
        ("fa;q=0.000, de", "en"),
        ("de", "en"),
        ("fan", "en"),
        ("", "en"),
        ("fa;q=2", "en"),
        ("fa;q=high", "en"),
        ("fa_IR", "en"),
        (",;=,\x00", "en"),
        ("fa;q=high, fa-IR;q=0.5", "fa"),
        ("de," * 85 + "fa", "en"),
        ("fa," + "x" * 100_000, "fa"),
        ("x" * 253 + ",fan", "en"),
    ],
)
def test_language_is_chosen_by_accept_language(header: str, language: str) -> None:
    """By weight, then by place; English where nothing fits or can be read; no more is looked at than the limit."""

    assert preferred(header) == language


def test_without_a_requested_language_no_message_is_localized() -> None:
    """The other details stay as they are."""

    error = errors.ResourceNotFound("wallets/alice")
    plain = status_of(error, read=False)
    both = status_of(error, read=False, accept_language="fa", exponent_of=exponent_of)

    assert localized(plain) is None
    assert list(plain.details) == list(both.details)[:-1]
    assert plain.message == both.message


@each_language
def test_the_largest_error_fits_in_headers(language: str) -> None:
    """GRPC takes 8 KiB; 7 leave room for what else is in them. Fields and tokens are as long and wide as may come."""

    wide = "\N{MONEY BAG}"
    longest: list[errors.WalletError] = [
        InvalidFields([errors.InvalidField(f"{place}{letter * 500}", letter * 500) for place in range(12)])
        for letter in ("x", wide)
    ]
    longest += [errors.FilterInvalid(1000, wide * 64, "d" * 400)]
    longest += [example(kind, "wallets/" + "x" * 63, 2**63 - 1) for kind in CATALOGUE]

    sizes = {
        header_bytes(status_of(error, read=False, accept_language=language, exponent_of=exponent_of)): error
        for error in longest
    }

    assert max(sizes) < 7 * 1024, sizes[max(sizes)]


def test_callers_get_their_language_over_the_wire() -> None:
    """Nothing without the header, in any form; a repeated header is one list."""

    with raising(errors.ResourceNotFound("wallets/alice")) as channel:
        plain = answer(channel)
        english = answer(channel, ("accept-language", "de"))
        persian = answer(channel, ("accept-language", "en;q=0.5"), ("accept-language", "fa-IR"))

    assert localized(plain) is None
    assert (localized(english) or "")[0] == "en"
    locale, text = localized(persian) or ("", "")
    assert locale == "fa"
    assert "یافت نشد" in text
    assert text.endswith(TEXTS["fa"].next[READ])
    assert detail(persian, error_details_pb2.ErrorInfo()).reason == "RESOURCE_NOT_FOUND"


def test_the_largest_error_arrives() -> None:
    """In the wider language, with all its details."""

    large = InvalidFields([errors.InvalidField(f"{n}" + "f" * 500, "d" * 500) for n in range(12)])

    with raising(large) as channel:
        status = answer(channel, ("accept-language", "fa"))

    assert len(detail(status, error_details_pb2.BadRequest()).field_violations) == 10
    assert (localized(status) or "")[0] == "fa"


def test_a_defect_is_reported_by_its_number_in_every_language() -> None:
    """Its own words stay inside."""

    with raising(RuntimeError("secret dsn")) as channel:
        status = answer(channel, ("accept-language", "fa"))

    _, text = localized(status) or ("", "")
    assert detail(status, error_details_pb2.ErrorInfo()).metadata["correlationId"] in text
    assert b"secret" not in status.SerializeToString()


def test_a_call_that_succeeds_does_not_resolve_its_language() -> None:
    """Choosing one costs failing calls only."""

    class Context:
        reads = 0

        def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
            self.reads += 1
            return ()

    context = Context()
    with errors_as_status(exponent_of, TRANSFER, cast("grpc.ServicerContext", context)):
        pass

    assert context.reads == 0
