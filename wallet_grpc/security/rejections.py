"""Rejected callers, for the log: their identity and address, and never the token."""

from collections.abc import Iterable
from typing import Any

import grpc
import structlog

from wallet_core.domain.model.errors import PermissionMissing, WalletError, cause_of
from wallet_grpc.errors.catalogue import CATALOGUE
from wallet_grpc.security.access import is_known, principal_of

_log = structlog.get_logger("wallet.requests")

_CODES = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}


def is_rejected(error: object) -> bool:
    """Return whether an error rejects the caller rather than the request."""
    return isinstance(error, WalletError) and CATALOGUE[type(error)].code in _CODES


def describe_rejection(context: grpc.ServicerContext, error: WalletError) -> dict[str, Any]:
    """Return the log fields that identify a rejected caller: peer, owner, person, and the missing permission."""
    fields = {"cause": cause_of(error), "peer": context.peer()}
    if isinstance(error, PermissionMissing):
        fields["permission"] = error.permission
    if is_known(context):
        principal = principal_of(context)
        who = {"owner": principal.owner, "person": principal.person.name, "token_id": principal.person.token_id}
        fields |= {key: value for key, value in who.items() if value}
    return fields


def log_items(context: grpc.ServicerContext, method: str, results: Iterable[object]) -> None:
    """Log the items of a batch that were rejected for their caller: their number, and the first one."""
    refused = [one for one in results if isinstance(one, WalletError) and is_rejected(one)]
    if refused:
        caller = principal_of(context).caller
        about = describe_rejection(context, refused[0])
        _log.warning("items refused", method=method, caller=caller, items=len(refused), **about)
