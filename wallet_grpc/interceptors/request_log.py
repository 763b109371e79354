"""Writes down every call: method, code, reason, duration. Inside ``errors``, so that it sees what was raised."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import grpc
import structlog

from wallet_core.domain.errors import NotServed, WalletError, cause_of
from wallet_grpc.access import is_known, principal_of
from wallet_grpc.errors import CATALOGUE, Defect, public
from wallet_grpc.interceptors.wrapping import Wrapping

_log = structlog.get_logger("wallet.requests")


@contextmanager
def logged(method: str, context: grpc.ServicerContext) -> Iterator[None]:
    """Log one line per call; a defect with its traceback and the correlation id that the caller is told."""
    started_at = monotonic()
    try:
        yield
    except GeneratorExit:
        _log.info("call", method=method, code="CANCELLED", **_caller(context), duration_ms=_ms_since(started_at))
        raise
    except Exception as error:
        told = public(error)
        _log_refused(method, told, error, {**_caller(context), "duration_ms": _ms_since(started_at)})
        if told is error:
            raise
        raise told from error
    _log.info("call", method=method, code="OK", **_caller(context), duration_ms=_ms_since(started_at))


def request_log_interceptor() -> Wrapping:
    """Return the interceptor."""
    return Wrapping(logged)


def _caller(context: grpc.ServicerContext) -> dict[str, str]:
    return {"caller": principal_of(context).caller} if is_known(context) else {}


def _log_refused(method: str, told: WalletError, error: Exception, about: dict[str, Any]) -> None:
    face = CATALOGUE[type(told)]
    said = {"code": face.code.name, "reason": face.reason_name, **about}
    if isinstance(told, Defect):
        _log.error("call", method=method, correlation_id=told.correlation_id, exc_info=error, **said)
    elif isinstance(told, NotServed):
        _log.warning("call", method=method, cause=cause_of(told), **said)
    else:
        _log.info("call", method=method, **said)


def _ms_since(started_at: float) -> float:
    return round((monotonic() - started_at) * 1000, 3)
