"""The services and calls as the protos declare them: scope, owner rule, read or change, stream."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from wallet.v1 import (
    access_pb2,
    audit_service_pb2,
    commission_service_pb2,
    event_service_pb2,
    hold_service_pb2,
    info_service_pb2,
    operations_service_pb2,
    schedule_service_pb2,
    transaction_service_pb2,
    wallet_service_pb2,
    webhook_service_pb2,
)

_SERVICES = tuple(
    service
    for module in (
        wallet_service_pb2,
        transaction_service_pb2,
        schedule_service_pb2,
        hold_service_pb2,
        commission_service_pb2,
        operations_service_pb2,
        event_service_pb2,
        webhook_service_pb2,
        info_service_pb2,
        audit_service_pb2,
    )
    for service in module.DESCRIPTOR.services_by_name.values()
)

SERVICES = tuple(service.full_name for service in _SERVICES)


class Undeclared(Exception):
    """A call declares no authorization, or a contradictory one; the server does not start."""


class OwnerAccess(StrEnum):
    """What a caller that is confined to an owner may do with a call; ``access.proto`` explains the values."""

    DENIED = "DENIED"
    NAMED_WALLETS = "NAMED_WALLETS"
    FILTERED = "FILTERED"
    RELATED_RESOURCE = "RELATED_RESOURCE"
    LOCKED_WALLETS = "LOCKED_WALLETS"
    OWN_WEBHOOKS = "OWN_WEBHOOKS"


@dataclass(frozen=True, slots=True)
class Call:
    """A call as its proto declares it."""

    path: str
    """The gRPC path, e.g. ``/wallet.v1.WalletService/GetWallet``."""
    scope: str | None
    """The scope that it requires; None where every authenticated caller may make it."""
    owner_access: OwnerAccess
    field: str
    """The request field that ``owner_access`` refers to; empty if none."""
    reads: bool
    """Whether it changes nothing."""
    streams: bool
    """Whether its response is a stream."""

    def named(self, request: object) -> tuple[str, ...]:
        """Return the names in that field of a request."""
        found = getattr(request, self.field) if self.field else ()
        if isinstance(found, str):
            return (found,) if found else ()
        return tuple(found)


def declared(method: MethodDescriptor) -> Call:
    """Return a call as it is declared; raise ``Undeclared`` where an option is missing or contradicts another."""
    options = method.GetOptions()
    access = options.Extensions[access_pb2.access]
    reads = options.idempotency_level == MethodOptions.NO_SIDE_EFFECTS
    owner_access = access_pb2.OwnerAccess.Name(access.owner_access).removeprefix("OWNER_ACCESS_")
    has_field = bool(access.field)
    wrong = {
        "it has neither scope nor any_authenticated_caller": not (access.scope or access.any_authenticated_caller),
        "it has no owner_access": not access.owner_access,
        "a read locks nothing": reads and owner_access == OwnerAccess.LOCKED_WALLETS,
        "a change is checked on locked rows, or denied": (
            not reads and owner_access not in {OwnerAccess.LOCKED_WALLETS, OwnerAccess.OWN_WEBHOOKS, OwnerAccess.DENIED}
        ),
        "its owner_access needs a field": (
            not has_field and owner_access in {OwnerAccess.NAMED_WALLETS, OwnerAccess.RELATED_RESOURCE}
        ),
        "its owner_access takes no field": (
            has_field and owner_access in {OwnerAccess.LOCKED_WALLETS, OwnerAccess.OWN_WEBHOOKS, OwnerAccess.DENIED}
        ),
        f"its request has no string field {access.field}": has_field and not _is_string(method, access.field),
    }
    if any(wrong.values()):
        errors = "; ".join(text for text, is_wrong in wrong.items() if is_wrong)
        raise Undeclared(f"{method.full_name} needs `option (access)` as access.proto describes it: {errors}")
    return Call(
        path=f"/{method.containing_service.full_name}/{method.name}",
        scope=scope_word(access_pb2.Scope.Name(access.scope)) if access.scope else None,
        owner_access=OwnerAccess(owner_access),
        field=access.field,
        reads=reads,
        streams=method.server_streaming,
    )


def scope_word(name: str) -> str:
    """Return a scope as tokens have it, by the name of its enum value."""
    return name.removeprefix("SCOPE_").lower().replace("_", ".", 1)


def _is_string(method: MethodDescriptor, field: str) -> bool:
    found = method.input_type.fields_by_name.get(field)
    return found is not None and found.type == FieldDescriptor.TYPE_STRING


def _scopes() -> Iterable[tuple[str, bool]]:
    for value in access_pb2.Scope.DESCRIPTOR.values:
        if value.number:
            yield scope_word(value.name), value.GetOptions().Extensions[access_pb2.denied_to_owners]


SCOPE_WORDS: Mapping[str, bool] = MappingProxyType(dict(_scopes()))
"""All scopes, each with whether it has no effect for a caller that is confined to an owner."""

CALLS: Mapping[str, Call] = MappingProxyType(
    {call.path: call for service in _SERVICES for call in map(declared, service.methods)}
)
"""All calls, by path. Importing this module fails for a call without a declaration."""

READS = frozenset(call.path for call in CALLS.values() if call.reads)
"""Paths of calls that change nothing."""

STREAMS = frozenset(call.path for call in CALLS.values() if call.streams)
"""Paths of calls whose response is a stream."""
