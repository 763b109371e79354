"""Reflection, with which grpcurl and buf list and call services: v1alpha, and the same as v1.

grpcio has the v1alpha service only; v1 is the same on the wire. Its calls are client streams, and each occupies a
thread until the client ends it: so they have a few threads of their own, and a time limit.
"""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

SERVICE_NAME_V1 = "grpc.reflection.v1.ServerReflection"

# Long enough for a tool that keeps its stream open during a call; a tool that needs longer opens another stream.
_LASTS_MAX_S = 30.0


def add_reflection(server: grpc.Server, services: Sequence[str], threads: ThreadPoolExecutor) -> None:
    """Serve reflection for *services* on *server*, on *threads*."""
    # Without v1 itself: its descriptor is missing, and buf fails for a name without a descriptor.
    names = [*services, reflection.SERVICE_NAME]
    servicer = reflection.ReflectionServicer(names)

    def look_up(
        requests: Iterator[ServerReflectionRequest], context: grpc.ServicerContext
    ) -> Iterator[ServerReflectionResponse]:
        ending = threading.Timer(_LASTS_MAX_S, context.cancel)
        ending.daemon = True
        ending.start()
        try:
            yield from servicer.ServerReflectionInfo(requests, context)
        finally:
            ending.cancel()

    # grpcio looks for this attribute.
    look_up.experimental_thread_pool = threads  # type: ignore[attr-defined]
    handler = grpc.stream_stream_rpc_method_handler(
        look_up,
        request_deserializer=ServerReflectionRequest.FromString,
        response_serializer=ServerReflectionResponse.SerializeToString,
    )
    for service in (reflection.SERVICE_NAME, SERVICE_NAME_V1):
        server.add_registered_method_handlers(service, {"ServerReflectionInfo": handler})
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, {"ServerReflectionInfo": handler}),)
        )
