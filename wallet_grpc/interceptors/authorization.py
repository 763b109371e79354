"""Read authorization: a caller reads only what its owner and its scopes allow.

A caller that is confined to an owner reads that owner's wallets and the resources that belong to them; of others it
does not learn whether they exist. In every response, balances, labels, limits and entry numbers of wallets that the
caller may not read are cleared. The innermost interceptor but one.
"""

from collections.abc import Iterator
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
from wallet_grpc.security.redaction import redact, redact_for


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
        redact(
            response,
            readable=lambda wallets: self._readable(principal, wallets),
            shows_operators=Scope.OPERATIONS in principal.scopes,
        )
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
