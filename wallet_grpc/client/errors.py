"""Errors as a caller meets them: read from the rich status, one class, told apart by ``reason``."""

from collections.abc import Iterable
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyPb
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from wallet.v1.transaction_service_pb2 import BatchTransferResult

REPEATS = "wallet-previous-attempts"
"""The trailing metadata in which a server says how often the channel had asked before."""

_CODES = {code.value[0]: code for code in grpc.StatusCode}


# Decided, once and for ever; or, of the last, about another request altogether.
_FINAL = frozenset(
    {
        *("RESOURCE_NOT_FOUND", "RESOURCE_EXISTS", "ETAG_MISMATCH", "CURRENCY_MISMATCH", "WALLET_NOT_ACTIVE"),
        *("STATE_TRANSITION_FORBIDDEN", "INSUFFICIENT_FUNDS", "LIMIT_EXCEEDED"),
        "REQUEST_ID_REUSED",
    }
)
# The attempt that was refused so did nothing.
_THIS_ATTEMPT = frozenset(
    {
        *("INVALID_FIELDS", "FILTER_INVALID", "PAGE_TOKEN_INVALID", "CREDENTIALS_INVALID", "PERMISSION_MISSING"),
        *("TRANSACTION_CONFLICT", "SERVER_OVERLOADED", "DEADLINE_TOO_SHORT", "RATE_LIMITED"),
        *("WATCH_CURSOR_EXPIRED", "WATCHER_TOO_SLOW"),
    }
)
# What ends a watch and has to do with neither its caller nor what it asked.
_PASSING = frozenset(
    {
        *("SERVER_DRAINING", "SERVER_OVERLOADED", "RATE_LIMITED", "DATABASE_UNAVAILABLE", "WATCHER_TOO_SLOW"),
        "DEADLINE_TOO_SHORT",
    }
)
# Said by gRPC itself, where a connection or what stands between was lost.
_PASSING_CODES = frozenset(
    {"UNAVAILABLE", "CANCELLED", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "INTERNAL", "UNKNOWN"}
)
# Said by gRPC itself, before a server of ours has seen the call.
_NOT_SERVED = frozenset({grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.RESOURCE_EXHAUSTED})


class CallFailed(Exception):
    """A call was refused; ``reason`` says why, see ``docs/errors.md``.

    Unless it is an ``OutcomeUnknown``, nothing was done.
    """

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


class OutcomeUnknown(CallFailed):
    """The call may have been done, by this attempt or one before it: ask again with ``request_id``, which finds out."""


def passes(failed: CallFailed) -> bool:
    """Tell whether a stream that has ended so may be taken up again as it is."""
    return failed.reason in _PASSING if failed.reason else failed.code in _PASSING_CODES


def outcome_of(error: grpc.RpcError, request_id: str | None, *, attempted: bool) -> CallFailed:
    """Return the error of a call that changes something; *attempted* says that an earlier attempt may have done it.

    The channel's own repeats are such attempts too: the server tells how many there were.
    """
    failed = call_failed(error, request_id)
    if failed.reason in _FINAL:
        return failed
    did_nothing = failed.reason in _THIS_ATTEMPT or (not failed.reason and error.code() in _NOT_SERVED)
    if did_nothing and not attempted and not _repeats(error):
        return failed
    return OutcomeUnknown(
        code=error.code(),
        reason=failed.reason,
        message=failed.message,
        metadata=failed.metadata,
        violations=failed.violations,
        localized=failed.localized,
        request_id=request_id,
    )


def _repeats(error: grpc.RpcError) -> int:
    """Return how often the channel has asked before this answer came."""
    pairs: Any = error.trailing_metadata() or ()  # of different classes for threads and for asyncio
    return sum(int(value) for key, value in pairs if key == REPEATS)


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
