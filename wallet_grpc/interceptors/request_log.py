"""Logs and counts every call: method, code, reason, duration; for a rejected caller also its identity.

It is inside of ``errors``, so it sees the raised exception.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import grpc
import structlog

from wallet_core.domain.model.errors import ServiceError, WalletError, cause_of
from wallet_grpc.descriptors import STREAMS
from wallet_grpc.errors.catalogue import CATALOGUE, to_public_error
from wallet_grpc.errors.kinds import Defect
from wallet_grpc.interceptors.wrapping import Wrapping
from wallet_grpc.runtime.metrics import count
from wallet_grpc.security.access import is_known, principal_of
from wallet_grpc.security.rejections import describe_rejection, is_rejected

_log = structlog.get_logger("wallet.requests")


@contextmanager
def logged(method: str, context: grpc.ServicerContext) -> Iterator[None]:
    """Log a call; a defect with its traceback and the correlation id that the caller receives."""
    started_at = monotonic()
    try:
        yield
    except GeneratorExit:
        _log_done(method, "CANCELLED", context, monotonic() - started_at)
        raise
    except Exception as error:
        public = to_public_error(error)
        _log_refused(method, public, error, context, monotonic() - started_at)
        if public is error:
            raise
        raise public from error
    # A watch ends without an error only when its caller has cancelled it.
    code = "CANCELLED" if method in STREAMS and not context.is_active() else "OK"
    _log_done(method, code, context, monotonic() - started_at)


def request_log_interceptor() -> Wrapping:
    """Return the interceptor."""
    return Wrapping(logged)


def _log_done(method: str, code: str, context: grpc.ServicerContext, seconds: float) -> None:
    count(method, code, "", seconds)
    _log.info("call", method=method, code=code, **_about(context, seconds))


def _log_refused(
    method: str, public: WalletError, error: Exception, context: grpc.ServicerContext, seconds: float
) -> None:
    spec = CATALOGUE[type(public)]
    count(method, spec.code.name, spec.reason_name, seconds)
    fields = {"code": spec.code.name, "reason": spec.reason_name, **_about(context, seconds)}
    if isinstance(public, Defect):
        _log.error("call", method=method, correlation_id=public.correlation_id, exc_info=error, **fields)
    elif is_rejected(public):
        _log.warning("call", method=method, **describe_rejection(context, public), **fields)
    elif isinstance(public, ServiceError):
        _log.warning("call", method=method, cause=cause_of(public), **fields)
    else:
        _log.info("call", method=method, **fields)


def _about(context: grpc.ServicerContext, seconds: float) -> dict[str, Any]:
    caller = {"caller": principal_of(context).caller} if is_known(context) else {}
    return {**caller, "duration_ms": round(seconds * 1000, 3)}
