"""Bytes that no honest client sends: refused by name, never INTERNAL, and nothing changes."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from google.protobuf.descriptor import MethodDescriptor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wallet.v1 import schedule_service_pb2 as schedule_pb
from wallet.v1 import transaction_service_pb2 as transaction_pb
from wallet.v1 import wallet_service_pb2 as wallet_pb
from wallet.v1.money_pb2 import Money

from tests.support.callers import everything, open_funded, usd
from tests.support.wire import Answer, Wire, all_methods, path_of
from wallet_grpc.client import WalletClient

METHODS = pytest.mark.parametrize("method", all_methods(), ids=path_of)
READS = ("Get", "BatchGet", "List")

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
def wire(server: str) -> Iterator[Wire]:
    """Return a bare channel to the server."""
    with Wire(server) as wire:
        yield wire


def money() -> Money:
    """Return 5 US dollars' worth of cents."""
    return Money(currency_code="USD", minor_units=5)


def valid_requests(withdrawal: str = f"withdrawals/{uuid4()}") -> dict[str, Any]:
    """Return one well-formed request a method; those that change something name wallets that do not exist."""
    id_ = str(uuid4())
    return {
        "WalletService/CreateWallet": wallet_pb.CreateWalletRequest(
            wallet_id="alice", wallet=wallet_pb.Wallet(currency_code="USD", owner="o", display_name="d"), request_id=id_
        ),
        "WalletService/GetWallet": wallet_pb.GetWalletRequest(name="wallets/alice"),
        "WalletService/BatchGetWallets": wallet_pb.BatchGetWalletsRequest(names=["wallets/alice", "wallets/bob"]),
        "WalletService/ListWallets": wallet_pb.ListWalletsRequest(
            page_size=3, state=wallet_pb.Wallet.STATE_ACTIVE, currency_code="USD"
        ),
        "TransactionService/Deposit": transaction_pb.DepositRequest(
            wallet="wallets/zoe", amount=money(), request_id=id_, description="d", external_reference="r"
        ),
        "TransactionService/Transfer": transaction_pb.TransferRequest(
            source="wallets/zoe", destination="wallets/yves", amount=money(), request_id=id_, description="d"
        ),
        "TransactionService/GetTransaction": transaction_pb.GetTransactionRequest(name=f"transactions/{uuid4()}"),
        "TransactionService/ListTransactions": transaction_pb.ListTransactionsRequest(
            wallet="wallets/bob", type=transaction_pb.Transaction.TYPE_TRANSFER
        ),
        "ScheduleService/ScheduleWithdrawal": schedule_pb.ScheduleWithdrawalRequest(
            wallet="wallets/zoe", amount=money(), request_id=id_, bank_account="b", description="d"
        ),
        "ScheduleService/GetWithdrawal": schedule_pb.GetWithdrawalRequest(name=withdrawal),
        "ScheduleService/ListWithdrawals": schedule_pb.ListWithdrawalsRequest(wallet="wallets/alice", page_size=2),
        "ScheduleService/CancelWithdrawal": schedule_pb.CancelWithdrawalRequest(name=withdrawal, request_id=id_),
    }


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


def test_every_method_has_a_valid_request_here() -> None:
    """A new method must be tried, too."""

    assert {path_of(method) for method in all_methods()} == set(valid_requests())


def test_bytes_that_are_no_message_are_invalid_everywhere(
    client: WalletClient, wire: Wire, owner: psycopg.Connection
) -> None:
    """Garbage, cut off, impossible wire types, no end, not UTF-8: INVALID_FIELDS on every method."""

    open_funded(client, alice=1000, bob=0)
    before = everything(owner)

    answers = {
        (path_of(method), kind): wire.call(path_of(method), sent)
        for method in all_methods()
        for kind, sent in NO_MESSAGES.items()
        # A list's first field may be a number: then text there is an unknown field, which is nobody's fault.
        if not (path_of(method) == "WalletService/ListWallets" and kind in {"not_utf8_1", "surrogate"})
    }

    told = {what: (answer.code, answer.reason, answer.violations) for what, answer in answers.items()}
    assert told == dict.fromkeys(told, ("INVALID_ARGUMENT", "INVALID_FIELDS", ("request",)))
    assert everything(owner) == before


def test_an_empty_message_is_refused_or_a_list(client: WalletClient, wire: Wire, owner: psycopg.Connection) -> None:
    """Nothing is required for the lists of all wallets and withdrawals, something everywhere else."""

    open_funded(client, alice=1000)
    before = everything(owner)

    answers = {method.name: wire.call(path_of(method), b"") for method in all_methods()}

    assert {name for name, answer in answers.items() if answer.code == "OK"} == {"ListWallets", "ListWithdrawals"}
    assert {answer.reason for answer in answers.values() if answer.code != "OK"} == {"INVALID_FIELDS"}
    assert everything(owner) == before


BAD_TEXTS = {
    "huge": "a" * 500_000,
    "nul": "wallets/al\x00ice",
    "newline": "wallets/alice\n",
    "lines": "wallets/alice\nwallets/bob",
    "blank": " ",
    "injection": "wallets/a'; DROP TABLE wallets; --",
    "emoji": "wallets/💥",
    "percent": "%s%(x)s{0}",
}


