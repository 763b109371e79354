"""A field that this server does not know: refused in a call that changes something, ignored in a read."""

from typing import Any

import psycopg
import pytest
from google.protobuf.message import Message

from tests.support.callers import everything
from tests.support.fuzz_trial import METHODS, WRITES
from tests.support.requests import a_transfer, an_item, atomic, changed, new_id
from tests.support.world import World, bases

# Field 1999 with the number 7, as a newer client would send it.
NUMBER = 1999
UNKNOWN = b"\xf8\x7c\x07"


def with_unknown(message: Message) -> Any:  # noqa: ANN401  # a message of the same kind
    """Return a copy of a message that has a field which this server does not know."""
    return type(message).FromString(message.SerializeToString() + UNKNOWN)


def test_a_change_with_an_unknown_field_is_refused_by_its_number(world: World, owner: psycopg.Connection) -> None:
    """On every call that changes something; nothing is done, and without the field it would be."""

    operator = world.callers["operator"]
    before = everything(owner)
    for path, base in bases(world.names).items():
        request = changed(base, request_id=new_id())
        answer = operator.call(path, with_unknown(request))
        assert (answer.code, answer.reason, answer.outcome) == ("INVALID_ARGUMENT", "INVALID_FIELDS", "NOT_DONE_RETRY")
        assert answer.violations == (str(NUMBER),), path
        assert operator.call(path, changed(request, validate_only=True)).code == "OK", path
    assert everything(owner) == before


@pytest.mark.parametrize(
    ("place", "request_"),
    [
        ("amount.1999", lambda: _with_unknown_in(a_transfer("alice", "bob", 1), "amount")),
        ("items[1].1999", lambda: atomic([an_item("alice", "bob", 1), with_unknown(an_item("alice", "bob", 1))])),
        (
            "items[0].amount.1999",
            lambda: atomic([_with_unknown_in(an_item("alice", "bob", 1), "amount"), an_item("alice", "bob", 1)]),
        ),
    ],
)
def test_nested_ones_are_named_by_their_place(world: World, place: str, request_: Any) -> None:  # noqa: ANN401  # makes a message
    """In a message within, and in one of many."""

    answer = world.callers["operator"].answer(request_())

    assert (answer.reason, answer.violations) == ("INVALID_FIELDS", (place,))


def _with_unknown_in(message: Any, field: str) -> Any:  # noqa: ANN401  # any message
    getattr(message, field).MergeFromString(UNKNOWN)
    return message


def test_a_read_ignores_unknown_fields(world: World) -> None:
    """As gRPC does: an older server answers a newer client."""

    fields = {"WalletService/GetWallet": "wallets/alice", "HoldService/GetHold": world.names["held"]}
    for path, name in fields.items():
        assert path not in WRITES
        request = f"\n{chr(len(name))}{name}".encode() + UNKNOWN
        assert world.callers["operator"].call(path, request).code == "OK", METHODS[path].name
