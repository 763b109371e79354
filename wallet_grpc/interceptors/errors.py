"""Shows errors: the only place that ends a call with one. Outermost, so that nothing passes it by."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

import grpc
from google.rpc import status_pb2
from grpc_status import rpc_status

from wallet_client.errors import REPEATS
from wallet_core.call_scope import begin_call
from wallet_core.domain.model.errors import ResultLost, WalletError
from wallet_grpc.convert.values import accept_language_of
from wallet_grpc.descriptors import READS
from wallet_grpc.errors import CATALOGUE, ExponentOf, Outcome, public, status_of
from wallet_grpc.interceptors.wrapping import Wrapping


@contextmanager
def showing_errors(exponent_of: ExponentOf, method: str, context: grpc.ServicerContext) -> Iterator[None]:
    """Turn what a call raises into the rich status of the catalogue.

    The one place that keeps a promise of every call: once something was done, no error says that nothing was.
    """
    scope = begin_call()
    try:
        yield
    except Exception as error:  # noqa: BLE001  # an error that passed here would show its text to the caller
        told = public(error)
        if scope.is_done and CATALOGUE[type(told)].outcome is not Outcome.UNKNOWN:
            told = ResultLost()
        language = accept_language_of(context)
        shown = status_of(told, read=method in READS, accept_language=language, exponent_of=exponent_of)
    else:
        return
    end_with(context, packed(told, shown))


NOT_AGAIN = -1
"""As a wait: the channel is not to ask again by itself."""


@dataclass(frozen=True, slots=True)
class Ending:
    """An error as gRPC sends it."""

    code: grpc.StatusCode
    message: str
    metadata: tuple[tuple[str, str | bytes], ...]


def packed(told: WalletError, shown: status_pb2.Status, retry_after_ms: int | None = None) -> Ending:
    """Return an error, and the status that shows it, as gRPC sends them; with a wait in place of the catalogue's."""
    status = rpc_status.to_status(shown)
    pushback = _pushback(told, retry_after_ms)
    return Ending(status.code, status.details, (*(status.trailing_metadata or ()), *pushback))


def end_with(context: grpc.ServicerContext, ending: Ending) -> NoReturn:
    """End a call; does not return."""
    # Not by abort_with_status, which would put the details in place of the rest.
    context.set_trailing_metadata((*ending.metadata, *_repeats(context)))
    context.abort(ending.code, ending.message)


def _pushback(told: WalletError, retry_after_ms: int | None) -> Iterator[tuple[str, str]]:
    """Say when the channel may ask again: never what is final, whatever its code, and not at once under load.

    For what else stands in the way the channel's own waits, ever longer, are better.
    """
    spec = CATALOGUE[type(told)]
    if spec.outcome is Outcome.NOT_DONE:
        yield "grpc-retry-pushback-ms", str(NOT_AGAIN)
    elif spec.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        yield "grpc-retry-pushback-ms", str(retry_after_ms or spec.retry_after_ms)


def _repeats(context: grpc.ServicerContext) -> Iterator[tuple[str, str]]:
    """Tell how often the channel has asked before: the refusal of this attempt says nothing of those."""
    for key, value in context.invocation_metadata():
        if key == "grpc-previous-rpc-attempts":
            yield REPEATS, str(value)


def errors_interceptor(exponent_of: ExponentOf) -> Wrapping:
    """Return the interceptor; *exponent_of* raises nothing."""
    return Wrapping(partial(showing_errors, exponent_of))
