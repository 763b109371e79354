"""Reads requests and checks their shape by the rules that stand in the protos.

Bytes that are no message are read here and not by grpcio, which would answer INTERNAL. Innermost, so that a caller who
may not ask hears that before it hears how.
"""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import grpc
import protovalidate
from google.protobuf.message import DecodeError, Message

from wallet_core.domain.errors import InvalidField
from wallet_grpc.errors import InvalidFields
from wallet_grpc.interceptors.wrapping import Behaviour, Handler, Wrapping, rewrapped


class ValidationInterceptor(Wrapping):
    """Hands a servicer only requests whose every field keeps its rule."""

    def __init__(self) -> None:
        super().__init__(lambda *_: nullcontext())

    def wrap(self, handler: Handler, method: str) -> Handler:
        """Take over the reading of the request."""
        read = handler.request_deserializer
        if read is None:
            raise TypeError(method)

        def run_once(inner: Behaviour, request: bytes, context: grpc.ServicerContext) -> Any:  # noqa: ANN401  # any message
            return inner(_checked(read, request), context)

        def run_stream(inner: Behaviour, request: bytes, context: grpc.ServicerContext) -> Iterator[Any]:
            yield from inner(_checked(read, request), context)

        return rewrapped(handler, method, run_once, run_stream, request_deserializer=None)


def _checked(read: Callable[[bytes], Any], request: bytes) -> Message:
    try:
        message: Message = read(request)
    except DecodeError:
        raise InvalidFields([InvalidField("request", "is not a message of this method")]) from None
    try:
        protovalidate.validate(message)
    except protovalidate.ValidationError as error:
        raise InvalidFields([_violation(violation) for violation in error.violations]) from None
    return message


def _violation(violation: protovalidate.Violation) -> InvalidField:
    path = ""
    for element in violation.proto.field.elements if violation.proto.field is not None else ():
        path += f".{element.field_name}" if path else element.field_name
        if element.subscript is not None and element.subscript.field == "index":
            path += f"[{element.subscript.value}]"
    return InvalidField(path or "request", violation.proto.message or "is invalid")
