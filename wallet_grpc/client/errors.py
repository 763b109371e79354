"""Errors as a caller meets them: read from the rich status, one class, told apart by ``reason``."""

import grpc
from google.protobuf.any_pb2 import Any as AnyPb
from google.rpc import error_details_pb2
from grpc_status import rpc_status


class CallFailed(Exception):
    """A call was refused, or its outcome is unknown; ``reason`` says which, see ``docs/errors.md``."""

    def __init__(
        self,
        *,
        code: grpc.StatusCode,
        reason: str,
        message: str,
        metadata: dict[str, str],
        violations: dict[str, str],
        request_id: str | None,
    ) -> None:
        super().__init__(message)
        self.code = code.name
        """The gRPC code, e.g. ``FAILED_PRECONDITION``."""
        self.reason = reason
        """The reason, e.g. ``INSUFFICIENT_FUNDS``; empty where no server of ours answered."""
        self.message = message
        self.metadata = metadata
        """What the reason is about, by the keys documented with it."""
        self.violations = violations
        """What is wrong with which field."""
        self.request_id = request_id
        """The id to ask again with; None for reads."""


def call_failed(error: grpc.RpcError, request_id: str | None) -> CallFailed:
    """Return a failed call's error, with the details that the server packed into it."""
    code = error.code()
    try:
        status = rpc_status.from_call(error)  # type: ignore[arg-type]  # what a stub raises is a call too
    except ValueError:
        status = None
    info = error_details_pb2.ErrorInfo()
    bad = error_details_pb2.BadRequest()
    for detail in status.details if status is not None else ():
        _unpack(detail, info)
        _unpack(detail, bad)
    return CallFailed(
        code=code,
        reason=info.reason,
        message=error.details() or code.name,
        metadata=dict(info.metadata),
        violations={violation.field: violation.description for violation in bad.field_violations},
        request_id=request_id,
    )


def _unpack(detail: AnyPb, into: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest) -> None:
    if detail.Is(into.DESCRIPTOR):
        detail.Unpack(into)
