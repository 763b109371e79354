"""Errors as the client raises them: read from the rich status, distinguished by ``reason``.

The server states in every error whether anything was done, so an old client handles a new reason correctly.
"""

from collections.abc import Container, Iterable
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyPb
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from wallet.v1.error_reason_pb2 import ErrorReason, previous_attempts_key
from wallet.v1.transaction_service_pb2 import BatchTransferResult

from wallet_client.causes import Failures

_PREVIOUS_ATTEMPTS_KEY = ErrorReason.DESCRIPTOR.GetOptions().Extensions[previous_attempts_key]

_STATUS_KEY = "grpc-status-details-bin"

_CODES = {code.value[0]: code for code in grpc.StatusCode}


# The outcomes that every error of the service carries: see ``docs/errors.md``.
NOT_DONE, NOT_DONE_RETRY, UNKNOWN = "NOT_DONE", "NOT_DONE_RETRY", "UNKNOWN"
_OUTCOME = "outcome"

# Codes with which a watch ends for transient reasons, e.g. because its server shuts down.
_TRANSIENT_CODES = frozenset({"UNAVAILABLE", "CANCELLED", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED"})
# Codes that gRPC itself reports where a connection or a proxy was lost.
_LOST_CODES = frozenset({"INTERNAL", "UNKNOWN"})
# Codes that gRPC itself reports before the service has received the call.
_NOT_SERVED_CODES = frozenset({"UNIMPLEMENTED", "RESOURCE_EXHAUSTED"})


class CallError(Exception):
    """A call that failed: either a ``CallFailed`` or an ``OutcomeUnknown``, which need different reactions."""

    def __init__(
        self,
        *,
        code: grpc.StatusCode,
        reason: str,
        message: str,
        outcome: str = "",
        metadata: dict[str, str] | None = None,
        violations: dict[str, str] | None = None,
        localized: str = "",
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code.name
        """The gRPC code, e.g. ``FAILED_PRECONDITION``."""
        self.reason = reason
        """The reason, e.g. ``INSUFFICIENT_FUNDS``; empty where the service did not answer."""
        self.message = message
        """What happened, for developers, in English."""
        self.outcome = outcome
        """The outcome of this attempt: ``NOT_DONE``, ``NOT_DONE_RETRY`` or ``UNKNOWN``; empty where the service did not
        answer a request that was sent."""
        self.metadata = metadata or {}
        """The metadata, by the keys that are documented with the reason."""
        self.violations = violations or {}
        """The invalid fields, each with what is wrong."""
        self.localized = localized
        """What happened, for users, in the client's ``accept_language``; empty where the client has none."""
        self.request_id = request_id
        """The id for a retry; None for reads, and for a batch whose items have their own."""


class CallFailed(CallError):
    """Nothing was done; ``reason`` is the cause, see ``docs/errors.md``."""


class NotConnected(CallFailed):
    """No server could be called, so nothing was sent: fix the ``cause`` and retry."""

    def __init__(self, failures: Failures, *, passes: bool) -> None:
        super().__init__(code=grpc.StatusCode.UNAVAILABLE, reason="", message=str(failures), outcome=NOT_DONE_RETRY)
        self.cause = failures.cause
        """The cause, e.g. ``REFUSED``; the message has it for each address."""
        self.passes = passes
        """Whether waiting may help: a server was reached before, and the cause is not a lasting one."""


class RequestTooLarge(CallFailed):
    """The request is larger than the service accepts, so nothing was sent: send it in parts."""

    def __init__(self, size: int, most: int) -> None:
        super().__init__(
            code=grpc.StatusCode.RESOURCE_EXHAUSTED,
            reason="",
            message=f"The request has {size} bytes, and the service accepts {most}. Nothing was sent. Send fewer items "
            "in a call, or shorter texts and labels; if the service accepts more, set the client's request_max_bytes.",
            outcome=NOT_DONE_RETRY,
        )


class OutcomeUnknown(CallError):
    """This attempt or an earlier one may have been done: retry with ``request_id``, which returns the result."""


def passes(failed: CallError) -> bool:
    """Return whether a stream that ended with this error may be resumed."""
    if isinstance(failed, NotConnected):
        return failed.passes
    return failed.code in _TRANSIENT_CODES or (not failed.reason and failed.code in _LOST_CODES)


def outcome_of(error: grpc.RpcError, request_id: str | None, *, attempted: bool) -> CallError:
    """Return the error of a change; *attempted*: an earlier attempt of this client may have done it.

    So may the channel's own earlier attempts, which the server counts.
    """
    failed = call_failed(error, request_id)
    if _did_nothing(failed, attempted=attempted or _previous_attempts(error) > 0):
        return failed
    return _unknown(failed)


def unsent(failed: CallFailed, request_id: str | None, *, attempted: bool) -> CallError:
    """Return the error of a change that was not sent; *attempted*: an earlier attempt may have done it."""
    failed.request_id = request_id
    if not attempted:
        return failed
    return _unknown(failed, failed.message + " An earlier attempt may have been done: retry with the same id.")


def given_up(request_id: str | None) -> OutcomeUnknown:
    """Return the error of a call that was cancelled or interrupted before it ended."""
    retry = f"retry with the request id {request_id}" if request_id is not None else "retry with the same request ids"
    message = f"The call was cancelled before its response arrived. It may have been done: {retry}."
    return OutcomeUnknown(code=grpc.StatusCode.CANCELLED, reason="", message=message, request_id=request_id)


def unknown_outcome(error: BaseException) -> OutcomeUnknown | None:
    """Return the unknown outcome of a cancelled or interrupted call, with its request id; None for another error.

    The call raises what ended it (``CancelledError``, ``KeyboardInterrupt``, the ``TimeoutError`` of
    ``asyncio.wait_for``), and this is among its causes.
    """
    seen: list[BaseException] = []
    now: BaseException | None = error
    while now is not None and now not in seen:
        if isinstance(now, OutcomeUnknown):
            return now
        seen.append(now)
        now = now.__cause__ or now.__context__
    return None


def _did_nothing(failed: CallError, *, attempted: bool) -> bool:
    """Return whether nothing was done, by this attempt or an earlier one. An unknown outcome counts as maybe done."""
    if failed.outcome == NOT_DONE:
        return True
    did_nothing = failed.outcome == NOT_DONE_RETRY or (not failed.reason and failed.code in _NOT_SERVED_CODES)
    return did_nothing and not attempted


def _unknown(failed: CallError, message: str | None = None) -> OutcomeUnknown:
    return OutcomeUnknown(
        code=grpc.StatusCode[failed.code],
        reason=failed.reason,
        message=message or failed.message,
        outcome=failed.outcome,
        metadata=failed.metadata,
        violations=failed.violations,
        localized=failed.localized,
        request_id=failed.request_id,
    )


def _status(error: grpc.RpcError) -> status_pb2.Status:
    """Return the rich status of an error; an empty one where it has none, or one that cannot be read."""
    for key, value in _trailing_metadata(error):
        if key == _STATUS_KEY:
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                break
    return status_pb2.Status()


def _trailing_metadata(error: grpc.RpcError) -> Any:  # noqa: ANN401  # of different classes for threads and for asyncio
    return error.trailing_metadata() or ()


def _previous_attempts(error: grpc.RpcError) -> int:
    """Return the number of attempts that the channel made before the one that got this response."""
    return sum(int(value) for key, value in _trailing_metadata(error) if key == _PREVIOUS_ATTEMPTS_KEY)


def call_failed(error: grpc.RpcError, request_id: str | None) -> CallFailed:
    """Return the error of a failed call, with the details of its rich status."""
    code = error.code()
    return _from_details(code, error.details() or code.name, _status(error).details, request_id)


def item_failed(result: BatchTransferResult, request_id: str) -> CallError | None:
    """Return the error of one item of a batch; None where the transfer was made.

    As for a call: after a ``CallFailed`` nothing was done, after an ``OutcomeUnknown`` retry with its ``request_id``.

    Example:
        >>> [item_failed(result, item.request_id) for result, item in zip(response.results, items)]
    """
    if not result.HasField("error"):
        return None
    status = result.error
    failed = _from_details(_CODES[status.code], status.message, status.details, request_id)
    return failed if _did_nothing(failed, attempted=False) else _unknown(failed)


def settle_items(results: Iterable[BatchTransferResult], ids: Iterable[str], unsettled: Container[str]) -> list[str]:
    """Return the ids of items whose outcome is unknown after a batch, and mark their results as UNKNOWN.

    An earlier attempt may have done the items of *unsettled*, although this one did nothing.
    """
    unknown = []
    for result, id_ in zip(results, ids, strict=True):
        failed = item_failed(result, id_)
        if failed is None or _did_nothing(failed, attempted=id_ in unsettled):
            continue
        unknown.append(id_)
        for detail in result.error.details:
            info = error_details_pb2.ErrorInfo()
            if detail.Unpack(info):
                info.metadata[_OUTCOME] = UNKNOWN
                detail.Pack(info)
    return unknown


def _from_details(code: grpc.StatusCode, message: str, details: Iterable[AnyPb], request_id: str | None) -> CallFailed:
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    localized = error_details_pb2.LocalizedMessage()
    for detail in details:
        for into in (info, bad, localized):
            detail.Unpack(into)  # does nothing for a detail of another type
    metadata = dict(info.metadata)
    outcome = metadata.pop(_OUTCOME, "")
    return CallFailed(
        code=code,
        reason=info.reason,
        message=message,
        outcome=outcome,
        metadata=metadata,
        violations={violation.field: violation.description for violation in bad.field_violations},
        localized=localized.message,
        request_id=request_id,
    )
