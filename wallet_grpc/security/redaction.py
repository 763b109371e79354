"""What of an error a caller may read: no amount or limit of a wallet that it may not read."""

from dataclasses import replace

from wallet_core.domain.model import errors
from wallet_core.domain.model.wallet import WalletId, is_system
from wallet_grpc.security.access import Principal, Scope


def redact_for(principal: Principal, error: errors.WalletError) -> errors.WalletError:
    """Return *error* without the values that its caller may not read.

    A caller may debit a wallet without the right to read it, and a limit, a reused request id or a reused
    reference may belong to any wallet.
    """
    redacted: errors.Refusal
    if isinstance(error, errors.InsufficientFunds) and not _may_read_funds(principal, error.wallet):
        redacted = replace(error, available=None, required=None)
    elif isinstance(error, errors.LimitExceeded) and not _may_read_limit(principal, error.resource):
        redacted = replace(error, limit=None)
    elif isinstance(error, errors.RequestIdReused) and principal.owner is not None:
        redacted = replace(error, method="", resource="")
    elif isinstance(error, errors.ExternalReferenceReused) and principal.owner is not None:
        redacted = replace(error, resource="")
    else:
        return error
    redacted.item, redacted.replayed = error.item, error.replayed
    return redacted


def _may_read_funds(principal: Principal, wallet: str) -> bool:
    return _scopes_to_read(WalletId(wallet.removeprefix("wallets/"))) <= principal.scopes


def _may_read_limit(principal: Principal, resource: str) -> bool:
    wallet = resource.removeprefix("wallets/")
    if wallet == resource:
        return True  # the limit of something else than a wallet
    return principal.owner is None and _scopes_to_read(WalletId(wallet)) <= principal.scopes


def _scopes_to_read(wallet: WalletId) -> frozenset[Scope]:
    return frozenset({Scope.WALLET_READ, Scope.OPERATIONS} if is_system(wallet) else {Scope.WALLET_READ})
