"""Reflection, so that grpcurl and buf can list and call: v1alpha, and the same under the name v1.

grpcio ships the v1alpha service only; v1 is the same on the wire.
"""

from collections.abc import Sequence

import grpc
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

SERVICE_NAME_V1 = "grpc.reflection.v1.ServerReflection"


def add_reflection(server: grpc.Server, services: Sequence[str]) -> None:
    """Let callers look up *services* on *server*."""
    # Not v1 itself: its descriptor is not there to be looked up, and buf gives up on a name that it cannot look up.
    names = [*services, reflection.SERVICE_NAME]
    reflection.enable_server_reflection(names, server)
    servicer = reflection.ReflectionServicer(names)
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=ServerReflectionRequest.FromString,
        response_serializer=ServerReflectionResponse.SerializeToString,
    )
    server.add_registered_method_handlers(SERVICE_NAME_V1, {"ServerReflectionInfo": handler})
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(SERVICE_NAME_V1, {"ServerReflectionInfo": handler}),)
    )
