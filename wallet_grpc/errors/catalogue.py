"""The error catalogue: the status code, reason, outcome and metadata of every error that a caller can receive."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import grpc
from wallet.v1.error_reason_pb2 import ErrorReason

from wallet_core.domain.model import errors
from wallet_grpc.errors.kinds import (
    CredentialsInvalid,
    Defect,
    InvalidFields,
    PageTokenInvalid,
    RateLimited,
    WatchCursorExpired,
    WatcherTooSlow,
)


class Outcome(StrEnum):
    """What an error says about the requested work, and so what the caller may do next.

    Every error carries it in its metadata as ``outcome``.
    """

    NOT_DONE = "NOT_DONE"
    """The service refused the request and stored the refusal with the request id: a new attempt needs a new id."""
    NOT_DONE_RETRY = "NOT_DONE_RETRY"
    """This attempt did nothing; an earlier one may have: retry with the same request id."""
    UNKNOWN = "UNKNOWN"
    """The work may have been done: retry with the same request id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorSpec:
    """How one error is sent to a caller."""

    code: grpc.StatusCode
    reason: ErrorReason.ValueType
    outcome: Outcome
    metadata: Callable[[Any], Mapping[str, str]] = field(default=lambda _: {})
    """The metadata of an error, by the keys that ``error_reason.proto`` documents."""
    retry_after_ms: int | None = None
    """The delay to send in ``RetryInfo``; None where waiting does not help."""
    explanation: Callable[[Any], str] = field(default=lambda _: "")
    """Text of the error itself that is appended to its message."""

    @property
    def reason_name(self) -> str:
        """The reason as an ``ErrorInfo`` carries it."""
        return ErrorReason.Name(self.reason).removeprefix("ERROR_REASON_")


def _limit_metadata(error: errors.LimitExceeded) -> dict[str, str]:
    """Return the limit that would be exceeded; the value is empty where the caller may not read the wallet."""
    return {"resourceName": error.resource, "limit": "" if error.limit is None else str(error.limit)}


_INVALID_FIELDS = ErrorSpec(
    code=grpc.StatusCode.INVALID_ARGUMENT,
    reason=ErrorReason.ERROR_REASON_INVALID_FIELDS,
    outcome=Outcome.NOT_DONE_RETRY,
)

_DATABASE_UNAVAILABLE = ErrorSpec(
    code=grpc.StatusCode.UNAVAILABLE,
    reason=ErrorReason.ERROR_REASON_DATABASE_UNAVAILABLE,
    outcome=Outcome.NOT_DONE_RETRY,
    retry_after_ms=500,
)

