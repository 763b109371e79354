"""Bytes that no honest client sends: refused by name, never INTERNAL, and nothing changes."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from google.api import field_behavior_pb2  # type: ignore[import-untyped]  # google.api has no types
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from wallet.v1 import audit_service_pb2 as audit_pb
from wallet.v1 import commission_pb2
from wallet.v1 import commission_service_pb2 as commission_pb
from wallet.v1 import event_service_pb2 as event_pb
from wallet.v1 import hold_service_pb2 as hold_pb
from wallet.v1 import operations_service_pb2 as operations_pb
from wallet.v1 import schedule_service_pb2 as schedule_pb
from wallet.v1 import transaction_service_pb2 as transaction_pb
from wallet.v1 import wallet_service_pb2 as wallet_pb

from tests.support.asking import Asking
from tests.support.callers import everything
from tests.support.long_history import BEGAN
from tests.support.one_of_each import LATER
from tests.support.requests import money, stamp
from tests.support.wire import Answer, all_methods, path_of
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


@pytest.fixture
def books(asking: Asking) -> Asking:
    """Return a channel to books with two wallets, one with 1,000 in it, and an order, a hold and a rule."""
    asking.open_all("alice", "bob")
    asking.deposit("alice", 1000)
    for kind in (schedule_pb.ScheduleWithdrawalRequest, schedule_pb.ScheduleDepositRequest):
        asking.ok(kind(wallet="wallets/alice", amount=money(1), execute_time=stamp(LATER), request_id=str(uuid4())))
    asking.ok(
        hold_pb.PlaceHoldRequest(
            wallet="wallets/alice", amount=money(1), expire_time=stamp(LATER), request_id=str(uuid4())
        )
    )
    rule = commission_pb.CommissionRule(currency_code="EUR", payer=commission_pb2.COMMISSION_PAYER_SOURCE)
    asking.ok(commission_pb.CreateCommissionRuleRequest(rule=rule, request_id=str(uuid4())))
    return asking


def valid_requests() -> dict[str, Any]:
    """Return one well-formed request a method; what would change something names what is not there, or only asks."""
    nothing = uuid4()
    amount, zoe, yves = money(5), "wallets/zoe", "wallets/yves"
    transfer: dict[str, Any] = {
        "source": zoe,
        "destination": yves,
        "amount": amount,
        "max_commission": money(1),
        "description": "d",
    }
    past: dict[str, Any] = {"wallet": "wallets/alice", "start_time": stamp(BEGAN), "end_time": stamp(LATER)}
    page: dict[str, Any] = {"page_size": 3, "filter": 'create_time < "2099-01-01T00:00:00Z"'}
    wallet = wallet_pb.Wallet(
        currency_code="USD", owner="o", display_name="d", labels={"k": "v"}, overdraft_limit=money(7)
    )
    changed = wallet_pb.Wallet(name=zoe, display_name="d", etag='"1"', overdraft_limit=money(7))
    rule = commission_pb.CommissionRule(
        currency_code="USD",
        threshold_minor_units=1,
        rate_millionths=1,
        fixed_minor_units=1,
        minimum_minor_units=1,
        maximum_minor_units=2,
        payer=commission_pb2.COMMISSION_PAYER_SOURCE,
        label=commission_pb.Label(key="k", value="v"),
        start_time=stamp(LATER),
        end_time=Timestamp(seconds=4_102_444_800),
    )
    mask = FieldMask(paths=["display_name", "overdraft_limit"])
    on_zoe: dict[str, Any] = {"name": zoe, "etag": '"1"'}
    atomic = transaction_pb.BATCH_MODE_ATOMIC
    resolved: dict[str, Any] = {"reason": "r", "bank_evidence": "w", "destination": yves}
    resolved["resolution"] = schedule_pb.RESOLUTION_KIND_APPLIED_TO_WALLET
    requests: list[Message] = [
        wallet_pb.CreateWalletRequest(wallet_id="alice", wallet=wallet, request_id=str(uuid4()), validate_only=True),
        wallet_pb.GetWalletRequest(name="wallets/alice", as_of=stamp(BEGAN)),
        wallet_pb.BatchGetWalletsRequest(names=["wallets/alice", "wallets/bob"]),
        wallet_pb.ListWalletsRequest(**page),
        wallet_pb.ListCurrenciesRequest(),
        wallet_pb.UpdateWalletRequest(wallet=changed, update_mask=mask, request_id=str(uuid4())),
        wallet_pb.FreezeWalletRequest(**on_zoe, request_id=str(uuid4())),
        wallet_pb.UnfreezeWalletRequest(**on_zoe, request_id=str(uuid4())),
        wallet_pb.CloseWalletRequest(**on_zoe, request_id=str(uuid4())),
        transaction_pb.DepositRequest(
            wallet=zoe,
            amount=amount,
            request_id=str(uuid4()),
            description="d",
            external_reference="r",
            labels={"k": "v"},
        ),
        transaction_pb.TransferRequest(**transfer, request_id=str(uuid4()), external_reference="r", labels={"k": "v"}),
        transaction_pb.BatchTransferRequest(
            mode=atomic, items=[transaction_pb.TransferItem(**transfer)] * 2, request_id=str(uuid4())
        ),
        transaction_pb.ReverseTransactionRequest(
            name=f"transactions/{nothing}", amount=amount, request_id=str(uuid4()), description="d"
        ),
        transaction_pb.GetTransactionRequest(name=f"transactions/{nothing}"),
        transaction_pb.ListTransactionsRequest(wallet="wallets/bob", page_size=3, filter="type = TRANSFER"),
        transaction_pb.GetStatementRequest(**past, page_size=3),
        transaction_pb.ExportStatementRequest(**past),
        transaction_pb.GetReceiptRequest(name=f"transactions/{nothing}", language="fa"),
        schedule_pb.ScheduleWithdrawalRequest(
            wallet=zoe,
            amount=amount,
            request_id=str(uuid4()),
            bank_account="b",
            description="d",
            execute_time=stamp(LATER),
        ),
        schedule_pb.GetWithdrawalRequest(name=f"withdrawals/{nothing}"),
        schedule_pb.ListWithdrawalsRequest(wallet="wallets/alice", **page),
        schedule_pb.CancelWithdrawalRequest(name=f"withdrawals/{nothing}", request_id=str(uuid4())),
        schedule_pb.ScheduleDepositRequest(
            wallet=zoe,
            amount=amount,
            request_id=str(uuid4()),
            bank_account="b",
            description="d",
            external_reference="r",
        ),
        schedule_pb.GetScheduledDepositRequest(name=f"scheduledDeposits/{nothing}"),
        schedule_pb.ListScheduledDepositsRequest(wallet="wallets/alice", **page),
        schedule_pb.CancelScheduledDepositRequest(name=f"scheduledDeposits/{nothing}", request_id=str(uuid4())),
        hold_pb.PlaceHoldRequest(
            wallet=zoe, amount=amount, expire_time=stamp(LATER), request_id=str(uuid4()), description="d"
        ),
        hold_pb.CaptureHoldRequest(
            name=f"holds/{nothing}",
            destination=zoe,
            amount=amount,
            request_id=str(uuid4()),
            description="d",
            labels={"k": "v"},
        ),
        hold_pb.VoidHoldRequest(name=f"holds/{nothing}", request_id=str(uuid4())),
        hold_pb.GetHoldRequest(name=f"holds/{nothing}"),
        hold_pb.ListHoldsRequest(wallet="wallets/alice", **page),
        commission_pb.CreateCommissionRuleRequest(rule=rule, request_id=str(uuid4()), validate_only=True),
        commission_pb.GetCommissionRuleRequest(name=f"commissionRules/{nothing}"),
        commission_pb.ListCommissionRulesRequest(**page),
        commission_pb.EndCommissionRuleRequest(
            name=f"commissionRules/{nothing}", end_time=stamp(LATER), request_id=str(uuid4())
        ),
        commission_pb.QuoteCommissionRequest(source=zoe, destination=yves, amount=amount),
        audit_pb.VerifyLedgerRequest(
            since="checkpoints/77",
            one_snapshot=True,
            kept=[audit_pb.Checkpoint(number=77, statement="{}", key_id="0" * 16, signature=bytes(64))],
        ),
        audit_pb.ExportCheckpointsRequest(first_number=77),
        audit_pb.ListCheckpointKeysRequest(),
        operations_pb.ListAttentionRequest(page_size=3),
        operations_pb.ResolveWithdrawalRequest(name=f"withdrawals/{nothing}", **resolved, request_id=str(uuid4())),
        operations_pb.ResolveScheduledDepositRequest(
            name=f"scheduledDeposits/{nothing}", **resolved, request_id=str(uuid4())
        ),
        operations_pb.ResolveDiscrepancyRequest(name="bankStatementLines/77", reason="r", request_id=str(uuid4())),
        operations_pb.AcceptBankStatementRequest(name="bankStatements/77", reason="r", request_id=str(uuid4())),
        event_pb.WatchEventsRequest(wallet="wallets/alice", types=[event_pb.Event.TYPE_WALLET_FROZEN]),
    ]
    by_type = {request.DESCRIPTOR.full_name: request for request in requests}
    return {path_of(method): by_type[method.input_type.full_name] for method in all_methods()}


def well_told(answer: Answer) -> bool:
    """Say whether an answer is a success or a refusal of ours that blames the caller by name."""
    if answer.code == "OK":
        return True
    return (
        answer.code in {"INVALID_ARGUMENT", "NOT_FOUND", "PERMISSION_DENIED", "FAILED_PRECONDITION", "ALREADY_EXISTS"}
        and [info.domain for info in answer.infos] == ["wallet.example.com"]
        and answer.reason != ""
        and (answer.reason != "INVALID_FIELDS" or answer.violations != ())
    )


def unchanged(owner: psycopg.Connection) -> dict[str, str]:
    """Return a fingerprint of everything but the requests, where refusals of what is well-formed are kept."""
    prints = everything(owner)
    del prints["requests"]
    return prints


def test_every_method_has_a_valid_request_here(books: Asking) -> None:
    """A new method must be tried, too; what stands here is refused for nothing but what is not there."""

    answers = {path: books.call(path, request) for path, request in valid_requests().items()}

    told = {path: answer.reason for path, answer in answers.items() if answer.reason not in {"", "RESOURCE_NOT_FOUND"}}
    assert told == {"WalletService/CreateWallet": "RESOURCE_EXISTS"}


def passed_by(method: MethodDescriptor) -> set[str]:
    """Return what is no message of others and of this method is one: with an unknown field."""
    if not method.input_type.fields:
        return {"not_utf8_1", "surrogate", "tag_zero"}
    texts = {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_MESSAGE}
    return set() if method.input_type.fields_by_number[1].type in texts else {"not_utf8_1", "surrogate"}


def test_bytes_that_are_no_message_are_invalid_everywhere(books: Asking, owner: psycopg.Connection) -> None:
    """Garbage, cut off, impossible wire types, no end, not UTF-8: INVALID_FIELDS on every method."""

    before = everything(owner)

    answers = {
        (path_of(method), kind): books.call(path_of(method), sent)
        for method in all_methods()
        for kind, sent in NO_MESSAGES.items()
        # Text where a number is, or no field at all, is an unknown field, which is nobody's fault in a read.
        if kind not in passed_by(method)
    }

    told = {what: (answer.code, answer.reason, answer.violations) for what, answer in answers.items()}
    assert told == dict.fromkeys(told, ("INVALID_ARGUMENT", "INVALID_FIELDS", ("request",)))
    assert everything(owner) == before


def test_an_empty_message_is_refused_or_a_list(books: Asking, owner: psycopg.Connection) -> None:
    """Nothing is required for the lists that are of all wallets, something everywhere else."""

    before = everything(owner)

    answers = {method.name: books.call(path_of(method), b"") for method in all_methods()}

    assert {name for name, answer in answers.items() if answer.code == "OK"} == {
        *(
            "ListWallets",
            "ListWithdrawals",
            "ListScheduledDeposits",
            "ListHolds",
            "ListCommissionRules",
            "ListAttention",
            "ListCurrencies",
            "WatchEvents",
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
# Of these any text is one of somebody's.
FREE = {
    *("description", "external_reference", "bank_account", "display_name", "owner", "etag", "value"),
    *("reason", "bank_evidence", "bank_reference"),
}


@dataclass(frozen=True, slots=True)
class Spoilt:
    """A request with one field spoilt: which, how, and whether it cannot be valid any more."""

    field: str
    value: object
    request: Message
    is_invalid: bool


def spoilt(request: Message) -> Iterator[Spoilt]:
    """Yield a request with each of its fields spoilt in turn, however deep it lies."""
    for path, field in leaves(request):
        for value, is_invalid in bad_values(path, field):
            yield Spoilt(".".join(map(str, path)), value, changed(request, path, value), is_invalid)


def found(message: Message, path: Sequence[str | int]) -> Any:  # noqa: ANN401  # any field's
    """Return what stands at a place in a message."""
    value: Any = message
    for step in path:
        value = value[step] if isinstance(step, int) else getattr(value, step)
    return value


def changed(request: Message, path: Sequence[str | int], value: object) -> Message:
    """Return a copy with something else in one place, None for nothing."""
    copy = type(request)()
    copy.CopyFrom(request)
    *way, last = path
    parent = found(copy, way)
    if isinstance(last, int):
        parent[last] = value
    elif value is None:
        parent.ClearField(last)
    elif isinstance(value, Message):
        getattr(parent, last).CopyFrom(value)
    else:
        setattr(parent, last, value)
    return copy


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


def test_every_field_of_every_method_spoilt_is_refused_by_name(books: Asking, owner: psycopg.Connection) -> None:
    """Left out, huge, NUL, newlines, SQL, times of no year, currencies of no country, numbers of 64 bits."""

    before = unchanged(owner)
    tried = 0

    for path, request in valid_requests().items():
        for one in spoilt(request):
            answer = books.call(path, one.request)
            assert well_told(answer), (path, one.field, one.value, answer)
            if one.is_invalid:
                assert answer.code == "INVALID_ARGUMENT", (path, one.field, one.value, answer)
            tried += 1
    assert tried > 700
    assert unchanged(owner) == before


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
    asked = type(request)()
    asked.CopyFrom(request)
    at = asked
    for step in way[:-1]:
        at = getattr(at, step)
        if step == "labels":
            at[text if way[-1] == "key" else "a"] = "v" if way[-1] == "key" else text
            return asked
        if not isinstance(at, Message):
            at = at[0]
    if isinstance(getattr(at, way[-1]), str):
        setattr(at, way[-1], text)
    else:
        getattr(at, way[-1])[:] = [text]
    return asked


def all_texts() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the path of every call, with the way to each text of its request."""
    for method in all_methods():
        for way in texts_of(method.input_type):
            yield path_of(method), way


