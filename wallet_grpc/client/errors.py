"""Errors as a caller meets them: read from the rich status, one class, told apart by ``reason``."""

from collections.abc import Iterable

import grpc
from google.protobuf.any_pb2 import Any as AnyPb
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from wallet.v1.transaction_service_pb2 import BatchTransferResult

_CODES = {code.value[0]: code for code in grpc.StatusCode}


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
        localized: str,
        request_id: str | None,
    ) -> None:
        super().__init__(message)
        self.code = code.name
        """The gRPC code, e.g. ``FAILED_PRECONDITION``."""
        self.reason = reason
        """The reason, e.g. ``INSUFFICIENT_FUNDS``; empty where no server of ours answered."""
        self.message = message
        """What happened, for developers, in English."""
        self.metadata = metadata
        """What the reason is about, by the keys documented with it."""
        self.violations = violations
        """What is wrong with which field."""
        self.localized = localized
        """What happened, for people, in the client's language; empty where the client has none."""
        self.request_id = request_id
        """The id to ask again with; None for reads, and for a batch whose items have their own."""


def call_failed(error: grpc.RpcError, request_id: str | None) -> CallFailed:
    """Return a failed call's error, with the details that the server packed into it."""
    code = error.code()
    try:
        status = rpc_status.from_call(error)  # type: ignore[arg-type]  # what a stub raises is a call too
    except ValueError:
        status = None
    details = status.details if status is not None else ()
    return _from_details(code, error.details() or code.name, details, request_id)


def item_failed(result: BatchTransferResult, request_id: str) -> CallFailed | None:
    """Return why the item of a batch that has this request id was refused; None where it was done."""
    if not result.HasField("error"):
        return None
    status = result.error
    return _from_details(_CODES[status.code], status.message, status.details, request_id)


def _from_details(code: grpc.StatusCode, message: str, details: Iterable[AnyPb], request_id: str | None) -> CallFailed:
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    localized = error_details_pb2.LocalizedMessage()
    for detail in details:
        for into in (info, bad, localized):
            detail.Unpack(into)  # which does nothing where it is another type's
    return CallFailed(
        code=code,
        reason=info.reason,
        message=message,
        metadata=dict(info.metadata),
        violations={violation.field: violation.description for violation in bad.field_violations},
        localized=localized.message,
        request_id=request_id,
    )