CATALOGUE: dict[type[errors.WalletError], ErrorSpec] = {
    InvalidFields: _INVALID_FIELDS,
    errors.InvalidField: _INVALID_FIELDS,
    PageTokenInvalid: ErrorSpec(
        code=grpc.StatusCode.INVALID_ARGUMENT,
        reason=ErrorReason.ERROR_REASON_PAGE_TOKEN_INVALID,
        outcome=Outcome.NOT_DONE_RETRY,
    ),
    errors.FilterInvalid: ErrorSpec(
        code=grpc.StatusCode.INVALID_ARGUMENT,
        reason=ErrorReason.ERROR_REASON_FILTER_INVALID,
        outcome=Outcome.NOT_DONE_RETRY,
        metadata=lambda e: {"position": str(e.position), "token": e.token},
        explanation=lambda e: e.description,
    ),
    WatchCursorExpired: ErrorSpec(
        code=grpc.StatusCode.OUT_OF_RANGE,
        reason=ErrorReason.ERROR_REASON_WATCH_CURSOR_EXPIRED,
        outcome=Outcome.NOT_DONE_RETRY,
        metadata=lambda e: {"oldestResumeToken": e.oldest},
    ),
    WatcherTooSlow: ErrorSpec(
        code=grpc.StatusCode.ABORTED, reason=ErrorReason.ERROR_REASON_WATCHER_TOO_SLOW, outcome=Outcome.NOT_DONE_RETRY
    ),
    CredentialsInvalid: ErrorSpec(
        code=grpc.StatusCode.UNAUTHENTICATED,
        reason=ErrorReason.ERROR_REASON_CREDENTIALS_INVALID,
        outcome=Outcome.NOT_DONE_RETRY,
        explanation=lambda e: e.explanation,
    ),
    errors.PermissionMissing: ErrorSpec(
        code=grpc.StatusCode.PERMISSION_DENIED,
        reason=ErrorReason.ERROR_REASON_PERMISSION_MISSING,
        outcome=Outcome.NOT_DONE_RETRY,
        metadata=lambda e: {"permission": e.permission},
    ),
    errors.SystemWalletForbidden: ErrorSpec(
        code=grpc.StatusCode.PERMISSION_DENIED,
        reason=ErrorReason.ERROR_REASON_PERMISSION_MISSING,
        outcome=Outcome.NOT_DONE_RETRY,
        metadata=lambda _: {"permission": "none"},
    ),
    errors.ResourceNotFound: ErrorSpec(
        code=grpc.StatusCode.NOT_FOUND,
        reason=ErrorReason.ERROR_REASON_RESOURCE_NOT_FOUND,
        outcome=Outcome.NOT_DONE,
        metadata=lambda e: {"resourceName": e.resource},
    ),
    errors.ResourceExists: ErrorSpec(
        code=grpc.StatusCode.ALREADY_EXISTS,
        reason=ErrorReason.ERROR_REASON_RESOURCE_EXISTS,
        outcome=Outcome.NOT_DONE,
        metadata=lambda e: {"resourceName": e.resource},
    ),
    errors.RequestIdReused: ErrorSpec(
        code=grpc.StatusCode.ALREADY_EXISTS,
        reason=ErrorReason.ERROR_REASON_REQUEST_ID_REUSED,
        outcome=Outcome.NOT_DONE_RETRY,
        metadata=lambda e: {"requestId": e.request_id, "method": e.method, "resourceName": e.resource},
    ),
    errors.ExternalReferenceReused: ErrorSpec(
        code=grpc.StatusCode.ALREADY_EXISTS,
        reason=ErrorReason.ERROR_REASON_EXTERNAL_REFERENCE_REUSED,
        outcome=Outcome.NOT_DONE,
        metadata=lambda e: {"externalReference": e.reference, "resourceName": e.resource},
    ),
    errors.EtagMismatch: ErrorSpec(
        code=grpc.StatusCode.ABORTED,
        reason=ErrorReason.ERROR_REASON_ETAG_MISMATCH,
        outcome=Outcome.NOT_DONE,
        metadata=lambda e: {"resourceName": e.resource},
    ),
    errors.InsufficientFunds: ErrorSpec(
        code=grpc.StatusCode.FAILED_PRECONDITION,
        reason=ErrorReason.ERROR_REASON_INSUFFICIENT_FUNDS,
        outcome=Outcome.NOT_DONE,
        metadata=lambda e: {
            "wallet": e.wallet,
            "currencyCode": e.currency,
            "available": "" if e.available is None else str(e.available),
            "required": "" if e.required is None else str(e.required),
        },
    ),
    errors.WalletNotActive: ErrorSpec(
        code=grpc.StatusCode.FAILED_PRECONDITION,
        reason=ErrorReason.ERROR_REASON_WALLET_NOT_ACTIVE,
        outcome=Outcome.NOT_DONE,
        metadata=lambda e: {"resourceName": e.resource, "state": e.state},
    ),
    errors.CurrencyMismatch: ErrorSpec(
        code=grpc.StatusCode.FAILED_PRECONDITION,
        reason=ErrorReason.ERROR_REASON_CURRENCY_MISMATCH,
        outcome=Outcome.NOT_DONE,
        metadata=lambda e: {"resourceName": e.resource, "currency": e.currency},
    ),
    errors.StateTransitionForbidden: ErrorSpec(
        code=grpc.StatusCode.FAILED_PRECONDITION,
        reason=ErrorReason.ERROR_REASON_STATE_TRANSITION_FORBIDDEN,
        outcome=Outcome.NOT_DONE,
        metadata=lambda e: {"resourceName": e.resource, "state": e.state, "explanation": e.because},
        explanation=lambda e: e.because,
    ),
    errors.LimitExceeded: ErrorSpec(
        code=grpc.StatusCode.FAILED_PRECONDITION,
        reason=ErrorReason.ERROR_REASON_LIMIT_EXCEEDED,
        outcome=Outcome.NOT_DONE,
        metadata=_limit_metadata,
    ),
    errors.ServiceWalletFull: ErrorSpec(
        code=grpc.StatusCode.FAILED_PRECONDITION,
        reason=ErrorReason.ERROR_REASON_LIMIT_EXCEEDED,
        outcome=Outcome.NOT_DONE_RETRY,
        metadata=_limit_metadata,
    ),
    errors.TransactionConflict: ErrorSpec(
        code=grpc.StatusCode.ABORTED,
        reason=ErrorReason.ERROR_REASON_TRANSACTION_CONFLICT,
        outcome=Outcome.NOT_DONE_RETRY,
        retry_after_ms=100,
    ),
    errors.ServerOverloaded: ErrorSpec(
        code=grpc.StatusCode.RESOURCE_EXHAUSTED,
        reason=ErrorReason.ERROR_REASON_SERVER_OVERLOADED,
        outcome=Outcome.NOT_DONE_RETRY,
        retry_after_ms=200,
    ),
    RateLimited: ErrorSpec(
        code=grpc.StatusCode.RESOURCE_EXHAUSTED,
        reason=ErrorReason.ERROR_REASON_RATE_LIMITED,
        outcome=Outcome.NOT_DONE_RETRY,
        retry_after_ms=500,
    ),
    errors.DeadlineTooShort: ErrorSpec(
        code=grpc.StatusCode.DEADLINE_EXCEEDED,
        reason=ErrorReason.ERROR_REASON_DEADLINE_TOO_SHORT,
        outcome=Outcome.NOT_DONE_RETRY,
    ),
    errors.OutcomeUnknown: ErrorSpec(
        code=grpc.StatusCode.DEADLINE_EXCEEDED,
        reason=ErrorReason.ERROR_REASON_OUTCOME_UNKNOWN,
        outcome=Outcome.UNKNOWN,
    ),
    errors.ResultLost: ErrorSpec(
        code=grpc.StatusCode.UNAVAILABLE,
        reason=ErrorReason.ERROR_REASON_OUTCOME_UNKNOWN,
        outcome=Outcome.UNKNOWN,
        retry_after_ms=100,
    ),
    errors.DatabaseUnavailable: replace(_DATABASE_UNAVAILABLE, outcome=Outcome.UNKNOWN),
    errors.DatabaseNotServing: _DATABASE_UNAVAILABLE,
    errors.DatabaseNotReady: _DATABASE_UNAVAILABLE,
    errors.ClockBehind: _DATABASE_UNAVAILABLE,
    errors.ServerDraining: ErrorSpec(
        code=grpc.StatusCode.UNAVAILABLE,
        reason=ErrorReason.ERROR_REASON_SERVER_DRAINING,
        outcome=Outcome.UNKNOWN,
        retry_after_ms=100,
    ),
    Defect: ErrorSpec(
        code=grpc.StatusCode.INTERNAL,
        reason=ErrorReason.ERROR_REASON_INTERNAL,
        outcome=Outcome.UNKNOWN,
        metadata=lambda e: {"correlationId": e.correlation_id},
    ),
}


def to_public_error(error: Exception) -> errors.WalletError:
    """Return the error that a caller may receive: *error* itself if the catalogue has it, else a ``Defect``."""
    if isinstance(error, errors.WalletError) and type(error) in CATALOGUE:
        return error
    return Defect()
