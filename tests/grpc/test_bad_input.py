"""Malformed messages and invalid fields are refused with the field's name, never with INTERNAL, and change nothing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from google.api import field_behavior_pb2  # type: ignore[import-untyped]  # google.api has no types
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from wallet.v1 import transaction_service_pb2 as transaction_pb
from wallet.v1 import wallet_service_pb2 as wallet_pb

from tests.support.api import Api
from tests.support.callers import everything
from tests.support.valid_requests import all_but_requests, is_ok_or_named_refusal, valid_requests, with_value
from tests.support.wire import all_methods, path_of
from wallet_grpc.descriptors import READS

SYSTEM = [f"wallets/system:{role}:USD" for role in ("external", "in_transit", "commission", "nonsense")]

# Bytes that are no message of any method: cut short, of impossible types, without an end, or not UTF-8.
NO_MESSAGES = {
    "garbage": b"\xff\xfe\xfd" * 7,
    "cut_length": b"\x0a",
    "cut_string": b"\x0a\x7fwallets/alice",
    "length_beyond": b"\x0a\xff\xff\xff\xff\x0f",
    "tag_zero": b"\x00\x01",
    "wire_type_six": b"\x0e\x01",
    "open_group": b"\x0b",
    "endless_varint": b"\x10" + b"\xff" * 11,
    "deep_groups": b"\x0b" * 200 + b"\x0c" * 200,
    "not_utf8_1": b"\x0a\x02\xc3\x28",
    "surrogate": b"\x0a\x03\xed\xa0\x80",
}


def test_every_method_has_a_valid_request_here(populated: Api) -> None:
    """A new method must be tried, too; each request here is refused only because its resource is missing."""

    answers = {path: populated.call(path, request) for path, request in valid_requests().items()}

    found = {path: answer.reason for path, answer in answers.items() if answer.reason not in {"", "RESOURCE_NOT_FOUND"}}
    assert found == {"WalletService/CreateWallet": "RESOURCE_EXISTS"}


def passed_by(method: MethodDescriptor) -> set[str]:
    """Return what is no message of others and of this method is one: with an unknown field."""
    if not method.input_type.fields:
        return {"not_utf8_1", "surrogate", "tag_zero"}
    texts = {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_MESSAGE}
    return set() if method.input_type.fields_by_number[1].type in texts else {"not_utf8_1", "surrogate"}


def test_bytes_that_are_no_message_are_invalid_everywhere(populated: Api, owner: psycopg.Connection) -> None:
    """Garbage, cut off, impossible wire types, no end, not UTF-8: INVALID_FIELDS on every method."""

    before = everything(owner)

    answers = {
        (path_of(method), kind): populated.call(path_of(method), sent)
        for method in all_methods()
        for kind, sent in NO_MESSAGES.items()
        # Text where a number is, or no field at all, is an unknown field, which a read ignores.
        if kind not in passed_by(method)
    }

    found = {what: (answer.code, answer.reason, answer.violations) for what, answer in answers.items()}
    assert found == dict.fromkeys(found, ("INVALID_ARGUMENT", "INVALID_FIELDS", ("request",)))
    assert everything(owner) == before


def test_an_empty_message_is_refused_or_a_list(populated: Api, owner: psycopg.Connection) -> None:
    """Nothing is required for the lists that are of all wallets, something everywhere else."""

    before = everything(owner)

    answers = {method.name: populated.call(path_of(method), b"") for method in all_methods()}

    assert {name for name, answer in answers.items() if answer.code == "OK"} == {
        *(
            "ListWallets",
            "ListTransactions",
            "ListWithdrawals",
            "ListScheduledDeposits",
            "ListHolds",
            "ListCommissionRules",
            "ListAttention",
            "GetFigures",
            "ListCurrencies",
            "ListWebhooks",
            "WatchEvents",
            "GetServiceInfo",
            "VerifyLedger",
            "ExportCheckpoints",
            "ListCheckpointKeys",
        )
    }
    assert {answer.reason for answer in answers.values() if answer.code != "OK"} == {"INVALID_FIELDS"}
    assert everything(owner) == before


BAD_TEXTS = (
    *("a" * 20_000, "wallets/al\x00ice", "wallets/alice\n", "wallets/a'; DROP TABLE wallets; --"),
    "wallets/💥",
)
BAD_TIMES = (
    *(Timestamp(seconds=seconds) for seconds in (253_402_300_800, -62_135_596_801, 2**63 - 1, -(2**63))),
    *(Timestamp(seconds=4_100_000_000, nanos=nanos) for nanos in (-1, 10**9)),
)
BAD_CURRENCIES = ("usd", "US", "USD\n")
NO_CURRENCIES = ("ABC", "XXX", "XAU")
"""Of the right shape: refused by the wallet, whose currency is another, where nothing before that is."""
# Any text is valid in these.
FREE = {
    *("description", "external_reference", "bank_account", "display_name", "owner", "etag", "value"),
    *("reason", "bank_evidence", "bank_reference"),
}


@dataclass(frozen=True, slots=True)
class InvalidVariant:
    """A request with one field spoilt: which, how, and whether it cannot be valid any more."""

    field: str
    value: object
    request: Message
    is_invalid: bool


def invalid_variants(request: Message) -> Iterator[InvalidVariant]:
    """Yield a request with each of its fields spoilt in turn, however deep it lies."""
    for path, field in leaves(request):
        for value, is_invalid in bad_values(path, field):
            yield InvalidVariant(".".join(map(str, path)), value, with_value(request, path, value), is_invalid)


def leaves(message: Message, way: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield the way to every field that is set, with its descriptor; of times and amounts also to the whole."""
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            continue
        if field.is_repeated:
            for place, one in enumerate(value[:1]):
                here = (*way, field.name, place)
                yield from leaves(one, here) if isinstance(one, Message) else [(here, field)]
        elif isinstance(value, Message) and not isinstance(value, FieldMask):
            yield (*way, field.name), field
            if not isinstance(value, Timestamp):
                yield from leaves(value, (*way, field.name))
        else:
            yield (*way, field.name), field


