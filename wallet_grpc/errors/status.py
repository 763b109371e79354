"""The gRPC status of an error (AIP-193): message, ``ErrorInfo``, and the details that go with them."""

from collections.abc import Callable
from typing import Any

from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from wallet_core.domain.model import errors
from wallet_grpc.errors.catalogue import CATALOGUE, ErrorSpec, Outcome
from wallet_grpc.errors.kinds import InvalidFields
from wallet_grpc.messages.language import LANGUAGES, preferred
from wallet_grpc.messages.texts import READ, TEXTS

DOMAIN = "wallet.example.com"
"""The error domain of every ``ErrorInfo``."""

# An error travels in headers, for which gRPC allows 8 KiB, so only the first violations are sent. Sizes in bytes.
_VIOLATIONS_MAX = 10
_FIELD_MAX = 64
_TEXT_MAX = 200

ExponentOf = Callable[[str], int | None]
"""Returns the number of decimals of a currency's amounts; None where it cannot be looked up now."""


def status_of(
    error: errors.WalletError,
    *,
    read: bool,
    accept_language: str | None = None,
    exponent_of: ExponentOf = lambda _: None,
    retry_after_ms: int | None = None,
) -> status_pb2.Status:
    """Return the status of an error of the catalogue, for a *read* or for a call that changes something.

    With *accept_language* the status also carries a ``LocalizedMessage``; it leaves amounts out where *exponent_of*
    does not know their decimals. *retry_after_ms* replaces the delay of the catalogue.
    """
    spec = CATALOGUE[type(error)]
    delay_ms = retry_after_ms or spec.retry_after_ms
    outcome = _outcome_of_read(spec) if read else spec.outcome
    text_outcome = READ if read else spec.outcome
    metadata = {**spec.metadata(error), **_item(error), "outcome": outcome}
    violations = _violations(error)
    details = [_packed(error_details_pb2.ErrorInfo(reason=spec.reason_name, domain=DOMAIN, metadata=metadata))]
    if violations:
        details.append(_packed(error_details_pb2.BadRequest(field_violations=violations)))
    if delay_ms is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(delay_ms)
        details.append(_packed(error_details_pb2.RetryInfo(retry_delay=delay)))
    if accept_language is not None:
        texts = TEXTS[preferred(accept_language)]
        fields = list(dict.fromkeys(violation.field for violation in violations))
        values = {**metadata, **_amounts(error, exponent_of), "fields": fields}
        message = texts.message(spec.reason_name, text_outcome, values)
        details.append(_packed(error_details_pb2.LocalizedMessage(locale=texts.language, message=message)))
    next_step = TEXTS[LANGUAGES[0]].next_step(spec.reason_name, text_outcome)
    return status_pb2.Status(code=spec.code.value[0], message=f"{_message(error, spec)} {next_step}", details=details)


def _amounts(error: errors.WalletError, exponent_of: ExponentOf) -> dict[str, str]:
    """Return the number of decimals of an error's amounts; where it is unknown, blank the amounts instead."""
    if not isinstance(error, errors.InsufficientFunds):
        return {}
    exponent = exponent_of(error.currency)
    return {"available": "", "required": ""} if exponent is None else {"exponent": str(exponent)}


def _outcome_of_read(spec: ErrorSpec) -> Outcome:
    """Return the outcome for a read, which changes nothing and so cannot be in doubt."""
    return Outcome.NOT_DONE_RETRY if spec.outcome is Outcome.UNKNOWN else spec.outcome


def _item(error: errors.WalletError) -> dict[str, str]:
    return {"item": str(error.item)} if isinstance(error, errors.Refusal) and error.item is not None else {}


def _message(error: errors.WalletError, spec: ErrorSpec) -> str:
    if violations := _violations(error):
        first = violations[0]
        count = len(error.violations) if isinstance(error, InvalidFields) else 1
        more = f" (and {count - 1} more)" if count > 1 else ""
        message = f"{first.field}: {first.description}{more}."
    else:
        message = (type(error).__doc__ or "").partition("\n")[0]
        explanation = spec.explanation(error)
        shown = {name: value for name, value in spec.metadata(error).items() if value not in {"", explanation}}
        about = ", ".join(f"{name} {value}" for name, value in shown.items())
        message = f"{message.rstrip('.')}: {about}." if about else message
        message = f"{message.rstrip('.')} ({explanation})." if explanation else message
    return "".join(f"Item {index}, counted from 0: " for index in _item(error).values()) + message


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
