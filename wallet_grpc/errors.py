"""The catalogue of errors: what each one of ours looks like to a caller. Nothing else ever reaches one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any
from uuid import uuid4

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from wallet.v1.error_reason_pb2 import ErrorReason

from wallet_core.domain.model import errors
from wallet_core.domain.model.wallet import WalletId, is_system
from wallet_grpc.messages.language import preferred
from wallet_grpc.messages.texts import READ, TEXTS
from wallet_grpc.security.access import Principal, Scope

DOMAIN = "wallet.example.com"


class Outcome(StrEnum):
    """What an error says about the work, and so what its caller may do next. Sent as ``outcome`` with every error."""

    NOT_DONE = "NOT_DONE"
    """Decided, and recorded with the request id: another try needs a new one."""
    NOT_DONE_RETRY = "NOT_DONE_RETRY"
    """This attempt did nothing, an earlier one may have: ask again with the same request id."""
    UNKNOWN = "UNKNOWN"
    """It may have been done: ask again with the same request id."""


@dataclass
class InvalidFields(errors.Refusal):
    """Fields of the request are invalid."""

    violations: Sequence[errors.InvalidField]


class PageTokenInvalid(errors.Refusal):
    """The page token is malformed or belongs to other arguments; start again from the first page."""

    def fields(self) -> dict[str, str | int]:
        """Return nothing: a token is opaque."""
        return {}


@dataclass
class WatchCursorExpired(errors.Refusal):
    """The journal does not know the place that the resume token stands for."""

    oldest: str
    """The token that begins with the first event there is."""


class WatcherTooSlow(errors.ServiceError):
    """What the watcher was told was not taken for too long."""


@dataclass
class CredentialsInvalid(errors.ServiceError):
    """It is not known who is calling."""

    because: str

    def fields(self) -> dict[str, str | int]:
        """Return why: for the log too."""
        return {"because": self.because}


class RateLimited(errors.ServiceError):
    """The calling system makes more calls a second than it may."""


@dataclass
class Defect(errors.ServiceError):
    """Something went wrong inside the service; the operators find it under this id."""

    correlation_id: str = field(default_factory=lambda: str(uuid4()))


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorSpec:
    """How an error is shown: code, reason, outcome, metadata, and whether waiting helps."""

    code: grpc.StatusCode
    reason: ErrorReason.ValueType
    outcome: Outcome
    metadata: Callable[[Any], Mapping[str, str]] = field(default=lambda _: {})
    retry_after_ms: int | None = None
    why: Callable[[Any], str] = field(default=lambda _: "")
    """What the error adds in words of its own, for the message."""
    advice: str = ""
    """What to do next, where the outcome does not say it right."""

    @property
    def reason_name(self) -> str:
        """The reason as it stands in an ``ErrorInfo``."""
        return ErrorReason.Name(self.reason).removeprefix("ERROR_REASON_")


def _limit_metadata(error: errors.LimitExceeded) -> dict[str, str]:
    """Return which limit would be passed; the limit is empty where the caller may not read the wallet."""
    return {"resourceName": error.resource, "limit": "" if error.limit is None else str(error.limit)}


CATALOGUE: dict[type[errors.WalletError], ErrorSpec] = {
    InvalidFields: ErrorSpec(
        code=grpc.StatusCode.INVALID_ARGUMENT,
        reason=ErrorReason.ERROR_REASON_INVALID_FIELDS,
        outcome=Outcome.NOT_DONE_RETRY,
    ),
    errors.InvalidField: ErrorSpec(
        code=grpc.StatusCode.INVALID_ARGUMENT,
        reason=ErrorReason.ERROR_REASON_INVALID_FIELDS,
        outcome=Outcome.NOT_DONE_RETRY,
    ),
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
        why=lambda e: e.description,
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
        why=lambda e: e.because,
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
        advice="This call did nothing, and says nothing of the first; use a new request_id for a new thing.",
    ),
    errors.EtagMismatch: ErrorSpec(
        code=grpc.StatusCode.ABORTED,
        reason=ErrorReason.ERROR_REASON_ETAG_MISMATCH,
        outcome=Outcome.NOT_DONE,
        metadata=lambda e: {"resourceName": e.resource},
        advice="Nothing was done; read it again, then ask with its new etag and a new request_id.",
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
        metadata=lambda e: {"resourceName": e.resource, "state": e.state, "because": e.because},
        why=lambda e: e.because,
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
    errors.DatabaseUnavailable: ErrorSpec(
        code=grpc.StatusCode.UNAVAILABLE,
        reason=ErrorReason.ERROR_REASON_DATABASE_UNAVAILABLE,
        outcome=Outcome.UNKNOWN,
        retry_after_ms=500,
    ),
    errors.DatabaseNotServing: ErrorSpec(
        code=grpc.StatusCode.UNAVAILABLE,
        reason=ErrorReason.ERROR_REASON_DATABASE_UNAVAILABLE,
        outcome=Outcome.NOT_DONE_RETRY,
        retry_after_ms=500,
    ),
    errors.DatabaseNotReady: ErrorSpec(
        code=grpc.StatusCode.UNAVAILABLE,
        reason=ErrorReason.ERROR_REASON_DATABASE_UNAVAILABLE,
        outcome=Outcome.NOT_DONE_RETRY,
        retry_after_ms=500,
    ),
    errors.ClockBehind: ErrorSpec(
        code=grpc.StatusCode.UNAVAILABLE,
        reason=ErrorReason.ERROR_REASON_DATABASE_UNAVAILABLE,
        outcome=Outcome.NOT_DONE_RETRY,
        retry_after_ms=500,
    ),
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

# Errors travel in headers, of which gRPC takes 8 KiB: the first violations tell enough. Sizes are in bytes.
_VIOLATIONS_MAX = 10
_FIELD_MAX = 64
_TEXT_MAX = 200

# What callers can do about each outcome, said once.
_NEXT = {
    Outcome.NOT_DONE: "Nothing was done, and this answer is kept; another try needs a new request_id.",
    Outcome.NOT_DONE_RETRY: (
        "This attempt did nothing; once that is mended or passed, ask again with the same request_id."
    ),
    Outcome.UNKNOWN: "It may have been done; ask again with the same request_id.",
}

_NEXT_READ = "A read changes nothing and may be asked again."

# Never meant for a caller: one that arrives here is a defect of ours.
_OURS_ALONE = (errors.LedgerBroken, errors.StaleClaim)


ExponentOf = Callable[[str], int | None]
"""Says how many decimals amounts of a currency have; None where that cannot be looked up now."""


def public(error: Exception) -> errors.WalletError:
    """Return the error that a caller may see: the same one if it is in the catalogue, else a ``Defect``."""
    if isinstance(error, errors.WalletError) and type(error) in CATALOGUE:
        return error
    return Defect()


def redact_for(principal: Principal, error: errors.WalletError) -> errors.WalletError:
    """Return an error as this caller may see it: without numbers that tell of a wallet that it may not read.

    Funds lack in a wallet that it may take from, or in the one that commission is given back from; a limit may be that
    of any wallet, as may be what an id was used for.
    """
    seen: errors.Refusal
    if isinstance(error, errors.InsufficientFunds) and not _may_know_funds(principal, error.wallet):
        seen = replace(error, available=None, required=None)
    elif isinstance(error, errors.LimitExceeded) and not _may_know_limit(principal, error.resource):
        seen = replace(error, limit=None)
    elif isinstance(error, errors.RequestIdReused) and principal.owner is not None:
        seen = replace(error, method="", resource="")
    else:
        return error
    seen.item, seen.replayed = error.item, error.replayed
    return seen


def _may_know_funds(principal: Principal, wallet: str) -> bool:
    return _reading(WalletId(wallet.removeprefix("wallets/"))) <= principal.scopes


def _may_know_limit(principal: Principal, resource: str) -> bool:
    wallet = resource.removeprefix("wallets/")
    if wallet == resource:
        return True  # not a wallet's
    return principal.owner is None and _reading(WalletId(wallet)) <= principal.scopes


def _reading(wallet: WalletId) -> frozenset[Scope]:
    """Return what it takes to read a wallet."""
    return frozenset({Scope.WALLET_READ, Scope.OPERATIONS} if is_system(wallet) else {Scope.WALLET_READ})


def status_of(
    error: errors.WalletError,
    *,
    read: bool,
    accept_language: str | None = None,
    exponent_of: ExponentOf = lambda _: None,
    retry_after_ms: int | None = None,
) -> status_pb2.Status:
    """Return the rich status of an error of the catalogue, said of a *read* or of a call that changes something.

    A caller that sends *accept_language* is told it in words of its own as well; without amounts where *exponent_of*
    does not know their decimals. *retry_after_ms* is said in place of the catalogue's wait.
    """
    spec = CATALOGUE[type(error)]
    wait_ms = retry_after_ms or spec.retry_after_ms
    outcome = _outcome_of_read(spec) if read else spec.outcome
    metadata = {**spec.metadata(error), **_item(error), "outcome": outcome}
    violations = _violations(error)
    packed = [_packed(error_details_pb2.ErrorInfo(reason=spec.reason_name, domain=DOMAIN, metadata=metadata))]
    if violations:
        packed.append(_packed(error_details_pb2.BadRequest(field_violations=violations)))
    if wait_ms is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(wait_ms)
        packed.append(_packed(error_details_pb2.RetryInfo(retry_delay=delay)))
    if accept_language is not None:
        texts = TEXTS[preferred(accept_language)]
        fields = list(dict.fromkeys(violation.field for violation in violations))
        facts = {**metadata, **_amounts(error, exponent_of), "fields": fields}
        said = texts.say(spec.reason_name, READ if read else spec.outcome, facts)
        packed.append(_packed(error_details_pb2.LocalizedMessage(locale=texts.language, message=said)))
    return status_pb2.Status(
        code=spec.code.value[0],
        message=f"{_message(error, spec)} {spec.advice or (_NEXT_READ if read else _NEXT[spec.outcome])}",
        details=packed,
    )


def _amounts(error: errors.WalletError, exponent_of: ExponentOf) -> dict[str, str]:
    """Return how many decimals an error's amounts have; where that is not known, no amounts in place of them."""
    if not isinstance(error, errors.InsufficientFunds):
        return {}
    exponent = exponent_of(error.currency)
    return {"available": "", "required": ""} if exponent is None else {"exponent": str(exponent)}


