"""Shows errors: the only place that ends a call with one. Outermost, so that nothing passes it by."""

from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from grpc_status import rpc_status

from wallet_grpc.convert.values import accept_language_of
from wallet_grpc.descriptors import READS
from wallet_grpc.errors import CATALOGUE, Kind, public, status_of
from wallet_grpc.interceptors.wrapping import Wrapping


@contextmanager
def showing_errors(method: str, context: grpc.ServicerContext) -> Iterator[None]:
    """Turn what a call raises into the rich status of the catalogue."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  # an error that passed here would show its text to the caller
        told = public(error)
        shown = status_of(told, read=method in READS, accept_language=accept_language_of(context))
    else:
        return
    if CATALOGUE[type(told)].kind is Kind.FINAL:
        # What is final is not asked again, even where its code is one that clients retry.
        context.set_trailing_metadata((("grpc-retry-pushback-ms", "-1"),))
    context.abort_with_status(rpc_status.to_status(shown))


def errors_interceptor() -> Wrapping:
    """Return the interceptor."""
    return Wrapping(showing_errors)
