"""Turns exceptions into gRPC statuses: the only place that ends a call with an error. Outermost, to catch them all."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

import grpc
from google.rpc import status_pb2
from grpc_status import rpc_status
from wallet.v1 import error_reason_pb2

from wallet_core.call_scope import begin_call
from wallet_core.domain.model.errors import ResultLost, WalletError
from wallet_grpc.convert.values import accept_language_of
from wallet_grpc.descriptors import READS
from wallet_grpc.errors.catalogue import CATALOGUE, Outcome, to_public_error
from wallet_grpc.errors.status import ExponentOf, status_of
from wallet_grpc.interceptors.wrapping import Wrapping

_PREVIOUS_ATTEMPTS_KEY = error_reason_pb2.ErrorReason.DESCRIPTOR.GetOptions().Extensions[
    error_reason_pb2.previous_attempts_key
]

NO_RETRY_MS = -1
"""As a delay: the channel must not retry by itself."""


@dataclass(frozen=True, slots=True)
class GrpcError:
    """An error as gRPC sends it."""

    code: grpc.StatusCode
    message: str
    metadata: tuple[tuple[str, str | bytes], ...]


@contextmanager
def errors_as_status(exponent_of: ExponentOf, method: str, context: grpc.ServicerContext) -> Iterator[None]:
    """End the call with the catalogue's status for whatever exception the block raises.

    This is also where one guarantee of every call is kept: once something was done, no error reports that nothing was.
    """
    scope = begin_call()
    try:
        yield
    except Exception as raised:  # noqa: BLE001  # an exception that passed would show its text to the caller
        error = to_public_error(raised)
        if scope.is_done and CATALOGUE[type(error)].outcome is not Outcome.UNKNOWN:
            error = ResultLost()
        language = accept_language_of(context)
        status = status_of(error, read=method in READS, accept_language=language, exponent_of=exponent_of)
    else:
        return
    abort(context, grpc_error(error, status))


def grpc_error(error: WalletError, status: status_pb2.Status, retry_after_ms: int | None = None) -> GrpcError:
    """Return *error*, whose status is *status*, as gRPC sends it; *retry_after_ms* replaces the catalogue's delay."""
    sent = rpc_status.to_status(status)
    pushback = _retry_pushback(error, retry_after_ms)
    return GrpcError(sent.code, sent.details, (*(sent.trailing_metadata or ()), *pushback))


def abort(context: grpc.ServicerContext, error: GrpcError) -> NoReturn:
    """End a call; does not return."""
    # Not by abort_with_status, which would replace all other trailing metadata by the details.
    context.set_trailing_metadata((*error.metadata, *_previous_attempts(context)))
    context.abort(error.code, error.message)


def _retry_pushback(error: WalletError, retry_after_ms: int | None) -> Iterator[tuple[str, str]]:
    """Yield when the channel may retry: never after a final error, whatever its code, and not at once under load.

    For all other errors the channel's own exponential backoff is better.
    """
    spec = CATALOGUE[type(error)]
    if spec.outcome is Outcome.NOT_DONE:
        yield "grpc-retry-pushback-ms", str(NO_RETRY_MS)
    elif spec.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        yield "grpc-retry-pushback-ms", str(retry_after_ms or spec.retry_after_ms)


def _previous_attempts(context: grpc.ServicerContext) -> Iterator[tuple[str, str]]:
    """Yield the number of attempts that the channel made before: this attempt's error says nothing of those."""
    for key, value in context.invocation_metadata():
        if key == "grpc-previous-rpc-attempts":
            yield _PREVIOUS_ATTEMPTS_KEY, str(value)


def errors_interceptor(exponent_of: ExponentOf) -> Wrapping:
    """Return the interceptor; *exponent_of* must not raise."""
    return Wrapping(partial(errors_as_status, exponent_of))
