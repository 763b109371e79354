"""Requests generated from the descriptors, so that no method and no field is forgotten: valid, odd, and bytes.

A seed generates the same requests every time, with any answers.
"""

import random
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from google.api import field_behavior_pb2  # type: ignore[import-untyped]  # google.api has no types
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

Field = Any
"""A field's descriptor."""
Made = Any
"""A message of any type."""

Names = Mapping[str, Sequence[str]]
"""Names of what is there, by collection: ``wallets``, ``holds`` and so on."""

_RULES = "buf.validate.field"

# A placeholder for bytes that are no UTF-8, which no message can be given: they replace it once it is serialized.
_NOT_UTF8 = ("~not-utf8~", b"\xc3\x28\xed\xa0\x80\xff\xfe\xc0\x80\xf5")

_TEXTS = (
    *("", " ", "\x00", "a\x00b", "\n", "wallets/alice\n", "\x7f\x01", "%s%n{0}", "'; DROP TABLE wallets; --", "\\"),
    *(
        "💥",
        "e\u0301\u202e\u200b",
        "\ufeff",
        "\U0010ffff",
        "\ufffe",
        "İstanbul",
        "الف",
        "x" * 257,
        "ل" * 300,
        "x" * 9000,
    ),
    *("wallets/", "wallets/-", "wallets/system:external:USD", "wallets/system:nonsense:USD", "wallets/system:x:usd"),
    *(
        "wallets/alice/",
        "holds/1",
        "transactions/*",
        "bankStatementLines/0",
        "bankStatementLines/999999999999999999",
        "../../etc/passwd",
    ),
    *("00000000-0000-0000-0000-000000000000", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", "{0}", "null", "NaN", "-0"),
    *("USD", "usd", "XXX", "ZZZ", "JPY", "EUR", '"1"', '"99999999999999999999"', "*", "fa", "en-US", _NOT_UTF8[0]),
)
_TIMES = (
    *((0, 0), (1, 0), (-1, 999_999_999), (4_102_444_800, 0), (4_102_444_800, 1), (253_402_300_799, 999_999_999)),
    *((253_402_300_800, 0), (-62_135_596_800, 0), (-62_135_596_801, 0), (2**63 - 1, 0), (-(2**63), -1), (0, -1)),
    *((0, 2**31 - 1), (0, -(2**31)), (100, 10**9), (4_102_444_800, 999_999_999)),
)
_PATHS = (
    "display_name",
    "overdraft_limit",
    "labels",
    "labels.k",
    "state",
    "*",
    "",
    "display_name,labels",
    "wallet.name",
)
_UNKNOWN = (b"\xfa\x3e\x05hello", b"\xf8\x3e\x01", b"\xf9\x3e" + b"\x00" * 8, b"\xfd\x3e" + b"\xff" * 4)
_YEAR_S = 31_536_000


def message_of(kind: Descriptor) -> type[Message]:
    """Return a descriptor's class."""
    return message_factory.GetMessageClass(kind)


def collection_of(field: Field) -> str | None:
    """Return what a field names by its rule in the protos, e.g. ``wallets``; None where it names nothing."""
    if field.type != FieldDescriptor.TYPE_STRING:
        return None
    if (field.containing_type.name, field.name) == ("Wallet", "name"):
        return "wallets"  # the rule for it applies where a wallet is to be changed
    if (field.containing_type.name, field.name) == ("Webhook", "name"):
        return "webhooks"
    rules = next((value for option, value in field.GetOptions().ListFields() if option.full_name == _RULES), None)
    if rules is None:
        return None
    pattern = (rules.repeated.items if field.is_repeated else rules).string.pattern
    found = re.match(r"\^([a-zA-Z]+)/", pattern)
    return found[1] if found else None


def is_required(field: Field) -> bool:
    """Return whether a field must be set."""
    return field_behavior_pb2.REQUIRED in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]


def is_output_only(field: Field) -> bool:
    """Return whether a field is in answers only."""
    return field_behavior_pb2.OUTPUT_ONLY in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]


def is_map(field: Field) -> bool:
    """Return whether a field is a map."""
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def is_control(character: str) -> bool:
    """Return whether it is a control character, which no text may have but for newlines in some."""
    return unicodedata.category(character) == "Cc"


