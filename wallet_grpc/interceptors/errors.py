"""Shows errors: the only place that ends a call with one. Outermost, so that nothing passes it by."""

from typing import Any

import grpc
from grpc_status import rpc_status

from wallet_grpc.errors import READS, public, status_of
from wallet_grpc.interceptors.wrapping import Behaviour, Wrapping


def show_errors(inner: Behaviour, method: str, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401  # any message
    """Turn what a call raises into the rich status of the catalogue."""
    try:
        return inner(request, context)
    except Exception as error:  # noqa: BLE001  # an error that passed here would show its text to the caller
        shown = status_of(public(error), read=method in READS)
    return context.abort_with_status(rpc_status.to_status(shown))


def errors_interceptor() -> Wrapping:
    """Return the interceptor."""
    return Wrapping(show_errors)