def bad_values(path: tuple[str | int, ...], field: Any) -> Iterator[tuple[object, bool]]:  # noqa: ANN401  # a descriptor
    """Yield values for a field, None to leave it out, each with whether it cannot be valid."""
    behaviours = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    may_be_zero = path[0] != "amount" and field.name == "minor_units"
    if not field.is_repeated and field.type != FieldDescriptor.TYPE_BOOL:
        yield None, field_behavior_pb2.REQUIRED in behaviours and not may_be_zero
    if field.message_type is Timestamp.DESCRIPTOR:
        yield from ((time, True) for time in BAD_TIMES)
    elif field.type == FieldDescriptor.TYPE_STRING:
        known = BAD_CURRENCIES if field.name == "currency_code" else BAD_TEXTS
        yield from ((text, field.name not in FREE) for text in known)
        yield from ((text, False) for text in NO_CURRENCIES if field.name == "currency_code")
    elif field.type == FieldDescriptor.TYPE_ENUM:
        yield from ((number, True) for number in (99, -1, 2**31 - 1))
    elif field.type in {FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64}:
        bits = 31 if field.type == FieldDescriptor.TYPE_INT32 else 63
        yield from ((number, True) for number in (-1, -(2**bits)))
        yield 2**bits - 1, False


def test_every_field_of_every_method_spoilt_is_refused_by_name(populated: Api, owner: psycopg.Connection) -> None:
    """Left out, huge, NUL, newlines, SQL, times of no year, currencies of no country, numbers of 64 bits."""

    before = all_but_requests(owner)
    tried = 0

    for path, request in valid_requests().items():
        for one in invalid_variants(request):
            answer = populated.call(path, one.request)
            assert is_ok_or_named_refusal(answer), (path, one.field, one.value, answer)
            if one.is_invalid:
                assert answer.code == "INVALID_ARGUMENT", (path, one.field, one.value, answer)
            tried += 1
    assert tried > 700
    assert all_but_requests(owner) == before