def _outcome_of_read(spec: ErrorSpec) -> Outcome:
    """Return the outcome of a read, which does nothing that could be unknown."""
    return Outcome.NOT_DONE_RETRY if spec.outcome is Outcome.UNKNOWN else spec.outcome


def _item(error: errors.WalletError) -> dict[str, str]:
    return {"item": str(error.item)} if isinstance(error, errors.Refusal) and error.item is not None else {}


def _message(error: errors.WalletError, spec: ErrorSpec) -> str:
    if violations := _violations(error):
        first = violations[0]
        count = len(error.violations) if isinstance(error, InvalidFields) else 1
        more = f" (and {count - 1} more)" if count > 1 else ""
        said = f"{first.field}: {first.description}{more}."
    else:
        said = (type(error).__doc__ or "").partition("\n")[0]
        why = spec.why(error)
        told = ", ".join(f"{name} {value}" for name, value in spec.metadata(error).items() if value not in {"", why})
        said = f"{said.rstrip('.')}: {told}." if told else said
        said = f"{said.rstrip('.')} ({why})." if why else said
    return "".join(f"Item {place}, counted from 0: " for place in _item(error).values()) + said


def _violations(error: errors.WalletError) -> list[error_details_pb2.BadRequest.FieldViolation]:
    invalid = error.violations if isinstance(error, InvalidFields) else [error]
    return [
        error_details_pb2.BadRequest.FieldViolation(
            field=_cut(one.field, _FIELD_MAX), description=_cut(one.description, _TEXT_MAX)
        )
        for one in invalid[:_VIOLATIONS_MAX]
        if isinstance(one, errors.InvalidField)
    ]


def _cut(text: str, size: int) -> str:
    return text.encode()[:size].decode(errors="ignore")


def _packed(detail: Any) -> any_pb2.Any:  # noqa: ANN401  # any message of google.rpc
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed
