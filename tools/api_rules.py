"""The rules of `buf.validate` and `google.api.field_behavior`, in words that a person reads."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from buf.validate import validate_pb2
from google.api import field_behavior_pb2  # type: ignore[import-untyped]  # comes without types
from google.protobuf.descriptor_pb2 import FieldDescriptorProto
from google.protobuf.message import Message

UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
TEXT = r"[^\x00-\x09\x0b-\x1f\x7f-\x9f]"
FORMATS = {
    "^wallets/([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?|system:[a-z_]{1,16}:[A-Z]{3})$": "a wallet's name",
    "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$": "a wallet's id",
    "^[A-Z]{3}$": "three capital letters",
    "^[a-z][a-z0-9_-]{0,62}$": "a label's key",
    "^[!-~]*$": "visible ASCII, no spaces",
    r"^[^\x00-\x1f\x7f-\x9f]*$": "no control characters",
    rf"^{TEXT}*$": "no control characters but newlines",
    rf"^{TEXT}*[^\x00-\x1f\x7f-\x9f\s]{TEXT}*$": "not blank, no control characters but newlines",
    "^bankStatementLines/[1-9][0-9]{0,17}$": "`bankStatementLines/` and a number",
}
"""Patterns in words. One that is missing here stands on the page as it is."""

# From here on digits are read in groups.
_LARGE = 10_000


def _number(value: int) -> str:
    return f"{value:,}" if value >= _LARGE else str(value)


def _range(least: int | None, most: int | None) -> str:
    if most is None:
        return "not below zero" if least == 0 else f"at least {least}"
    return f"up to {_number(most)}" if least is None else f"{_number(least)} to {_number(most)}"


def _pattern(pattern: str) -> str:
    if pattern.endswith(f"{UUID}$"):
        return f"`{pattern.removeprefix('^').removesuffix(f'{UUID}$')}` and a UUID in lower case"
    return FORMATS.get(pattern, f"pattern `{pattern}`")


RANGES = {("min_len", "max_len"): " characters", ("min_items", "max_items"): " items", ("gte", "lte"): ""}
WORDS: dict[str, Callable[[Any], str]] = {
    **dict.fromkeys(["string", "bytes", "int32", "int64", "enum"], lambda rules: ", ".join(in_words(rules))),
    **dict.fromkeys(["repeated", "map"], lambda rules: "; ".join(in_words(rules))),
    "items": lambda rules: "each " + ", ".join(in_words(rules)),
    "keys": lambda rules: "each key " + ", ".join(in_words(rules)),
    "values": lambda rules: "each value " + ", ".join(in_words(rules)),
    "len": lambda length: f"{length} bytes",
    "max_pairs": lambda most: f"up to {most} pairs",
    "pattern": _pattern,
    "uuid": lambda _: "a UUID",
    "not_nil_or_max": lambda _: "not the nil or the max UUID",
    "in": lambda values: " or ".join(f"`{one}`" for one in values),
    "not_in": lambda values: "not " + " or ".join(str(one) for one in values),
    "defined_only": lambda _: "a known value",
    "cel": lambda rules: "; ".join(code(rule.message) for rule in rules),
    # Stated by the rule of the field.
    "required": lambda _: "",
    "ignore": lambda _: "",
}


def code(rule: str) -> str:
    """Set what is no word of English in a rule's message as code."""
    return re.sub(r"[\w/]*[_{][\w/{}]*", r"`\g<0>`", rule)


def in_words(rules: Message) -> Iterator[str]:
    """Say what `buf.validate` demands of one value. A rule that has no words here is a mistake, never left out."""
    stated = {one.name: value for one, value in rules.ListFields()}
    for (least, most), unit in RANGES.items():
        if least in stated or most in stated:
            yield _range(stated.pop(least, None), stated.pop(most, None)) + unit
    for name, value in stated.items():
        if name not in WORDS:
            sys.exit(f"The rule {name} of buf.validate has no words in {Path(__file__).name}.")
        if words := WORDS[name](value):
            yield words


def rules_of(one: FieldDescriptorProto) -> str:
    """Say what a field must be like, and whose it is to set."""
    rules = one.options.Extensions[validate_pb2.field]
    behavior = one.options.Extensions[field_behavior_pb2.field_behavior]
    required = rules.required or field_behavior_pb2.REQUIRED in behavior
    may_be_empty = rules.ignore == validate_pb2.IGNORE_IF_ZERO_VALUE and not required
    said = ["**required**"] if required else []
    said += ["set by the service"] if field_behavior_pb2.OUTPUT_ONLY in behavior else []
    said += ["never changes"] if field_behavior_pb2.IMMUTABLE in behavior else []
    said += ["empty, or " + words if may_be_empty else words for words in ["; ".join(in_words(rules))] if words]
    return "; ".join(said)
