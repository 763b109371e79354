"""Our services, as their protos declare them: what each call takes of its caller stands beside it, and nowhere else."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from wallet.v1 import (
    access_pb2,
    commission_service_pb2,
    event_service_pb2,
    hold_service_pb2,
    operations_service_pb2,
    schedule_service_pb2,
    transaction_service_pb2,
    wallet_service_pb2,
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
    )
    for service in module.DESCRIPTOR.services_by_name.values()
)

SERVICES = tuple(service.full_name for service in _SERVICES)


class Undeclared(Exception):
    """A call does not declare, or not so that it can be kept, what it takes of its caller; nothing is served."""


class Reach(StrEnum):
    """What of a call is for a caller that is confined to an owner; ``access.proto`` says it in full."""

    UNCONFINED = "UNCONFINED"
    WALLETS = "WALLETS"
    NARROWED = "NARROWED"
    HANGING = "HANGING"
    LOCKED = "LOCKED"


@dataclass(frozen=True, slots=True)
class Call:
    """A call, as it is declared."""

    path: str
    """As gRPC names it: ``/wallet.v1.WalletService/GetWallet``."""
    scope: str | None
    """The scope's word; None where every known caller may make it."""
    reach: Reach
    field: str
    """The request's field that the reach is about; empty where there is none."""
    reads: bool
    streams: bool

    def named(self, request: object) -> tuple[str, ...]:
        """Return what a request names in that field."""
        found = getattr(request, self.field) if self.field else ()
        if isinstance(found, str):
            return (found,) if found else ()
        return tuple(found)


def declared(method: MethodDescriptor) -> Call:
    """Return what is declared of a call; raise ``Undeclared`` where something is missing or contradicts itself."""
    options = method.GetOptions()
    access = options.Extensions[access_pb2.access]
    reads = options.idempotency_level == MethodOptions.NO_SIDE_EFFECTS
    reach = access_pb2.Reach.Name(access.reach).removeprefix("REACH_")
    wrong = {
        "it declares neither a scope nor any_known_caller": not (access.scope or access.any_known_caller),
        "it declares no reach": not access.reach,
        "what is locked is not read": reads and reach == Reach.LOCKED,
        "what reads is narrowed before anything is locked, what changes something after": (
            not reads and reach not in {Reach.LOCKED, Reach.UNCONFINED}
        ),
        "its reach is about a field": not access.field and reach in {Reach.WALLETS, Reach.HANGING},
        "its reach is about no field": bool(access.field) and reach in {Reach.LOCKED, Reach.UNCONFINED},
        f"its request has no text {access.field}": bool(access.field) and not _is_text(method, access.field),
    }
    if any(wrong.values()):
        because = "; ".join(text for text, so in wrong.items() if so)
        raise Undeclared(f"{method.full_name} must declare `option (access)` as access.proto says: {because}")
    return Call(
        path=f"/{method.containing_service.full_name}/{method.name}",
        scope=scope_word(access_pb2.Scope.Name(access.scope)) if access.scope else None,
        reach=Reach(reach),
        field=access.field,
        reads=reads,
        streams=method.server_streaming,
    )


def scope_word(name: str) -> str:
    """Return a scope's word by its name in the protos."""
    return name.removeprefix("SCOPE_").lower().replace("_", ".", 1)


def _is_text(method: MethodDescriptor, field: str) -> bool:
    found = method.input_type.fields_by_name.get(field)
    return found is not None and found.type == FieldDescriptor.TYPE_STRING


def _scopes() -> Iterable[tuple[str, bool]]:
    for value in access_pb2.Scope.DESCRIPTOR.values:
        if value.number:
            yield scope_word(value.name), value.GetOptions().Extensions[access_pb2.unconfined]


SCOPE_WORDS: Mapping[str, bool] = MappingProxyType(dict(_scopes()))
"""All scopes there are, and of each whether it does not count for a caller that is confined to an owner."""

CALLS: Mapping[str, Call] = MappingProxyType(
    {call.path: call for service in _SERVICES for call in map(declared, service.methods)}
)
"""All calls, by path. A server with a call that is not declared does not come so far."""

READS = frozenset(call.path for call in CALLS.values() if call.reads)
"""Calls that change nothing."""

STREAMS = frozenset(call.path for call in CALLS.values() if call.streams)
"""Calls that are answered in a stream."""