@METHODS
def test_bad_texts_in_every_field_are_refused_by_name(
    client: WalletClient, wire: Wire, owner: psycopg.Connection, method: MethodDescriptor
) -> None:
    """Huge ones, NUL, newlines, other people's languages: a refusal of ours or nothing wrong at all."""

    open_funded(client, alice=1000, bob=0)
    before = everything(owner)
    fields = [field for field in method.input_type.fields if field.type == field.TYPE_STRING]
    free = {"description", "external_reference", "bank_account"}

    for field in fields:
        for kind, text in BAD_TEXTS.items():
            request = valid_requests()[path_of(method)]
            setattr(request, field.name, text) if not field.is_repeated else request.names.append(text)
            answer = wire.call(path_of(method), request)
            assert well_told(answer), (field.name, kind, answer)
            if field.name not in free:
                assert answer.code == "INVALID_ARGUMENT", (field.name, kind, answer.code)
    if method.name not in {"CreateWallet", "Deposit", "Transfer", "ScheduleWithdrawal"}:
        assert everything(owner) == before
    assert everything(owner)["entries"] == before["entries"]


def test_names_with_a_newline_at_the_end_are_refused(
    client: WalletClient, wire: Wire, owner: psycopg.Connection
) -> None:
    """A pattern's ``$`` must be the end: neither a UUID nor a wallet is taken for what it looks like."""

    open_funded(client, alice=1000, bob=0)
    name = client.schedule_withdrawal("wallets/alice", usd(1)).withdrawal.name
    paid = client.deposit("wallets/alice", usd(1)).transaction.name
    before = everything(owner)
    calls: dict[str, Any] = {
        "ScheduleService/GetWithdrawal": schedule_pb.GetWithdrawalRequest(name=f"{name}\n"),
        "ScheduleService/CancelWithdrawal": schedule_pb.CancelWithdrawalRequest(
            name=f"{name}\n", request_id=str(uuid4())
        ),
        "TransactionService/GetTransaction": transaction_pb.GetTransactionRequest(name=f"{paid}\n"),
        "ScheduleService/ListWithdrawals": schedule_pb.ListWithdrawalsRequest(wallet="wallets/alice\n"),
    }

    told = {path: wire.call(path, request).reason for path, request in calls.items()}

    assert told == dict.fromkeys(calls, "INVALID_FIELDS")
    assert everything(owner) == before


@pytest.mark.parametrize("names", [100, 20_000])
def test_a_request_that_is_wrong_in_many_places_is_still_answered_by_name(server: str, names: int) -> None:
    """The refusal must fit into what gRPC carries: from 8 KB on it is dropped by chance, from 16 KB on always."""

    request = wallet_pb.BatchGetWalletsRequest(names=["Nobody!"] * names)

    with Wire(server) as wire:
        answers = [wire.call("WalletService/BatchGetWallets", request) for _ in range(12 if names == 100 else 1)]

    assert {(answer.code, answer.reason) for answer in answers} == {("INVALID_ARGUMENT", "INVALID_FIELDS")}
    assert all(answer.violations for answer in answers)


def test_unknown_fields_are_passed_by(client: WalletClient, wire: Wire) -> None:
    """A newer client's fields do no harm, on any method."""

    open_funded(client, alice=1000, bob=0)
    unknown = b"\xfa\x3e\x05hello" + b"\xf8\x3e\x01"
    requests = valid_requests(client.schedule_withdrawal("wallets/alice", usd(1)).withdrawal.name)

    answers = {path: wire.call(path, request.SerializeToString() + unknown) for path, request in requests.items()}

    assert [
        path for path, answer in answers.items() if not well_told(answer) or answer.code == "INVALID_ARGUMENT"
    ] == []


@pytest.mark.parametrize("wallet", SYSTEM)
def test_a_system_wallet_is_changed_by_nobody(
    client: WalletClient, wire: Wire, owner: psycopg.Connection, wallet: str
) -> None:
    """In every wallet field of every call that changes something; whether it exists or not is not told."""

    open_funded(client, alice=1000)
    before = everything(owner)
    tried = 0

    for method in all_methods():
        if method.name.startswith(READS):
            continue
        for field in {"wallet", "source", "destination"} & set(method.input_type.fields_by_name):
            if method.input_type.fields_by_name[field].message_type is not None:
                continue
            request = valid_requests()[path_of(method)]
            setattr(request, field, wallet)
            answer = wire.call(path_of(method), request)
            assert (answer.code, answer.reason) == ("PERMISSION_DENIED", "PERMISSION_MISSING"), (method.name, field)
            assert answer.metadata == {"permission": "none"}
            tried += 1
    assert tried == 4
    assert everything(owner) == before


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_valid_message_with_bytes_changed_is_well_told(
    mutated: Callable[[bytes, str], None], data: st.DataObject
) -> None:
    """Cut, flipped, doubled or filled up anywhere: never INTERNAL, never UNKNOWN, and no money moves."""

    path = data.draw(st.sampled_from(sorted(valid_requests())), label="method")
    sent = bytearray(valid_requests()[path].SerializeToString())
    for _ in range(data.draw(st.integers(1, 4), label="changes")):
        at = data.draw(st.integers(0, len(sent)), label="at")
        match data.draw(st.sampled_from(["flip", "cut", "insert", "double", "drop"]), label="change"):
            case "flip" if at < len(sent):
                sent[at] ^= 1 << data.draw(st.integers(0, 7), label="bit")
            case "cut":
                del sent[at:]
            case "insert":
                sent[at:at] = data.draw(st.binary(min_size=1, max_size=6), label="bytes")
            case "double":
                sent[at:at] = sent[at : at + 12]
            case _:
                del sent[at : at + 2]
    mutated(bytes(sent), path)


@pytest.fixture
def mutated(client: WalletClient, wire: Wire, owner: psycopg.Connection) -> Callable[[bytes, str], None]:
    """Return a check of one changed message."""
    open_funded(client, alice=1000, bob=0)
    before = everything(owner)

    def check(sent: bytes, path: str) -> None:
        answer = wire.call(path, sent)
        assert well_told(answer), answer
        assert everything(owner)["entries"] == before["entries"]

    return check