class Chance:
    """Makes requests up."""

    def __init__(self, seed: str, names: Names) -> None:
        self._random = random.Random(seed)  # noqa: S311  # requests, not secrets
        self._names = names

    @property
    def webhook(self) -> str:
        """The name of a webhook that there is."""
        return self._names["webhooks"][0]

    # Valid ones.

    def valid(self, kind: Descriptor) -> Made:
        """Return a message that keeps every rule: what is required, and by chance what is not."""
        made: Made = message_of(kind)()
        scopes = {oneof.name: self._random.choice([None, *oneof.fields]) for oneof in kind.oneofs}
        for field in kind.fields:
            of = field.containing_oneof
            if is_output_only(field) or (of is not None and len(of.fields) > 1 and scopes[of.name] is not field):
                continue
            if is_required(field) or self._happens(0.4):
                self._fill(made, field)
        if getattr(made, "reference_policy", 0):
            made.external_reference = self.request_id()  # unique, as it has to be
        self._settle(made)
        return made

    def _fill(self, made: Made, field: Field) -> None:
        if is_map(field):
            getattr(made, field.name)["k"] = "v"
        elif field.is_repeated and field.message_type is not None:
            getattr(made, field.name).extend(self.valid(field.message_type) for _ in range(self._random.randint(1, 3)))
        elif field.is_repeated:
            getattr(made, field.name).extend(self._good(field) for _ in range(self._random.randint(1, 3)))
        elif field.message_type is not None:
            getattr(made, field.name).CopyFrom(self._good_message(field))
        else:
            setattr(made, field.name, self._good(field))

    def _good_message(self, field: Field) -> Message:
        if field.message_type is Timestamp.DESCRIPTOR:
            of_statement = field.containing_type.name.endswith("StatementRequest")
            past = field.name == "as_of" or (of_statement and field.name == "start_time")
            later = _YEAR_S if field.name == "end_time" else 0
            return Timestamp(seconds=(1_600_000_000 if past else 4_102_444_800) + later + self._random.randrange(9999))
        if field.message_type is FieldMask.DESCRIPTOR:
            return FieldMask(paths=self._random.sample(_PATHS[:3], self._random.randint(1, 3)))
        made: Message = self.valid(field.message_type)
        return made

    def _good(self, field: Field) -> Any:  # noqa: ANN401  # of the field's type
        collection = collection_of(field)
        if collection is not None:
            return self._random.choice(self._names[collection])
        match field.type:
            case FieldDescriptor.TYPE_STRING:
                return self._good_text(field.name)
            case FieldDescriptor.TYPE_ENUM:
                return self._random.choice([value.number for value in field.enum_type.values if value.number])
            case FieldDescriptor.TYPE_BOOL:
                return self._happens(0.3)
            case FieldDescriptor.TYPE_BYTES:
                return self._random.randbytes(64)
            case _:
                return self._random.randint(1, 3)

    def _good_text(self, name: str) -> str:
        known = {
            "currency_code": "USD",
            "page_token": "",
            "filter": "",
            "language": "fa",
            "key": "tier",
            "bank_account": "b-1",
            "url": "https://shop.example/events",
            "name": "",
            "since": "",  # of a checkpoint
            "statement": "{}",
            "key_id": "0123456789abcdef",
        }
        match name:
            case "request_id":
                return self.request_id()
            case "wallet_id":
                return f"new-{self._random.getrandbits(40):x}"
            case "etag":
                return self._random.choice(["", '"1"', '"2"'])
            case _:
                return known.get(name, self._random.choice(["words", "کلمه", "a b"]))

    def request_id(self) -> str:
        """Return a new request id."""
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def _settle(self, made: Made) -> None:  # noqa: C901  # a case for each message
        """Mend what is valid field by field and not together."""
        match made.DESCRIPTOR.name:
            case "TransferRequest" | "TransferItem" | "QuoteCommissionRequest" if made.source == made.destination:
                made.destination = next(name for name in self._names["wallets"] if name != made.source)
            case "RedeliverEventRequest" if made.WhichOneof("what") in {None, "delivery"}:
                made.delivery = f"{made.name}/deliveries/msg_1"
            case "UpdateWalletRequest":
                made.wallet.name = self._random.choice(self._names["wallets"])
            case "CommissionRule":
                made.ClearField("maximum_minor_units")
            case "BatchTransferRequest":
                each = made.mode == 2  # BATCH_MODE_ITEM
                made.request_id = "" if each else self.request_id()
                for item in made.items:
                    item.request_id = self.request_id() if each else ""
            case "ResolveWithdrawalRequest" | "ResolveScheduledDepositRequest":
                if made.resolution != 3:  # RESOLUTION_KIND_APPLIED_TO_WALLET
                    made.destination = ""
                elif not made.destination:
                    made.destination = self._random.choice(self._names["wallets"])
                if made.resolution != 1:  # RESOLUTION_KIND_EXECUTED
                    made.bank_reference = ""
            case _:
                self._settle_webhook(made)

    def _settle_webhook(self, made: Made) -> None:
        match made.DESCRIPTOR.name:
            case "Webhook":
                made.state = 1
                made.wallet = self._random.choice(["", *self._names["wallets"]])
            case "UpdateWebhookRequest":
                made.webhook.name = self.webhook
                made.update_mask.paths[:] = ["description", "label"]
            case "RedeliverEventRequest" if made.delivery:
                made.delivery = f"{made.name}/deliveries/msg_1"
            case _:
                pass

    # Odd ones.

    def odd(self, kind: Descriptor, depth: int = 3) -> Made:
        """Return a message of which hardly a field is as it should be."""
        made: Made = message_of(kind)()
        for field in kind.fields:
            if self._happens(0.6):
                self._spoil(made, field, depth)
        return made

    def spoilt(self, kind: Descriptor) -> Made:
        """Return a valid message but for one field, anywhere in it, that may be anything."""
        made = self.valid(kind)
        if not kind.fields:
            return made
        inside = made
        while True:
            field = self._random.choice(list(inside.DESCRIPTOR.fields))
            deeper = field.message_type is not None and not is_map(field)
            if not deeper or field.message_type.name in {"Timestamp", "FieldMask"} or self._happens(0.2):
                break
            if not field.is_repeated:
                inside = getattr(inside, field.name)
            elif getattr(inside, field.name):
                inside = self._random.choice(list(getattr(inside, field.name)))
            else:
                break
        self._spoil(inside, field, depth=2)
        return made

    def _spoil(self, made: Made, field: Field, depth: int) -> None:
        made.ClearField(field.name)
        if self._happens(0.1):
            return
        if is_map(field):
            for _ in range(self._random.choice([1, 2, 40])):
                getattr(made, field.name)[self.text()] = self.text()
        elif field.is_repeated:
            count = self._random.choice([0, 1, 2, 5, 120])
            several = getattr(made, field.name)
            if field.message_type is None:
                several.extend(self._odd(field) for _ in range(count))
            elif depth:
                several.extend(self.odd(field.message_type, depth - 1) for _ in range(min(count, 5)))
        elif field.message_type is not None:
            getattr(made, field.name).CopyFrom(self._odd_message(field, depth))
        else:
            setattr(made, field.name, self._odd(field))

    def _odd_message(self, field: Field, depth: int) -> Message:
        if field.message_type is Timestamp.DESCRIPTOR:
            seconds, nanos = self._random.choice(_TIMES)
            return Timestamp(seconds=seconds, nanos=nanos)
        if field.message_type is FieldMask.DESCRIPTOR:
            return FieldMask(paths=self._random.choices([*_PATHS, self.text()], k=self._random.choice([0, 1, 3, 50])))
        made: Message = self.odd(field.message_type, depth - 1) if depth else message_of(field.message_type)()
        return made

    def _odd(self, field: Field) -> Any:  # noqa: ANN401  # of the field's type
        match field.type:
            case FieldDescriptor.TYPE_STRING:
                return self.text()
            case FieldDescriptor.TYPE_ENUM:
                return self._random.choice([0, 1, 2, 3, 4, -1, 99, 2**31 - 1, -(2**31)])
            case FieldDescriptor.TYPE_BOOL:
                return self._happens(0.5)
            case FieldDescriptor.TYPE_INT32:
                return self._random.choice([0, -1, 1, 1000, 1001, 1_000_001, 2**31 - 1, -(2**31)])
            case FieldDescriptor.TYPE_INT64:
                return self._random.choice([0, -1, 1, 2**31, 2**53 + 1, 2**62, 2**63 - 1, -(2**63), -(2**63) + 1])
            case FieldDescriptor.TYPE_BYTES:
                return self._random.randbytes(self._random.choice([0, 1, 64, 65, 70_000]))
            case _:
                raise TypeError(field.full_name)  # a new kind of field: define its odd values

    def text(self) -> str:
        """Return a text that a parser may fail on; sometimes the name of an existing resource."""
        if self._happens(0.3):
            return self._random.choice(self._names[self._random.choice(sorted(self._names))])
        return self._random.choice(_TEXTS)

    # Bytes.

    def wire(self, made: Message) -> bytes:
        """Return a message's bytes; sometimes with invalid texts, or with unknown fields."""
        sent = made.SerializeToString().replace(_NOT_UTF8[0].encode(), _NOT_UTF8[1])
        return sent + (self._random.choice(_UNKNOWN) if self._happens(0.1) else b"")

    def noise(self) -> bytes:
        """Return any bytes at all."""
        return self._random.randbytes(self._random.choice([1, 2, 3, 8, 30, 200, 5000]))

    def mutated(self, sent: bytes) -> bytes:
        """Return bytes with a few pieces flipped, cut, inserted, doubled or taken out."""
        changed = bytearray(sent)
        for _ in range(self._random.choice([1, 1, 2, 5])):
            at = self._random.randint(0, len(changed))
            size = self._random.choice([1, 2, 7, 40])
            match self._random.choice(["flip", "cut", "insert", "double", "drop"]):
                case "flip":
                    changed[at : at + 1] = self._random.randbytes(1)
                case "cut":
                    del changed[at:]
                case "insert":
                    changed[at:at] = self._random.randbytes(size)
                case "double":
                    changed[at:at] = changed[at : at + size]
                case _:
                    del changed[at : at + size]
        return bytes(changed)

    def mutated_text(self, text: str, alphabet: Sequence[str]) -> str:
        """Return a text with a few pieces replaced, taken out, doubled, or put in from an alphabet."""
        for _ in range(self._random.randint(1, 3)):
            at, size = self._random.randint(0, len(text)), self._random.randint(0, 4)
            piece = self._random.choice([*alphabet, text[at : at + 9], ""])
            text = text[:at] + piece + text[at + size :]
        return text

    def among(self, several: Sequence[Any]) -> Any:  # noqa: ANN401  # one of them
        """Return one of several."""
        return self._random.choice(several)

    def _happens(self, likely: float) -> bool:
        return self._random.random() < likely