def test_what_comes_in_numbers_is_counted_and_looked_at(populated: Api, owner: psycopg.Connection) -> None:
    """Too many or no items, names, labels, paths; wrong ones among right ones."""

    before = all_but_requests(owner)
    requests = valid_requests()
    item = requests["TransactionService/BatchTransfer"].items[0]
    atomic = transaction_pb.BatchTransferRequest(mode=transaction_pb.BATCH_MODE_ATOMIC, request_id=str(uuid4()))
    cases: list[tuple[str, Callable[[Any], object]]] = [
        ("TransactionService/BatchTransfer", lambda request: request.ClearField("items")),
        ("TransactionService/BatchTransfer", lambda request: request.items.extend([item] * 999)),
        ("TransactionService/BatchTransfer", lambda request: setattr(request.items[1].amount, "minor_units", 0)),
        ("TransactionService/BatchTransfer", lambda request: setattr(request.items[1], "request_id", str(uuid4()))),
        ("TransactionService/BatchTransfer", lambda request: setattr(request, "mode", transaction_pb.BATCH_MODE_ITEM)),
        ("TransactionService/BatchTransfer", lambda request: setattr(request.items[1], "destination", "wallets/zoe")),
        ("WalletService/BatchGetWallets", lambda request: request.ClearField("names")),
        ("WalletService/BatchGetWallets", lambda request: request.names.extend(["wallets/alice"] * 99)),
        ("WalletService/BatchGetWallets", lambda request: request.names.append("wallets/Alice")),
        ("WalletService/UpdateWallet", lambda request: request.update_mask.ClearField("paths")),
        ("WalletService/UpdateWallet", lambda request: request.update_mask.paths.append("state")),
        ("WalletService/UpdateWallet", lambda request: request.update_mask.paths.append("*")),
        ("WalletService/CreateWallet", lambda request: setattr(request.wallet.overdraft_limit, "currency_code", "EUR")),
        ("TransactionService/Transfer", lambda request: setattr(request.max_commission, "currency_code", "EUR")),
        ("CommissionService/CreateCommissionRule", lambda request: setattr(request.rule, "minimum_minor_units", 3)),
    ]
    labels = [{"": ""}, {"K": ""}, {"1": ""}, {"k" * 64: ""}, {"k.k": ""}, {"k": "v" * 64}, {"k": "\x00"}, {"k": "\n"}]
    labels.append({f"k{number}": "" for number in range(33)})
    for path, marked in product(
        ("TransactionService/Deposit", "TransactionService/Transfer", "HoldService/CaptureHold"), labels
    ):
        cases.append((path, lambda request, marked=marked: request.labels.update(marked)))  # type: ignore[misc]  # bound
    cases += [
        ("WalletService/CreateWallet", lambda request, marked=marked: request.wallet.labels.update(marked))  # type: ignore[misc]  # bound
        for marked in labels
    ]

    for path, spoil in cases:
        request = type(requests[path])()
        request.CopyFrom(requests[path])
        spoil(request)
        answer = populated.call(path, request)
        assert (answer.code, answer.reason) == ("INVALID_ARGUMENT", "INVALID_FIELDS"), (path, request)
        assert answer.violations != ()
    assert populated.call("TransactionService/BatchTransfer", atomic).reason == "INVALID_FIELDS"
    assert all_but_requests(owner) == before


@pytest.mark.parametrize("names", [100, 5_000])
def test_a_request_that_is_wrong_in_many_places_is_still_answered_by_name(api: Api, names: int) -> None:
    """The refusal must fit into what gRPC carries: from 8 KB on it is dropped by chance, from 16 KB on always."""

    request = wallet_pb.BatchGetWalletsRequest(names=["Nobody!"] * names)

    answers = [api.call("WalletService/BatchGetWallets", request) for _ in range(12 if names == 100 else 1)]

    assert {(answer.code, answer.reason) for answer in answers} == {("INVALID_ARGUMENT", "INVALID_FIELDS")}
    assert all(answer.violations for answer in answers)


def test_unknown_fields_of_reads_are_passed_by(populated: Api) -> None:
    """A newer client's fields do no harm there."""

    unknown = b"\xfa\x3e\x05hello" + b"\xf8\x3e\x01"

    reads = {path: one for path, one in valid_requests().items() if f"/wallet.v1.{path}" in READS}
    answers = {path: populated.call(path, one.SerializeToString() + unknown) for path, one in reads.items()}

    assert [
        path
        for path, answer in answers.items()
        if not is_ok_or_named_refusal(answer) or answer.code == "INVALID_ARGUMENT"
    ] == []


def test_no_caller_is_quoted_a_commission_of_a_system_wallet(populated: Api) -> None:
    """A transfer from or to it would be refused, and so is its quote."""

    path = "CommissionService/QuoteCommission"
    for field in ("source", "destination"):
        for wallet in SYSTEM:
            answer = populated.call(path, with_value(valid_requests()[path], (field,), wallet))
            assert (answer.code, answer.metadata["permission"]) == ("PERMISSION_DENIED", "none")
