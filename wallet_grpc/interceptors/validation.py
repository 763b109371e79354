"""Reads requests and checks their shape by the rules that stand in the protos.

Bytes that are no message are read here and not by grpcio, which would answer INTERNAL. Innermost, so that a caller who
may not ask hears that before it hears how.
"""

from collections.abc import Callable
from typing import Any

import grpc
import protovalidate
from google.protobuf.message import DecodeError, Message

from wallet_core.domain.errors import InvalidField
from wallet_grpc.errors import InvalidFields
from wallet_grpc.interceptors.wrapping import Behaviour, Handler, Wrapping, wrapped


class ValidationInterceptor(Wrapping):
    """Hands a servicer only requests whose every field keeps its rule."""

    def __init__(self) -> None:
        super().__init__(_pass)

    def wrap(self, handler: Handler, inner: Behaviour, method: str) -> Handler:
        """Take over the reading of the request."""
        read = handler.request_deserializer
        if read is None:
            raise TypeError(method)

        def validate(inner: Behaviour, method: str, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401  # any message
            del method
            return inner(_checked(read, request), context)

        return wrapped(handler, inner, method, validate, request_deserializer=None)


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


def _pass(inner: Behaviour, method: str, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401  # any message
    del method
    return inner(request, context)