def test_a_control_character_is_refused_in_every_text_of_every_call(books: Asking, owner: psycopg.Connection) -> None:
    """Within and at the end, by the field's name; a newline too where a text has one line."""

    before = unchanged(owner)
    tried = set()
    requests = valid_requests()

    for path, way in all_texts():
        tried.add((path, way))
        for character in CONTROLS + ("" if way[-1] in MANY_LINES else "\n"):
            for text in (f"a{character}b", f"a{character}"):
                answer = books.call(path, with_text(requests[path], way, text))
                assert answer.code == "INVALID_ARGUMENT", (path, way, text, answer)
                assert answer.reason in {"INVALID_FIELDS", "PAGE_TOKEN_INVALID"}, (path, way, text, answer)
                named = {re.split(r"[.\[]", violation)[0] for violation in answer.violations}
                assert way[0] in named or answer.reason == "PAGE_TOKEN_INVALID", (path, way, text, answer)
    assert len(tried) > 150
    assert unchanged(owner) == before


NOT_CHOSEN = (
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
)


def test_an_id_that_nobody_chose_is_refused_wherever_one_is_chosen(books: Asking, owner: psycopg.Connection) -> None:
    """The nil and the max UUID are what programs send that forgot: each would be taken for a repeat of another's."""

    before = unchanged(owner)
    tried = set()
    requests = valid_requests()

    for path, way in all_texts():
        if not way[-1].endswith("_id"):
            continue
        tried.add((path, way))
        for text in NOT_CHOSEN:
            answer = books.call(path, with_text(requests[path], way, text))
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
    assert unchanged(owner) == before


