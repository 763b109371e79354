"""Texts and ids in every request: control characters and placeholder ids are refused, any language is accepted."""

import re
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import uuid4

import psycopg
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from wallet.v1 import transaction_service_pb2 as transaction_pb
from wallet.v1 import wallet_service_pb2 as wallet_pb

from tests.support.api import Api
from tests.support.requests import money
from tests.support.valid_requests import all_but_requests, valid_requests
from tests.support.wire import all_methods, path_of
from wallet_grpc.descriptors import READS

# Of each kind of control characters: the first and the last, and those that terminals obey.
CONTROLS = "\x00\t\x0b\r\x1b\x1f\x7f\x80\x85\x9b\x9f"
MANY_LINES = {"description", "reason", "bank_evidence"}


def texts_of(kind: Descriptor) -> Iterator[tuple[str, ...]]:
    """Yield the way to every text that a message of this type may have."""
    for field in kind.fields:
        inner = field.message_type
        if field.type == FieldDescriptor.TYPE_STRING:
            yield (field.name,)
        elif inner is not None and inner.full_name != Timestamp.DESCRIPTOR.full_name:
            yield from ((field.name, *way) for way in texts_of(inner))


def with_text(request: Any, way: Sequence[str], text: str) -> Any:  # noqa: ANN401  # any message
    """Return the request with this text there, in the first one of many."""
    requested = type(request)()
    requested.CopyFrom(request)
    at = requested
    for step in way[:-1]:
        at = getattr(at, step)
        if step == "labels":
            at[text if way[-1] == "key" else "a"] = "v" if way[-1] == "key" else text
            return requested
        if not isinstance(at, Message):
            at = at[0]
    if isinstance(getattr(at, way[-1]), str):
        setattr(at, way[-1], text)
    else:
        getattr(at, way[-1])[:] = [text]
    return requested


def all_texts() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the path of every call, with the way to each text of its request."""
    for method in all_methods():
        for way in texts_of(method.input_type):
            yield path_of(method), way


def test_a_control_character_is_refused_in_every_text_of_every_call(populated: Api, owner: psycopg.Connection) -> None:
    """Within and at the end, by the field's name; a newline too where a text has one line."""

    before = all_but_requests(owner)
    tried = set()
    requests = valid_requests()

    for path, way in all_texts():
        tried.add((path, way))
        for character in CONTROLS + ("" if way[-1] in MANY_LINES else "\n"):
            for text in (f"a{character}b", f"a{character}"):
                answer = populated.call(path, with_text(requests[path], way, text))
                assert answer.code == "INVALID_ARGUMENT", (path, way, text, answer)
                assert answer.reason in {"INVALID_FIELDS", "PAGE_TOKEN_INVALID"}, (path, way, text, answer)
                named = {re.split(r"[.\[]", violation)[0] for violation in answer.violations}
                assert way[0] in named or answer.reason == "PAGE_TOKEN_INVALID", (path, way, text, answer)
    assert len(tried) > 150
    assert all_but_requests(owner) == before


NOT_CHOSEN = (
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
)


def test_a_placeholder_id_is_refused_wherever_an_id_is_chosen(populated: Api, owner: psycopg.Connection) -> None:
    """The nil and the max UUID are what programs send that forgot: each would be taken for a repeat of another's."""

    before = all_but_requests(owner)
    tried = set()
    requests = valid_requests()

    for path, way in all_texts():
        if not way[-1].endswith("_id"):
            continue
        tried.add((path, way))
        for text in NOT_CHOSEN:
            answer = populated.call(path, with_text(requests[path], way, text))
            assert answer.reason == "INVALID_FIELDS", (path, way, text, answer)
            named = {re.sub(r"\[0\]", "", one) for one in answer.violations}
            assert ".".join(way) in named, (path, way, text, answer)
    changes = {path for path in requests if f"/wallet.v1.{path}" not in READS}
    others = {
        ("WalletService/CreateWallet", ("wallet_id",)),
        ("TransactionService/BatchTransfer", ("items", "request_id")),
        ("AuditService/VerifyLedger", ("kept", "key_id")),
    }
    assert tried == {(path, ("request_id",)) for path in changes} | others
    assert all_but_requests(owner) == before


def test_a_short_id_or_one_of_almost_only_zeros_is_accepted(populated: Api) -> None:
    """Ids of wallets like ``0`` and ``ff``, and request ids of zeros but for one."""

    request_id = "00000000-0000-0000-0000-000000000001"
    wallet = wallet_pb.Wallet(currency_code="USD")

    for few in ("0", "ff", "0-0"):
        request = wallet_pb.CreateWalletRequest(wallet_id=few, wallet=wallet, request_id=request_id, validate_only=True)
        assert populated.answer(request).code == "OK", few


def test_a_text_may_have_lines_and_be_in_any_language(populated: Api) -> None:
    """What forms or directs writing is no control character; the text is returned unchanged."""

    text = "\u200fسلم\u200cت\u200e e\u0301 \u00a0\u202b\U0001f469\u200d\U0001f680"
    deposit = transaction_pb.DepositRequest(
        wallet="wallets/alice",
        amount=money(1),
        description=f"{text}\n\n{text}\n",
        external_reference=text,
        labels={"k": text},
        request_id=str(uuid4()),
    )
    made = populated.ok(deposit).transaction
    renamed = populated.update("alice", display_name=text)

    assert (made.description, made.external_reference) == (deposit.description, text)
    assert (made.labels["k"], renamed.display_name) == (text, text)
