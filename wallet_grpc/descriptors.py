"""Our services, as their protos declare them."""

from google.protobuf.descriptor_pb2 import MethodOptions
from wallet.v1 import (
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

# Methods that change nothing.
READS = frozenset(
    f"/{service.full_name}/{method.name}"
    for service in _SERVICES
    for method in service.methods
    if method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS
)

# Methods that are answered in a stream.
STREAMS = frozenset(
    f"/{service.full_name}/{method.name}"
    for service in _SERVICES
    for method in service.methods
    if method.server_streaming
)