def test_an_id_with_as_few_digits_as_those_is_taken(books: Asking) -> None:
    """Ids of wallets like ``0`` and ``ff``, and request ids of zeros but for one."""

    request_id = "00000000-0000-0000-0000-000000000001"
    wallet = wallet_pb.Wallet(currency_code="USD")

    for few in ("0", "ff", "0-0"):
        books.ok(wallet_pb.CreateWalletRequest(wallet_id=few, wallet=wallet, request_id=request_id, validate_only=True))


def test_a_text_may_have_lines_and_be_in_any_language(books: Asking) -> None:
    """What forms or directs writing is no control character; what was said is told again, to the letter."""

    said = "\u200fسلم\u200cت\u200e e\u0301 \u00a0\u202b\U0001f469\u200d\U0001f680"
    deposit = transaction_pb.DepositRequest(
        wallet="wallets/alice",
        amount=money(1),
        description=f"{said}\n\n{said}\n",
        external_reference=said,
        labels={"k": said},
        request_id=str(uuid4()),
    )
    made = books.ok(deposit).transaction
    renamed = books.update("alice", display_name=said)

    assert (made.description, made.external_reference) == (deposit.description, said)
    assert (made.labels["k"], renamed.display_name) == (said, said)


def test_what_comes_in_numbers_is_counted_and_looked_at(books: Asking, owner: psycopg.Connection) -> None:
    """Too many or no items, names, labels, paths; wrong ones among right ones."""

    before = unchanged(owner)
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
        answer = books.call(path, request)
        assert (answer.code, answer.reason) == ("INVALID_ARGUMENT", "INVALID_FIELDS"), (path, request)
        assert answer.violations != ()
    assert books.call("TransactionService/BatchTransfer", atomic).reason == "INVALID_FIELDS"
    assert unchanged(owner) == before


