"""Read authorization: a caller reads only what its owner and its scopes allow.

A caller that is confined to an owner reads that owner's wallets and the resources that belong to them; of others it
does not learn whether they exist. In every response, balances, labels, limits and entry numbers of wallets that the
caller may not read are cleared. The innermost interceptor but one.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import grpc
from google.protobuf.message import Message

from wallet_core.call_scope import known_owners
from wallet_core.domain.model.access import OWNER
from wallet_core.domain.model.errors import PermissionMissing, Refusal
from wallet_core.domain.model.wallet import WalletId, is_system
from wallet_core.usecases.app import App
from wallet_grpc.convert.values import resource_uuid, wallet_id
from wallet_grpc.descriptors import CALLS, OwnerAccess
from wallet_grpc.interceptors.wrapping import Handler, Wrapping, rewrapped
from wallet_grpc.runtime.receiving import Behaviour
from wallet_grpc.security.access import Principal, Scope, principal_of
from wallet_grpc.security.redaction import redact_for

# The fields that reveal something of a wallet, by message: how to find the wallet, and the fields.
_WALLET_FIELDS: Mapping[str, tuple[Callable[[Any], str], tuple[str, ...]]] = {
    "Wallet": (lambda message: message.name, ("balance", "held", "available", "overdraft_limit", "labels")),
    "Entry": (lambda message: message.wallet, ("balance_after", "sequence")),
    "DepositResponse": (lambda message: message.transaction.destination, ("available",)),
    "TransferResponse": (lambda message: message.transaction.source, ("source_available",)),
    "BatchTransferResult": (lambda message: message.transaction.source, ("source_available",)),
    "PlaceHoldResponse": (lambda message: message.hold.wallet, ("available",)),
}

# The fields that identify an operator, by message: for callers with the scope operations only.
_OPERATOR_FIELDS = {"Resolution": ("person", "token_id")}


class ReadAuthorization(Wrapping):
    """Checks every request, and redacts every response."""

    def __init__(self, app: App) -> None:
        super().__init__()
        self._reads = app.reads

    def wrap(self, handler: Handler, method: str) -> Handler:
        """Check the request before the servicer, redact the response after it."""

        def run_once(inner: Behaviour, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401  # any message
            principal = principal_of(context)
            if principal.sees_everything:
                return inner(request, context)
            self._require(principal, method, request)
            try:
                return self._redacted(principal, inner(request, context))
            except Refusal as refusal:
                raise redact_for(principal, refusal) from None

        def run_stream(inner: Behaviour, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:  # noqa: ANN401  # any message
            self._require(principal_of(context), method, request)
            yield from inner(request, context)

        return rewrapped(handler, method, run_once, run_stream, handler.request_deserializer)

    def _require(self, principal: Principal, method: str, request: Any) -> None:  # noqa: ANN401  # any message
        """Raise ``PermissionMissing`` unless the call's declared owner access allows this request."""
        call = CALLS[method]
        if call.owner_access in {OwnerAccess.LOCKED_WALLETS, OwnerAccess.OWN_WEBHOOKS}:
            return  # ``decide`` checks the locked rows, and the servicer the webhooks that it reads
        names = call.named(request)
        names_wallets = call.owner_access in {OwnerAccess.NAMED_WALLETS, OwnerAccess.FILTERED}
        named = [wallet_id(name) for name in names] if names_wallets else []
        if Scope.OPERATIONS not in principal.scopes and any(map(is_system, named)):
            raise PermissionMissing(Scope.OPERATIONS)
        if principal.owner is None or (call.owner_access is OwnerAccess.FILTERED and not named):
            return  # the servicer filters by the owner
        if call.owner_access is OwnerAccess.RELATED_RESOURCE:
            wallets = self._reads.wallets_of(resource_uuid(names[0]))
            allowed = bool(self._reads.owned(principal.owner, wallets))
        else:
            allowed = bool(named) and self._reads.owned(principal.owner, named) == frozenset(named)
        if not allowed:
            raise PermissionMissing(OWNER)

    def _redacted(self, principal: Principal, response: Message) -> Message:
        """Clear the fields of a response that the caller may not read."""
        messages = list(_redactable(response))
        if Scope.OPERATIONS not in principal.scopes:
            for message in messages:
                for field in _OPERATOR_FIELDS.get(message.DESCRIPTOR.name, ()):
                    message.ClearField(field)
        found = [
            (one, *_WALLET_FIELDS[one.DESCRIPTOR.name]) for one in messages if one.DESCRIPTOR.name in _WALLET_FIELDS
        ]
        readable = self._readable(principal, {wallet_id(wallet_of(message)) for message, wallet_of, _ in found})
        for message, wallet_of, fields in found:
            if wallet_id(wallet_of(message)) not in readable:
                for field in fields:
                    message.ClearField(field)
        return response

    def _readable(self, principal: Principal, wallets: set[WalletId]) -> frozenset[WalletId]:
        if Scope.WALLET_READ not in principal.scopes or not wallets:
            return frozenset()
        if principal.owner is not None:
            known = known_owners()
            owned = frozenset(wallet for wallet in wallets if known.get(wallet) == principal.owner)
            unknown = wallets - known.keys()
            # The response of a change has wallets that were not locked for it only in a replay.
            return owned | self._reads.owned(principal.owner, unknown) if unknown else owned
        return frozenset(one for one in wallets if Scope.OPERATIONS in principal.scopes or not is_system(one))


def _redactable(message: Message) -> Iterator[Message]:
    """Yield the messages within a message, itself included, that have fields to redact."""
    if message.DESCRIPTOR.name in _WALLET_FIELDS or message.DESCRIPTOR.name in _OPERATOR_FIELDS:
        yield message
    for field, value in message.ListFields():
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        for one in value if field.is_repeated else (value,):
            yield from _redactable(one)
