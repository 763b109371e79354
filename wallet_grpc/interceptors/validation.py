"""Reads requests and checks their shape by the rules that stand in the protos.

Bytes that are no message are read here and not by grpcio, which would answer INTERNAL. Innermost, so that a caller who
may not ask hears that before it hears how.

A field that this server does not know is refused in a call that changes something: it may be the guard of a newer
client (``max_commission`` of tomorrow), and without it the money would move unguarded. A read ignores it, as gRPC does.
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

# Named in one answer, at the most.
_UNKNOWN_MAX = 10


class ValidationInterceptor(Wrapping):
    """Hands a servicer only requests whose every field keeps its rule."""

    def __init__(self) -> None:
        super().__init__(lambda *_: nullcontext())

    def wrap(self, handler: Handler, method: str) -> Handler:
        """Take over the reading of the request."""
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
        raise InvalidFields([InvalidField(path, "is not known to this server") for path in unknown])
    try:
        protovalidate.validate(message)
    except protovalidate.ValidationError as error:
        raise InvalidFields([_violation(violation) for violation in error.violations]) from None
    return message


def _unknown_fields(message: Message, path: str) -> Iterator[str]:
    """Yield the paths of unknown fields, nested ones too; a field without a name is named by its number."""
    for unknown in UnknownFieldSet(message):  # type: ignore[attr-defined]  # its stubs know no iteration
        yield f"{path}{unknown.field_number}"
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        here = f"{path}{field.name}"
        if field.message_type.GetOptions().map_entry:
            continue  # labels: texts by text
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