@pytest.mark.parametrize("names", [100, 5_000])
def test_a_request_that_is_wrong_in_many_places_is_still_answered_by_name(asking: Asking, names: int) -> None:
    """The refusal must fit into what gRPC carries: from 8 KB on it is dropped by chance, from 16 KB on always."""

    request = wallet_pb.BatchGetWalletsRequest(names=["Nobody!"] * names)

    answers = [asking.call("WalletService/BatchGetWallets", request) for _ in range(12 if names == 100 else 1)]

    assert {(answer.code, answer.reason) for answer in answers} == {("INVALID_ARGUMENT", "INVALID_FIELDS")}
    assert all(answer.violations for answer in answers)


def test_unknown_fields_of_reads_are_passed_by(books: Asking) -> None:
    """A newer client's fields do no harm there."""

    unknown = b"\xfa\x3e\x05hello" + b"\xf8\x3e\x01"

    reads = {path: one for path, one in valid_requests().items() if f"/wallet.v1.{path}" in READS}
    answers = {path: books.call(path, one.SerializeToString() + unknown) for path, one in reads.items()}

    assert [
        path for path, answer in answers.items() if not well_told(answer) or answer.code == "INVALID_ARGUMENT"
    ] == []


def test_nobody_is_quoted_a_commission_of_a_system_wallet(books: Asking) -> None:
    """A transfer from or to it would be refused, and so is its quote."""

    path = "CommissionService/QuoteCommission"
    for field in ("source", "destination"):
        for wallet in SYSTEM:
            answer = books.call(path, changed(valid_requests()[path], (field,), wallet))
            assert (answer.code, answer.metadata["permission"]) == ("PERMISSION_DENIED", "none")
