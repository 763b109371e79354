"""Parses requests and validates them by the rules of the protos.

Requests are parsed here and not by grpcio, which would return INTERNAL for bytes that are no message. Validation comes
after authorization, so that an unauthorized caller gets PERMISSION_MISSING first.

A change with an unknown field is refused: the field may be a condition of a newer client (a future
``max_commission``), without which the money would move unconditionally. A read ignores it, as gRPC does.
"""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import islice
from typing import Any

import grpc
import protovalidate
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from wallet_core.domain.model.errors import InvalidField
from wallet_grpc.descriptors import READS
from wallet_grpc.errors.kinds import InvalidFields
from wallet_grpc.interceptors.wrapping import Handler, Wrapping, rewrapped
from wallet_grpc.runtime.receiving import Behaviour

# Unknown fields that one error names, at most.
_UNKNOWN_MAX = 10


class ValidationInterceptor(Wrapping):
    """Passes valid requests to the servicer and refuses all others."""

    def __init__(self) -> None:
        super().__init__(lambda *_: nullcontext())

    def wrap(self, handler: Handler, method: str) -> Handler:
        """Parse and validate the request before the servicer."""
        read = handler.request_deserializer
        if read is None:
            raise TypeError(method)

        changes = method not in READS

        def run_once(inner: Behaviour, request: bytes, context: grpc.ServicerContext) -> Any:  # noqa: ANN401  # any message
            return inner(_checked(read, request, refuse_unknown=changes), context)

        def run_stream(inner: Behaviour, request: bytes, context: grpc.ServicerContext) -> Iterator[Any]:
            yield from inner(_checked(read, request, refuse_unknown=changes), context)

        return rewrapped(handler, method, run_once, run_stream, request_deserializer=None)


def _checked(read: Callable[[bytes], Any], request: bytes, *, refuse_unknown: bool) -> Message:
    try:
        message: Message = read(request)
    except DecodeError:
        raise InvalidFields([InvalidField("request", "is not a message of this method")]) from None
    if refuse_unknown and (unknown := list(islice(_unknown_fields(message, ""), _UNKNOWN_MAX))):
        raise InvalidFields([InvalidField(path, "is unknown to this server") for path in unknown])
    try:
        protovalidate.validate(message)
    except protovalidate.ValidationError as error:
        raise InvalidFields([_violation(violation) for violation in error.violations]) from None
    return message


def _unknown_fields(message: Message, path: str) -> Iterator[str]:
    """Yield the paths of unknown fields, nested ones too, by their numbers."""
    for unknown in UnknownFieldSet(message):  # type: ignore[attr-defined]  # its stubs know no iteration
        yield f"{path}{unknown.field_number}"
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        here = f"{path}{field.name}"
        if field.message_type.GetOptions().map_entry:
            continue  # labels: text to text
        if field.is_repeated:
            for number, one in enumerate(value):
                yield from _unknown_fields(one, f"{here}[{number}].")
        else:
            yield from _unknown_fields(value, f"{here}.")


def _violation(violation: protovalidate.Violation) -> InvalidField:
    path = ""
    for element in violation.proto.field.elements if violation.proto.field is not None else ():
        path += f".{element.field_name}" if path else element.field_name
        if element.subscript is not None and element.subscript.field == "index":
            path += f"[{element.subscript.value}]"
    return InvalidField(path or "request", violation.proto.message or "is invalid")
