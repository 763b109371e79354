"""Shows callers what they may see, and of the rest not even whether it is there.

Who is confined to one owner reads that owner's wallets, and what hangs on them. Whatever a caller may do, balances,
labels, limits and numbers of entries of a wallet that it may not read are left out of every answer. Innermost but for
the servicer itself.
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
from wallet_grpc.descriptors import CALLS, Reach
from wallet_grpc.interceptors.wrapping import Handler, Wrapping, rewrapped
from wallet_grpc.runtime.receiving import Behaviour
from wallet_grpc.security.access import Principal, Scope, principal_of
from wallet_grpc.security.redaction import redact_for

# What tells of a wallet, by the message that it stands in: which wallet, and in which fields.
_TELLING: Mapping[str, tuple[Callable[[Any], str], tuple[str, ...]]] = {
    "Wallet": (lambda told: told.name, ("balance", "held", "available", "overdraft_limit", "labels")),
    "Entry": (lambda told: told.wallet, ("balance_after", "sequence")),
    "DepositResponse": (lambda told: told.transaction.destination, ("available",)),
    "TransferResponse": (lambda told: told.transaction.source, ("source_available",)),
    "BatchTransferResult": (lambda told: told.transaction.source, ("source_available",)),
    "PlaceHoldResponse": (lambda told: told.hold.wallet, ("available",)),
}


# Who of the operators decided, by the message that it stands in: told to those who run the service.
_DECIDED = {"Resolution": ("person", "token_id")}


class ReadAuthorization(Wrapping):
    """Stands between every call and its servicer."""

    def __init__(self, app: App) -> None:
        super().__init__()
        self._reads = app.reads

    def wrap(self, handler: Handler, method: str) -> Handler:
        """Look at what is asked for, then at what is told."""

        def run_once(inner: Behaviour, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401  # any message
            principal = principal_of(context)
            if principal.sees_everything:
                return inner(request, context)
            self._require(principal, method, request)
            try:
                return self._shown(principal, inner(request, context))
            except Refusal as refusal:
                raise redact_for(principal, refusal) from None

        def run_stream(inner: Behaviour, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:  # noqa: ANN401  # any message
            self._require(principal_of(context), method, request)
            yield from inner(request, context)

        return rewrapped(handler, method, run_once, run_stream, handler.request_deserializer)

    def _require(self, principal: Principal, method: str, request: Any) -> None:  # noqa: ANN401  # any message
        """Raise ``PermissionMissing`` unless the call is for this caller, as it is declared."""
        call = CALLS[method]
        if call.reach is Reach.LOCKED:
            return  # seen by ``decide``, on the locked rows
        names = call.named(request)
        named = [wallet_id(name) for name in names] if call.reach in {Reach.WALLETS, Reach.NARROWED} else []
        if Scope.OPERATIONS not in principal.scopes and any(map(is_system, named)):
            raise PermissionMissing(Scope.OPERATIONS)
        if principal.owner is None or (call.reach is Reach.NARROWED and not named):
            return  # where it names none, the servicer narrows it
        if call.reach is Reach.HANGING:
            hangs_on = self._reads.wallets_of(resource_uuid(names[0]))
            allowed = bool(self._reads.owned(principal.owner, hangs_on))
        else:
            allowed = bool(named) and self._reads.owned(principal.owner, named) == frozenset(named)
        if not allowed:
            raise PermissionMissing(OWNER)

    def _shown(self, principal: Principal, response: Message) -> Message:
        """Leave out of an answer what tells of wallets that may not be read."""
        found = list(_within(response))
        if Scope.OPERATIONS not in principal.scopes:
            for told in found:
                for field in _DECIDED.get(told.DESCRIPTOR.name, ()):
                    told.ClearField(field)
        telling = [(told, _TELLING[told.DESCRIPTOR.name]) for told in found if told.DESCRIPTOR.name in _TELLING]
        wallets = {wallet_id(wallet_of(told)) for told, (wallet_of, _) in telling}
        readable = self._readable(principal, wallets)
        for told, (wallet_of, fields) in telling:
            if wallet_id(wallet_of(told)) not in readable:
                for field in fields:
                    told.ClearField(field)
        return response

    def _readable(self, principal: Principal, wallets: set[WalletId]) -> frozenset[WalletId]:
        if Scope.WALLET_READ not in principal.scopes or not wallets:
            return frozenset()
        if principal.owner is not None:
            known = known_owners()
            owned = frozenset(wallet for wallet in wallets if known.get(wallet) == principal.owner)
            unknown = wallets - known.keys()
            # Of a change only a repeat shows wallets that were not locked for it.
            return owned | self._reads.owned(principal.owner, unknown) if unknown else owned
        return frozenset(one for one in wallets if Scope.OPERATIONS in principal.scopes or not is_system(one))


def _within(message: Message) -> Iterator[Message]:
    """Yield all messages in a message that have something to leave out, itself among them."""
    if message.DESCRIPTOR.name in _TELLING or message.DESCRIPTOR.name in _DECIDED:
        yield message
    for field, value in message.ListFields():
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        for one in value if field.is_repeated else (value,):
            yield from _within(one)
