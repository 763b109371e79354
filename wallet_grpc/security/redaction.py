"""What of a response or an error a caller may read: no amount, label or limit of a wallet that it may not read."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from google.protobuf.message import Message

from wallet_core.domain.model import errors
from wallet_core.domain.model.wallet import WalletId, is_system
from wallet_grpc.security.access import Principal, Scope

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


def redact(
    message: Message, *, readable: Callable[[set[WalletId]], frozenset[WalletId]], shows_operators: bool
) -> None:
    """Clear the fields of a message, and of all within it, that its caller may not read.

    *readable* returns those of the wallets that the caller may read.
    """
    messages = list(_redactable(message))
    if not shows_operators:
        for one in messages:
            for field in _OPERATOR_FIELDS.get(one.DESCRIPTOR.name, ()):
                one.ClearField(field)
    found = [(one, *_WALLET_FIELDS[one.DESCRIPTOR.name]) for one in messages if one.DESCRIPTOR.name in _WALLET_FIELDS]
    may_be_read = readable({WalletId(wallet_of(one).removeprefix("wallets/")) for one, wallet_of, _ in found})
    for one, wallet_of, fields in found:
        if WalletId(wallet_of(one).removeprefix("wallets/")) not in may_be_read:
            for field in fields:
                one.ClearField(field)


def _redactable(message: Message) -> Iterator[Message]:
    """Yield the messages within a message, itself included, that have fields to redact."""
    if message.DESCRIPTOR.name in _WALLET_FIELDS or message.DESCRIPTOR.name in _OPERATOR_FIELDS:
        yield message
    for field, value in message.ListFields():
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        for one in value if field.is_repeated else (value,):
            yield from _redactable(one)


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
