"""Errors as a caller meets them: read from the rich status, told apart by ``reason``.

Whether anything was done is said by the server, with every error: a new reason is understood by an old client.
"""

from collections.abc import Container, Iterable
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyPb
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from wallet.v1.error_reason_pb2 import ErrorReason, previous_attempts_key
from wallet.v1.transaction_service_pb2 import BatchTransferResult

from wallet_client.causes import Failures

_PREVIOUS_ATTEMPTS_KEY = ErrorReason.DESCRIPTOR.GetOptions().Extensions[previous_attempts_key]

_CODES = {code.value[0]: code for code in grpc.StatusCode}


# What every error of the service says of the work that it was asked for: see ``docs/errors.md``.
NOT_DONE, NOT_DONE_RETRY, UNKNOWN = "NOT_DONE", "NOT_DONE_RETRY", "UNKNOWN"
_OUTCOME = "outcome"

# Codes with which a watch ends for reasons that pass, e.g. because its server shuts down.
_PASSING_CODES = frozenset({"UNAVAILABLE", "CANCELLED", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED"})
# And those that gRPC itself adds, where a connection or what stands between was lost.
_LOST_CODES = frozenset({"INTERNAL", "UNKNOWN"})
# Said by gRPC itself, before a server of ours has seen the call.
_NOT_SERVED_CODES = frozenset({"UNIMPLEMENTED", "RESOURCE_EXHAUSTED"})


class CallError(Exception):
    """A call did not end well. Either a ``CallFailed`` or an ``OutcomeUnknown``: their callers do different things."""

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
        """The reason, e.g. ``INSUFFICIENT_FUNDS``; empty where no server of ours answered."""
        self.message = message
        """What happened, for developers, in English."""
        self.outcome = outcome
        """What is known of this attempt: ``NOT_DONE``, ``NOT_DONE_RETRY`` or ``UNKNOWN``; empty where it was sent and
        no server of ours answered."""
        self.metadata = metadata or {}
        """What the reason is about, by the keys documented with it."""
        self.violations = violations or {}
        """What is wrong with which field."""
        self.localized = localized
        """What happened, for people, in the client's language; empty where the client has none."""
        self.request_id = request_id
        """The id to ask again with; None for reads, and for a batch whose items have their own."""


class CallFailed(CallError):
    """The call was refused and nothing was done; ``reason`` says why, see ``docs/errors.md``."""


class NotConnected(CallFailed):
    """No server could be called, so nothing was sent and nothing was done: mend what ``cause`` names and ask again."""

    def __init__(self, failures: Failures, *, passes: bool) -> None:
        super().__init__(code=grpc.StatusCode.UNAVAILABLE, reason="", message=str(failures), outcome=NOT_DONE_RETRY)
        self.cause = failures.cause
        """Why, e.g. ``REFUSED``; the message says it of each address."""
        self.passes = passes
        """Whether waiting may help: a server was reached before, and there is no such cause as a wrong certificate."""


class RequestTooLarge(CallFailed):
    """The request is larger than the service takes, so nothing was sent: send it in parts."""

    def __init__(self, size: int, most: int) -> None:
        super().__init__(
            code=grpc.StatusCode.RESOURCE_EXHAUSTED,
            reason="",
            message=f"The request has {size} bytes, and the service takes {most}. Nothing was sent. Send fewer items "
            "in a call, or shorter texts and labels; where it takes more, make the client with request_max_bytes.",
            outcome=NOT_DONE_RETRY,
        )


class OutcomeUnknown(CallError):
    """The call may have been done, by this attempt or one before it: ask again with ``request_id``, which finds out."""


def passes(failed: CallError) -> bool:
    """Tell whether a stream that has ended so may be taken up again as it is."""
    if isinstance(failed, NotConnected):
        return failed.passes
    return failed.code in _PASSING_CODES or (not failed.reason and failed.code in _LOST_CODES)


def outcome_of(error: grpc.RpcError, request_id: str | None, *, attempted: bool) -> CallError:
    """Return the error of a call that changes something; *attempted* says that an earlier attempt may have done it.

    The channel's own repeats are such attempts too: the server tells how many there were.
    """
    failed = call_failed(error, request_id)
    if _did_nothing(failed, attempted=attempted or _previous_attempts(error) > 0):
        return failed
    return _unknown(failed)


def unsent(failed: CallFailed, request_id: str | None, *, attempted: bool) -> CallError:
    """Return the error of a change that was not sent; *attempted* says that an earlier attempt may have done it."""
    failed.request_id = request_id
    if not attempted:
        return failed
    return _unknown(failed, failed.message + " An earlier attempt may have been done: ask again with the same id.")


def given_up(request_id: str | None) -> OutcomeUnknown:
    """Return what a call comes to whose caller does not wait for its end."""
    again = f"ask again with the request id {request_id}" if request_id is not None else "ask again with the same ids"
    message = f"The call was given up before its answer came. It may have been done; {again}."
    return OutcomeUnknown(code=grpc.StatusCode.CANCELLED, reason="", message=message, request_id=request_id)


def unknown_outcome(error: BaseException) -> OutcomeUnknown | None:
    """Return what is open of a call that was cancelled or interrupted, with its request id; None where nothing is.

    Such a call raises what ended it (``CancelledError``, ``KeyboardInterrupt``, the ``TimeoutError`` of
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
    """Tell whether nothing was done, now or by an earlier attempt. An unrecognized answer counts as unknown."""
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


def _previous_attempts(error: grpc.RpcError) -> int:
    """Return the number of attempts that the channel made before the one that got this response."""
    pairs: Any = error.trailing_metadata() or ()  # of different classes for threads and for asyncio
    return sum(int(value) for key, value in pairs if key == _PREVIOUS_ATTEMPTS_KEY)


def call_failed(error: grpc.RpcError, request_id: str | None) -> CallFailed:
    """Return a failed call's error, with the details that the server packed into it."""
    code = error.code()
    try:
        status = rpc_status.from_call(error)  # type: ignore[arg-type]  # what a stub raises is a call too
    except ValueError:
        status = None
    details = status.details if status is not None else ()
    return _from_details(code, error.details() or code.name, details, request_id)


def item_failed(result: BatchTransferResult, request_id: str) -> CallError | None:
    """Return why the item of a batch that has this request id was not done; None where it was.

    By the same rule as of a call: a ``CallFailed`` was not done, an ``OutcomeUnknown`` is to be asked again.
    """
    if not result.HasField("error"):
        return None
    status = result.error
    failed = _from_details(_CODES[status.code], status.message, status.details, request_id)
    return failed if _did_nothing(failed, attempted=False) else _unknown(failed)


def settle_items(results: Iterable[BatchTransferResult], ids: Iterable[str], unsettled: Container[str]) -> list[str]:
    """Return the ids of items whose outcome is not known after a batch; say so in the result of each.

    *unsettled* are those that an earlier attempt may have done: that this one did nothing says nothing of that.
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
            detail.Unpack(into)  # which does nothing where it is another type's
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
