"""Calls as bytes on a bare channel: no retries, no client of ours, and the whole rich status to look at."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from wallet_grpc.descriptors import SERVICES


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back."""

    code: str
    message: str = ""
    body: bytes = b""
    infos: tuple[Any, ...] = ()
    """The ``ErrorInfo`` among the details; there must be one."""
    violations: tuple[str, ...] = ()
    """The fields that are invalid."""
    localized: str = ""
    """The localized message, where the call requested a language."""
    retry_ms: int | None = None

    @property
    def reason(self) -> str:
        """The reason; empty where the call was not refused by the service."""
        return self.infos[0].reason if self.infos else ""

    @property
    def metadata(self) -> dict[str, str]:
        """What the reason is about."""
        message = dict(self.infos[0].metadata) if self.infos else {}
        return {key: value for key, value in message.items() if key != "outcome"}

    @property
    def outcome(self) -> str:
        """The outcome that the error reports."""
        return str(self.infos[0].metadata["outcome"]) if self.infos else ""


class Wire:
    """One bare channel."""

    def __init__(
        self,
        target: str,
        *,
        metadata: Sequence[tuple[str, str]] = (),
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        options = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]
        if credentials is None:
            self._channel = grpc.insecure_channel(target, options=options)
        else:
            self._channel = grpc.secure_channel(target, credentials, options=options)
        self._metadata = tuple(metadata)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()

    def call(self, method: str, request: bytes | Message, *, timeout_s: float | None = 10.0) -> Answer:
        """Call ``TransactionService/Deposit`` or the like with bytes, or with a message's bytes."""
        sent = request if isinstance(request, bytes) else request.SerializeToString()
        call = self._channel.unary_unary(f"/wallet.v1.{method}", request_serializer=_same, response_deserializer=_same)
        try:
            return Answer(code="OK", body=call(sent, timeout=timeout_s, wait_for_ready=True, metadata=self._metadata))
        except grpc.RpcError as error:
            return answer_of(error)


def all_methods() -> list[MethodDescriptor]:
    """Return every method of every service of ours."""
    pool = descriptor_pool.Default()
    services = [pool.FindServiceByName(name) for name in SERVICES]
    return [method for service in services for method in service.methods]


def path_of(method: MethodDescriptor) -> str:
    """Return a method's path as ``Wire.call`` takes it."""
    return f"{method.containing_service.name}/{method.name}"


def _same(sent: bytes) -> bytes:
    return sent


def answer_of(error: grpc.RpcError) -> Answer:
    """Return what a call was answered with that did not end well."""
    try:
        status = rpc_status.from_call(error)  # type: ignore[arg-type]  # what a call raises is the call too
    except ValueError:  # the code is not the one that the server packed: a proxy between has answered
        status = None
    details: Sequence[Any] = status.details if status is not None else ()
    infos = [_unpacked(detail, error_details_pb2.ErrorInfo()) for detail in details]
    bad = [_unpacked(detail, error_details_pb2.BadRequest()) for detail in details]
    retry = [_unpacked(detail, error_details_pb2.RetryInfo()) for detail in details]
    messages = [_unpacked(detail, error_details_pb2.LocalizedMessage()) for detail in details]
    delays = [found.retry_delay.ToMilliseconds() for found in retry if found is not None]
    return Answer(
        localized="".join(found.message for found in messages if found is not None),
        code=error.code().name,
        message=error.details() or "",
        infos=tuple(info for info in infos if info is not None),
        violations=tuple(one.field for found in bad if found is not None for one in found.field_violations),
        retry_ms=delays[0] if delays else None,
    )


def _unpacked(detail: Any, into: Any) -> Any:  # noqa: ANN401  # google.rpc has no types
    return into if detail.Is(into.DESCRIPTOR) and detail.Unpack(into) else None
